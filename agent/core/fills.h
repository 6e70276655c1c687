/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fills.h - how full the kernel's tables are, and how near each app is to its quotas
 *
 * At FILL_ALARM_PERCENT of a table, or of an app's quota, an event says so, once; another says that it
 * is over, below FILL_CALM_PERCENT; an app that goes up and down all the time makes no more of them. A table
 * that an app fills alone can't be shared: quotas come first.
 * An app's place for grants fills up and stays full as names come and go, so only the eviction of
 * grants that were still good says that it is too small.
 */
#ifndef EG_CORE_FILLS_H
#define EG_CORE_FILLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct eg_agent;

struct eg_fill {
	const char *name;
	uint64_t used;
	uint64_t max;
};
#define EG_FILLS 9

/* Of a table or a quota: main thread. */
struct eg_fill_told {
	bool full;
	bool told; /* that it is */
	uint64_t told_boot_ns; /* when last; 0: never */
};

/* Takes lock for a moment. */
void eg_fills(struct eg_agent *agent, struct eg_fill ret[EG_FILLS]);
json_t *eg_fills_json(struct eg_agent *agent);
/* What is nearly full, each a sentence. Takes lock. */
void eg_fills_alarms(struct eg_agent *agent, json_t *list);
/* Every second, main thread: tells what has become nearly full, and what is no longer. */
void eg_fills_check(struct eg_agent *agent);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_events.h - events from the segments themselves, where no agent is there to be asked
 */
#ifndef EG_CLI_SPOOL_EVENTS_H
#define EG_CLI_SPOOL_EVENTS_H

#include "cli.h"

struct eg_spool_filter {
	const char *app; /* NULL: all */
	const char *types; /* with commas; NULL: all */
	uint64_t since_ns; /* UTC; 0: all */
	uint64_t limit; /* the newest so many; UINT64_MAX: all */
};

/*
 * Calls on_line for each, the oldest first; what it returns other than 0 ends it. Events that are missing in between
 * and bytes that are none are told on stderr. An exit status.
 */
int eg_spool_events(struct eg_cli *cli, const char *dir, const struct eg_spool_filter *filter,
		    int (*on_line)(void *ctx, const char *line, size_t len), void *ctx);

#endif

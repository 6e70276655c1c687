/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup.h - allowed flows of a window, as one event for each app, destination, port and rule
 *
 * What adds up. A flow's own counts are totals since its start, and its end carries them all. So a
 * roll-up's "flows" and its bytes and packets are those of the flows that ended in the window, each of
 * them once in all windows; flows that began or were heard of but did not end are beside that, in
 * "open": how many, and their totals so far. Whoever sums up the roll-ups, and adds the latest "open"
 * of what is still open, has what the "flow" events in full would have said.
 *
 * Pure, and the same bytes for the same records in the same order. Bounded: a window with more groups,
 * flows or text than there is room for ends early, which changes no sum.
 */
#ifndef EG_SHIP_ROLLUP_H
#define EG_SHIP_ROLLUP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define EG_ROLLUP_GROUPS_MAX 4096
#define EG_ROLLUP_FLOWS_MAX  16384 /* open ones */
#define EG_ROLLUP_TEXT_MAX   (4u << 20) /* of the groups' first events */

struct eg_rollup;

int eg_rollup_new(struct eg_rollup **ret);
void eg_rollup_free(struct eg_rollup *rollup);
void eg_rollup_clear(struct eg_rollup *rollup);

/* event: the flow that this line says. 0; -ENOSPC: no room, nothing was taken: the window ends before it; -ENOMEM. */
int eg_rollup_add(struct eg_rollup *rollup, const json_t *event, const char *line, size_t len);

size_t eg_rollup_count(const struct eg_rollup *rollup); /* groups, in the order of their first record */
uint64_t eg_rollup_records(const struct eg_rollup *rollup, size_t group);
/* The group as a native event. A new reference; NULL without memory. */
json_t *eg_rollup_event(const struct eg_rollup *rollup, size_t number);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - how two policies differ, as their readers think of them
 *
 * Rules are compared by their ids, field by field; lists whose order means nothing (addresses,
 * ports, cgroups) as sets; a port is the same as a number or as text. That the same rules stand
 * in another order is told, since the first that matches is the one in events.
 */
#ifndef EG_CLI_DIFF_H
#define EG_CLI_DIFF_H

#include <jansson.h>

struct eg_cli;

/*
 * [{"op": "add"|"remove"|"change"|"order", "path": "egress[hr-db].ports", "old", "new"}...]; a changed
 * list has "added" and "removed" instead. Empty if they mean the same. before may be NULL: everything
 * is added. New reference; NULL without memory.
 */
json_t *eg_diff_policies(const json_t *before, const json_t *after);

/* One line for each change. */
void eg_diff_print(const struct eg_cli *cli, const json_t *changes);

/* A copy with keys in the order of the manual, not of the alphabet. */
json_t *eg_diff_ordered(const json_t *json);

#endif

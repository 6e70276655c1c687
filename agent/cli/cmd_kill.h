/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_kill.h - the two ways of a kill: through the agent, and on the pinned maps
 */
#ifndef EG_CLI_CMD_KILL_H
#define EG_CLI_CMD_KILL_H

#include <stdint.h>

#include "cli.h"
#include "which.h"

/* A decimal number without a sign. 0 or -EINVAL. */
int eg_kill_parse_count(const char *text, int64_t *ret);

/* `kill --direct`. An exit status. */
int eg_kill_direct(struct eg_cli *cli, const struct eg_which *which);

#endif

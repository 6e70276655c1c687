/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - what the table of commands says, for people
 */
#ifndef EG_CLI_HELP_H
#define EG_CLI_HELP_H

#include "cli.h"

/* Every command in a line. */
void eg_help_all(const struct eg_cli *cli, FILE *out);
/* Of one command, of a group ("policy"), or of all (NULL). An exit status. */
int eg_help(struct eg_cli *cli, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_put.h - sending a policy file to the agent, for `policy apply` and `run --policy`
 */
#ifndef EG_CLI_POLICY_PUT_H
#define EG_CLI_POLICY_PUT_H

#include <egret/abi.h>

#include "file.h"

/* The app that a policy file names. Nothing else is judged here: the agent may know more than we do. An exit status. */
int eg_policy_put_name(struct eg_cli *cli, const struct eg_file *file, char ret[EG_APP_NAME_LEN]);

/* PUT /v1/policies/APP. if_match may be NULL. An exit status; warnings were said. */
int eg_policy_put(struct eg_cli *cli, const struct eg_file *file, const char *app, bool take_over,
		  const char *if_match, json_t **ret);

/* POST /v1/policies:check. EG_EXIT_OK with the answer, whatever it is; nothing is said about it. */
int eg_policy_ask(struct eg_cli *cli, const struct eg_file *file, json_t **ret);

#endif

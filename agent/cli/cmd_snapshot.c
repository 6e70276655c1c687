// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_snapshot.c - egret snapshot
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "show.h"
#include "text.h"
#include "which.h"

static size_t count_of(const json_t *answer, const char *key)
{
	return json_array_size(json_object_get(answer, key));
}

int eg_cmd_snapshot(struct eg_cli *cli)
{
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	const char *name;
	int r = eg_cli_app(cli, 0, &name);

	if (r)
		return r;
	path = eg_which_path(name, "snapshot");
	r = eg_cli_post(cli, path, json_pack("{s:s*}", "reason", eg_cli_option(cli, "reason")), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	eg_cli_say(cli, "%s: %zu sockets, %zu processes, %zu events", name, count_of(answer, "sockets"),
		   count_of(answer, "processes"), count_of(answer, "events"));
	eg_cli_say(cli, "  kept in %s", eg_json_text(answer, "file"));
	return EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_backup.c - egret backup, restore-state: on the state directory's files, whether an agent runs or not
 */
#include <stdlib.h>
#include <string.h>

#include "backup.h"
#include "cli.h"
#include "commands.h"

static const char *state_dir(const struct eg_cli *cli)
{
	const char *given = eg_cli_option(cli, "state-dir");

	return given ? given : EG_STATE_DIR;
}

/* That of the agent that runs, if one does: its configuration may have put it elsewhere. NULL: none answers. */
static char *agents_state_dir(struct eg_cli *cli)
{
	const struct eg_client_request request = {.method = "GET", .path = "/v1/status"};
	EG_JSON json_t *status = NULL;
	struct eg_error ignored = {0};
	const char *dir;

	if (eg_cli_option(cli, "state-dir"))
		return NULL;
	if (eg_client_call(cli->client, &request, &status, &ignored)) {
		eg_error_clear(&ignored);
		return NULL;
	}
	dir = eg_json_text(status, "state_dir");
	return dir ? strdup(dir) : NULL;
}

static int failed(struct eg_cli *cli, struct eg_error *err)
{
	eg_cli_warn(cli, "%s", err->message);
	eg_error_clear(err);
	return EG_EXIT_FAILED;
}

static bool print_json(const struct eg_cli *cli, const struct eg_backup_count *count)
{
	EG_JSON json_t *answer = json_pack("{s:I,s:I,s:I,s:b,s:b,s:s*}", "policies", (json_int_t)count->policies,
					   "revisions", (json_int_t)count->revisions, "snapshots",
					   (json_int_t)count->snapshots, "kills", count->kills, "usage", count->usage, "aside",
					   count->aside[0] ? count->aside : NULL);

	return eg_cli_json(cli, answer);
}

static void say(const struct eg_cli *cli, const char *what, const struct eg_backup_count *count)
{
	eg_cli_say(cli, "%s: %zu pushed polic%s, %zu revision%s, %zu snapshot%s, %s kills, %s use of caps", what,
		   count->policies, count->policies == 1 ? "y" : "ies", count->revisions, eg_cli_s(count->revisions),
		   count->snapshots, eg_cli_s(count->snapshots),
		   count->kills ? "the" : "no", count->usage ? "the" : "no");
}

int eg_cmd_backup(struct eg_cli *cli)
{
	EG_FREE char *agents = agents_state_dir(cli);
	struct eg_backup_count count;
	struct eg_error err = {0};

	if (eg_backup_make(agents ? agents : state_dir(cli), eg_cli_operand(cli, 0), &count, &err))
		return failed(cli, &err);
	if (!print_json(cli, &count))
		say(cli, eg_cli_operand(cli, 0), &count);
	return EG_EXIT_OK;
}

int eg_cmd_restore_state(struct eg_cli *cli)
{
	struct eg_backup_count count;
	struct eg_error err = {0};

	if (eg_backup_restore(state_dir(cli), eg_cli_operand(cli, 0), &count, &err))
		return failed(cli, &err);
	if (print_json(cli, &count))
		return EG_EXIT_OK;
	say(cli, "restored", &count);
	if (count.aside[0])
		eg_cli_say(cli, "the policies of before are in %s/%s", state_dir(cli), count.aside);
	eg_cli_say(cli, "start egretd to put it in force");
	return EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_restore.c - egret restore, relax
 */
#include <string.h>

#include "commands.h"
#include "show.h"
#include "text.h"
#include "which.h"

static json_t *reason_body(struct eg_cli *cli)
{
	return json_pack("{s:s*}", "reason", eg_cli_option(cli, "reason"));
}

static void say_restored(struct eg_cli *cli, const json_t *answer)
{
	EG_FREE char *lifted = eg_json_list(json_object_get(answer, "lifted"), 3);
	const char *app = eg_json_text(answer, "app"), *state = eg_json_text(answer, "state");
	bool all = app && strcmp(app, "*") == 0;

	eg_cli_say(cli, "%s: the %s hold is lifted", all ? "every app" : app ? app : "?",
		   lifted && lifted[0] ? lifted : "?");
	if (state)
		eg_cli_say(cli, "  its state is now: %s", state);
	eg_show_holds(cli, "Still in force:", json_object_get(answer, "remaining"));
	if (json_is_false(json_object_get(answer, "durable")))
		eg_cli_warn(cli, "that it was lifted is not on disk yet: after a reboot now the kill would be back");
}

static int override(struct eg_cli *cli, const char *name)
{
	const char *span = eg_cli_option(cli, "for"), *reason = eg_cli_option(cli, "reason"), *until;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	char text[64];
	int r;

	if (!name || eg_cli_option(cli, "all"))
		return eg_cli_usage(cli, "--override is for one APP");
	if (!span)
		return eg_cli_usage(cli, "say for how long: --for 1h (0 ends it)");
	if (strcmp(span, "0") != 0 && (r = eg_cli_check_span(cli, "for")))
		return r;
	if (!reason)
		return eg_cli_usage(cli, "say why: --reason TEXT");
	path = eg_which_path(name, "override");
	r = eg_cli_post(cli, path, json_pack("{s:s,s:s*}", "for", span, "reason", reason), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	until = eg_json_text(answer, "override_until");
	if (until)
		eg_cli_say(cli, "%s: the control plane's kill is passed over until %s; its state is now: %s", name,
			   eg_text_moment(until, 0, text, sizeof(text)), eg_json_text(answer, "state"));
	else
		eg_cli_say(cli, "%s: the control plane's kill is in force again", name);
	return EG_EXIT_OK;
}

int eg_cmd_restore(struct eg_cli *cli)
{
	const char *name = NULL;
	bool all = eg_cli_option(cli, "all") != NULL;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	int r = eg_cli_app(cli, 0, &name);

	if (r)
		return r;
	if (eg_cli_option(cli, "override"))
		return override(cli, name);
	if (eg_cli_option(cli, "for"))
		return eg_cli_usage(cli, "--for goes with --override");
	if (all == (name != NULL))
		return eg_cli_usage(cli, all ? "only one of APP and --all can be said"
					     : "say which: APP, or --all for the hold on every app");
	path = all ? strdup("/v1/restore") : eg_which_path(name, "restore");
	r = eg_cli_post(cli, path, reason_body(cli), &answer);
	if (!r && !eg_cli_json(cli, answer))
		say_restored(cli, answer);
	return r;
}

int eg_cmd_relax(struct eg_cli *cli)
{
	const char *span = eg_cli_option(cli, "for"), *reason = eg_cli_option(cli, "reason"), *until, *name;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	char text[64];
	int r = eg_cli_app(cli, 0, &name);

	if (r)
		return r;
	if (!span)
		return eg_cli_usage(cli, "say for how long: --for 15m (0 ends it)");
	if (strcmp(span, "0") != 0 && (r = eg_cli_check_span(cli, "for")))
		return r;
	if (!reason)
		return eg_cli_usage(cli, "say why: --reason TEXT");
	path = eg_which_path(name, "relax");
	r = eg_cli_post(cli, path, json_pack("{s:s,s:s*}", "for", span, "reason", reason), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	until = eg_json_text(answer, "relax_until");
	if (until)
		eg_cli_say(cli, "%s: audit only until %s; what would be denied is logged", name,
			   eg_text_moment(until, 0, text, sizeof(text)));
	else
		eg_cli_say(cli, "%s: its policy is enforced again", name);
	return EG_EXIT_OK;
}

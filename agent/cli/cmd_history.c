// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_history.c - egret policy history, rollback, renew
 */
#include <string.h>

#include "commands.h"
#include "diff.h"
#include "show.h"
#include "text.h"

static char *policy_path(const char *app, const char *verb)
{
	char *path;

	return asprintf(&path, "/v1/policies/%s/%s", app, verb) < 0 ? NULL : path;
}

/* ---- history -------------------------------------------------------------------------------- */

static int print_revisions(struct eg_cli *cli, const char *app, const json_t *revisions)
{
	EG_TABLE struct eg_table *table = eg_table_new("REVISION|TIME|ACTION|SOURCE|ACTOR|EXPIRES");
	json_t *one;
	size_t i;

	if (!table)
		return eg_cli_no_memory(cli);
	json_array_foreach(revisions, i, one) {
		const char *action = eg_json_text(one, "action"), *of = eg_json_text(one, "of");
		const char *file = eg_json_text(one, "file");

		eg_table_cell(table, EG_STYLE_BOLD, eg_json_text(one, "policy_rev"));
		eg_show_moment(table, one, "time");
		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s", action ? action : "-", of ? " to " : "", of ? of : "");
		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s", eg_json_text(one, "source") ?: "-", file ? " " : "",
			       file ? file : "");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(one, "actor"));
		eg_show_moment(table, one, "expires");
	}
	if (eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, "%s: no revision is recorded", app);
	return EG_EXIT_OK;
}

int eg_cmd_policy_history(struct eg_cli *cli)
{
	const char *app, *rev = eg_cli_operand(cli, 1);
	EG_JSON json_t *answer = NULL, *ordered = NULL;
	EG_FREE char *path = NULL, *whole = NULL;
	int r = eg_cli_app(cli, 0, &app);

	if (r)
		return r;
	path = policy_path(app, "history");
	whole = path ? eg_client_path(path, "rev", rev, NULL) : NULL;
	r = eg_cli_get(cli, whole, &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	if (!rev)
		return print_revisions(cli, app, json_object_get(answer, "revisions"));
	/* The policy alone, as `policy get` prints it. */
	ordered = eg_diff_ordered(json_object_get(answer, "policy"));
	eg_cli_dump(cli, ordered, JSON_INDENT(2));
	return EG_EXIT_OK;
}

/* ---- rollback, renew ----------------------------------------------------------------------------- */

static void say_back(struct eg_cli *cli, const char *app, const json_t *answer)
{
	const char *rev = eg_json_text(answer, "policy_rev"), *of = eg_json_text(answer, "of");
	const char *expires = eg_json_text(answer, "expires");
	char text[64];

	eg_cli_diagnostics(cli->err, json_object_get(answer, "warnings"), "<policy>");
	eg_cli_say(cli, "%s: %s is in force%s%s, until %s", app, rev ? rev : "?", of ? ", which is what was " : "",
		   of ? of : "", expires ? eg_text_moment(expires, 0, text, sizeof(text)) : "?");
}

static int back(struct eg_cli *cli, const char *verb, json_t *body)
{
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	const char *app;
	int r = eg_cli_app(cli, 0, &app);

	if (!r)
		r = eg_cli_check_span(cli, "for");
	if (r) {
		json_decref(body);
		return r;
	}
	path = policy_path(app, verb);
	r = eg_cli_post(cli, path, body, &answer);
	if (!r && !eg_cli_json(cli, answer))
		say_back(cli, app, answer);
	return r;
}

int eg_cmd_policy_rollback(struct eg_cli *cli)
{
	return back(cli, "rollback",
		    json_pack("{s:s*,s:s*,s:b}", "rev", eg_cli_operand(cli, 1), "for", eg_cli_option(cli, "for"),
			      "take_over", eg_cli_option(cli, "take-over") != NULL));
}

int eg_cmd_policy_renew(struct eg_cli *cli)
{
	const char *span = eg_cli_option(cli, "for");

	if (!span)
		return eg_cli_usage(cli, "say for how long from now: --for 30d");
	return back(cli, "renew",
		    json_pack("{s:s,s:b}", "for", span, "take_over", eg_cli_option(cli, "take-over") != NULL));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_plan.c - egret policy plan: what a new policy would have said to what an app did
 */
#include <inttypes.h>
#include <string.h>

#include "cmd_kill.h"
#include "commands.h"
#include "file.h"
#include "progress.h"
#include "show.h"

#define WAIT_S 300 /* a hundred thousand events, and as many questions */

static void print_ones(struct eg_cli *cli, const char *heading, const json_t *ones, const char *last, const char *key)
{
	EG_FREE char *titles = NULL;
	EG_TABLE struct eg_table *table = NULL;
	json_t *one;
	size_t i;

	if (!json_array_size(ones))
		return;
	if (asprintf(&titles, "PEER|PROTO|>PORT|>ALLOWED|>AUDITED|>DENIED|>BYTES|LAST|%s", last) < 0)
		titles = NULL;
	table = titles ? eg_table_new(titles) : NULL;
	if (!table)
		return;
	json_array_foreach(ones, i, one) {
		const char *name = eg_json_text(one, "name"), *peer = eg_json_text(one, "peer");
		bool ingress = strcmp(eg_json_text(one, "direction") ?: "", "ingress") == 0;

		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s%s%s", ingress ? "from " : "", name ? name : "",
			       name && peer ? " " : "", peer ? peer : "", "");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(one, "proto"));
		if (peer)
			eg_table_number(table, eg_json_u64(one, "port"));
		else
			eg_table_cell(table, EG_STYLE_NONE, NULL);
		eg_table_number(table, eg_json_u64(one, "allowed"));
		eg_table_number(table, eg_json_u64(one, "audited"));
		eg_table_number(table, eg_json_u64(one, "denied"));
		eg_table_bytes(table, eg_json_u64(one, "bytes"));
		eg_show_moment(table, one, "last");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(one, key));
	}
	eg_cli_say(cli, "%s", heading);
	eg_table_print(table, cli->out, cli->color, "  ");
}

static void print_plan(struct eg_cli *cli, const json_t *answer)
{
	const char *mode = eg_json_text(answer, "mode");
	uint64_t left_out = eg_json_u64(answer, "left_out");

	print_ones(cli, "Newly denied:", json_object_get(answer, "newly_denied"), "REASON", "reason");
	print_ones(cli, "Newly allowed:", json_object_get(answer, "newly_allowed"), "RULE", "rule");
	eg_cli_say(cli,
		   "%s: of %" PRIu64 " events: newly denied %zu, newly allowed %zu, still allowed %" PRIu64
		   ", still denied %" PRIu64,
		   eg_json_text(answer, "app") ?: "?", eg_json_u64(answer, "events"),
		   json_array_size(json_object_get(answer, "newly_denied")),
		   json_array_size(json_object_get(answer, "newly_allowed")), eg_json_u64(answer, "still_allowed"),
		   eg_json_u64(answer, "still_denied"));
	if (left_out)
		eg_cli_warn(cli, "%" PRIu64 " events were left out: there are too many different peers", left_out);
	if (mode && strcmp(mode, "audit") == 0)
		eg_cli_say(cli, "The policy is in audit mode: what it denies is let through, and told.");
}

/* Exits 1 if something would be newly denied. */
int eg_cmd_policy_plan(struct eg_cli *cli)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	struct eg_client_request request = {.method = "POST", .wait_s = WAIT_S};
	const char *limit = eg_cli_option(cli, "limit");
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	struct eg_progress progress;
	struct eg_error err = {0};
	int64_t number;
	int r = eg_cli_check_span(cli, "last");

	if (!r && limit && eg_kill_parse_count(limit, &number))
		r = eg_cli_usage(cli, "--limit is a number, not '%s'", limit);
	if (!r)
		r = eg_file_read(cli, eg_cli_operand(cli, 0), &file);
	if (r)
		return r;
	path = eg_client_path("/v1/policies:plan", "last", eg_cli_option(cli, "last"), "limit", limit, NULL);
	if (!path)
		return eg_cli_no_memory(cli);
	request.path = path;
	request.body = file.text;
	request.len = file.len;
	eg_progress_begin(&progress, cli->err, "what was recorded is judged again", 0);
	eg_progress_wait(&progress);
	r = eg_client_call(cli->client, &request, &answer, &err);
	eg_progress_wipe(&progress);
	if (r)
		return eg_cli_fail(cli, r, &err, file.name);
	if (!eg_cli_json(cli, answer))
		print_plan(cli, answer);
	return json_array_size(json_object_get(answer, "newly_denied")) ? EG_EXIT_NO : EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_suggest.c - egret policy suggest: from what audit mode saw to a policy
 *
 * The policy goes to standard output, what it stands on to standard error, since JSON has no
 * comments; -o json has both in one object.
 */
#include <inttypes.h>
#include <string.h>

#include "cmd_kill.h"
#include "commands.h"
#include "diff.h"
#include "show.h"
#include "suggest.h"

#define LAST  "7d"
#define LIMIT "200000"

static int on_line(void *ctx, const char *line, size_t len)
{
	EG_JSON json_t *event = json_loadb(line, len, 0, NULL);

	return event ? eg_seen_add(ctx, event) : 0;
}

static int read_events(struct eg_cli *cli, const char *app, struct eg_seen *ret)
{
	const char *last = eg_cli_option(cli, "last"), *limit = eg_cli_option(cli, "limit");
	EG_FREE char *path = eg_client_path("/v1/events", "app", app, "type", "flow,deny,dns", "last",
					    last ? last : LAST, "limit", limit ? limit : LIMIT, NULL);
	struct eg_error err = {0};
	int r = path ? eg_client_stream(cli->client, path, on_line, ret, &err) : -ENOMEM;

	if (r && !err.message[0])
		return eg_cli_no_memory(cli);
	if (r)
		return eg_cli_fail(cli, r, &err, NULL);
	eg_seen_sort(ret);
	return EG_EXIT_OK;
}

static void print_evidence(struct eg_cli *cli, const json_t *evidence, const struct eg_seen *seen)
{
	EG_TABLE struct eg_table *table = eg_table_new("RULE|PEER|PROTO|>PORT|>FLOWS|>BYTES|FIRST|LAST");
	json_t *one;
	size_t i;

	json_array_foreach(evidence, i, one) {
		const char *name = eg_json_text(one, "name");

		if (!table)
			return;
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(one, "rule"));
		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s", name ? name : "", name ? " " : "",
			       eg_json_text(one, "peer"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(one, "proto"));
		eg_table_number(table, eg_json_u64(one, "port"));
		eg_table_number(table, eg_json_u64(one, "flows"));
		eg_table_bytes(table, eg_json_u64(one, "bytes"));
		eg_show_moment(table, one, "first");
		eg_show_moment(table, one, "last");
	}
	if (json_array_size(evidence))
		eg_table_print(table, cli->err, false, "");
	fprintf(cli->err, "%" PRIu64 " events were looked at.\n", seen->events);
	if (seen->left_out)
		eg_cli_warn(cli, "%" PRIu64 " events were left out: there are too many different peers",
			    seen->left_out);
}

int eg_cmd_policy_suggest(struct eg_cli *cli)
{
	EG_CLEANUP(eg_seen_clear) struct eg_seen seen = {0};
	EG_JSON json_t *current = NULL, *policy = NULL, *ordered = NULL, *evidence = NULL, *answer = NULL;
	const char *app, *limit = eg_cli_option(cli, "limit");
	EG_FREE char *path = NULL;
	int64_t number;
	int r = eg_cli_app(cli, 0, &app);

	if (!r)
		r = eg_cli_check_span(cli, "last");
	if (!r && limit && eg_kill_parse_count(limit, &number))
		r = eg_cli_usage(cli, "--limit is a number, not '%s'", limit);
	if (r)
		return r;
	if (asprintf(&path, "/v1/policies/%s", app) < 0)
		path = NULL;
	r = eg_cli_get(cli, path, &current);
	if (!r)
		r = read_events(cli, app, &seen);
	if (r)
		return r;
	policy = eg_suggest(json_object_get(current, "policy"), &seen, &evidence);
	ordered = policy ? eg_diff_ordered(policy) : NULL;
	answer = json_pack("{s:O,s:O,s:I,s:I}", "policy", ordered, "evidence", evidence, "events",
			   (json_int_t)seen.events, "left_out", (json_int_t)seen.left_out);
	if (!answer)
		return eg_cli_no_memory(cli);
	if (eg_cli_json(cli, answer))
		return EG_EXIT_OK;
	print_evidence(cli, evidence, &seen);
	eg_cli_dump(cli, ordered, JSON_INDENT(2));
	return EG_EXIT_OK;
}

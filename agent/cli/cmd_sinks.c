// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_sinks.c - egret sinks: where events go to, and how far they have come
 */
#include <inttypes.h>
#include <string.h>

#include "../lib/units.h"
#include "commands.h"
#include "show.h"

#define NS_PER_MS   1000000ull
#define MS_PER_S    1000u
#define TEST_WAIT_S 180

static enum eg_style state_style(const char *state)
{
	if (!state || strcmp(state, "ok") == 0)
		return EG_STYLE_GOOD;
	return strcmp(state, "starting") == 0 || strcmp(state, "retrying") == 0 ? EG_STYLE_WARN : EG_STYLE_BAD;
}

static void lag_cell(struct eg_table *table, const json_t *sink)
{
	uint64_t ms = eg_json_u64(sink, "lag_ms");
	char text[64];

	if (ms)
		eg_table_cell(table, EG_STYLE_NONE, eg_units_span_text(ms * NS_PER_MS, text, sizeof(text)));
	else
		eg_table_cell(table, EG_STYLE_NONE, "0s");
}

/* Of a backlog, as it shrank in the last minute. */
static void eta_cell(struct eg_table *table, const json_t *sink)
{
	const char *backlog = eg_json_text(sink, "backlog");
	char text[64];

	if (backlog && strcmp(backlog, "shrinking") == 0)
		eg_table_cell(table, EG_STYLE_NONE,
			      eg_units_span_text(eg_json_u64(sink, "eta_ms") / MS_PER_S * MS_PER_S * NS_PER_MS, text, sizeof(text)));
	else if (backlog && strcmp(backlog, "not_shrinking") == 0)
		eg_table_cell(table, EG_STYLE_WARN, "not shrinking");
	else
		eg_table_cell(table, EG_STYLE_NONE, backlog && strcmp(backlog, "measuring") == 0 ? backlog : NULL);
}

static void sink_row(struct eg_table *table, const json_t *sink)
{
	const char *state = eg_json_text(sink, "state"), *note = eg_json_text(sink, "note");
	uint64_t lost = eg_json_u64(sink, "dead_lettered") + eg_json_u64(sink, "evicted");

	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(sink, "name"));
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(sink, "type"));
	eg_table_cell(table, state_style(state), state);
	eg_table_number(table, eg_json_u64(sink, "lag_events"));
	lag_cell(table, sink);
	eta_cell(table, sink);
	eg_table_number(table, eg_json_u64(sink, "delivered"));
	eg_table_cellf(table, lost ? EG_STYLE_BAD : EG_STYLE_NONE, "%" PRIu64, lost);
	eg_show_ago(table, sink, "last_success");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(sink, "last_error") ? eg_json_text(sink, "last_error") : note);
}

static void route_row(struct eg_table *table, const json_t *route)
{
	const char *state = eg_json_text(route, "state");
	uint64_t lost = eg_json_u64(route, "dropped") + eg_json_u64(route, "refused");

	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(route, "name"));
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(route, "type"));
	eg_table_cell(table, state_style(state), state);
	eg_table_number(table, eg_json_u64(route, "queued"));
	eg_table_number(table, eg_json_u64(route, "delivered"));
	eg_table_cellf(table, lost ? EG_STYLE_BAD : EG_STYLE_NONE, "%" PRIu64, lost);
	eg_show_ago(table, route, "last_success");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(route, "last_error"));
}

/* Those of alerts; nothing where there are none. */
static int show_routes(struct eg_cli *cli, const json_t *answer)
{
	EG_TABLE struct eg_table *table = eg_table_new("ROUTE|TYPE|STATE|>WAITING|>DELIVERED|>LOST|LAST SUCCESS|LAST ERROR");
	json_t *route;
	size_t i;

	if (!table)
		return eg_cli_no_memory(cli);
	json_array_foreach(json_object_get(answer, "routes"), i, route)
		route_row(table, route);
	if (eg_table_rows(table)) {
		eg_cli_say(cli, "%s", "");
		eg_table_print(table, cli->out, cli->color, "");
	}
	return 0;
}

static int show_sinks(struct eg_cli *cli)
{
	EG_TABLE struct eg_table *table = eg_table_new("SINK|TYPE|STATE|>WAITING|>BEHIND|>GONE IN|>DELIVERED|>LOST|LAST SUCCESS|LAST ERROR");
	EG_JSON json_t *answer = NULL;
	const char *problem;
	json_t *sink;
	size_t i;
	int r = eg_cli_get(cli, "/v1/sinks", &answer);

	if (r || eg_cli_json(cli, answer))
		return r;
	if (!table)
		return eg_cli_no_memory(cli);
	problem = eg_json_text(answer, "problem");
	if (problem)
		eg_cli_warn(cli, "%s", problem);
	json_array_foreach(json_object_get(answer, "sinks"), i, sink)
		sink_row(table, sink);
	if (eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, "There are no sinks: events stay in the agent's own log. See egret-ship(8).");
	r = show_routes(cli, answer);
	return r ? r : problem ? EG_EXIT_NO : EG_EXIT_OK;
}

static int test_sink(struct eg_cli *cli, const char *name)
{
	EG_FREE char *path = NULL;
	EG_JSON json_t *answer = NULL;
	struct eg_client_request request = {.method = "POST", .body = "{}", .len = 2, .wait_s = TEST_WAIT_S};
	const char *said;
	bool ok;
	int r;

	if (!name[0] || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")])
		return eg_cli_usage(cli, "'%s' can't be the name of a sink or a route", name);
	if (asprintf(&path, "/v1/sinks/%s/test", name) < 0)
		return eg_cli_no_memory(cli);
	request.path = path;
	r = eg_cli_call(cli, &request, &answer);
	if (r)
		return r;
	ok = eg_json_true(answer, "ok");
	if (eg_cli_json(cli, answer))
		return ok ? EG_EXIT_OK : EG_EXIT_NO;
	eg_cli_style(cli, ok ? EG_STYLE_GOOD : EG_STYLE_BAD, ok ? "delivered" : eg_json_text(answer, "outcome"));
	if (eg_json_u64(answer, "status"))
		eg_cli_say(cli, " in %" PRIu64 " ms, HTTP status %" PRIu64, eg_json_u64(answer, "took_ms"),
			   eg_json_u64(answer, "status"));
	else
		eg_cli_say(cli, " in %" PRIu64 " ms", eg_json_u64(answer, "took_ms"));
	said = eg_json_text(answer, "answer");
	if (said && said[0])
		eg_cli_say(cli, "%s", said);
	return ok ? EG_EXIT_OK : EG_EXIT_NO;
}

int eg_cmd_sinks(struct eg_cli *cli)
{
	const char *what = eg_cli_operand(cli, 0), *name = eg_cli_operand(cli, 1);

	if (!what)
		return show_sinks(cli);
	if (strcmp(what, "test") != 0)
		return eg_cli_usage(cli, "there is 'sinks' and 'sinks test NAME', not 'sinks %s'", what);
	if (!name)
		return eg_cli_usage(cli, "which sink is to be tested?");
	return test_sink(cli, name);
}

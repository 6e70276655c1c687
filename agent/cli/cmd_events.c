// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_events.c - egret events, flows
 *
 * Events come as lines of JSON. They are passed on as they are (-o ndjson, and -o json with
 * --follow, where a document would have no end), gathered ({"events": [...]}, -o json), or turned
 * into lines for people. A flow is told several times as it goes on; without --follow `flows`
 * shows each once, as it was last.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "../lib/units.h"
#include "cmd_kill.h"
#include "commands.h"
#include "event.h"
#include "show.h"
#include "spool_events.h"
#include "text.h"

#define FLOWS_LAST  "10m"
#define FLOWS_LIMIT "20000" /* events looked at */

struct reader {
	struct eg_cli *cli;
	bool follow;
	json_t *gathered; /* NULL: each line is printed as it comes */
	json_t *latest; /* of flows: flow_id -> event; or NULL */
};

/* ---- Lines ----------------------------------------------------------------------------------- */

static int print_line(struct reader *reader, const char *line, size_t len)
{
	struct eg_cli *cli = reader->cli;
	EG_JSON json_t *event = NULL;
	EG_FREE char *text = NULL;

	if (cli->format != EG_FORMAT_TABLE) {
		eg_text_json(cli->out, line, len);
		fputc('\n', cli->out);
		return 0;
	}
	event = json_loadb(line, len, 0, NULL);
	text = eg_event_line(event);
	eg_cli_say(cli, "%s", text && json_is_object(event) ? text : "a line that is no event");
	return 0;
}

static int gather(struct reader *reader, const char *line, size_t len)
{
	json_t *event = json_loadb(line, len, 0, NULL);
	const char *id = eg_json_text(event, "flow_id");

	if (!event)
		return 0;
	if (!reader->latest || !id)
		return json_array_append_new(reader->gathered, event) ? -ENOMEM : 0;
	json_object_del(reader->latest, id); /* so that the order is of the last news */
	return json_object_set_new(reader->latest, id, event) ? -ENOMEM : 0;
}

static int on_line(void *ctx, const char *line, size_t len)
{
	struct reader *reader = ctx;
	int r = reader->gathered ? gather(reader, line, len) : print_line(reader, line, len);

	if (reader->follow)
		fflush(reader->cli->out);
	return ferror(reader->cli->out) ? -EPIPE : r;
}

static int read_events(struct reader *reader, const char *path)
{
	struct eg_cli *cli = reader->cli;
	struct eg_error err = {0};
	int r = path ? eg_client_stream(cli->client, path, on_line, reader, &err) : -ENOMEM;

	if (r == -EPIPE)
		return EG_EXIT_FAILED; /* told when the program ends */
	if (r && !err.message[0])
		return eg_cli_no_memory(cli);
	if (r)
		return eg_cli_fail(cli, r, &err, NULL);
	if (!reader->follow)
		return EG_EXIT_OK;
	eg_cli_warn(cli, "the agent ended the stream: it is stopping");
	return EG_EXIT_UNREACHABLE;
}

static int check_options(struct eg_cli *cli, const char **ret_app)
{
	const char *limit = eg_cli_option(cli, "limit");
	int64_t number;
	const char *labels;
	int r = eg_cli_app(cli, 0, ret_app);

	if (!r)
		r = eg_cli_check_labels(cli, &labels);
	if (!r)
		r = eg_cli_check_span(cli, "last");
	if (!r && limit && eg_kill_parse_count(limit, &number))
		r = eg_cli_usage(cli, "--limit is a number, not '%s'", limit);
	return r;
}

/* Following without --last or --limit begins now. */
static char *events_path(struct eg_cli *cli, const char *app, const char *type, const char *last, const char *limit)
{
	bool follow = eg_cli_option(cli, "follow") != NULL;

	if (follow && !last && !limit)
		limit = "0";
	return eg_client_path("/v1/events", "follow", follow ? "1" : NULL, "app", app, "labels",
			      eg_cli_option(cli, "label"), "type", type, "last", last,
			      "limit", limit, NULL);
}

/* Without an agent: the same options, but for --follow, and for labels, which the agent looks up. */
static int read_spool(struct reader *reader, const char *dir, const char *app)
{
	struct eg_cli *cli = reader->cli;
	const char *last = eg_cli_option(cli, "last"), *limit = eg_cli_option(cli, "limit");
	struct eg_spool_filter filter = {.app = app, .types = eg_cli_option(cli, "type"), .limit = UINT64_MAX};
	uint64_t span_ns = 0, now_ns = (uint64_t)time(NULL) * 1000000000u;
	const char *labels = NULL;
	int64_t count = 0;

	if (reader->follow)
		return eg_cli_usage(cli, "--spool reads what is there; it can't --follow");
	if (eg_cli_check_labels(cli, &labels) || labels)
		return eg_cli_usage(cli, "--spool knows apps by their names, not by their labels");
	if (last && eg_units_span(last, &span_ns) == 0)
		filter.since_ns = now_ns > span_ns ? now_ns - span_ns : 1;
	if (limit && eg_kill_parse_count(limit, &count) == 0)
		filter.limit = (uint64_t)count;
	return eg_spool_events(cli, dir, &filter, on_line, reader);
}

int eg_cmd_events(struct eg_cli *cli)
{
	struct reader reader = {.cli = cli, .follow = eg_cli_option(cli, "follow") != NULL};
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	const char *app = NULL, *spool = eg_cli_option(cli, "spool");
	int r = check_options(cli, &app);

	if (r)
		return r;
	path = events_path(cli, app, eg_cli_option(cli, "type"), eg_cli_option(cli, "last"),
			   eg_cli_option(cli, "limit"));
	if (cli->format == EG_FORMAT_JSON && !reader.follow) {
		reader.gathered = json_array();
		answer = json_pack("{s:o}", "events", reader.gathered);
	}
	r = spool ? read_spool(&reader, spool, app) : read_events(&reader, path);
	if (!r && answer)
		eg_cli_json(cli, answer);
	return r;
}

/* ---- Flows ------------------------------------------------------------------------------------- */

static void flow_row(struct eg_table *table, const json_t *flow)
{
	const char *phase = eg_json_text(flow, "phase"), *direction = eg_json_text(flow, "direction");
	const char *verdict = eg_json_text(flow, "verdict"), *name = eg_event_peer_name(flow);
	bool ingress = direction && strcmp(direction, "ingress") == 0;
	EG_FREE char *peer = eg_event_end(flow, ingress ? "src" : "dst", ingress ? "src_port" : "dst_port");
	bool ended = phase && strcmp(phase, "end") == 0;
	uint64_t lasted_ns = eg_json_u64(flow, "duration_ms") * 1000000, start_ns, now_ns = eg_show_now_ns();
	char span[48];

	/* One that is open goes on since its last event; what it sent since then is not known yet. */
	if (!ended && eg_json_text(flow, "start") && eg_units_moment(eg_json_text(flow, "start"), &start_ns) == 0 &&
	    now_ns > start_ns + lasted_ns)
		lasted_ns = now_ns - start_ns;

	eg_show_moment(table, flow, eg_json_text(flow, "start") ? "start" : "ts");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(flow, "app"));
	eg_table_cell(table, ended ? EG_STYLE_DIM : EG_STYLE_GOOD, ended ? "ended" : "open");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(flow, "proto"));
	eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s%s%s", ingress ? "from " : "", peer ? peer : "?", name ? " (" : "",
		       name ? name : "", name ? ")" : "");
	eg_table_bytes(table, eg_json_u64(flow, "bytes_out"));
	eg_table_bytes(table, eg_json_u64(flow, "bytes_in"));
	eg_table_cell(table, EG_STYLE_NONE, eg_units_span_text(lasted_ns, span, sizeof(span)));
	if (verdict && strcmp(verdict, "allow") != 0)
		eg_table_cellf(table, EG_STYLE_WARN, "(%s)", verdict);
	else
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(flow, "rule"));
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(flow, "comm"));
}

static int print_flows(struct eg_cli *cli, const json_t *flows)
{
	EG_TABLE struct eg_table *table = eg_table_new("START|APP|STATE|PROTO|PEER|>OUT|>IN|>DURATION|RULE|COMMAND");
	json_t *flow;
	size_t i;

	if (!table)
		return eg_cli_no_memory(cli);
	json_array_foreach(flows, i, flow)
		flow_row(table, flow);
	if (eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, "There was no flow in that time.");
	return EG_EXIT_OK;
}

static int list_flows(struct eg_cli *cli, const char *app, const char *last, const char *limit)
{
	EG_JSON json_t *flows = json_array(), *latest = json_object(), *answer = NULL;
	struct reader reader = {.cli = cli, .gathered = flows, .latest = latest};
	EG_FREE char *path = events_path(cli, app, "flow", last ? last : FLOWS_LAST, limit ? limit : FLOWS_LIMIT);
	const char *id;
	json_t *flow;
	int r = read_events(&reader, path);

	if (r)
		return r;
	json_object_foreach(latest, id, flow)
		json_array_append(flows, flow);
	answer = json_pack("{s:O}", "flows", flows);
	return eg_cli_json(cli, answer) ? EG_EXIT_OK : print_flows(cli, flows);
}

int eg_cmd_flows(struct eg_cli *cli)
{
	const char *app = NULL, *last = eg_cli_option(cli, "last"), *limit = eg_cli_option(cli, "limit");
	struct reader reader = {.cli = cli, .follow = eg_cli_option(cli, "follow") != NULL};
	EG_FREE char *path = NULL;
	int r = check_options(cli, &app);

	if (r)
		return r;
	if (!reader.follow && cli->format != EG_FORMAT_NDJSON)
		return list_flows(cli, app, last, limit);
	path = events_path(cli, app, "flow", last ? last : reader.follow ? NULL : FLOWS_LAST, limit);
	return read_events(&reader, path);
}

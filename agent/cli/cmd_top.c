// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_top.c - egret top: on a terminal by top_screen.c, and -b as tables or lines of JSON
 */
#include <errno.h>
#include <time.h>

#include "../lib/units.h"
#include "cmd_kill.h"
#include "commands.h"
#include "show.h"
#include "top.h"
#include "which.h"

#define SECOND	    1000000000ull
#define INTERVAL_NS (2 * SECOND)

EG_DEFINE_CLEANUP(top, struct eg_top *, eg_top_clear);

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

int eg_top_sample(struct eg_cli *cli, struct eg_top *top, struct eg_error *err)
{
	EG_FREE char *path = eg_client_path("/v1/apps", "labels", eg_cli_option(cli, "label"), NULL);
	const struct eg_client_request requests[] = {{.method = "GET", .path = path},
						     {.method = "GET", .path = "/v1/usage"}};
	EG_JSON json_t *apps = NULL, *usage = NULL;
	int r = path ? eg_client_call(cli->client, &requests[0], &apps, err) : -ENOMEM;

	if (!r)
		r = eg_client_call(cli->client, &requests[1], &usage, err);
	if (!r)
		r = eg_top_take(top, apps, usage, monotonic_ns());
	if (r == -ENOMEM && !err->message[0])
		eg_error_set(err, 0, "no_memory", "out of memory");
	return r;
}

/* ---- Batch ------------------------------------------------------------------------------------- */

static void print_table(const struct eg_cli *cli, const struct eg_top *top)
{
	EG_TABLE struct eg_table *table = eg_table_new("APP|STATE|>LIVE|>OUT/S|>IN/S|>DENIED/S|>DENIED|>CAP%|>OUT|>IN");

	for (size_t i = 0; table && i < top->shown_count; i++) {
		const struct eg_top_row *row = top->shown[i];

		eg_table_cell(table, EG_STYLE_NONE, row->app);
		eg_table_cell(table, eg_show_state_style(row->state), row->state);
		eg_table_number(table, row->sockets);
		eg_table_bytes(table, row->out_per_s);
		eg_table_bytes(table, row->in_per_s);
		eg_table_number(table, row->denied_per_s);
		eg_table_number(table, row->denied);
		if (row->cap_percent < 0)
			eg_table_cell(table, EG_STYLE_NONE, NULL);
		else
			eg_table_cellf(table, EG_STYLE_NONE, "%d", row->cap_percent);
		eg_table_bytes(table, row->bytes_out);
		eg_table_bytes(table, row->bytes_in);
	}
	if (table)
		eg_table_print(table, cli->out, cli->color, "");
}

static json_t *row_json(const struct eg_top_row *row)
{
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:I}", "app", row->app, "state", row->state, "sockets",
			 (json_int_t)row->sockets, "out_per_s", (json_int_t)row->out_per_s, "in_per_s",
			 (json_int_t)row->in_per_s, "denied_per_s", (json_int_t)row->denied_per_s, "denied",
			 (json_int_t)row->denied, "cap_percent",
			 row->cap_percent < 0 ? json_null() : json_integer(row->cap_percent), "bytes_out",
			 (json_int_t)row->bytes_out, "bytes_in", (json_int_t)row->bytes_in);
}

static void print_line(const struct eg_cli *cli, const struct eg_top *top)
{
	EG_JSON json_t *list = json_array(), *line = NULL;
	char moment[64];

	for (size_t i = 0; i < top->shown_count; i++)
		json_array_append_new(list, row_json(top->shown[i]));
	line = json_pack("{s:s,s:O}", "ts", eg_units_moment_text(eg_show_now_ns(), moment, sizeof(moment)), "apps", list);
	eg_cli_dump(cli, line, JSON_COMPACT);
}

static int print(struct eg_cli *cli, const struct eg_top *top)
{
	if (cli->format != EG_FORMAT_TABLE)
		print_line(cli, top);
	else
		print_table(cli, top);
	fflush(cli->out);
	return ferror(cli->out) ? EG_EXIT_FAILED : EG_EXIT_OK; /* told when the program ends */
}

/* The first sample has no rates, so it is not printed. count 0: without end. */
static int batch(struct eg_cli *cli, struct eg_top *top, uint64_t interval_ns, uint64_t count)
{
	const struct timespec pause = {.tv_sec = (time_t)(interval_ns / SECOND), .tv_nsec = (long)(interval_ns % SECOND)};

	for (uint64_t n = 0; count == 0 || n <= count; n++) {
		struct eg_error err = {0};
		int r = eg_top_sample(cli, top, &err), status;

		if (r)
			return eg_cli_fail(cli, r, &err, NULL);
		if (n > 0 && (status = print(cli, top)))
			return status;
		if (n > 0 && n < count && cli->format == EG_FORMAT_TABLE)
			eg_cli_say(cli, "%s", "");
		if (count == 0 || n < count)
			nanosleep(&pause, NULL);
	}
	return EG_EXIT_OK;
}

/* ---- The command ----------------------------------------------------------------------------------- */

static int read_options(struct eg_cli *cli, enum eg_top_sort *ret_sort, uint64_t *ret_interval, int64_t *ret_count)
{
	const char *sort = eg_cli_option(cli, "sort"), *interval = eg_cli_option(cli, "interval");
	const char *count = eg_cli_option(cli, "count"), *labels = eg_cli_option(cli, "label");
	bool in_batch = eg_cli_option(cli, "batch") != NULL;
	char message[200];
	int order = sort ? eg_top_sort_parse(sort) : EG_TOP_RATE;

	if (order < 0)
		return eg_cli_usage(cli, "--sort is one of: " EG_TOP_SORTS);
	if (interval && (eg_units_span(interval, ret_interval) || *ret_interval < SECOND / 10))
		return eg_cli_usage(cli, "--interval is a time from 100ms on, not '%s'", interval);
	if (count && (eg_kill_parse_count(count, ret_count) || *ret_count == 0))
		return eg_cli_usage(cli, "--count is a number from 1 on, not '%s'", count);
	if (labels && eg_which_check_labels(labels, message, sizeof(message)))
		return eg_cli_usage(cli, "--label: %s", message);
	if (!in_batch && (count || cli->format != EG_FORMAT_TABLE))
		return eg_cli_usage(cli, "--count and --output go with --batch");
	if (!in_batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return eg_cli_usage(cli, "there is no terminal to draw on: say --batch");
	*ret_sort = (enum eg_top_sort)order;
	return EG_EXIT_OK;
}

int eg_cmd_top(struct eg_cli *cli)
{
	EG_CLEANUP(eg_cleanup_top) struct eg_top *top = &(struct eg_top){0};
	uint64_t interval_ns = INTERVAL_NS;
	int64_t count = 0;
	int r = read_options(cli, &top->sort, &interval_ns, &count);

	if (r)
		return r;
	return eg_cli_option(cli, "batch") ? batch(cli, top, interval_ns, (uint64_t)count) :
					     eg_top_screen(cli, top, interval_ns);
}

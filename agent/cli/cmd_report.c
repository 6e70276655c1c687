// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_report.c - egret report: asks for the events of a time, and what is known of their apps now
 */
#include <errno.h>
#include <string.h>

#include "../lib/units.h"
#include "commands.h"
#include "progress.h"
#include "report.h"
#include "show.h"
#include "which.h"

#define SINCE	 "24h"
#define APPS_NOW 64 /* of so many, what is known now is asked for */

struct reading {
	struct eg_report *report;
	struct eg_progress progress;
};

static int on_line(void *ctx, const char *line, size_t len)
{
	struct reading *reading = ctx;

	eg_progress_tell(&reading->progress, reading->report->events);
	return eg_report_event(reading->report, line, len);
}

static int read_events(struct eg_cli *cli, struct eg_report *report, const char *app, const char *since)
{
	EG_FREE char *path = eg_client_path("/v1/events", "app", app, "last", since, NULL);
	struct reading reading = {.report = report};
	struct eg_error err = {0};
	int r;

	eg_progress_begin(&reading.progress, cli->err, "events read", 0);
	r = path ? eg_client_stream(cli->client, path, on_line, &reading, &err) : -ENOMEM;
	eg_progress_wipe(&reading.progress);
	if (r == -ENOMEM && !err.message[0])
		return eg_cli_no_memory(cli);
	return r ? eg_cli_fail(cli, r, &err, NULL) : EG_EXIT_OK;
}

/* 404: it has gone since, which the page says. *ret stays as it is then. */
static int ask(struct eg_cli *cli, const char *path, json_t **ret)
{
	struct eg_client_request request = {.method = "GET", .path = path};
	struct eg_error err = {0};
	int r = path ? eg_client_call(cli->client, &request, ret, &err) : -ENOMEM;

	if (r == -EREMOTEIO && err.status == 404) {
		eg_error_clear(&err);
		return EG_EXIT_OK;
	}
	if (r == -ENOMEM && !err.message[0])
		return eg_cli_no_memory(cli);
	return r ? eg_cli_fail(cli, r, &err, NULL) : EG_EXIT_OK;
}

/* An app that the log does not name is in it, too, if it is on the host. */
static int add_known(struct eg_cli *cli, struct eg_report *report, const char *app)
{
	EG_JSON json_t *answer = NULL;
	json_t *known;
	size_t i;
	int r;

	if (app)
		return eg_report_app(report, app) ? EG_EXIT_OK : eg_cli_no_memory(cli);
	r = eg_cli_get(cli, "/v1/apps", &answer);
	if (r)
		return r;
	json_array_foreach(json_object_get(answer, "apps"), i, known) {
		const char *name = eg_json_text(known, "app");
		struct eg_report_app *made = name ? eg_report_app(report, name) : NULL;

		if (made && !made->now)
			made->now = json_incref(known);
	}
	return EG_EXIT_OK;
}

static int ask_now(struct eg_cli *cli, struct eg_report_app *app, const char *since)
{
	EG_FREE char *path = eg_which_path(app->name, NULL);
	EG_FREE char *denied = eg_client_path("/v1/denied", "app", app->name, "last", since, NULL);
	int r;

	json_decref(app->now);
	app->now = NULL;
	r = ask(cli, path, &app->now);
	return r ? r : ask(cli, denied, &app->remembered);
}

static int gather(struct eg_cli *cli, struct eg_report *report, const char *app, const char *since)
{
	int r = read_events(cli, report, app, since);

	if (!r)
		r = add_known(cli, report, app);
	eg_report_order(report);
	for (size_t i = 0; !r && i < report->count && i < APPS_NOW; i++)
		r = ask_now(cli, report->apps[i], since);
	return r;
}

/* The file is there whole, or not at all. */
static int write_file(struct eg_cli *cli, const struct eg_report *report, const char *title, const char *host,
		      const char *path)
{
	EG_FREE char *draft = NULL;
	FILE *out;
	int failed;

	if (asprintf(&draft, "%s.new", path) < 0) {
		draft = NULL;
		return eg_cli_no_memory(cli);
	}
	out = fopen(draft, "wxe");
	if (!out) {
		eg_cli_warn(cli, "%s: %s", draft, strerror(errno));
		return EG_EXIT_FAILED;
	}
	eg_report_page(out, report, title, host);
	failed = ferror(out);
	if (fclose(out) || failed || rename(draft, path)) {
		eg_cli_warn(cli, "%s: %s", path, strerror(errno));
		unlink(draft);
		return EG_EXIT_FAILED;
	}
	eg_cli_say(cli, "%s: %zu app%s, %llu events", path, report->count, eg_cli_s(report->count),
		   (unsigned long long)report->events);
	return EG_EXIT_OK;
}

static int check_options(struct eg_cli *cli, const char **ret_app, uint64_t *ret_span)
{
	bool all = eg_cli_option(cli, "all") != NULL;
	const char *since = eg_cli_option(cli, "since");
	int r = eg_cli_app(cli, 0, ret_app);

	if (r)
		return r;
	if (all == (*ret_app != NULL))
		return eg_cli_usage(cli, "name an app, or say --all");
	if (eg_units_span(since ? since : SINCE, ret_span))
		return eg_cli_usage(cli, "--since is a span of time like 24h or 7d, not '%s'", since);
	if (cli->format != EG_FORMAT_TABLE)
		return eg_cli_usage(cli, "a report is a page of HTML; 'egret events -o json' has what it is made of");
	if (!eg_cli_option(cli, "write") && cli->out == stdout && isatty(STDOUT_FILENO))
		return eg_cli_usage(cli, "a page of HTML is nothing for a terminal: say --write FILE");
	return EG_EXIT_OK;
}

int eg_cmd_report(struct eg_cli *cli)
{
	EG_CLEANUP(eg_cleanup_report) struct eg_report *report = NULL;
	EG_JSON json_t *status = NULL;
	const char *app = NULL, *since = eg_cli_option(cli, "since"), *file = eg_cli_option(cli, "write"), *host;
	uint64_t span = 0, now = eg_show_now_ns();
	int r = check_options(cli, &app, &span);

	if (r)
		return r;
	if (eg_report_new(span < now ? now - span : 0, now, &report))
		return eg_cli_no_memory(cli);
	r = eg_cli_get(cli, "/v1/status", &status);
	if (!r)
		r = gather(cli, report, app, since ? since : SINCE);
	if (r)
		return r;
	host = eg_json_text(status, "host");
	if (file)
		return write_file(cli, report, app ? app : "all apps", host ? host : "?", file);
	eg_report_page(cli->out, report, app ? app : "all apps", host ? host : "?");
	return EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_fleet.c - egret fleet kill, restore, push, delete: written for all hosts, and awaited
 */
#include <pwd.h>
#include <string.h>

#include "../lib/units.h"
#include "check.h"
#include "commands.h"
#include "file.h"
#include "fleet.h"
#include "show.h"
#include "text.h"

#define EG_FLEET EG_CLEANUP(eg_fleet_close)
#define LIFETIME_NS (90ull * 86400 * 1000000000ull)

/* ---- What the hosts say ------------------------------------------------ */

/* The control plane's hold on it; NULL: there is none. */
static const json_t *find_hold(const json_t *state, const char *app)
{
	const json_t *killed = json_object_get(state, "killed"), *one;
	size_t i;

	json_array_foreach (killed, i, one) {
		const char *name = eg_json_text(one, "app"), *layer = eg_json_text(one, "layer");

		if (name && layer && !strcmp(name, app) && !strcmp(layer, "control"))
			return one;
	}
	return NULL;
}

static const char *error_of(const json_t *state, const char *app)
{
	const json_t *policy = json_object_get(json_object_get(state, "policies"), app);

	return eg_json_text(json_object_get(policy, "error"), "message");
}

/* A host that it is not for has seen it and has no error: nothing is wrong with that. */
static const char *judge_kill(const json_t *state, const char *app)
{
	const json_t *hold = find_hold(state, app);

	if (!hold)
		return error_of(state, app);
	return json_is_false(json_object_get(hold, "durable"))
		       ? "it is killed, but not on that host's disk: a reboot would lift it"
		       : NULL;
}

static const char *judge_restore(const json_t *state, const char *app)
{
	const char *error = error_of(state, app);

	return find_hold(state, app) ? error ? error : "is still killed there" : NULL;
}

static const char *judge_policy(const json_t *state, const char *app)
{
	return error_of(state, app);
}

/* ---- Waiting, and saying ------------------------------------------------ */

struct outcome {
	const char *app;
	const char *done; /* "killed", "pushed" */
	json_t *list;	  /* for -o json */
};

static int check_wait(struct eg_cli *cli)
{
	const char *given = eg_cli_option(cli, "wait");

	return given && strcmp(given, "0") == 0 ? EG_EXIT_OK : eg_cli_check_span(cli, "wait");
}

static int await(struct eg_fleet *fleet, uint64_t revision, eg_fleet_judge judge, struct outcome *outcome)
{
	struct eg_cli *cli = fleet->cli;
	EG_JSON json_t *wrong = NULL;
	const char *host;
	size_t hosts = 0;
	json_t *why;
	int r = eg_fleet_wait(fleet, revision, outcome->app, judge, &wrong, &hosts);

	if (r != EG_EXIT_OK && r != EG_EXIT_NO)
		return r;
	json_array_append_new(outcome->list, json_pack("{s:s,s:I,s:i,s:O}", "app", outcome->app, "revision",
						       (json_int_t)revision, "hosts", (int)hosts, "wrong", wrong));
	if (cli->format != EG_FORMAT_TABLE)
		return r;
	eg_cli_say(cli, "%s %s: %zu of %zu host%s say%s so", outcome->done, outcome->app,
		   hosts - json_object_size(wrong), hosts, eg_cli_s(hosts), hosts == 1 ? "s" : "");
	json_object_foreach (wrong, host, why)
		eg_cli_warn(cli, "%s: %s", host, json_string_value(why));
	return r;
}

/* ---- Kill and restore ------------------------------------------------ */

/* "alice@admin-1": who the control plane's own records don't know. */
static json_t *by_json(void)
{
	const struct passwd *user = getpwuid(getuid());
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	return json_sprintf("%s@%s", user ? user->pw_name : "?", host);
}

static int change_hold(struct eg_cli *cli, bool kill)
{
	const char *name = NULL;
	bool all = eg_cli_option(cli, "all") != NULL;
	EG_FLEET struct eg_fleet fleet = {0};
	EG_JSON json_t *list = json_array();
	struct outcome outcome = {.done = kill ? "killed" : "restored", .list = list};
	uint64_t revision = 0;
	int r = eg_cli_app(cli, 0, &name);

	if (!r && all == (name != NULL))
		r = eg_cli_usage(cli, all ? "only one of APP and --all can be said" : "say which: APP, or --all");
	if (!r)
		r = check_wait(cli);
	if (!r)
		r = eg_fleet_open(cli, false, &fleet);
	if (r)
		return r;
	outcome.app = all ? "*" : name;
	r = eg_fleet_write(&fleet, "kills", outcome.app,
			   json_pack("{s:b,s:s*,s:s*,s:o}", "killed", kill, "reason", eg_cli_option(cli, "reason"),
				     "ticket", eg_cli_option(cli, "ticket"), "by", by_json()),
			   &revision);
	if (!r)
		r = await(&fleet, revision, kill ? judge_kill : judge_restore, &outcome);
	if (json_array_size(list))
		eg_cli_json(cli, json_array_get(list, 0));
	return r;
}

int eg_cmd_fleet_kill(struct eg_cli *cli)
{
	return change_hold(cli, true);
}

int eg_cmd_fleet_restore(struct eg_cli *cli)
{
	return change_hold(cli, false);
}

/* ---- Policies ------------------------------------------------ */

/* The policy of a file, checked as a host would. */
static int read_policy(struct eg_cli *cli, const char *path, json_t **ret, char app[64])
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	EG_JSON json_t *verdict = NULL;
	const char *name;
	int r = eg_file_read(cli, path, &file);

	if (r)
		return r;
	verdict = eg_check_text(file.name, file.text, file.len, eg_show_now_ns(), LIFETIME_NS);
	if (!verdict)
		return eg_cli_no_memory(cli);
	eg_cli_diagnostics(cli->err, json_object_get(verdict, "diagnostics"), file.name);
	name = eg_json_text(verdict, "app");
	if (!eg_json_true(verdict, "ok") || !name)
		return EG_EXIT_NO;
	snprintf(app, 64, "%s", name);
	*ret = json_loadb(file.text, file.len, 0, NULL);
	return *ret ? EG_EXIT_OK : eg_cli_no_memory(cli);
}

static int push_one(struct eg_fleet *fleet, const char *path, json_t *list)
{
	json_t *policy = NULL, *document;
	uint64_t revision = 0;
	char app[64];
	struct outcome outcome = {.app = app, .done = "pushed", .list = list};
	int r = read_policy(fleet->cli, path, &policy, app);

	if (r)
		return r;
	document = json_pack("{s:o}", "policy", policy);
	if (document && eg_cli_option(fleet->cli, "take-over"))
		json_object_set_new(document, "take_over", json_true());
	r = eg_fleet_write(fleet, "policies", app, document, &revision);
	return r ? r : await(fleet, revision, judge_policy, &outcome);
}

int eg_cmd_fleet_push(struct eg_cli *cli)
{
	EG_CLEANUP(eg_files_clear) struct eg_files files = {0};
	EG_FLEET struct eg_fleet fleet = {0};
	EG_JSON json_t *list = json_array();
	int r = check_wait(cli), worst = EG_EXIT_OK;

	if (!r)
		r = eg_files_list(cli, &files);
	if (!r)
		r = eg_fleet_open(cli, false, &fleet);
	for (size_t i = 0; !r && i < files.count; i++) {
		int one = push_one(&fleet, files.paths[i], list);

		if (one == EG_EXIT_UNREACHABLE || one == EG_EXIT_REFUSED)
			r = one; /* the next file would say the same */
		worst = worst ? worst : one;
	}
	if (!r)
		eg_cli_json(cli, list);
	return r ? r : worst;
}

int eg_cmd_fleet_delete(struct eg_cli *cli)
{
	const char *name = NULL;
	EG_FLEET struct eg_fleet fleet = {0};
	EG_JSON json_t *list = json_array();
	struct outcome outcome = {.done = "deleted", .list = list};
	uint64_t revision = 0;
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		r = check_wait(cli);
	if (!r)
		r = eg_fleet_open(cli, false, &fleet);
	if (r)
		return r;
	outcome.app = name;
	r = eg_fleet_write(&fleet, "policies", name, json_pack("{s:b}", "deleted", 1), &revision);
	if (!r)
		r = await(&fleet, revision, judge_policy, &outcome);
	if (json_array_size(list))
		eg_cli_json(cli, json_array_get(list, 0));
	return r;
}

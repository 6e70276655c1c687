// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_kill.c - egret kill, through the agent
 */
#include "cmd_kill.h"

#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "show.h"

#define WAIT_S 15 /* someone waits for this: a stuck agent is to be noticed */

/* ---- Asking ------------------------------------------------------------------------- */

/* New reference; NULL without memory. expect: -1, or what was confirmed. */
static json_t *request_body(struct eg_cli *cli, const struct eg_which *which, bool dry_run, int64_t expect)
{
	json_t *body = json_pack("{s:s*,s:s*,s:s*}", "labels", which->labels, "reason", eg_cli_option(cli, "reason"),
				 "ticket", eg_cli_option(cli, "ticket"));

	if (body && which->all)
		json_object_set_new(body, "all", json_true());
	if (body && dry_run)
		json_object_set_new(body, "dry_run", json_true());
	if (body && expect >= 0)
		json_object_set_new(body, "expect", json_integer(expect));
	return body;
}

static int ask(struct eg_cli *cli, const struct eg_which *which, bool dry_run, int64_t expect, json_t **ret)
{
	EG_JSON json_t *body = request_body(cli, which, dry_run, expect);
	EG_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	EG_FREE char *path = which->app ? eg_which_path(which->app, "kill") : strdup("/v1/kill");
	struct eg_client_request request = {.method = "POST", .path = path, .body = text, .wait_s = WAIT_S};

	if (!body)
		return eg_cli_usage(cli, "--reason and --ticket are text in UTF-8");
	if (!text)
		return eg_cli_no_memory(cli);
	request.len = strlen(text);
	return eg_cli_call(cli, &request, ret);
}

/* ---- Saying --------------------------------------------------------------------------- */

/* out: stderr while it is only asked. */
static void print_meant(const struct eg_cli *cli, FILE *out, const json_t *answer)
{
	EG_TABLE struct eg_table *table = eg_table_new("APP|>SOCKETS|");
	json_t *app;
	size_t i;

	if (!table)
		return;
	json_array_foreach(json_object_get(answer, "apps"), i, app) {
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(app, "app"));
		eg_table_number(table, eg_json_u64(app, "sockets"));
		if (eg_json_true(app, "already"))
			eg_table_cell(table, EG_STYLE_DIM, "killed already");
		else if (json_is_false(json_object_get(app, "seen")))
			eg_table_cell(table, EG_STYLE_WARN, "not seen on this host yet");
		else
			eg_table_blank(table);
	}
	if (eg_table_rows(table))
		eg_table_print(table, out, cli->color && out == cli->out, "");
}

static void say_killed(const struct eg_cli *cli, const struct eg_which *which, const json_t *answer)
{
	uint64_t count = eg_json_u64(answer, "count"), stored = eg_json_u64(answer, "stored_us");
	uint64_t sockets = eg_json_u64(answer, "sockets"), flows = eg_json_u64(answer, "flows");

	eg_cli_style(cli, EG_STYLE_BAD, "killed");
	if (which->app)
		eg_cli_say(cli, " %s", which->app);
	else if (which->all)
		eg_cli_say(cli, " every app: %" PRIu64 " known now, and those to come", count);
	else
		eg_cli_say(cli, " %" PRIu64 " app%s with %s", count, eg_cli_s(count), which->labels);
	eg_cli_say(cli, "  cut: %" PRIu64 " socket%s, %" PRIu64 " flow%s", sockets, eg_cli_s(sockets), flows,
		   eg_cli_s(flows));
	eg_cli_say(cli, "  in force after %s%" PRIu64 " us, all done after %" PRIu64 " us", stored ? "" : "less than ",
		   stored ? stored : 1, eg_json_u64(answer, "took_us"));
	if (eg_json_u64(answer, "missed"))
		eg_cli_say(cli, "  %" PRIu64 " sockets could not be reset: nothing passes, but they will only time out",
			   eg_json_u64(answer, "missed"));
}

static void warn_killed(struct eg_cli *cli, const struct eg_which *which, const json_t *answer)
{
	const json_t *first = json_array_get(json_object_get(answer, "apps"), 0);

	if (which->app && json_is_false(json_object_get(first, "seen")))
		eg_cli_warn(cli, "no app %s was seen on this host yet: the hold waits for it (is the name right?)",
			    which->app);
	if (which->app && eg_json_true(first, "already"))
		eg_cli_warn(cli, "%s was killed already; it stays so", which->app);
	if (!which->app && !which->all && !eg_json_u64(answer, "count"))
		eg_cli_warn(cli, "no app has these labels: nothing was killed");
	else if (!eg_json_true(answer, "durable"))
		eg_cli_warn(cli, "the record is NOT ON DISK yet: the kill is in force, but would not outlive a reboot; "
			    "the agent goes on trying, see 'egret status'");
}

static int finish(struct eg_cli *cli, const struct eg_which *which, const json_t *answer)
{
	if (!eg_cli_json(cli, answer)) {
		say_killed(cli, which, answer);
		if (eg_json_true(answer, "durable"))
			eg_cli_say(cli, "  the record is on disk: it outlives restart and reboot until 'egret restore'");
	}
	warn_killed(cli, which, answer);
	return EG_EXIT_OK;
}

static int dry_run(struct eg_cli *cli, const struct eg_which *which)
{
	EG_JSON json_t *answer = NULL;
	int r = ask(cli, which, true, -1, &answer);

	if (r || eg_cli_json(cli, answer))
		return r;
	print_meant(cli, cli->out, answer);
	eg_cli_say(cli, "%" PRIu64 " meant; nothing was done.", eg_json_u64(answer, "count"));
	return EG_EXIT_OK;
}

/* ---- Being sure ------------------------------------------------------------------------- */

int eg_kill_parse_count(const char *text, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* Shows who is meant and takes their number from the terminal. EG_EXIT_NO: another one. */
static int confirm(struct eg_cli *cli, const struct eg_which *which, int64_t *ret_count)
{
	EG_JSON json_t *answer = NULL;
	char line[64];
	int64_t count, typed;
	int r = ask(cli, which, true, -1, &answer);

	if (r)
		return r;
	count = (int64_t)eg_json_u64(answer, "count");
	print_meant(cli, cli->err, answer);
	if (count == 0 && !which->all) {
		eg_cli_warn(cli, "no app has these labels: nothing was killed");
		return EG_EXIT_NO;
	}
	fprintf(cli->err, "This kills %s%" PRId64 " app%s. Type %" PRId64 " to go on: ",
		which->all ? "every app of this host, now " : "", count, eg_cli_s((uint64_t)count), count);
	fflush(cli->err);
	if (!fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (eg_kill_parse_count(line, &typed) || typed != count) {
		eg_cli_warn(cli, "nothing was done");
		return EG_EXIT_NO;
	}
	*ret_count = count;
	return EG_EXIT_OK;
}

static int kill_many(struct eg_cli *cli, const struct eg_which *which, int64_t *ret_expect)
{
	const char *yes = eg_cli_option(cli, "yes");

	if (yes)
		return eg_kill_parse_count(yes, ret_expect)
			       ? eg_cli_usage(cli, "--yes is the number of apps that are meant, not '%s'", yes)
			       : EG_EXIT_OK;
	if (!isatty(STDIN_FILENO))
		return eg_cli_usage(cli, "there is no terminal to ask on: say --yes N with the number of apps meant, "
				    "which --dry-run shows");
	return confirm(cli, which, ret_expect);
}

static int check_options(struct eg_cli *cli, const struct eg_which *which)
{
	static const char *const direct_only[] = {"bpffs", "state-dir"};

	if (eg_cli_option(cli, "yes") && which->app)
		return eg_cli_usage(cli, "--yes goes with --all and --label; a single app needs none");
	for (size_t i = 0; i < 2; i++)
		if (eg_cli_option(cli, direct_only[i]))
			return eg_cli_usage(cli, "--%s goes with --direct", direct_only[i]);
	return EG_EXIT_OK;
}

int eg_cmd_kill(struct eg_cli *cli)
{
	EG_JSON json_t *answer = NULL;
	struct eg_which which;
	char message[320];
	int64_t expect = -1;
	int r;

	if (eg_which_set(eg_cli_operand(cli, 0), eg_cli_option(cli, "label"), eg_cli_option(cli, "all") != NULL, &which,
			 message, sizeof(message)))
		return eg_cli_usage(cli, "%s", message);
	if (eg_cli_option(cli, "direct"))
		return eg_kill_direct(cli, &which);
	r = check_options(cli, &which);
	if (r)
		return r;
	if (eg_cli_option(cli, "dry-run"))
		return dry_run(cli, &which);
	if (!which.app)
		r = kill_many(cli, &which, &expect);
	if (!r)
		r = ask(cli, &which, false, expect, &answer);
	return r ? r : finish(cli, &which, answer);
}

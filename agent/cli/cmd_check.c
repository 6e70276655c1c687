// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_check.c - egret policy check: without an agent, or asking it
 */
#include <string.h>

#include "../lib/policy.h"
#include "../lib/units.h"
#include "check.h"
#include "commands.h"
#include "policy_put.h"
#include "progress.h"
#include "show.h"

#define LIFETIME_NS (90ull * 24 * 3600 * 1000000000ull)

struct check {
	struct eg_cli *cli;
	uint64_t max_lifetime_ns;
	uint64_t now_ns;
	bool online;
	json_t *files; /* [{"file","ok","app","diagnostics"}...] */
	json_t *seen; /* app -> file */
	size_t errors;
	size_t warnings;
};

/* ---- One file ------------------------------------------------------------------------------ */

json_t *eg_check_text(const char *file, const char *text, size_t len, uint64_t now_ns, uint64_t max_lifetime_ns)
{
	EG_CLEANUP(eg_cleanup_policy) struct eg_policy *policy = NULL;
	EG_CLEANUP(eg_diags_clear) struct eg_diags diags = {0};
	EG_JSON json_t *list = NULL;
	int r = eg_policy_parse(file, text, len, &policy, &diags);

	if (!r) {
		r = eg_policy_check_lifetime(policy, text, len, now_ns, max_lifetime_ns, &diags);
		eg_policy_lint(policy, text, len, &diags);
		eg_policy_lint_lifetime(policy, text, len, now_ns, &diags);
	}
	if (r == -ENOMEM || !(list = eg_diags_json(&diags)))
		return NULL;
	return json_pack("{s:b,s:s?,s:O}", "ok", r == 0 && diags.errors == 0, "app", policy ? policy->app : NULL,
			 "diagnostics", list);
}

/* Two policies for one app: the second one is told. */
static void check_app(struct check *check, const struct eg_file *file, json_t *result)
{
	const char *app = eg_json_text(result, "app"), *other;
	char message[512];

	if (!app)
		return;
	other = eg_json_text(check->seen, app);
	if (!other) {
		json_object_set_new(check->seen, app, json_string(file->name));
		return;
	}
	snprintf(message, sizeof(message), "%s is also the app of %s: one app has one policy", app, other);
	json_array_append_new(json_object_get(result, "diagnostics"),
			      json_pack("{s:s,s:s,s:s,s:i,s:i,s:s,s:s,s:s}", "level", "error", "code", "two_policies",
					"file", file->name, "line", 0, "column", 0, "path", "app", "message", message,
					"fix", "Delete one of the two files, or give it another app"));
	json_object_set_new(result, "ok", json_false());
}

static void count(struct check *check, const json_t *diagnostics)
{
	json_t *item;
	size_t i;

	json_array_foreach(diagnostics, i, item) {
		const char *level = eg_json_text(item, "level");

		if (level && strcmp(level, "error") == 0)
			check->errors++;
		else if (level && strcmp(level, "warning") == 0)
			check->warnings++;
	}
}

static int check_file(struct check *check, const char *path, struct eg_progress *progress)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	struct eg_cli *cli = check->cli;
	json_t *result = NULL;
	int r = eg_file_read(cli, path, &file);

	if (r)
		return r;
	if (check->online)
		r = eg_policy_ask(cli, &file, &result);
	else
		result = eg_check_text(file.name, file.text, file.len, check->now_ns, check->max_lifetime_ns);
	if (r)
		return r;
	if (!result)
		return eg_cli_no_memory(cli);
	json_object_set_new(result, "file", json_string(file.name));
	check_app(check, &file, result);
	count(check, json_object_get(result, "diagnostics"));
	if (cli->format == EG_FORMAT_TABLE && json_array_size(json_object_get(result, "diagnostics"))) {
		eg_progress_wipe(progress);
		eg_cli_diagnostics(cli->out, json_object_get(result, "diagnostics"), file.name);
	}
	json_array_append_new(check->files, result);
	return EG_EXIT_OK;
}

/* ---- All of them ------------------------------------------------------------------------------ */

static int finish(struct check *check)
{
	struct eg_cli *cli = check->cli;
	EG_JSON json_t *answer = NULL;
	size_t total = json_array_size(check->files), wrong = 0, i;
	json_t *file;
	bool strict;

	json_array_foreach(check->files, i, file)
		wrong += !eg_json_true(file, "ok");
	strict = eg_cli_option(cli, "strict") && check->warnings;
	answer = json_pack("{s:b,s:O,s:I,s:I}", "ok", wrong == 0 && !strict, "files", check->files, "errors",
			   (json_int_t)check->errors, "warnings", (json_int_t)check->warnings);
	if (!eg_cli_json(cli, answer))
		eg_cli_say(cli, "%zu polic%s checked: %zu error%s, %zu warning%s", total, total == 1 ? "y" : "ies",
			   check->errors, eg_cli_s(check->errors), check->warnings, eg_cli_s(check->warnings));
	return wrong || strict ? EG_EXIT_NO : EG_EXIT_OK;
}

int eg_cmd_policy_check(struct eg_cli *cli)
{
	EG_CLEANUP(eg_files_clear) struct eg_files list = {0};
	EG_JSON json_t *files = json_array(), *seen = json_object();
	struct check check = {.cli = cli, .max_lifetime_ns = LIFETIME_NS, .now_ns = eg_show_now_ns(), .files = files,
			      .seen = seen};
	const char *lifetime = eg_cli_option(cli, "max-lifetime");
	struct eg_progress progress;
	int r = eg_cli_check_span(cli, "max-lifetime"), unread = 0;

	if (r)
		return r;
	check.online = eg_cli_option(cli, "online") != NULL;
	if (lifetime && check.online)
		return eg_cli_usage(cli, "--max-lifetime is the agent's own with --online");
	if (lifetime)
		eg_units_span(lifetime, &check.max_lifetime_ns);
	r = eg_files_list(cli, &list);
	eg_progress_begin(&progress, cli->err, "policies checked", list.count);
	for (size_t i = 0; !r && i < list.count; i++) {
		int one;

		eg_progress_tell(&progress, i);
		one = check_file(&check, list.paths[i], &progress);
		if (one == EG_EXIT_UNREACHABLE || one == EG_EXIT_REFUSED)
			r = one; /* the next file would say the same */
		unread = unread ? unread : one;
	}
	eg_progress_wipe(&progress);
	if (r)
		return r;
	r = finish(&check);
	return unread ? unread : r;
}

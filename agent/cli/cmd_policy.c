// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_policy.c - egret policy apply, diff, get, delete
 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "diff.h"
#include "policy_put.h"
#include "progress.h"
#include "which.h"

/* ---- In force ----------------------------------------------------------------------------- */

static char *policy_path(const char *app, bool take_over)
{
	char *path;

	if (asprintf(&path, "/v1/policies/%s%s", app, take_over ? "?take_over=1" : "") < 0)
		return NULL;
	return path;
}

/* Like eg_cli_get; an app that has no policy is *ret == NULL. */
static int get_if_there(struct eg_cli *cli, const char *app, json_t **ret)
{
	EG_FREE char *path = policy_path(app, false);
	struct eg_client_request request = {.method = "GET", .path = path};
	struct eg_error err = {0};
	int r;

	if (!path)
		return eg_cli_no_memory(cli);
	*ret = NULL;
	r = eg_client_call(cli->client, &request, ret, &err);
	if (r == -EREMOTEIO && err.status == 404) {
		eg_error_clear(&err);
		return EG_EXIT_OK;
	}
	return r ? eg_cli_fail(cli, r, &err, NULL) : EG_EXIT_OK;
}

int eg_cmd_policy_get(struct eg_cli *cli)
{
	EG_JSON json_t *answer = NULL, *ordered = NULL;
	EG_FREE char *path = NULL;
	const char *app;
	int r = eg_cli_app(cli, 0, &app);

	if (!r)
		r = eg_cli_get(cli, path = policy_path(app, false), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	/* The policy alone, so that it can be edited and applied. */
	ordered = eg_diff_ordered(json_object_get(answer, "policy"));
	eg_cli_dump(cli, ordered, JSON_INDENT(2));
	return EG_EXIT_OK;
}

int eg_cmd_policy_delete(struct eg_cli *cli)
{
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	struct eg_client_request request = {.method = "DELETE"};
	const char *app;
	uint64_t reset;
	int r = eg_cli_app(cli, 0, &app);

	if (r)
		return r;
	request.path = path = policy_path(app, eg_cli_option(cli, "take-over") != NULL);
	r = eg_cli_call(cli, &request, &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	reset = eg_json_u64(answer, "reset_sockets");
	eg_cli_say(cli, "%s: policy deleted, everything is denied to it; reset: %" PRIu64 " socket%s", app, reset,
		   eg_cli_s(reset));
	return EG_EXIT_OK;
}

/* ---- diff ------------------------------------------------------------------------------------ */

/* Prints how the file differs from what is in force. *ret_json: for programs. An exit status, EG_EXIT_NO: it does. */
static int compare(struct eg_cli *cli, const struct eg_file *file, const char *app, json_t **ret_json)
{
	EG_JSON json_t *wanted = json_loadb(file->text, file->len, JSON_REJECT_DUPLICATES, NULL), *answer = NULL;
	EG_JSON json_t *changes = NULL;
	const char *rev;
	int r = get_if_there(cli, app, &answer);

	if (r)
		return r;
	changes = eg_diff_policies(json_object_get(answer, "policy"), wanted);
	if (!changes)
		return eg_cli_no_memory(cli);
	rev = eg_json_text(answer, "policy_rev");
	*ret_json = json_pack("{s:s,s:s?,s:b,s:O}", "app", app, "policy_rev", rev, "differs",
			      json_array_size(changes) > 0, "changes", changes);
	if (cli->format == EG_FORMAT_TABLE) {
		if (!answer)
			eg_cli_say(cli, "%s: no policy is in force", app);
		else if (!json_array_size(changes))
			eg_cli_say(cli, "%s: the same as %s, which is in force", app, rev ? rev : "?");
		else
			eg_cli_say(cli, "%s: against %s, which is in force", app, rev ? rev : "?");
		eg_diff_print(cli, changes);
	}
	return json_array_size(changes) || !answer ? EG_EXIT_NO : EG_EXIT_OK;
}

int eg_cmd_policy_diff(struct eg_cli *cli)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	EG_JSON json_t *json = NULL;
	char app[EG_APP_NAME_LEN];
	int r = eg_file_read(cli, eg_cli_operand(cli, 0), &file);

	if (!r)
		r = eg_policy_put_name(cli, &file, app);
	if (r)
		return r;
	r = compare(cli, &file, app, &json);
	if (json)
		eg_cli_json(cli, json);
	return r;
}

/* ---- apply ------------------------------------------------------------------------------------- */

static void say_applied(struct eg_cli *cli, const json_t *answer)
{
	const char *app = eg_json_text(answer, "app"), *rev = eg_json_text(answer, "policy_rev");
	uint64_t reset = eg_json_u64(answer, "reset_sockets"), rules = eg_json_u64(answer, "rules");

	if (!eg_json_true(answer, "changed"))
		eg_cli_say(cli, "%s: %s is in force already", app ? app : "?", rev ? rev : "?");
	else if (reset)
		eg_cli_say(cli, "%s: %s is in force, %" PRIu64 " rule%s; reset: %" PRIu64 " socket%s that it denies",
			   app ? app : "?", rev ? rev : "?", rules, eg_cli_s(rules), reset, eg_cli_s(reset));
	else
		eg_cli_say(cli, "%s: %s is in force, %" PRIu64 " rule%s", app ? app : "?", rev ? rev : "?", rules,
			   eg_cli_s(rules));
}

/* Asks the agent, which says what is wrong in one list with its places. */
static int check(struct eg_cli *cli, const struct eg_file *file, bool warnings)
{
	EG_JSON json_t *answer = NULL;
	int r = eg_policy_ask(cli, file, &answer);

	if (r)
		return r;
	if (warnings || !eg_json_true(answer, "ok"))
		eg_cli_diagnostics(cli->err, json_object_get(answer, "diagnostics"), file->name);
	return eg_json_true(answer, "ok") ? EG_EXIT_OK : EG_EXIT_NO;
}

static int apply_one(struct eg_cli *cli, const struct eg_file *file, const char *app, struct eg_progress *progress,
		     json_t *results)
{
	EG_JSON json_t *answer = NULL;
	int r;

	if (eg_cli_option(cli, "dry-run")) {
		eg_progress_wipe(progress);
		r = check(cli, file, true);
		if (!r)
			r = compare(cli, file, app, &answer);
		json_array_append(results, answer);
		return r == EG_EXIT_NO && answer ? EG_EXIT_OK : r;
	}
	r = eg_policy_put(cli, file, app, eg_cli_option(cli, "take-over") != NULL, eg_cli_option(cli, "if-match"),
			  &answer);
	eg_progress_wipe(progress);
	if (r)
		return r;
	if (cli->format == EG_FORMAT_TABLE)
		say_applied(cli, answer);
	json_array_append(results, answer);
	return EG_EXIT_OK;
}

struct batch {
	struct eg_file *files;
	char (*apps)[EG_APP_NAME_LEN];
	size_t count;
};

static void batch_clear(struct batch *batch)
{
	for (size_t i = 0; batch->files && i < batch->count; i++)
		eg_file_clear(&batch->files[i]);
	free(batch->files);
	free(batch->apps);
}

/* Reads them all, so that nothing is sent while one of them can't be. */
static int read_batch(struct eg_cli *cli, const struct eg_files *list, struct batch *batch)
{
	int r = 0;

	batch->files = calloc(list->count, sizeof(*batch->files));
	batch->apps = calloc(list->count, sizeof(*batch->apps));
	batch->count = list->count;
	if (!batch->files || !batch->apps)
		return eg_cli_no_memory(cli);
	for (size_t i = 0; !r && i < list->count; i++) {
		r = eg_file_read(cli, list->paths[i], &batch->files[i]);
		if (!r)
			r = eg_policy_put_name(cli, &batch->files[i], batch->apps[i]);
		for (size_t j = 0; !r && j < i; j++) {
			if (strcmp(batch->apps[i], batch->apps[j]) != 0)
				continue;
			eg_cli_warn(cli, "%s and %s are both policies of %s", batch->files[j].name,
				    batch->files[i].name, batch->apps[i]);
			r = EG_EXIT_NO;
		}
	}
	return r;
}

int eg_cmd_policy_apply(struct eg_cli *cli)
{
	EG_CLEANUP(eg_files_clear) struct eg_files list = {0};
	EG_CLEANUP(batch_clear) struct batch batch = {0};
	EG_JSON json_t *results = json_array();
	struct eg_progress progress;
	int r = eg_files_list(cli, &list), worst = 0;

	if (!r && list.count > 1 && eg_cli_option(cli, "if-match"))
		r = eg_cli_usage(cli, "--if-match goes with one file");
	if (!r)
		r = read_batch(cli, &list, &batch);
	eg_progress_begin(&progress, cli->err, "policies checked", batch.count);
	for (size_t i = 0; batch.count > 1 && !r && !worst && i < batch.count; i++) {
		eg_progress_tell(&progress, i);
		worst = check(cli, &batch.files[i], false);
	}
	eg_progress_wipe(&progress);
	if (worst)
		eg_cli_warn(cli, "nothing was applied");
	if (r || worst)
		return r ? r : worst;
	eg_progress_begin(&progress, cli->err, "policies put in force", batch.count);
	for (size_t i = 0; i < batch.count; i++) {
		eg_progress_tell(&progress, i);
		r = apply_one(cli, &batch.files[i], batch.apps[i], &progress, results);
		worst = worst ? worst : r;
	}
	if (json_array_size(results))
		eg_cli_json(cli, list.count > 1 ? results : json_array_get(results, 0));
	return worst;
}

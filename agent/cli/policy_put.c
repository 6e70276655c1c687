// SPDX-License-Identifier: Apache-2.0
#include "policy_put.h"

#include <string.h>

#include "../lib/policy.h"

#define WAIT_S 120 /* a million rules take their time */

/* Where they stand: found by our own parser, which knows lines. */
static int say_unreadable(struct eg_cli *cli, const struct eg_file *file)
{
	EG_CLEANUP(eg_cleanup_policy) struct eg_policy *policy = NULL;
	EG_CLEANUP(eg_diags_clear) struct eg_diags diags = {0};
	EG_JSON json_t *json = NULL;

	eg_policy_parse(file->name, file->text, file->len, &policy, &diags);
	json = eg_diags_json(&diags);
	if (!eg_cli_diagnostics(cli->err, json, file->name))
		eg_cli_warn(cli, "%s: there is no \"app\" in it that could be an app's name", file->name);
	return EG_EXIT_NO;
}

int eg_policy_put_name(struct eg_cli *cli, const struct eg_file *file, char ret[EG_APP_NAME_LEN])
{
	EG_JSON json_t *json = json_loadb(file->text, file->len, JSON_REJECT_DUPLICATES, NULL);
	const char *app = eg_json_text(json, "app");

	if (!app || !eg_policy_app_name(app))
		return say_unreadable(cli, file);
	snprintf(ret, EG_APP_NAME_LEN, "%s", app);
	return EG_EXIT_OK;
}

int eg_policy_put(struct eg_cli *cli, const struct eg_file *file, const char *app, bool take_over,
		  const char *if_match, json_t **ret)
{
	EG_FREE char *path = NULL;
	struct eg_client_request request = {
		.method = "PUT", .body = file->text, .len = file->len, .if_match = if_match, .wait_s = WAIT_S};
	struct eg_error err = {0};
	int r;

	if (asprintf(&path, "/v1/policies/%s%s", app, take_over ? "?take_over=1" : "") < 0) {
		path = NULL;
		return eg_cli_no_memory(cli);
	}
	request.path = path;
	r = eg_client_call(cli->client, &request, ret, &err);
	if (r)
		return eg_cli_fail(cli, r, &err, file->name);
	eg_cli_diagnostics(cli->err, json_object_get(*ret, "warnings"), file->name);
	return EG_EXIT_OK;
}

int eg_policy_ask(struct eg_cli *cli, const struct eg_file *file, json_t **ret)
{
	struct eg_client_request request = {
		.method = "POST", .path = "/v1/policies:check", .body = file->text, .len = file->len, .wait_s = WAIT_S};

	return eg_cli_call(cli, &request, ret);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_fleet_look.c - egret fleet status, get: what the control plane says, and what the hosts made of it
 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "fleet.h"
#include "text.h"

#define EG_FLEET EG_CLEANUP(eg_fleet_close)

/* ---- Status ------------------------------------------------ */

static size_t count_killed(const json_t *state)
{
	return json_array_size(json_object_get(state, "killed"));
}

static bool is_wrong(const json_t *state)
{
	const char *paused = eg_json_text(state, "paused");

	return eg_json_u64(state, "error_count") || (paused && paused[0]);
}

static void print_errors(const struct eg_cli *cli, const char *host, const json_t *state)
{
	const char *app, *paused = eg_json_text(state, "paused");
	json_t *policy;

	if (paused && paused[0])
		eg_cli_say(cli, "  %s: %s", host, paused);
	json_object_foreach (json_object_get(state, "policies"), app, policy) {
		const char *message = eg_json_text(json_object_get(policy, "error"), "message");

		if (message)
			eg_cli_say(cli, "  %s, %s: %s", host, app, message);
	}
}

static int print_hosts(const struct eg_cli *cli, const json_t *states)
{
	EG_TABLE struct eg_table *table = eg_table_new("HOST|VERSION|>REVISION|>POLICIES|>ERRORS|>KILLED|SEEN|");
	bool wrong = false;
	const char *host;
	json_t *state;

	json_object_foreach ((json_t *)states, host, state) {
		const char *time = eg_json_text(state, "time");
		char moment[64];

		if (!table)
			break;
		eg_table_cell(table, EG_STYLE_NONE, host);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(state, "version"));
		eg_table_number(table, eg_json_u64(state, "revision"));
		eg_table_number(table, eg_json_u64(state, "policy_count"));
		eg_table_cellf(table, eg_json_u64(state, "error_count") ? EG_STYLE_BAD : EG_STYLE_NONE, "%" PRIu64,
			       eg_json_u64(state, "error_count"));
		eg_table_number(table, count_killed(state));
		eg_table_cell(table, EG_STYLE_NONE, time ? eg_text_moment(time, 0, moment, sizeof(moment)) : NULL);
		if (is_wrong(state) && !eg_json_u64(state, "error_count"))
			eg_table_cell(table, EG_STYLE_WARN, "deletions paused");
		else
			eg_table_blank(table);
		wrong = wrong || is_wrong(state);
	}
	if (table)
		eg_table_print(table, cli->out, cli->color, "");
	json_object_foreach ((json_t *)states, host, state)
		print_errors(cli, host, state);
	return wrong ? EG_EXIT_NO : EG_EXIT_OK;
}

/* One app on each host that has it, has an error of it, or holds it. */
static int print_app(const struct eg_cli *cli, const json_t *states, const char *app)
{
	EG_TABLE struct eg_table *table = eg_table_new("HOST|POLICY|KILLED BY|ERROR");
	bool wrong = false;
	const char *host;
	json_t *state;

	json_object_foreach ((json_t *)states, host, state) {
		const json_t *policy = json_object_get(json_object_get(state, "policies"), app), *one;
		const char *error = eg_json_text(json_object_get(policy, "error"), "message"), *layer = NULL;
		size_t i;

		json_array_foreach (json_object_get(state, "killed"), i, one) {
			const char *name = eg_json_text(one, "app");

			if (name && (!strcmp(name, app) || !strcmp(name, "*")))
				layer = eg_json_text(one, "layer");
		}
		if (!table || (!policy && !layer))
			continue;
		eg_table_cell(table, EG_STYLE_NONE, host);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(policy, "rev"));
		eg_table_cell(table, layer ? EG_STYLE_BAD : EG_STYLE_NONE, layer);
		eg_table_cell(table, error ? EG_STYLE_BAD : EG_STYLE_NONE, error);
		wrong = wrong || error;
	}
	if (table && eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, "no host has a policy or a kill of %s", app);
	return wrong ? EG_EXIT_NO : EG_EXIT_OK;
}

int eg_cmd_fleet_status(struct eg_cli *cli)
{
	const char *name = NULL, *host;
	EG_FLEET struct eg_fleet fleet = {0};
	EG_JSON json_t *states = NULL;
	json_t *state;
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		r = eg_fleet_open(cli, true, &fleet);
	if (!r)
		r = eg_fleet_states(&fleet, &states);
	if (r)
		return r;
	if (eg_cli_json(cli, states)) {
		json_object_foreach (states, host, state)
			r = is_wrong(state) ? EG_EXIT_NO : r;
		return r;
	}
	if (!json_object_size(states)) {
		eg_cli_say(cli, "no host is there");
		return EG_EXIT_OK;
	}
	return name ? print_app(cli, states, name) : print_hosts(cli, states);
}

/* ---- Get ------------------------------------------------ */

struct listing {
	const struct eg_fleet *fleet;
	const char *app;   /* NULL: all */
	json_t *documents; /* by key, without the prefix */
};

static int add_document(void *ctx, const struct eg_etcd_kv *kv)
{
	struct listing *listing = ctx;
	const char *key = kv->key + strlen(listing->fleet->control->prefix), *app = strrchr(key, '/');
	json_t *value;

	if (!app || (listing->app && strcmp(app + 1, listing->app) != 0))
		return 0;
	value = json_loadb(kv->value, kv->value_len, JSON_DECODE_ANY, NULL);
	if (!value)
		value = json_stringn(kv->value, kv->value_len); /* a word such as "killed" */
	json_object_set_new(listing->documents, key, value ? value : json_null());
	return 0;
}

static int list_documents(struct eg_fleet *fleet, struct listing *listing)
{
	static const char *const kinds[] = {"policies/", "kills/", "hosts/"};
	uint64_t revision = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EG_FREE char *prefix = NULL;
		struct eg_error err = {0};

		if (asprintf(&prefix, "%s%s", fleet->control->prefix, kinds[i]) < 0) {
			prefix = NULL;
			return eg_cli_no_memory(fleet->cli);
		}
		if (eg_etcd_each(fleet->etcd, prefix, &revision, add_document, listing, &err))
			return eg_fleet_fail(fleet, &err);
	}
	return EG_EXIT_OK;
}

/* What stands within a signature is what is of interest. */
static json_t *inner_of(json_t *document)
{
	const char *text = eg_json_text(document, "signed");
	json_t *inner = text ? json_loads(text, 0, NULL) : NULL;

	return inner ? inner : json_incref(document);
}

static const char *says(const json_t *document)
{
	const char *word = json_string_value(document);

	if (word)
		return word;
	if (json_object_get(document, "killed"))
		return eg_json_true(document, "killed") ? "killed" : "restored";
	if (eg_json_true(document, "deleted"))
		return "deleted";
	return json_is_object(document) ? "policy" : "?";
}

static void print_documents(const struct eg_cli *cli, const json_t *documents)
{
	EG_TABLE struct eg_table *table = eg_table_new("KEY|SAYS|SIGNED|HOSTS|LABELS|REASON");
	const char *key;
	json_t *document;

	json_object_foreach ((json_t *)documents, key, document) {
		EG_JSON json_t *inner = inner_of(document);
		EG_FREE char *hosts = eg_json_list(json_object_get(inner, "hosts"), 3);

		if (!table)
			return;
		eg_table_cell(table, EG_STYLE_NONE, key);
		eg_table_cell(table, strcmp(says(inner), "killed") ? EG_STYLE_NONE : EG_STYLE_BAD, says(inner));
		eg_table_cell(table, EG_STYLE_NONE, json_object_get(document, "signed") ? "yes" : "no");
		eg_table_cell(table, EG_STYLE_NONE, hosts);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(inner, "labels"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(inner, "reason"));
	}
	if (table)
		eg_table_print(table, cli->out, cli->color, "");
}

int eg_cmd_fleet_get(struct eg_cli *cli)
{
	const char *name = NULL;
	EG_FLEET struct eg_fleet fleet = {0};
	EG_JSON json_t *documents = json_object();
	struct listing listing = {.fleet = &fleet, .documents = documents};
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		r = eg_fleet_open(cli, false, &fleet);
	listing.app = name;
	if (!r)
		r = list_documents(&fleet, &listing);
	if (r)
		return r;
	if (name && !json_object_size(documents)) {
		eg_cli_warn(cli, "the control plane says nothing of %s", name);
		return EG_EXIT_NOT_FOUND;
	}
	if (!eg_cli_json(cli, documents))
		print_documents(cli, documents);
	return EG_EXIT_OK;
}

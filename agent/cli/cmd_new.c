// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_new.c - egret policy new: a policy from a template
 */
#include <dirent.h>
#include <string.h>

#include "../lib/policy.h"
#include "../lib/units.h"
#include "check.h"
#include "commands.h"
#include "diff.h"
#include "file.h"
#include "show.h"
#include "template.h"

#define DAY_NS     (24ull * 3600 * 1000000000)
#define SECOND_NS  1000000000ull
#define EXPIRES    "30d"
#define LIFETIME   (3653 * DAY_NS) /* what is too long is the host's to say */
#define SUFFIX_LEN (sizeof(".json") - 1)

static const char *directory(const struct eg_cli *cli)
{
	const char *given = eg_cli_option(cli, "templates"), *set = getenv("EGRET_TEMPLATES");

	return given ? given : set && *set ? set : EG_TEMPLATES;
}

/* ---- One template ------------------------------------------------------------------------------ */

static int read_template(struct eg_cli *cli, const char *name, json_t **ret)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	EG_FREE char *path = NULL;
	json_error_t error;
	int r;

	if (!eg_template_name(name))
		return eg_cli_usage(cli, "'%s' can't be the name of a template", name);
	if (asprintf(&path, "%s/%s.json", directory(cli), name) < 0) {
		path = NULL;
		return eg_cli_no_memory(cli);
	}
	r = eg_file_read(cli, path, &file);
	if (r)
		return r;
	*ret = json_loadb(file.text, file.len, JSON_REJECT_DUPLICATES, &error);
	if (*ret)
		return EG_EXIT_OK;
	eg_cli_warn(cli, "%s:%d:%d: %s", file.name, error.line, error.column, error.text);
	return EG_EXIT_FAILED;
}

/* ---- --list --------------------------------------------------------------------------------------- */

static int is_template(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	char name[256];

	if (len <= SUFFIX_LEN || len - SUFFIX_LEN >= sizeof(name) ||
	    strcmp(entry->d_name + len - SUFFIX_LEN, ".json") != 0)
		return 0;
	memcpy(name, entry->d_name, len - SUFFIX_LEN);
	name[len - SUFFIX_LEN] = '\0';
	return eg_template_name(name);
}

static void list_one(struct eg_cli *cli, const char *name, const json_t *template)
{
	EG_TABLE struct eg_table *table = eg_table_new("||");
	const char *parameter;
	json_t *about;

	eg_cli_style(cli, EG_STYLE_BOLD, name);
	eg_cli_say(cli, ": %s", eg_json_text(template, "about") ?: "");
	json_object_foreach(json_object_get(template, "parameters"), parameter, about) {
		const char *value = eg_json_text(about, "default");

		eg_table_cell(table, EG_STYLE_NONE, parameter);
		if (value && *value)
			eg_table_cellf(table, EG_STYLE_DIM, "default %s", value);
		else
			eg_table_cell(table, value ? EG_STYLE_DIM : EG_STYLE_WARN, value ? "optional" : "required");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(about, "about"));
	}
	eg_table_print(table, cli->out, cli->color, "  ");
}

static int list(struct eg_cli *cli)
{
	EG_JSON json_t *all = json_object();
	struct dirent **entries = NULL;
	int n = scandir(directory(cli), &entries, is_template, alphasort), r = EG_EXIT_OK;

	if (n < 0) {
		eg_cli_warn(cli, "%s: %s: say where templates are by --templates, or EGRET_TEMPLATES", directory(cli),
			    strerror(errno));
		return EG_EXIT_FAILED;
	}
	for (int i = 0; i < n; i++) {
		EG_JSON json_t *template = NULL;
		int one;

		entries[i]->d_name[strlen(entries[i]->d_name) - SUFFIX_LEN] = '\0';
		one = read_template(cli, entries[i]->d_name, &template);
		if (!one)
			json_object_set_new(all, entries[i]->d_name,
					    json_pack("{s:O*,s:O*}", "about", json_object_get(template, "about"),
						      "parameters", json_object_get(template, "parameters")));
		if (!one && cli->format == EG_FORMAT_TABLE)
			list_one(cli, entries[i]->d_name, template);
		r = r ? r : one;
		free(entries[i]);
	}
	free(entries);
	eg_cli_json(cli, all);
	return r;
}

/* ---- A policy --------------------------------------------------------------------------------------- */

/* "30d" from now, or a moment; to the second. False: it is neither. */
static bool expiry(const char *text, uint64_t now_ns, char *ret, size_t size)
{
	uint64_t ns;

	if (eg_units_span(text, &ns) == 0)
		ns = (now_ns + ns) / SECOND_NS * SECOND_NS;
	else if (eg_units_moment(text, &ns))
		return false;
	eg_units_moment_text(ns, ret, size);
	return true;
}

/* The values of --set and of the options that every template has; NULL after an error, which *ret is. */
static json_t *values_of(struct eg_cli *cli, int *ret)
{
	static const char *const required[] = {"app", "owner", "ticket"};
	const char *expires = eg_cli_option(cli, "expires");
	EG_JSON json_t *values = json_object();
	char moment[64];

	*ret = EG_EXIT_USAGE;
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		const char *value = eg_cli_option(cli, required[i]);

		if (!value || !*value || json_object_set_new(values, required[i], json_string(value))) {
			eg_cli_usage(cli, "say --%s", required[i]);
			return NULL;
		}
	}
	if (!expiry(expires ? expires : EXPIRES, eg_show_now_ns(), moment, sizeof(moment))) {
		eg_cli_usage(cli,
			     "--expires is a time from now, such as 30d, or a moment, such as 2027-01-31T00:00:00Z");
		return NULL;
	}
	json_object_set_new(values, "expires", json_string(moment));
	for (size_t i = 0; i < cli->args->given_count; i++) {
		const struct eg_arg *given = &cli->args->given[i];
		const char *equals = strchr(given->value, '=');
		EG_FREE char *name = NULL;

		if (strcmp(given->option->name, "set") != 0)
			continue;
		name = equals ? strndup(given->value, (size_t)(equals - given->value)) : NULL;
		if (!name || !*name || json_object_get(values, name) ||
		    json_object_set_new(values, name, json_string(equals + 1))) {
			eg_cli_usage(cli, "--set is NAME=VALUE, once for each of the template's parameters, not '%s'",
				     given->value);
			return NULL;
		}
	}
	return EG_TAKE_PTR(values);
}

/* A value may be no address, or no size: that is found by who reads policies. */
static int print_checked(struct eg_cli *cli, const json_t *policy)
{
	EG_JSON json_t *ordered = eg_diff_ordered(policy), *checked = NULL;
	EG_FREE char *text = json_dumps(ordered, JSON_INDENT(2));

	checked = text ? eg_check_text("<policy>", text, strlen(text), eg_show_now_ns(), LIFETIME) : NULL;
	if (!checked)
		return eg_cli_no_memory(cli);
	if (!eg_json_true(checked, "ok")) {
		eg_cli_diagnostics(cli->err, json_object_get(checked, "diagnostics"), "<policy>");
		return EG_EXIT_NO;
	}
	fprintf(cli->out, "%s\n", text);
	return EG_EXIT_OK;
}

int eg_cmd_policy_new(struct eg_cli *cli)
{
	const char *name = eg_cli_option(cli, "template");
	EG_JSON json_t *template = NULL, *values = NULL, *policy = NULL;
	char message[640];
	int r;

	if (eg_cli_option(cli, "list"))
		return list(cli);
	if (!name)
		return eg_cli_usage(cli, "say --template NAME; --list shows which there are");
	values = values_of(cli, &r);
	if (!values)
		return r;
	r = read_template(cli, name, &template);
	if (r)
		return r;
	policy = eg_template_fill(template, values, message, sizeof(message));
	if (!policy) {
		eg_cli_warn(cli, "%s: %s", name, message);
		return EG_EXIT_USAGE;
	}
	return print_checked(cli, policy);
}

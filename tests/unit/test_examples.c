// SPDX-License-Identifier: Apache-2.0
/* The policies and templates that we ship are such: each parses and compiles. Runs in the repository's root. */
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/cli/template.h"
#include "../../agent/core/compile.h"

static char *read_whole(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	if (!file)
		fail_msg("%s can't be opened: run this in the repository's root", path);
	*ret_len = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

/* Parses and compiles, and says who answers for it. */
static void check_text(const char *path, const char *text, size_t len)
{
	const struct eg_resolvers host = {.addr = {{.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 53}}}, .count = 1};
	struct eg_policy *policy = NULL;
	struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};
	char message[800];
	int r = eg_policy_parse(path, text, len, &policy, &diags);

	if (!r)
		r = eg_compile(policy, &host, &compiled, &diags);
	if (r)
		fail_msg("%s", eg_diag_text(&diags, &diags.items[0], message, sizeof(message)));
	assert_int_equal(diags.errors, 0);
	assert_non_null(policy->owner);
	assert_non_null(policy->ticket);
	eg_compiled_free(compiled);
	eg_policy_free(policy);
	eg_diags_clear(&diags);
}

static void check_example(const char *path)
{
	size_t len;
	char *text = read_whole(path, &len);

	check_text(path, text, len);
	free(text);
}

/* Filled with its examples: what `egret policy new` would print. */
static void check_template(const char *path)
{
	json_t *template = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *parameter, *policy;
	json_t *values = json_pack("{s:s,s:s,s:s,s:s}", "app", "app-x", "owner", "o", "ticket", "T", "expires",
				   "2027-01-31T00:00:00Z");
	const char *name;
	char message[400], *text;

	assert_non_null(template);
	assert_non_null(json_string_value(json_object_get(template, "about")));
	json_object_foreach(json_object_get(template, "parameters"), name, parameter) {
		json_t *example = json_object_get(parameter, "example");

		assert_non_null(json_string_value(json_object_get(parameter, "about")));
		assert_true(!example != !json_object_get(parameter, "default")); /* one of them */
		if (example)
			json_object_set(values, name, example);
	}
	policy = eg_template_fill(template, values, message, sizeof(message));
	if (!policy)
		fail_msg("%s: %s", path, message);
	text = json_dumps(policy, JSON_INDENT(2));
	check_text(path, text, strlen(text));
	free(text);
	json_decref(policy);
	json_decref(values);
	json_decref(template);
}

static size_t check_directory(const char *path, void (*check)(const char *))
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	if (!dir)
		fail_msg("%s can't be opened: run this in the repository's root", path);
	while ((entry = readdir(dir))) {
		char full[PATH_MAX];
		size_t length = strlen(entry->d_name);

		if (length < 6 || strcmp(entry->d_name + length - 5, ".json") != 0)
			continue;
		snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		check(full);
		count++;
	}
	closedir(dir);
	return count;
}

static void examples(void **state)
{
	(void)state;
	assert_true(check_directory("policies/examples", check_example) >= 9);
}

static void templates(void **state)
{
	(void)state;
	assert_true(check_directory("policies/templates", check_template) >= 8);
}

/* The filled policy, or "MESSAGE". */
static void assert_fills(const char *template, const char *values, const char *expected)
{
	json_t *from = json_loads(template, 0, NULL), *given = json_loads(values, 0, NULL), *policy;
	char message[400], *text = NULL;

	assert_non_null(from);
	assert_non_null(given);
	policy = eg_template_fill(from, given, message, sizeof(message));
	if (policy)
		text = json_dumps(policy, JSON_COMPACT);
	assert_string_equal(text ? text : message, expected);
	free(text);
	json_decref(policy);
	json_decref(given);
	json_decref(from);
}

#define TEMPLATE(parameters, policy) "{\"parameters\":" parameters ",\"policy\":" policy "}"

static void filling(void **state)
{
	const char *one = TEMPLATE("{\"a\":{\"default\":\"\"}}", "{\"x\":{\"y\":[\"${a}\"]},\"n\":1,\"z\":\"<${a}>\"}");

	(void)state;
	assert_fills(one, "{}", "{\"n\":1,\"z\":\"<>\"}"); /* what is empty goes, with what held it */
	assert_fills(one, "{\"a\":\"1, 2,,3\"}", "{\"x\":{\"y\":[\"1\",\"2\",\"3\"]},\"n\":1,\"z\":\"<1, 2,,3>\"}");
	assert_fills(one, "{\"a\":\"${app}\"}", "{\"x\":{\"y\":[\"${app}\"]},\"n\":1,\"z\":\"<${app}>\"}");
	assert_fills(TEMPLATE("{\"c\":{\"default\":\"s/${app}*\"}}", "{\"x\":\"${c}\",\"$\":\"${\"}"), "{\"app\":\"web\"}",
		     "{\"x\":\"s/web*\",\"$\":\"${\"}");
	assert_fills(TEMPLATE("{\"a\":{\"example\":\"1\"},\"b\":{}}", "{}"), "{}",
		     "this template also needs, for example, --set a=1 --set b=VALUE");
	assert_fills(TEMPLATE("{\"a\":{}}", "{}"), "{\"b\":\"1\"}", "this template has no parameter 'b'; it has a");
	assert_fills(TEMPLATE("{}", "{\"x\":\"${y}\"}"), "{}", "the template uses ${y} and says nothing about it");
	assert_fills(TEMPLATE("{\"a\":{\"default\":\"${a}\"}}", "{\"x\":\"${a}\"}"), "{}",
		     "the template's defaults refer to each other without end");
	assert_fills("{}", "{}", "this is no template: it lacks \"policy\" or \"parameters\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(templates), cmocka_unit_test(filling)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

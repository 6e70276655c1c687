// SPDX-License-Identifier: Apache-2.0
/* The policies that we ship are policies: each parses and compiles. Runs in the repository's root. */
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

static void check_file(const char *path)
{
	const struct eg_resolvers host = {.addr = {{.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 53}}}, .count = 1};
	struct eg_policy *policy = NULL;
	struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};
	char message[800];
	size_t len;
	char *text = read_whole(path, &len);
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
	free(text);
}

static size_t check_directory(const char *path)
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
		check_file(full);
		count++;
	}
	closedir(dir);
	return count;
}

static void examples(void **state)
{
	(void)state;
	assert_true(check_directory("policies/examples") >= 9);
}

static void templates(void **state)
{
	(void)state;
	assert_true(check_directory("policies/templates") >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(templates)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

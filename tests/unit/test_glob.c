// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/glob.h"

static void matches(void **state)
{
	static const struct {
		const char *pattern;
		const char *path;
		bool match;
	} rows[] = {
		{"a", "a", true},
		{"a", "ab", false},
		{"a*", "a", true},
		{"a*", "abc", true},
		{"a*", "ab/c", false}, /* '*' never crosses '/' */
		{"*", "a/b", false},
		{"*/b", "a/b", true},
		{"*/*", "a/b", true},
		{"a?c", "abc", true},
		{"a?c", "a/c", false},
		{"a*c*e", "abcde", true},
		{"a*c*e", "abcdef", false},
		{"*ab", "aab", true},
		{"*.scope", "x.scope.scope", true},
		{"m.slice/app-*.scope", "m.slice/app-hr.scope", true},
		{"m.slice/app-*.scope", "m.slice/app-hr.scope/below", false},
		{"m.slice/app-*.scope", "x/m.slice/app-hr.scope", false},
		{"a**b", "ab", true},
		{"", "", true},
		{"", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (eg_glob_match(rows[i].pattern, rows[i].path) != rows[i].match)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].path);
	}
}

/* What takes exponential time where stars are tried again and again. */
static void hostile_patterns_end(void **state)
{
	char path[4001], pattern[401];

	(void)state;
	memset(path, 'a', 4000);
	path[4000] = '\0';
	for (size_t i = 0; i < 400; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[400] = '\0';
	assert_true(eg_glob_match(pattern, path));
	pattern[399] = 'b';
	assert_false(eg_glob_match(pattern, path));
}

static void patterns_are_checked(void **state)
{
	static const char *const bad[] = {"", "/a", "a//b", "a/", "./a", "a/../b", "..", "a[bc]", "a\\b", "a\nb"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_glob_check(bad[i]), -EINVAL);
	assert_int_equal(eg_glob_check("m.slice/app-*.scope"), 0);
	assert_int_equal(eg_glob_check("..a/b..?"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches),
		cmocka_unit_test(hostile_patterns_end),
		cmocka_unit_test(patterns_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

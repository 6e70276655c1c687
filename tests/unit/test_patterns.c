// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../agent/core/patterns.h"

static void finds_the_app_of_a_path(void **state)
{
	struct eg_patterns patterns = {0};
	uint32_t slot = 0;

	(void)state;
	assert_int_equal(eg_patterns_add(&patterns, "apps.slice/app-a*.scope", 1), 0);
	assert_int_equal(eg_patterns_add(&patterns, "apps.slice/app-b.scope", 2), 0);
	assert_int_equal(eg_patterns_add(&patterns, "*/c", 3), 0);
	assert_int_equal(eg_patterns_match(&patterns, "apps.slice/app-a-17.scope", &slot), EG_PATTERNS_ONE);
	assert_int_equal(slot, 1);
	assert_int_equal(eg_patterns_match(&patterns, "apps.slice/app-b.scope", &slot), EG_PATTERNS_ONE);
	assert_int_equal(slot, 2);
	assert_int_equal(eg_patterns_match(&patterns, "other/c", &slot), EG_PATTERNS_ONE);
	assert_int_equal(slot, 3);
	assert_int_equal(eg_patterns_match(&patterns, "apps.slice/app-b.scope/below", &slot), EG_PATTERNS_NONE);
	assert_int_equal(eg_patterns_match(&patterns, "apps.slice", &slot), EG_PATTERNS_NONE);
	eg_patterns_clear(&patterns);
}

static void tells_two_apps_from_two_patterns(void **state)
{
	struct eg_patterns patterns = {0};
	uint32_t slot = 0;

	(void)state;
	assert_int_equal(eg_patterns_add(&patterns, "s/x*", 1), 0);
	assert_int_equal(eg_patterns_add(&patterns, "s/*y", 1), 0);
	assert_int_equal(eg_patterns_match(&patterns, "s/xy", &slot), EG_PATTERNS_ONE);
	assert_int_equal(eg_patterns_add(&patterns, "s/?y", 2), 0);
	assert_int_equal(eg_patterns_match(&patterns, "s/xy", &slot), EG_PATTERNS_SEVERAL);
	assert_int_equal(eg_patterns_match(&patterns, "s/xyz", &slot), EG_PATTERNS_ONE);
	eg_patterns_empty(&patterns);
	assert_int_equal(eg_patterns_match(&patterns, "s/xy", &slot), EG_PATTERNS_NONE);
	eg_patterns_clear(&patterns);
}

static void finds_one_among_ten_thousand(void **state)
{
	struct eg_patterns patterns = {0};
	char text[40], path[64]; /* the texts are the index's own */
	uint32_t slot = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "apps.slice/app-%05u-*.scope", i);
		assert_int_equal(eg_patterns_add(&patterns, text, i + 1), 0);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "apps.slice/app-%05u-run%u.scope", i, i * 7);
		assert_int_equal(eg_patterns_match(&patterns, path, &slot), EG_PATTERNS_ONE);
		assert_int_equal(slot, i + 1);
	}
	eg_patterns_clear(&patterns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_app_of_a_path),
		cmocka_unit_test(tells_two_apps_from_two_patterns),
		cmocka_unit_test(finds_one_among_ten_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../agent/core/alert_window.h"

#define SECOND 1000000000ull

static void counts_what_came_within_it(void **state)
{
	struct eg_alert_window w;

	(void)state;
	eg_alert_window_begin(&w, 60 * SECOND, 0, 1000);
	assert_int_equal(eg_alert_window_add(&w, SECOND, 1005), 5);
	assert_int_equal(eg_alert_window_add(&w, 2 * SECOND, 1005), 5);
	for (uint64_t s = 3; s <= 60; s++)
		assert_int_equal(eg_alert_window_add(&w, s * SECOND, 1005), 5);
	assert_int_equal(eg_alert_window_add(&w, 62 * SECOND, 1006), 1); /* the five are more than a minute ago */
	assert_int_equal(eg_alert_window_add(&w, 1000 * SECOND, 1006), 0);
}

static void a_counter_that_began_anew_counts_nothing(void **state)
{
	struct eg_alert_window w;

	(void)state;
	eg_alert_window_begin(&w, 10 * SECOND, 0, 1000);
	assert_int_equal(eg_alert_window_add(&w, SECOND, 3), 0);
}

/* Against all samples: never less than what came within, never more than what came within a 60th more and a second. */
static void never_misses_any(void **state)
{
	static uint64_t at[4000], value[4000];
	const uint64_t pers[] = {SECOND, 7 * SECOND, 60 * SECOND, 3600 * SECOND};

	(void)state;
	srandom(7);
	for (size_t p = 0; p < sizeof(pers) / sizeof(pers[0]); p++) {
		uint64_t slack = pers[p] / 60 + 2 * SECOND;
		struct eg_alert_window w;

		at[0] = value[0] = 0;
		eg_alert_window_begin(&w, pers[p], 0, 0);
		for (size_t i = 1; i < 4000; i++) {
			uint64_t least = 0, most = 0, got;

			at[i] = at[i - 1] + SECOND + (uint64_t)random() % (SECOND / 4);
			value[i] = value[i - 1] + (uint64_t)(random() % 3 ? 0 : random() % 100);
			got = eg_alert_window_add(&w, at[i], value[i]);
			for (size_t j = i; j-- > 0;) {
				if (at[j] + pers[p] >= at[i])
					least = value[i] - value[j];
				most = value[i] - value[j];
				if (at[j] + pers[p] + slack < at[i])
					break;
			}
			assert_true(got >= least);
			assert_true(got <= most);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_came_within_it),
		cmocka_unit_test(a_counter_that_began_anew_counts_nothing),
		cmocka_unit_test(never_misses_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

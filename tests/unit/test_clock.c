// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../agent/core/clock.h"

#define MS 1000000ull

/* What went before the wait is part of it: a kill answers within 100 ms, slow disk and many sockets together. */
static void test_ms_left(void **state)
{
	(void)state;
	assert_int_equal(eg_clock_ms_left(5 * MS, 5 * MS, 100), 100);
	assert_int_equal(eg_clock_ms_left(5 * MS, 35 * MS, 100), 70);
	assert_int_equal(eg_clock_ms_left(5 * MS, 35 * MS + MS - 1, 100), 70);
	assert_int_equal(eg_clock_ms_left(5 * MS, 104 * MS, 100), 1);
	assert_int_equal(eg_clock_ms_left(5 * MS, 105 * MS, 100), 0);
	assert_int_equal(eg_clock_ms_left(5 * MS, UINT64_MAX, 100), 0);
	assert_int_equal(eg_clock_ms_left(5 * MS, 4 * MS, 100), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ms_left)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

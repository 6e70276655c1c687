// SPDX-License-Identifier: Apache-2.0
/* When a backlog is gone, from what waited in the last minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../agent/ship/pace.h"

#define SECOND 1000000000ull
#define LATE   60000u /* ms */

static struct eg_pace pace;
static uint64_t now_ns, eta_ms;

static int begin(void **state)
{
	(void)state;
	pace = (struct eg_pace){0};
	now_ns = 7 * SECOND;
	return 0;
}

/* One look, a second after the one before. */
static enum eg_backlog look(uint64_t events, uint64_t lag_ms)
{
	now_ns += SECOND;
	return eg_pace_look(&pace, now_ns, events, lag_ms, &eta_ms);
}

/* That many seconds, in each of which so many more wait. */
static enum eg_backlog go_on(uint64_t *events, int64_t more, unsigned seconds)
{
	enum eg_backlog backlog = EG_BACKLOG_NONE;

	for (unsigned i = 0; i < seconds; i++) {
		*events += (uint64_t)more;
		backlog = look(*events, LATE);
	}
	return backlog;
}

static void test_nothing_that_is_late(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(look(0, 0), EG_BACKLOG_NONE);
		assert_int_equal(look(5000, EG_PACE_LATE_MS - 1), EG_BACKLOG_NONE); /* on its way */
		assert_int_equal(look(0, LATE), EG_BACKLOG_NONE);
		assert_int_equal(eta_ms, 0);
	}
}

static void test_measured_before_it_is_told(void **state)
{
	uint64_t events = 10000;

	(void)state;
	assert_int_equal(go_on(&events, -100, 5), EG_BACKLOG_MEASURING);
	assert_int_equal(eta_ms, 0);
	assert_int_equal(go_on(&events, -100, 1), EG_BACKLOG_SHRINKING);
	assert_int_equal(eta_ms, 94000); /* 9,400 left, 100 a second */
}

/* The rate is that of the last minute, however it was before. */
static void test_the_last_minute(void **state)
{
	uint64_t events = 1000000;

	(void)state;
	go_on(&events, -1000, 200);
	assert_int_equal(eta_ms, 800000);
	assert_int_equal(go_on(&events, -100, 61), EG_BACKLOG_SHRINKING);
	assert_int_equal(eta_ms, events * 10);
	assert_int_equal(go_on(&events, -(int64_t)events / 8, 7), EG_BACKLOG_SHRINKING);
	assert_int_equal(look(0, LATE), EG_BACKLOG_NONE);
}

static void test_not_shrinking(void **state)
{
	uint64_t events = 10000;

	(void)state;
	assert_int_equal(go_on(&events, 0, 100), EG_BACKLOG_NOT_SHRINKING);
	assert_int_equal(eta_ms, 0);
	assert_int_equal(go_on(&events, 1000, 100), EG_BACKLOG_NOT_SHRINKING);
	/* One a minute of a hundred million: a month would not do. */
	events = 100000000;
	go_on(&events, 0, 61);
	assert_int_equal(look(events - 1, LATE), EG_BACKLOG_NOT_SHRINKING);
	assert_int_equal(eta_ms, 0);
}

/* It is told within seconds, though a minute ago there was less. */
static void test_back_from_an_outage(void **state)
{
	uint64_t events = 10000;

	(void)state;
	assert_int_equal(go_on(&events, 1000, 100), EG_BACKLOG_NOT_SHRINKING);
	assert_int_equal(go_on(&events, -500, 14), EG_BACKLOG_SHRINKING);
	assert_int_equal(go_on(&events, -500, 60), EG_BACKLOG_SHRINKING);
	assert_int_equal(eta_ms, events * 2);
}

/* A receiver that takes some every half minute (Retry-After) makes progress. */
static void test_now_and_then(void **state)
{
	uint64_t events = 10000;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		go_on(&events, 0, 29);
		go_on(&events, -500, 1);
		if (i > 2) {
			assert_int_equal(look(events, LATE), EG_BACKLOG_SHRINKING);
			assert_in_range(eta_ms, events * 59 * 9 / 10, events * 61 * 11 / 10); /* 1,000 a minute */
		}
	}
}

/* Looks that come more often (a state changed) do not shorten the minute. */
static void test_looks_in_between(void **state)
{
	uint64_t events = 100000;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		now_ns += SECOND / 10;
		events -= 10;
		eg_pace_look(&pace, now_ns, events, LATE, &eta_ms);
	}
	assert_in_range(eta_ms, events * 10 - 1000, events * 10 + 1000);
	assert_true(now_ns - pace.samples[(pace.next + EG_PACE_SAMPLES - pace.count) % EG_PACE_SAMPLES].mono_ns >= 50 * SECOND);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(eg_backlog_name(EG_BACKLOG_NONE), "none");
	assert_string_equal(eg_backlog_name(EG_BACKLOG_MEASURING), "measuring");
	assert_string_equal(eg_backlog_name(EG_BACKLOG_SHRINKING), "shrinking");
	assert_string_equal(eg_backlog_name(EG_BACKLOG_NOT_SHRINKING), "not_shrinking");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_that_is_late, begin),
		cmocka_unit_test_setup(test_measured_before_it_is_told, begin),
		cmocka_unit_test_setup(test_the_last_minute, begin),
		cmocka_unit_test_setup(test_not_shrinking, begin),
		cmocka_unit_test_setup(test_back_from_an_outage, begin),
		cmocka_unit_test_setup(test_now_and_then, begin),
		cmocka_unit_test_setup(test_looks_in_between, begin),
		cmocka_unit_test_setup(test_names, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Roll-up in the engine: windows, and what a crash at their edges leaves. */
#include "ship_fixture.h"

static unsigned count_of(const char *member)
{
	unsigned count = 0;

	pthread_mutex_lock(&receiver.lock);
	for (size_t i = 0; i < receiver.count; i++)
		count += strstr(receiver.seen[i], member) != NULL;
	pthread_mutex_unlock(&receiver.lock);
	return count;
}

static uint64_t sum_of(const char *member)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&receiver.lock);
	for (size_t i = 0; i < receiver.count; i++) {
		json_t *event = json_loads(receiver.seen[i], 0, NULL);

		sum += (uint64_t)json_integer_value(json_object_get(event, member));
		json_decref(event);
	}
	pthread_mutex_unlock(&receiver.lock);
	return sum;
}

/* 300 flows, one a second: five windows of a minute, of which the last one is not over. */
static void test_windows_by_the_clock_of_events(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	add_flows(1, 300, 0);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 240 && report.held);
	assert_int_equal(report.held, 60);
	assert_adds_up(&report, 300);
	assert_int_equal(receiver.count, 4);
	assert_int_equal(count_of("\"phase\":\"rollup\""), 4);
	assert_int_equal(sum_of("flows"), 240);
	assert_int_equal(sum_of("bytes_out"), 2400);
	assert_int_equal(times_seen("h-1-1-r"), 1);
	assert_int_equal(times_seen("h-1-61-r"), 1);
	stop_sink(sink);
}

static void test_denials_do_not_wait_for_a_window(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	add_flows(1, 5, 0);
	add_denials(6, 8);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 3);
	assert_int_equal(report.held, 5);
	assert_int_equal(count_of("\"type\":\"deny\""), 3);
	assert_adds_up(&report, 8);
	stop_sink(sink);
	/* What was held is held by the next one, too. */
	sink = start_sink();
	add_flows(9, 10, 3600);
	WAIT_FOR(sink, report, report.tally.delivered == 8 && report.held);
	assert_int_equal(report.held, 2);
	assert_int_equal(times_seen("h-1-1-r"), 1);
	assert_int_equal(sum_of("flows"), 5);
	assert_int_equal(receiver.count, 4);
	stop_sink(sink);
}

/* Nothing comes any more: the window ends by the clock on the wall. */
static void test_window_ends_in_silence(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	sink_config.rollup_ns = SHIP_SECOND / 10;
	add_flows(1, 1, 0);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 1);
	assert_int_equal(report.held, 0);
	stop_sink(sink);
}

static void test_clock_set_back_ends_a_window(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	add_flows(1, 10, 3000);
	add_flows(11, 20, 0); /* 50 minutes before */
	add_flows(21, 30, 3000);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 20 && report.held);
	assert_int_equal(report.held, 10);
	assert_int_equal(receiver.count, 2);
	assert_int_equal(sum_of("flows"), 20);
	stop_sink(sink);
}

/* ---- Crashes ------------------------------------------------------------------------------------- */

static char *refused_text;

static void keep_and_refuse(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)r;
	(void)count;
	free(refused_text);
	refused_text = strdup(items[0].text);
	result->outcome = EG_OUTCOME_RETRY;
	result->retry_after_ns = 600 * SHIP_SECOND;
}

static void test_a_second_try_has_the_same_bytes(void **state)
{
	struct eg_sink_report report;
	struct eg_cursor cursor;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	receiver.judge = keep_and_refuse;
	add_flows(1, 100, 0);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_RETRYING);
	/* The boundary is on disk while nothing of the window is delivered. */
	assert_int_equal(eg_cursor_load(cursor_fd, "a", &cursor), 0);
	assert_true(cursor.closing);
	assert_int_equal(cursor.close.n, 61);
	assert_int_equal(cursor.held, 60);
	stop_sink(sink);
	/* More came meanwhile, also of that minute: it is of the next window. */
	add_flows(101, 130, 30);
	receiver.judge = NULL;
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered >= 60);
	assert_string_equal(receiver.seen[0], refused_text);
	stop_sink(sink);
	free(refused_text);
	refused_text = NULL;
}

static void test_evicted_from_a_window(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	add_flows(1, 10, 0);
	add_flows(11, 20, 10);
	add_flows(21, 30, 20);
	sink = start_sink();
	WAIT_FOR(sink, report, report.held == 30);
	stop_sink(sink);
	remove_segment(spool_dir, 1, 1);
	remove_segment(spool_dir, 1, 11);
	add_flows(31, 31, 120);
	sink = start_sink();
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 30 && report.held == 1);
	assert_int_equal(report.tally.evicted, 20);
	assert_int_equal(report.held, 1);
	assert_adds_up(&report, 31);
	assert_int_equal(sum_of("flows"), 10);
	stop_sink(sink);
}

/* "flows": "full" now: what was held before goes as a roll-up all the same. */
static void test_full_from_now_on(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.flows_full = false;
	add_flows(1, 10, 0);
	sink = start_sink();
	WAIT_FOR(sink, report, report.held == 10);
	stop_sink(sink);
	sink_config.flows_full = true;
	sink_config.rollup_ns = SHIP_SECOND / 10;
	add_flows(11, 12, 10);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 12);
	assert_int_equal(count_of("\"phase\":\"rollup\""), 1);
	assert_int_equal(count_of("\"phase\":\"end\""), 2);
	stop_sink(sink);
}

/* ---- Bounds ------------------------------------------------------------------------------------------ */

/* More groups than there is room for: the window is cut short, and every flow is in one of its parts. */
static void test_more_groups_than_room(void **state)
{
	enum { FLOWS = 5000 };
	struct eg_sink_report report;
	struct bytes b = {0};
	struct eg_sink *sink;
	char line[512];

	(void)state;
	sink_config.flows_full = false;
	sink_config.batch_events = 1000;
	for (unsigned n = 1; n <= FLOWS; n++) {
		snprintf(line, sizeof(line),
			 "{\"schema\":1,\"ts\":\"2026-01-01T00:00:00.000000001Z\",\"type\":\"flow\",\"event_id\":\"h-1-%u\",\"host\":\"h\","
			 "\"app\":\"a\",\"direction\":\"egress\",\"dst\":\"10.0.%u.%u\",\"phase\":\"end\",\"flow_id\":\"%u\","
			 "\"verdict\":\"allow\",\"bytes_out\":3}\n",
			 n, n / 256, n % 256, n);
		add_line(&b, n, line);
	}
	put_segment(spool_dir, 1, 1, b);
	add_flows(FLOWS + 1, FLOWS + 1, 600);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == FLOWS && report.held);
	assert_int_equal(report.held, 1);
	assert_int_equal(receiver.count, FLOWS);
	assert_int_equal(sum_of("flows"), FLOWS);
	assert_int_equal(sum_of("bytes_out"), 3 * FLOWS);
	stop_sink(sink);
}

#define SINK_TEST(name) cmocka_unit_test_setup_teardown(name, ship_setup, ship_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SINK_TEST(test_windows_by_the_clock_of_events), SINK_TEST(test_denials_do_not_wait_for_a_window),
		SINK_TEST(test_window_ends_in_silence),		SINK_TEST(test_clock_set_back_ends_a_window),
		SINK_TEST(test_a_second_try_has_the_same_bytes), SINK_TEST(test_evicted_from_a_window),
		SINK_TEST(test_full_from_now_on),		SINK_TEST(test_more_groups_than_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

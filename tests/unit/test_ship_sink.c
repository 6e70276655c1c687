// SPDX-License-Identifier: Apache-2.0
#include "ship_fixture.h"

#define NEW_YEAR_NS (1767225600 * SHIP_SECOND + 1) /* "ts" of what add_denials makes */

/* ---- The way of an event --------------------------------------------------------------------------- */

static void test_everything_once_and_in_order(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	add_denials(1, 250);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 250);
	assert_int_equal(report.state, EG_SINK_OK);
	assert_string_equal(report.note, "there was no cursor: it began at the oldest event in the spool");
	assert_int_equal(receiver.count, 250);
	assert_int_equal(receiver.requests, 3); /* 100, 100, 50 */
	for (unsigned n = 1; n <= 250; n++) {
		char member[64];

		snprintf(member, sizeof(member), "\"event_id\":\"h-1-%u\"", n);
		assert_non_null(strstr(receiver.seen[n - 1], member));
	}
	/* What comes later comes, too. */
	add_denials(251, 260);
	WAIT_FOR(sink, report, report.tally.delivered == 260);
	assert_adds_up(&report, 260);
	stop_sink(sink);
	/* The next one begins where this one ended. */
	sink = start_sink();
	add_denials(261, 261);
	WAIT_FOR(sink, report, report.tally.delivered == 261);
	assert_string_equal(report.note, "");
	assert_int_equal(receiver.count, 261);
	stop_sink(sink);
}

static void test_filtered_is_counted(void **state)
{
	char *types[] = {"kill", NULL};
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	sink_config.types = types;
	add_denials(1, 50);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.filtered == 50);
	assert_adds_up(&report, 50);
	assert_int_equal(receiver.requests, 0);
	stop_sink(sink);
}

/* ---- What waits ---------------------------------------------------------------------------------------- */

static struct eg_sink *_Atomic looked_at;
static struct eg_sink_report between, during;

/* As the first batch is settled, and the second one is not made yet. */
static void look_between(void *ctx)
{
	(void)ctx;
	if (receiver.requests == 1)
		eg_sink_report(looked_at, &between);
}

static void look_during(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)items;
	(void)count;
	while (!looked_at) /* the first one goes out before the sink is ours to look at */
		nap();
	if (r->requests == 2)
		eg_sink_report(looked_at, &during);
	result->outcome = EG_OUTCOME_DELIVERED;
}

/* While one batch after the other goes out, the age of what waits is told, and not none. */
static void test_a_backlog_that_shrinks_is_late(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	add_denials(1, 250);
	receiver.judge = look_during;
	sink_place = (struct eg_sink_place){.spool_dir = spool_dir, .cursor_fd = cursor_fd, .host = "h",
					    .changed = look_between, .tested = on_tested};
	assert_int_equal(eg_sink_start(&sink_place, &sink_config, &double_protocol, &sink), 0);
	looked_at = sink;
	WAIT_FOR(sink, report, report.tally.delivered == 250 && !report.oldest_ns);
	assert_int_equal(between.tally.delivered, 100);
	assert_int_equal(between.waiting, 0);
	assert_true(between.oldest_ns == NEW_YEAR_NS);
	assert_int_equal(during.waiting, 100);
	assert_true(during.oldest_ns == NEW_YEAR_NS);
	stop_sink(sink);
}

/* ---- Trouble ------------------------------------------------------------------------------------------ */

static void fail_twice(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)items;
	(void)count;
	if (r->requests > 2)
		return;
	result->outcome = EG_OUTCOME_RETRY;
	result->status = 503;
	snprintf(result->error, sizeof(result->error), "HTTP 503: busy");
}

static void test_retried_until_it_arrives(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	receiver.judge = fail_twice;
	add_denials(1, 30);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_RETRYING);
	assert_string_equal(report.last_error, "HTTP 503: busy");
	assert_int_equal(report.waiting, 30);
	assert_true(report.oldest_ns > 0);
	assert_adds_up(&report, 30);
	WAIT_FOR(sink, report, report.tally.delivered == 30);
	assert_int_equal(report.retries, 2);
	assert_int_equal(report.requests, 3);
	assert_int_equal(receiver.count, 30);
	assert_true(report.last_success_ns > 0);
	stop_sink(sink);
}

static void always_busy(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)r;
	(void)items;
	(void)count;
	result->outcome = EG_OUTCOME_RETRY;
	result->retry_after_ns = 600 * SHIP_SECOND;
}

static void test_ends_at_once_in_an_outage(void **state)
{
	struct eg_sink_report report;
	struct timespec begun, ended;
	struct eg_sink *sink;

	(void)state;
	receiver.judge = always_busy;
	add_denials(1, 150);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_RETRYING);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	stop_sink(sink);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_true(ended.tv_sec - begun.tv_sec < 5);
	/* Nothing was taken for delivered. */
	receiver.judge = NULL;
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 150);
	assert_int_equal(receiver.count, 150);
	stop_sink(sink);
}

static void refuse_77(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)r;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(items[i].id, "h-1-77") == 0) {
			result->outcome = EG_OUTCOME_SPLIT;
			result->status = 400;
			snprintf(result->error, sizeof(result->error), "HTTP 400: mapper_parsing_exception");
		}
	}
}

static void test_one_poison_is_buried(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;
	char line[2048] = "";
	int fd;

	(void)state;
	receiver.judge = refuse_77;
	add_denials(1, 100);
	sink = start_sink();
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 100);
	assert_int_equal(report.tally.delivered, 99);
	assert_int_equal(report.tally.dead_lettered, 1);
	assert_int_equal(times_seen("h-1-77"), 0);
	assert_int_equal(times_seen("h-1-76"), 1);
	assert_int_equal(times_seen("h-1-78"), 1);
	assert_true(receiver.requests <= 15); /* 1 + 2 log2 100 */
	fd = openat(cursor_fd, "a.dead", O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, line, sizeof(line) - 1) > 0);
	close(fd);
	assert_non_null(strstr(line, "\"event_id\":\"h-1-77\",\"error\":\"HTTP 400: mapper_parsing_exception\""));
	assert_non_null(strstr(report.last_error, "h-1-77"));
	stop_sink(sink);
}

static void mixed_items(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	result->has_items = true;
	result->outcome = EG_OUTCOME_RETRY;
	for (size_t i = 0; i < count; i++) {
		unsigned n = (unsigned)atoi(items[i].id + 4);

		result->items[i] = n == 5 ? EG_OUTCOME_SPLIT : n % 2 && r->requests == 1 ? EG_OUTCOME_RETRY : EG_OUTCOME_DELIVERED;
	}
}

static void test_items_are_settled_one_by_one(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	receiver.judge = mixed_items;
	add_denials(1, 40);
	sink = start_sink();
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 40);
	assert_int_equal(report.tally.dead_lettered, 1);
	assert_int_equal(receiver.requests, 2);
	for (unsigned n = 1; n <= 40; n++) {
		char id[32];

		snprintf(id, sizeof(id), "h-1-%u", n);
		assert_int_equal(times_seen(id), n != 5);
	}
	stop_sink(sink);
}

static void too_large(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	size_t bytes = 0;

	(void)r;
	for (size_t i = 0; i < count; i++)
		bytes += items[i].len;
	if (bytes <= 6000)
		return;
	result->outcome = EG_OUTCOME_SPLIT;
	result->status = 413;
}

static void test_413_makes_batches_smaller(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;
	unsigned before;

	(void)state;
	receiver.judge = too_large;
	add_denials(1, 100);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 100);
	before = receiver.requests;
	/* From now on what is sent fits from the start. */
	add_denials(101, 130);
	WAIT_FOR(sink, report, report.tally.delivered == 130);
	assert_int_equal(report.tally.dead_lettered, 0);
	assert_true(receiver.requests - before <= 3);
	assert_true(receiver.largest <= 6000);
	stop_sink(sink);
}

static void refuse_all(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)r;
	(void)items;
	(void)count;
	result->outcome = EG_OUTCOME_SPLIT;
	result->status = 400;
	snprintf(result->error, sizeof(result->error), "HTTP 400: no such index");
}

/* A receiver that refuses everything does not turn the whole log into dead letters. */
static void test_refusing_everything_pauses(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	receiver.judge = refuse_all;
	add_denials(1, 100);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_PAUSED);
	assert_int_equal(report.tally.dead_lettered, 16);
	assert_non_null(strstr(report.last_error, "may not be the events: HTTP 400: no such index"));
	assert_adds_up(&report, 100);
	stop_sink(sink);
}

static void refuse_items(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)items;
	if (r->requests == 2) /* what comes after the first batch is taken */
		return;
	result->has_items = true;
	result->outcome = EG_OUTCOME_DELIVERED;
	for (size_t i = 0; i < count; i++)
		result->items[i] = EG_OUTCOME_SPLIT;
	snprintf(result->error, sizeof(result->error), "partialSuccess: 1 rejected");
}

/* One answer that gives up a whole batch is one refusal, and what comes next shows whether it was the events. */
static void test_a_batch_refused_by_items(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	receiver.judge = refuse_items;
	add_denials(1, 300);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.dead_lettered == 200);
	assert_int_equal(report.tally.delivered, 100);
	assert_int_equal(receiver.requests, 3);
	assert_adds_up(&report, 300);
	stop_sink(sink);
}

static void test_paused_until_a_file_changes(void **state)
{
	char token[128];
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	snprintf(token, sizeof(token), "%s/token", ship_dir);
	sink_config.token_file = token;
	receiver.open_fails = true;
	add_denials(1, 3);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_PAUSED);
	assert_string_equal(report.last_error, "token_file can't be read");
	assert_true(report.oldest_ns > 0); /* how late it is, is known all the same */
	receiver.open_fails = false;
	put_file(token, O_TRUNC, "x", 1);
	WAIT_FOR(sink, report, report.tally.delivered == 3);
	assert_int_equal(receiver.opens, 2);
	stop_sink(sink);
}

static char late_token[128];

/* Its answer to the old credentials comes when the new ones are in their place. */
static void refuse_late(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)items;
	(void)count;
	if (r->requests > 1)
		return;
	put_file(late_token, O_TRUNC, "new", 3);
	result->outcome = EG_OUTCOME_PAUSE;
	snprintf(result->error, sizeof(result->error), "HTTP 401");
}

static void refuse(struct receiver *r, const struct eg_item *items, size_t count, struct eg_result *result)
{
	(void)r;
	(void)items;
	(void)count;
	result->outcome = EG_OUTCOME_PAUSE;
}

/*
 * A change that was made while the receiver thought about the last try ends the pause as well: a minute is not waited.
 * It counts once: credentials that were taken and later are not are no news.
 */
static void test_a_file_that_changed_before_the_refusal(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	snprintf(late_token, sizeof(late_token), "%s/token", ship_dir);
	put_file(late_token, O_TRUNC, "x", 1);
	sink_config.token_file = late_token;
	receiver.judge = refuse_late;
	add_denials(1, 3);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_PAUSED);
	assert_string_equal(report.last_error, "HTTP 401");
	WAIT_FOR(sink, report, report.tally.delivered == 3);
	assert_int_equal(receiver.requests, 2);
	assert_int_equal(report.retries, 1);
	assert_int_equal(receiver.count, 3);
	assert_adds_up(&report, 3);
	pthread_mutex_lock(&receiver.lock);
	receiver.judge = refuse;
	pthread_mutex_unlock(&receiver.lock);
	add_denials(4, 4);
	WAIT_FOR(sink, report, report.state == EG_SINK_PAUSED);
	for (int i = 0; i < 500; i++) /* longer than until it looks at the files */
		nap();
	eg_sink_report(sink, &report);
	assert_int_equal(report.requests, 3);
	stop_sink(sink);
}

/* ---- The spool ------------------------------------------------------------------------------------------ */

static void test_evicted_is_counted(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	add_denials(1, 10);
	add_denials(11, 30);
	add_denials(31, 40);
	remove_segment(spool_dir, 1, 11);
	sink = start_sink();
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 40);
	assert_int_equal(report.tally.evicted, 20);
	assert_int_equal(report.tally.delivered, 20);
	stop_sink(sink);
}

static void test_damaged_cursor_begins_anew(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;
	char path[128];

	(void)state;
	add_denials(1, 10);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 10);
	stop_sink(sink);
	snprintf(path, sizeof(path), "%s/a.cursor", ship_dir);
	put_file(path, O_TRUNC, "egret-cursor-1 9 9 9", 20);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 10);
	assert_non_null(strstr(report.note, "damaged"));
	assert_int_equal(receiver.count, 20);
	stop_sink(sink);
}

static void test_what_is_no_event_is_buried(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;
	struct bytes b = {0};
	char line[512];

	(void)state;
	add_line(&b, 1, "this is no JSON\n");
	add_line(&b, 2, "[]\n");
	snprintf(line, sizeof(line), DENY_LINE, 3u);
	add_line(&b, 3, line);
	put_segment(spool_dir, 1, 1, b);
	sink = start_sink();
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 3);
	assert_int_equal(report.tally.dead_lettered, 2);
	assert_int_equal(report.tally.delivered, 1);
	assert_int_equal(receiver.count, 1);
	stop_sink(sink);
}

/* ---- This host's own trouble --------------------------------------------------------------------------------- */

/* A directory in the place of a file that is to be written. */
static void block(const char *name)
{
	assert_int_equal(mkdirat(cursor_fd, name, 0700), 0);
}

static void unblock(const char *name)
{
	assert_int_equal(unlinkat(cursor_fd, name, AT_REMOVEDIR), 0);
}

static void test_cursor_can_not_be_written(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	block("a.cursor.new");
	add_denials(1, 10);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_FAILING);
	assert_non_null(strstr(report.last_error, "the cursor can't be written"));
	assert_int_equal(receiver.count, 10); /* and nothing more is sent until it can */
	add_denials(11, 20);
	unblock("a.cursor.new");
	WAIT_FOR(sink, report, report.tally.delivered == 20);
	assert_int_equal(receiver.count, 20);
	stop_sink(sink);
}

static void test_dead_letter_can_not_be_written(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;

	(void)state;
	block("a.dead");
	receiver.judge = refuse_77;
	add_denials(71, 80);
	sink = start_sink();
	WAIT_FOR(sink, report, report.state == EG_SINK_FAILING);
	assert_int_equal(report.tally.dead_lettered, 0); /* it is not given up */
	assert_true(report.waiting > 0);
	unblock("a.dead");
	WAIT_FOR(sink, report, eg_tally_settled(&report.tally) == 10);
	assert_int_equal(report.tally.dead_lettered, 1);
	assert_int_equal(report.tally.delivered, 9);
	stop_sink(sink);
}

/* ---- Tests by people --------------------------------------------------------------------------------------- */

static void test_test_event(void **state)
{
	struct eg_sink_report report;
	struct eg_sink *sink;
	unsigned before = atomic_load(&tests_done);

	(void)state;
	add_denials(1, 1);
	sink = start_sink();
	WAIT_FOR(sink, report, report.tally.delivered == 1);
	assert_int_equal(eg_sink_test(sink, 42), 0);
	while (atomic_load(&tests_done) == before)
		nap();
	assert_int_equal(last_tested.id, 42);
	assert_int_equal(last_tested.result.outcome, EG_OUTCOME_DELIVERED);
	assert_non_null(strstr(receiver.seen[1], "\"action\":\"sink_test\""));
	eg_sink_report(sink, &report);
	assert_int_equal(report.tally.delivered, 1); /* it is in no tally */
	/* Also in an outage, and it says what came back. */
	receiver.judge = refuse_all;
	assert_int_equal(eg_sink_test(sink, 43), 0);
	while (atomic_load(&tests_done) == before + 1)
		nap();
	assert_int_equal(last_tested.id, 43);
	assert_int_equal(last_tested.result.status, 400);
	assert_string_equal(last_tested.result.error, "HTTP 400: no such index");
	stop_sink(sink);
}

#define SINK_TEST(name) cmocka_unit_test_setup_teardown(name, ship_setup, ship_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SINK_TEST(test_everything_once_and_in_order), SINK_TEST(test_filtered_is_counted),
		SINK_TEST(test_a_backlog_that_shrinks_is_late),
		SINK_TEST(test_retried_until_it_arrives),     SINK_TEST(test_ends_at_once_in_an_outage),
		SINK_TEST(test_one_poison_is_buried),	      SINK_TEST(test_items_are_settled_one_by_one),
		SINK_TEST(test_413_makes_batches_smaller),    SINK_TEST(test_refusing_everything_pauses),
		SINK_TEST(test_paused_until_a_file_changes),  SINK_TEST(test_a_file_that_changed_before_the_refusal),
		SINK_TEST(test_a_batch_refused_by_items),  SINK_TEST(test_evicted_is_counted),
		SINK_TEST(test_damaged_cursor_begins_anew),   SINK_TEST(test_what_is_no_event_is_buried),
		SINK_TEST(test_cursor_can_not_be_written),    SINK_TEST(test_dead_letter_can_not_be_written),
		SINK_TEST(test_test_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

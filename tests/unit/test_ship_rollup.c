// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/ship/rollup.h"

static struct eg_rollup *begin(void)
{
	struct eg_rollup *rollup = NULL;

	assert_int_equal(eg_rollup_new(&rollup), 0);
	return rollup;
}

static int add_text(struct eg_rollup *rollup, const char *text)
{
	json_t *event = json_loads(text, 0, NULL);
	int r;

	assert_non_null(event);
	r = eg_rollup_add(rollup, event, text, strlen(text));
	json_decref(event);
	return r;
}

/* A flow of `app` to 10.0.0.1: its id, its phase, its bytes so far, when. */
static int add(struct eg_rollup *rollup, const char *app, unsigned id, const char *phase, unsigned bytes, unsigned second)
{
	char text[600];

	snprintf(text, sizeof(text),
		 "{\"schema\":1,\"ts\":\"2026-01-01T00:00:%02u.000000000Z\",\"type\":\"flow\",\"event_id\":\"h-1-%u%u\","
		 "\"host\":\"h\",\"app\":\"%s\",\"seq\":9,\"pid\":7,\"direction\":\"egress\",\"proto\":\"tcp\",\"src_port\":%u,"
		 "\"dst\":\"10.0.0.1\",\"dst_port\":443,\"phase\":\"%s\",\"flow_id\":\"1-1-%u\",\"rule\":\"db\",\"verdict\":\"allow\","
		 "\"bytes_out\":%u,\"bytes_in\":%u,\"packets_out\":1,\"packets_in\":2,"
		 "\"start\":\"2026-01-01T00:00:%02u.000000000Z\",\"duration_ms\":3}",
		 second, id, second, app, id, phase, id, bytes, 2 * bytes, second / 2);
	return add_text(rollup, text);
}

static json_int_t number(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* ---- What one event says ----------------------------------------------------------------------- */

static void test_many_flows_are_one_event(void **state)
{
	struct eg_rollup *rollup = begin();
	json_t *event;

	(void)state;
	assert_int_equal(add(rollup, "a", 1, "start", 0, 10), 0);
	assert_int_equal(add(rollup, "a", 1, "end", 100, 12), 0);
	assert_int_equal(add(rollup, "a", 2, "end", 50, 30), 0);
	assert_int_equal(eg_rollup_count(rollup), 1);
	assert_int_equal(eg_rollup_records(rollup, 0), 3);
	event = eg_rollup_event(rollup, 0);
	assert_string_equal(text(event, "event_id"), "h-1-110-r");
	assert_string_equal(text(event, "type"), "flow");
	assert_string_equal(text(event, "phase"), "rollup");
	assert_string_equal(text(event, "app"), "a");
	assert_string_equal(text(event, "rule"), "db");
	assert_string_equal(text(event, "ts"), "2026-01-01T00:00:30.000000000Z");
	assert_string_equal(text(event, "start"), "2026-01-01T00:00:05.000000000Z");
	assert_string_equal(text(event, "end"), "2026-01-01T00:00:30.000000000Z");
	assert_int_equal(number(event, "flows"), 2);
	assert_int_equal(number(event, "bytes_out"), 150);
	assert_int_equal(number(event, "bytes_in"), 300);
	assert_int_equal(number(event, "packets_out"), 2);
	assert_int_equal(number(event, "packets_in"), 4);
	assert_null(json_object_get(event, "open"));
	/* What only one of them had. */
	assert_null(json_object_get(event, "flow_id"));
	assert_null(json_object_get(event, "src_port"));
	assert_null(json_object_get(event, "pid"));
	json_decref(event);
	eg_rollup_free(rollup);
}

static void test_keys_keep_apart(void **state)
{
	static const char *const lines[] = {
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\",\"src\":\"9.9.9.1\",\"ts\":\"1\"}",
		"{\"app\":\"b\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\",\"src\":\"9.9.9.1\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.2\",\"dst_port\":1,\"direction\":\"egress\",\"src\":\"9.9.9.1\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":2,\"direction\":\"egress\",\"src\":\"9.9.9.1\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"ingress\",\"src\":\"9.9.9.1\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"ingress\",\"src\":\"9.9.9.2\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\",\"name\":\"x\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\",\"rule\":\"x\",\"ts\":\"1\"}",
		"{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\",\"verdict\":\"audit\",\"ts\":\"1\"}",
	};
	const size_t count = sizeof(lines) / sizeof(lines[0]);
	struct eg_rollup *rollup = begin();

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < count; i++)
			assert_int_equal(add_text(rollup, lines[i]), 0);
		assert_int_equal(eg_rollup_count(rollup), count);
	}
	/* The app's own port and, going out, its own address are no part of it. */
	assert_int_equal(add_text(rollup, "{\"app\":\"a\",\"dst\":\"1.1.1.1\",\"dst_port\":1,\"direction\":\"egress\","
					  "\"src\":\"9.9.9.7\",\"src_port\":5,\"ts\":\"1\"}"),
			 0);
	assert_int_equal(eg_rollup_count(rollup), count);
	assert_int_equal(eg_rollup_records(rollup, 0), 3);
	eg_rollup_free(rollup);
}

static void test_cgroups_share_an_event(void **state)
{
	struct eg_rollup *rollup = begin();
	json_t *event;

	(void)state;
	add_text(rollup, "{\"app\":\"a\",\"cgroup\":\"m.slice/one\",\"phase\":\"end\",\"ts\":\"1\"}");
	event = eg_rollup_event(rollup, 0);
	assert_string_equal(text(event, "cgroup"), "m.slice/one");
	json_decref(event);
	add_text(rollup, "{\"app\":\"a\",\"cgroup\":\"m.slice/two\",\"phase\":\"end\",\"ts\":\"1\"}");
	assert_int_equal(eg_rollup_count(rollup), 1);
	event = eg_rollup_event(rollup, 0);
	assert_null(json_object_get(event, "cgroup"));
	assert_int_equal(number(event, "flows"), 2);
	json_decref(event);
	eg_rollup_free(rollup);
}

/* ---- Sums ------------------------------------------------------------------------------------------- */

static void test_open_flows_are_told_apart(void **state)
{
	struct eg_rollup *rollup = begin();
	json_t *event, *open;

	(void)state;
	add(rollup, "a", 1, "start", 0, 1);
	add(rollup, "a", 1, "update", 70, 2);
	add(rollup, "a", 1, "update", 100, 3); /* totals: the latest counts */
	add(rollup, "a", 2, "update", 11, 3);
	add(rollup, "a", 3, "update", 500, 3);
	add(rollup, "a", 3, "end", 600, 4); /* no longer open */
	event = eg_rollup_event(rollup, 0);
	open = json_object_get(event, "open");
	assert_int_equal(number(event, "flows"), 1);
	assert_int_equal(number(event, "bytes_out"), 600);
	assert_int_equal(number(open, "flows"), 2);
	assert_int_equal(number(open, "bytes_out"), 111);
	assert_int_equal(number(open, "bytes_in"), 222);
	json_decref(event);
	eg_rollup_free(rollup);
}

/* Flows that come, go on over windows and end, in windows of any length: the ends add up to the same. */
static void test_sums_over_any_windows(void **state)
{
	enum { FLOWS = 200, STEPS = 5 };

	(void)state;
	for (size_t window = 1; window <= FLOWS * STEPS; window = window * 3 + 1) {
		struct eg_rollup *rollup = begin();
		uint64_t flows = 0, bytes = 0, expected = 0;

		for (size_t i = 0; i < FLOWS * STEPS; i++) {
			unsigned id = (unsigned)(i % FLOWS), step = (unsigned)(i / FLOWS);
			bool last = step == STEPS - 1;

			add(rollup, id % 2 ? "a" : "b", id, !step ? "start" : last ? "end" : "update", id * step, step);
			expected += last ? id * step : 0;
			if ((i + 1) % window && i + 1 < FLOWS * STEPS)
				continue;
			for (size_t g = 0; g < eg_rollup_count(rollup); g++) {
				json_t *event = eg_rollup_event(rollup, g);

				flows += (uint64_t)number(event, "flows");
				bytes += (uint64_t)number(event, "bytes_out");
				json_decref(event);
			}
			eg_rollup_clear(rollup);
		}
		assert_int_equal(flows, FLOWS);
		assert_int_equal(bytes, expected);
		eg_rollup_free(rollup);
	}
}

static void test_same_records_same_bytes(void **state)
{
	char *first[2] = {NULL, NULL};

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct eg_rollup *rollup = begin();

		for (unsigned i = 0; i < 500; i++)
			add(rollup, i % 3 ? "a" : "b", i % 40, i % 7 ? "update" : "end", i, i % 60);
		for (size_t g = 0; g < eg_rollup_count(rollup); g++) {
			json_t *event = eg_rollup_event(rollup, g);
			char *line = json_dumps(event, JSON_COMPACT);

			if (run)
				assert_string_equal(line, first[g]);
			else
				first[g] = strdup(line);
			free(line);
			json_decref(event);
		}
		eg_rollup_free(rollup);
	}
	free(first[0]);
	free(first[1]);
}

/* ---- Bounds -------------------------------------------------------------------------------------------- */

static void test_full(void **state)
{
	struct eg_rollup *rollup = begin();
	char app[16];

	(void)state;
	for (unsigned i = 0; i < EG_ROLLUP_GROUPS_MAX; i++) {
		snprintf(app, sizeof(app), "a%u", i);
		assert_int_equal(add(rollup, app, i, "end", 1, 1), 0);
	}
	assert_int_equal(add(rollup, "more", 1, "end", 1, 1), -ENOSPC);
	assert_int_equal(eg_rollup_count(rollup), EG_ROLLUP_GROUPS_MAX);
	assert_int_equal(add(rollup, "a7", 1, "end", 1, 1), 0); /* of a group that is there */
	eg_rollup_clear(rollup);
	assert_int_equal(eg_rollup_count(rollup), 0);
	for (unsigned i = 0; i < EG_ROLLUP_FLOWS_MAX; i++)
		assert_int_equal(add(rollup, "a", i, "start", 1, 1), 0);
	assert_int_equal(add(rollup, "a", EG_ROLLUP_FLOWS_MAX, "start", 1, 1), -ENOSPC);
	assert_int_equal(eg_rollup_records(rollup, 0), EG_ROLLUP_FLOWS_MAX);
	assert_int_equal(add(rollup, "a", 5, "update", 1, 1), 0);
	assert_int_equal(add(rollup, "a", EG_ROLLUP_FLOWS_MAX, "end", 1, 1), 0); /* an end takes no room */
	eg_rollup_free(rollup);
}

static void test_text_is_bounded(void **state)
{
	struct eg_rollup *rollup = begin();
	const size_t len = 60000;
	char *line = malloc(len + 200);
	unsigned count = 0;
	int r = 0;

	(void)state;
	assert_non_null(line);
	while (!r && count < 1000) {
		int head = snprintf(line, len, "{\"app\":\"a%u\",\"owner\":\"", count);

		memset(line + head, 'x', len);
		strcpy(line + head + len, "\"}");
		r = add_text(rollup, line);
		count += !r;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(count * len <= EG_ROLLUP_TEXT_MAX && count * len > EG_ROLLUP_TEXT_MAX / 2);
	free(line);
	eg_rollup_free(rollup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_flows_are_one_event), cmocka_unit_test(test_keys_keep_apart),
		cmocka_unit_test(test_cgroups_share_an_event),
		cmocka_unit_test(test_open_flows_are_told_apart), cmocka_unit_test(test_sums_over_any_windows),
		cmocka_unit_test(test_same_records_same_bytes),	 cmocka_unit_test(test_full),
		cmocka_unit_test(test_text_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What egret-ship says is believed only when all of it is right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/shipper.h"

#define ROUTES_CONFIG "[{\"name\": \"r\", \"type\": \"webhook\"}]"
#define SINKS_CONFIG "[{\"name\": \"a\", \"type\": \"file\"}, {\"name\": \"b\", \"type\": \"hec\"}]"

static struct eg_told told;

static struct eg_told_sink *begin(size_t *ret_count)
{
	json_t *config = json_loads(SINKS_CONFIG, 0, NULL), *routes = json_loads(ROUTES_CONFIG, 0, NULL);

	assert_int_equal(eg_told_begin(&told, config, routes), 0);
	*ret_count = told.count;
	assert_int_equal(told.count, 2);
	assert_int_equal(told.route_count, 1);
	assert_string_equal(told.sinks[1].type, "hec");
	assert_string_equal(told.routes[0].type, "webhook");
	json_decref(config);
	json_decref(routes);
	return told.sinks;
}

static json_t *good_sink(const char *name)
{
	json_t *sink = json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:n}", "name", name, "type", "file", "state", "ok",
				 "backlog", "shrinking", "last_success", "2026-01-01T00:00:00Z", "last_error_at", "last_error", "HTTP 503", "note");

	for (size_t i = 0; i < EG_TOLD_NUMBERS_; i++)
		json_object_set_new(sink, eg_told_names[i], json_integer(0));
	json_object_set_new(sink, "produced", json_integer(15));
	json_object_set_new(sink, "delivered", json_integer(10));
	json_object_set_new(sink, "spooled", json_integer(5));
	json_object_set_new(sink, "eta_ms", json_integer(61000));
	return sink;
}

static json_t *good_message(void)
{
	return json_pack("{s:[o,o]}", "sinks", good_sink("a"), good_sink("b"));
}

/* Takes the reference. */
static int tell(json_t *message, struct eg_told_test *test)
{
	char *text = json_dumps(message, 0);
	int r = eg_told_read(text, strlen(text), &told, test);

	free(text);
	json_decref(message);
	return r;
}

static void test_good(void **state)
{
	struct eg_told_test test = {0};
	struct eg_told_sink *sinks;
	size_t count;

	(void)state;
	sinks = begin(&count);
	assert_int_equal(tell(good_message(), &test), 0);
	assert_string_equal(sinks[0].state, "ok");
	assert_string_equal(sinks[1].backlog, "shrinking");
	assert_int_equal(sinks[1].numbers[EG_TOLD_ETA_MS], 61000);
	assert_int_equal(sinks[1].numbers[EG_TOLD_DELIVERED], 10);
	assert_string_equal(sinks[1].last_error, "HTTP 503");
	assert_string_equal(sinks[1].last_success, "2026-01-01T00:00:00Z");
	assert_string_equal(sinks[1].note, "");
	eg_told_free(&told);
}

/* Each change of the second sink makes the whole message nothing, and leaves the first one as it was. */
static void test_one_wrong_member(void **state)
{
	static const struct {
		const char *key;
		const char *value;
	} cases[] = {
		{"name", "\"c\""}, {"name", "null"}, {"state", "\"fine\""}, {"state", "null"}, {"state", "7"},
		{"produced", "16"}, {"delivered", "-1"}, {"delivered", "\"10\""}, {"delivered", "1.5"}, {"lag_ms", "null"},
		{"eta_ms", "null"}, {"eta_ms", "-1"}, {"backlog", "null"}, {"backlog", "\"soon\""}, {"backlog", "1"},
		{"last_success", "\"yesterday\""}, {"last_success", "\"2026-01-01T00:00:00Z; rm\""}, {"last_error_at", "5"},
		{"last_error", "[]"}, {"note", "true"},
	};
	struct eg_told_test test = {0};
	struct eg_told_sink *sinks;
	size_t count;

	(void)state;
	sinks = begin(&count);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *message = good_message();

		json_object_set_new(json_array_get(json_object_get(message, "sinks"), 1), cases[i].key,
				    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		if (tell(message, &test) != -EPROTO)
			fail_msg("%s: %s was believed", cases[i].key, cases[i].value);
		assert_string_equal(sinks[0].state, "");
	}
	eg_told_free(&told);
}

static void test_wrong_wholes(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "7", "{\"sinks\": []}", "{\"sinks\": 7}", "{\"sinks\": [{}, {}, {}]}",
					    "{\"tested\": 7}", "{\"tested\": {}}", "\xff", "{\"sinks\": [{}, {}]"};
	char deep[4096];
	struct eg_told_test test = {0};
	size_t count;

	(void)state;
	begin(&count);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(eg_told_read(texts[i], strlen(texts[i]), &told, &test), -EPROTO);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(eg_told_read(deep, sizeof(deep), &told, &test), -EPROTO);
	assert_null(test.answer);
	eg_told_free(&told);
}

static void test_texts_are_cleaned_and_bounded(void **state)
{
	struct eg_told_test test = {0};
	struct eg_told_sink *sinks;
	json_t *message = good_message();
	size_t count;
	char *huge = malloc(2000);

	(void)state;
	sinks = begin(&count);
	json_object_set_new(json_array_get(json_object_get(message, "sinks"), 0), "last_error", json_string("a\x1b[31mb\nc"));
	assert_int_equal(tell(message, &test), 0);
	assert_string_equal(sinks[0].last_error, "a?[31mb?c");
	message = good_message();
	memset(huge, 'x', 1999);
	huge[1999] = '\0';
	json_object_set_new(json_array_get(json_object_get(message, "sinks"), 0), "last_error", json_string(huge));
	assert_int_equal(tell(message, &test), -EPROTO);
	free(huge);
	eg_told_free(&told);
}

static void test_answer_of_a_test(void **state)
{
	struct eg_told_test test = {0};
	size_t count;

	(void)state;
	begin(&count);
	assert_int_equal(tell(json_pack("{s:{s:i, s:s, s:b, s:s, s:i, s:i, s:s, s:s}}", "tested", "id", 7, "name", "b", "ok", 0, "outcome",
					"refused", "status", 400, "took_ms", 3, "answer", "no such index\n", "more", "?"),
			      &test),
			 1);
	assert_int_equal(test.id, 7);
	assert_int_equal(json_object_size(test.answer), 6); /* what was not asked for is not passed on */
	assert_string_equal(json_string_value(json_object_get(test.answer, "answer")), "no such index?");
	json_decref(test.answer);
	eg_told_free(&told);
}

static json_t *good_route(void)
{
	json_t *route = json_pack("{s:s, s:s, s:s, s:n, s:n, s:n}", "name", "r", "type", "webhook", "state", "retrying",
				  "last_success", "last_error_at", "last_error");

	for (size_t i = 0; i < EG_TOLD_ROUTE_NUMBERS_; i++)
		json_object_set_new(route, eg_told_route_names[i], json_integer((json_int_t)i));
	return route;
}

static void test_routes(void **state)
{
	static const struct {
		const char *key;
		const char *value;
	} cases[] = {{"name", "\"a\""}, {"done", "-1"}, {"done", "null"}, {"state", "\"fine\""}, {"waiting", "\"1\""},
		     {"last_error", "7"}, {"last_success", "\"now\""}};
	struct eg_told_test test = {0};
	size_t count;

	(void)state;
	begin(&count);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *route = good_route();

		json_object_set_new(route, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(tell(json_pack("{s:[o]}", "routes", route), &test), -EPROTO);
		assert_string_equal(told.routes[0].state, "");
	}
	assert_int_equal(tell(json_pack("{s:[]}", "routes"), &test), -EPROTO);
	assert_int_equal(tell(json_pack("{s:[o,o]}", "routes", good_route(), good_route()), &test), -EPROTO);
	assert_int_equal(tell(json_pack("{s:[o]}", "routes", good_route()), &test), EG_TOLD_ROUTES);
	assert_string_equal(told.routes[0].state, "retrying");
	assert_int_equal(told.routes[0].numbers[EG_TOLD_ROUTE_RETRIES], EG_TOLD_ROUTE_RETRIES);
	assert_string_equal(told.sinks[0].state, "");
	eg_told_free(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_one_wrong_member),
		cmocka_unit_test(test_wrong_wholes),
		cmocka_unit_test(test_texts_are_cleaned_and_bounded),
		cmocka_unit_test(test_answer_of_a_test),
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Events as RFC 5424 messages: the header, escaping, and what is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../agent/ship/syslog_message.h"

#define NOON 1795608000ull /* 2026-11-25T12:00:00Z */

static char message[EG_SYSLOG_MESSAGE_MAX + 1];

static struct eg_item item(char *text)
{
	return (struct eg_item){
		.ts_ns = NOON * 1000000000u + 1234999,
		.severity = EG_SEVERITY_WARNING,
		.id = "host-17-4",
		.type = "deny",
		.app = "app-a",
		.host = "sandbox-1",
		.text = text,
		.len = strlen(text),
	};
}

/* The message, after the checks that hold for every one. */
static const char *render(const struct eg_item *from, uint8_t facility)
{
	char again[EG_SYSLOG_MESSAGE_MAX];
	size_t len = eg_syslog_message_render(from, facility, message);

	assert_in_range(len, 1, EG_SYSLOG_MESSAGE_MAX);
	assert_int_equal(eg_syslog_message_render(from, facility, again), len);
	assert_memory_equal(message, again, len);
	message[len] = '\0';
	assert_int_equal(strlen(message), len);
	return message;
}

/* MSG, behind the structured data. */
static const char *text_of(const char *from)
{
	const char *end = strstr(from, "\"] ");

	assert_non_null(end);
	return end + 3;
}

static void header(void **state)
{
	struct eg_item it = item("{\"a\":1}");

	(void)state;
	assert_string_equal(render(&it, 16), "<132>1 2026-11-25T12:00:00.001234Z sandbox-1 egret - deny "
					     "[egret@32473 id=\"host-17-4\" app=\"app-a\" type=\"deny\"] {\"a\":1}");
	it.severity = EG_SEVERITY_ALERT;
	assert_true(strncmp(render(&it, 23), "<185>1 ", 7) == 0);
	assert_true(strncmp(render(&it, 0), "<1>1 ", 5) == 0);
	it.ts_ns = 0;
	assert_non_null(strstr(render(&it, 0), " 1970-01-01T00:00:00.000000Z "));
	it.ts_ns = NOON * 1000000000u + 999999999;
	assert_non_null(strstr(render(&it, 0), ":00.999999Z "));
}

static void nothing_known(void **state)
{
	struct eg_item it = item("{}");

	(void)state;
	it.host = it.app = it.type = "";
	assert_non_null(strstr(render(&it, 16), "Z - egret - - [egret@32473 id=\"host-17-4\" app=\"\" type=\"\"] {}"));
}

static void escaping(void **state)
{
	struct eg_item it = item("{}");

	(void)state;
	it.app = "a\"b\\c]d\n\x7f\xc3\xa9";
	it.host = "my host\n\xc3\xa9";
	it.type = "a type that is much longer than 32 bytes";
	assert_non_null(strstr(render(&it, 16), "Z my_host___ egret - a_type_that_is_much_longer_than_ ["));
	assert_non_null(strstr(message, "app=\"a\\\"b\\\\c\\]d__\xc3\xa9\" type="));
}

static void long_names_are_bounded(void **state)
{
	struct eg_item it = item("{}");
	char name[4096];

	(void)state;
	/* Two bytes a character, so that the bound falls into one. */
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa9", 3);
	it.app = it.host = it.id = name;
	render(&it, 16);
	assert_string_equal(text_of(message), "{}");
	assert_true(strlen(message) < 1200);
	assert_null(strstr(message, "\xc3\""));
}

static void just_fits(void **state)
{
	char text[EG_SYSLOG_MESSAGE_MAX + 64];
	struct eg_item it = item("");
	size_t head = strlen(render(&it, 16));

	(void)state;
	memset(text, 'x', sizeof(text));
	text[0] = '"';
	text[EG_SYSLOG_MESSAGE_MAX - head - 1] = '"';
	text[EG_SYSLOG_MESSAGE_MAX - head] = '\0';
	it = item(text);
	assert_int_equal(strlen(render(&it, 16)), EG_SYSLOG_MESSAGE_MAX);
	assert_string_equal(text_of(message), text);
	assert_null(strstr(message, " cut="));
	text[EG_SYSLOG_MESSAGE_MAX - head - 1] = 'x';
	strcpy(text + EG_SYSLOG_MESSAGE_MAX - head, "\"");
	it = item(text);
	render(&it, 16);
	assert_non_null(strstr(message, " cut="));
}

/* Strings and lists give way, what identifies the event stays, and it is JSON still. */
static void shortened(void **state)
{
	json_t *list = json_array(), *event, *told, *egret;
	char *comm = malloc(30001), *text, expected[32];
	struct eg_item it;

	(void)state;
	for (size_t i = 0; i < 30000; i += 3)
		memcpy(comm + i, "\xe2\x82\xac", 4);
	for (int i = 0; i < 3000; i++)
		json_array_append_new(list, json_pack("{si}", "port", i));
	event = json_pack("{ss, s{ss, so}, si}", "event_id", "host-17-4", "egret", "comm", comm, "list", list, "n", 7);
	text = json_dumps(event, JSON_COMPACT);
	it = item(text);
	render(&it, 16);
	snprintf(expected, sizeof(expected), " cut=\"%zu\"] ", it.len);
	assert_non_null(strstr(message, expected));
	told = json_loads(text_of(message), 0, NULL);
	assert_non_null(told);
	assert_string_equal(json_string_value(json_object_get(told, "event_id")), "host-17-4");
	assert_int_equal(json_integer_value(json_object_get(told, "n")), 7);
	egret = json_object_get(told, "egret");
	assert_int_equal(json_array_size(json_object_get(egret, "list")), 64);
	/* 1,024 bytes would end in a character. */
	assert_int_equal(json_string_length(json_object_get(egret, "comm")), 1023 + 3);
	assert_string_equal(json_string_value(json_object_get(egret, "comm")) + 1020, "\xe2\x82\xac...");
	json_decref(told);
	json_decref(event);
	free(text);
	free(comm);
}

static void nul_in_a_name(void **state)
{
	char *text = malloc(20100);
	struct eg_item it;
	json_t *told;

	(void)state;
	memset(text, 'n', 20100);
	memcpy(text, "{\"name\":\"a\\u0000", 16);
	strcpy(text + 20000, "\"}");
	it = item(text);
	render(&it, 16);
	told = json_loads(text_of(message), JSON_ALLOW_NUL, NULL);
	assert_non_null(told);
	assert_int_equal(json_string_length(json_object_get(told, "name")), 1024 + 3);
	json_decref(told);
	free(text);
}

/* Nothing to shorten: the text itself is cut, between two characters. */
static void cut(void **state)
{
	char *text = malloc(20001);
	struct eg_item it;
	size_t len;

	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		memset(text, '#', lead);
		for (size_t i = lead; i + 4 < 20000; i += 4)
			memcpy(text + i, "\xf0\x9f\xa6\xa2", 5);
		it = item(text);
		render(&it, 16);
		len = strlen(message);
		assert_in_range(len, EG_SYSLOG_MESSAGE_MAX - 3, EG_SYSLOG_MESSAGE_MAX);
		assert_string_equal(message + len - 7, "\xf0\x9f\xa6\xa2...");
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),	   cmocka_unit_test(nothing_known),
		cmocka_unit_test(escaping),	   cmocka_unit_test(long_names_are_bounded),
		cmocka_unit_test(just_fits),	   cmocka_unit_test(shortened),
		cmocka_unit_test(nul_in_a_name),   cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

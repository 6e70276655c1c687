// SPDX-License-Identifier: Apache-2.0
/* Alerts wait for each route apart, are handed over in order, and are there until they are settled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/routes.h"
#include "../../agent/lib/ship_setup.h"

#define START 1700000000000000000ull
#define SOC   "{\"name\": \"soc\", \"type\": \"webhook\", \"url\": \"https://soc.example/\"}"
#define KILLS "{\"name\": \"kills\", \"type\": \"syslog\", \"url\": \"udp://h:514\", \"types\": [\"kill\"]}"

static char message[EG_SHIP_MESSAGE_MAX];

static void configure(struct eg_routes *routes, const char *text)
{
	json_t *list = json_loads(text, 0, NULL);

	assert_int_equal(eg_routes_configure(routes, list), 0);
	json_decref(list);
}

static struct eg_routes *begin(const char *text)
{
	struct eg_routes *routes;

	assert_int_equal(eg_routes_new("h", START, &routes), 0);
	configure(routes, text);
	return routes;
}

static void post(struct eg_routes *routes, const char *type)
{
	static const char members[] = ",\"app\":\"web\",\"actor\":\"uid=0\"";

	eg_routes_post(routes, START, type, members, strlen(members));
}

/* Takes the next message, and says to whom it goes: "soc", "soc,kills". 0: there is none. */
static uint64_t next(struct eg_routes *routes, char to[64])
{
	size_t len = eg_routes_next(routes, message, sizeof(message)), i;
	json_t *json, *name;
	uint64_t number;

	to[0] = '\0';
	if (!len)
		return 0;
	assert_int_equal(len, strlen(message));
	json = json_loadb(message, len, 0, NULL);
	assert_non_null(json);
	json_array_foreach(json_object_get(json, "to"), i, name)
		snprintf(to + strlen(to), 64 - strlen(to), "%s%s", i ? "," : "", json_string_value(name));
	number = (uint64_t)json_integer_value(json_object_get(json, "alert"));
	json_decref(json);
	eg_routes_given(routes);
	return number;
}

static void test_an_alert_is_an_event(void **state)
{
	struct eg_routes *routes = begin("[" SOC "]");
	char to[64];
	json_t *json, *event;

	(void)state;
	assert_true(eg_routes_want(routes, "kill"));
	assert_false(eg_routes_want(routes, "policy"));
	assert_false(eg_routes_want(NULL, "kill"));
	post(routes, "policy");
	assert_int_equal(next(routes, to), 0);
	post(routes, "kill");
	assert_int_equal(next(routes, to), 1);
	assert_string_equal(to, "soc");
	json = json_loads(message, 0, NULL);
	event = json_object_get(json, "event");
	assert_string_equal(json_string_value(json_object_get(event, "event_id")), "h-1700000000000000000-a1");
	assert_string_equal(json_string_value(json_object_get(event, "type")), "kill");
	assert_string_equal(json_string_value(json_object_get(event, "ts")), "2023-11-14T22:13:20.000000000Z");
	assert_string_equal(json_string_value(json_object_get(event, "app")), "web");
	json_decref(json);
	eg_routes_free(routes);
}

static void test_of_the_kernel(void **state)
{
	struct eg_routes *routes = begin("[" SOC "]");
	const struct eg_event e = {.type = EG_EVENT_EXPIRE, .seq = 7, .boot_ns = 5};
	const struct eg_event_meta meta = {.app = "web", .owner = "o@example.com", .ticket = "T-1"};
	char to[64];

	(void)state;
	eg_routes_kernel(routes, (int64_t)START, NULL, "expire", &e, &meta);
	assert_int_equal(next(routes, to), 1);
	assert_non_null(strstr(message, "\"type\":\"expire\""));
	assert_non_null(strstr(message, "\"owner\":\"o@example.com\""));
	eg_routes_free(routes);
}

static void test_each_route_by_itself(void **state)
{
	struct eg_routes *routes = begin("[" SOC "," KILLS "]");
	struct eg_route_stats stats;
	char to[64];

	(void)state;
	post(routes, "kill");
	post(routes, "alert");
	post(routes, "kill");
	assert_int_equal(next(routes, to), 1);
	assert_string_equal(to, "soc,kills");
	assert_int_equal(next(routes, to), 2);
	assert_string_equal(to, "soc");
	eg_routes_settled(routes, "soc", 2);
	eg_routes_settled(routes, "soc", 3); /* which it was not given yet: a child that says so is not believed */
	eg_routes_settled(routes, "nobody", 3);
	assert_int_equal(eg_routes_pending(routes), 2);
	assert_int_equal(next(routes, to), 3);
	assert_string_equal(to, "soc,kills");
	eg_routes_stats(routes, "kills", &stats);
	assert_int_equal(stats.alerts, 2);
	assert_int_equal(stats.queued, 2);
	eg_routes_settled(routes, "kills", 3);
	eg_routes_settled(routes, "soc", 3);
	assert_int_equal(eg_routes_pending(routes), 0);
	eg_routes_free(routes);
}

static void test_another_child_gets_what_is_not_settled(void **state)
{
	struct eg_routes *routes = begin("[" SOC "," KILLS "]");
	char to[64];

	(void)state;
	post(routes, "kill");
	post(routes, "kill");
	assert_int_equal(next(routes, to), 1);
	assert_int_equal(next(routes, to), 2);
	eg_routes_settled(routes, "kills", 1);
	eg_routes_again(routes);
	eg_routes_settled(routes, "kills", 2); /* said by the one before, heard late */
	assert_int_equal(next(routes, to), 1);
	assert_string_equal(to, "soc");
	assert_int_equal(next(routes, to), 2);
	assert_string_equal(to, "soc,kills");
	assert_int_equal(next(routes, to), 0);
	eg_routes_free(routes);
}

static void test_a_new_configuration(void **state)
{
	struct eg_routes *routes = begin("[" SOC "," KILLS "]");
	struct eg_route_stats stats;
	char to[64];

	(void)state;
	post(routes, "kill");
	post(routes, "alert");
	assert_int_equal(next(routes, to), 1);
	configure(routes, "[" KILLS "]"); /* what was for soc alone is for nobody */
	assert_int_equal(eg_routes_pending(routes), 1);
	assert_int_equal(next(routes, to), 1);
	assert_string_equal(to, "kills");
	eg_routes_stats(routes, "kills", &stats);
	assert_int_equal(stats.queued, 1);
	eg_routes_stats(routes, "soc", &stats);
	assert_int_equal(stats.alerts, 0);
	configure(routes, "[]");
	assert_int_equal(eg_routes_pending(routes), 0);
	post(routes, "kill");
	assert_int_equal(eg_routes_pending(routes), 0);
	eg_routes_free(routes);
}

/* One that stands still takes its window, then its queue, and nothing of the other's. */
static void test_bounds(void **state)
{
	struct eg_routes *routes = begin("[" SOC "," KILLS "]");
	struct eg_route_stats soc, kills;
	uint64_t last = 0;
	char to[64];

	(void)state;
	for (uint64_t n = 1; n <= EG_ROUTES_QUEUE + 10; n++) {
		uint64_t got;

		post(routes, "kill");
		while ((got = next(routes, to))) {
			if (strstr(to, "kills"))
				last = got;
			if (got > EG_SHIP_ALERTS_AT_ONCE)
				assert_null(strstr(to, "soc"));
		}
		eg_routes_settled(routes, "kills", n);
	}
	assert_int_equal(last, EG_ROUTES_QUEUE + 10);
	eg_routes_stats(routes, "soc", &soc);
	eg_routes_stats(routes, "kills", &kills);
	assert_int_equal(soc.queued, EG_ROUTES_QUEUE);
	assert_int_equal(soc.dropped, 10);
	assert_int_equal(kills.queued, 0);
	assert_int_equal(kills.dropped, 0);
	eg_routes_settled(routes, "soc", 2);
	assert_int_equal(next(routes, to), EG_SHIP_ALERTS_AT_ONCE + 1);
	assert_int_equal(next(routes, to), EG_SHIP_ALERTS_AT_ONCE + 2);
	assert_int_equal(next(routes, to), 0);
	eg_routes_free(routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_alert_is_an_event), cmocka_unit_test(test_of_the_kernel),
		cmocka_unit_test(test_each_route_by_itself), cmocka_unit_test(test_another_child_gets_what_is_not_settled),
		cmocka_unit_test(test_a_new_configuration),  cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

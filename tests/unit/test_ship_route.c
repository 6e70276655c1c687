// SPDX-License-Identifier: Apache-2.0
/* What a route's requests look like, which events are for it, and what becomes of them. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../agent/lib/ship_setup.h"
#include "../../agent/ship/route.h"
#include "../../agent/ship/sign.h"
#include "../../agent/ship/url.h"

/* As of `printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef`. */
static void test_signature(void **state)
{
	char header[EG_SIGN_HEADER_MAX], other[EG_SIGN_HEADER_MAX];

	(void)state;
	eg_sign_header("0123456789abcdef", 1700000000, "{\"a\":1}", 7, header);
	assert_string_equal(header, "X-Egret-Signature: t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23");
	eg_sign_header("0123456789abcdef", 1700000001, "{\"a\":1}", 7, other);
	assert_string_not_equal(header + 36, other + 36);
}

static void check_url(const char *url, const char *app, const char *owner, const char *wanted)
{
	char *filled = eg_url_fill(url, app, owner);

	assert_string_equal(filled, wanted);
	free(filled);
}

static void test_url(void **state)
{
	(void)state;
	check_url("https://h/plain?x=1", "web", "o", "https://h/plain?x=1");
	check_url("https://h/{owner}/{app}?app={app}", "web-1.a", "o@example.com", "https://h/o%40example.com/web-1.a?app=web-1.a");
	check_url("https://h/{owner}", "web", "../../admin?x=1#y", "https://h/..%2F..%2Fadmin%3Fx%3D1%23y");
	check_url("https://h/{owner}/x", "web", "..", "https://h/_/x");
	check_url("https://h/{owner}/x", "web", "a b\n\xc3\xa4%", "https://h/a%20b%0A%C3%A4%25/x");
	check_url("https://h/{app}/{owner}", NULL, NULL, "https://h//");
}

static bool wants(const char *route, const char *event)
{
	json_t *list = json_loads(route, 0, NULL), *json = json_loads(event, 0, NULL);
	struct eg_sinks_config config;
	struct eg_error err = {0};
	bool answer;

	assert_non_null(json);
	assert_int_equal(eg_routes_config_parse("test", list, &config, &err), 0);
	answer = eg_route_wants(&config.sinks[0], json);
	eg_sinks_config_free(&config);
	json_decref(list);
	json_decref(json);
	return answer;
}

#define ROUTE(more) "[{\"name\": \"r\", \"type\": \"webhook\", \"url\": \"https://h/" more "}]"
#define KILL(more)  "{\"type\": \"kill\", \"app\": \"hr-web\"" more "}"
#define PROD	    ", \"labels\": {\"env\": \"prod\"}"

static void test_which(void **state)
{
	(void)state;
	assert_true(wants(ROUTE("\""), KILL("")));
	assert_true(wants(ROUTE("\""), "{\"type\": \"alert\"}"));
	assert_false(wants(ROUTE("\""), "{\"type\": \"policy\"}"));
	assert_false(wants(ROUTE("\", \"types\": [\"alert\"]"), KILL("")));
	assert_true(wants(ROUTE("\", \"apps\": [\"hr-*\"]"), KILL("")));
	assert_false(wants(ROUTE("\", \"apps\": [\"db-*\"]"), KILL("")));
	assert_false(wants(ROUTE("\", \"apps\": [\"*\"]"), "{\"type\": \"alert\"}"));
	assert_true(wants(ROUTE("\", \"labels\": \"env=prod\""), KILL(PROD)));
	assert_false(wants(ROUTE("\", \"labels\": \"env=dev\""), KILL(PROD)));
	assert_false(wants(ROUTE("\", \"labels\": \"env=prod\""), KILL("")));
	assert_true(wants(ROUTE("{owner}\""), KILL(", \"owner\": \"o\"")));
	assert_false(wants(ROUTE("{owner}\""), KILL("")));
	assert_false(wants(ROUTE("{app}\""), "{\"type\": \"alert\"}"));
}

static void refused(const char *route, const char *words)
{
	json_t *list = json_loads(route, 0, NULL);
	struct eg_sinks_config config;
	struct eg_error err = {0};

	assert_non_null(list);
	assert_int_equal(eg_routes_config_parse("test", list, &config, &err), -EINVAL);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" instead of \"%s\"", err.message, words);
	assert_non_null(strstr(err.message, "routes[0]"));
	eg_error_clear(&err);
	json_decref(list);
}

static void test_configuration(void **state)
{
	(void)state;
	refused("[{\"name\": \"r\", \"type\": \"hec\", \"url\": \"https://h/\"}]", "must be \"webhook\" or \"syslog\"");
	refused(ROUTE("\", \"flows\": \"full\""), "is not a key of a route");
	refused(ROUTE("\", \"batch\": {}"), "is not a key of a route");
	refused(ROUTE("\", \"types\": [\"deny\"]"), "the rest is a sink's");
	refused(ROUTE("\", \"labels\": {}"), "must be a label selector");
	refused(ROUTE("\", \"labels\": \"=\""), "can't be used");
	refused(ROUTE("{user}\""), "no other braces");
	refused(ROUTE("}\""), "no other braces");
	refused(ROUTE("\", \"hmac_key\": \"x\""), "would put a secret into the configuration");
	refused("[{\"name\": \"r\", \"type\": \"webhook\", \"url\": \"https://{owner}/\"}]", "behind the host only");
	refused("[{\"name\": \"r\", \"type\": \"webhook\", \"url\": \"https://{owner}.example\"}]", "behind the host only");
	refused("[{\"name\": \"r\", \"type\": \"syslog\", \"url\": \"udp://h:514/{app}\"}]", "\"routes[0].url\"");
	refused("[{\"name\": \"r\", \"type\": \"syslog\", \"url\": \"udp://h:514\", \"hmac_key_file\": \"/k\"}]",
		"is not a key of a sink of the type");
}

/* ---- Its thread, with a receiver that does as it is told ---------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	const enum eg_outcome *script; /* of one request each; behind it all is delivered */
	size_t script_len, requests;
	char seen[512]; /* "id:outcome " of each request */
	size_t changes;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static int fake_open(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	(void)config, (void)stopping, (void)err;
	*ret = &fake;
	return 0;
}

static void fake_send(void *sink, const struct eg_item *items, size_t count, struct eg_result *result)
{
	static const char letters[] = "DRPS";
	size_t len;

	(void)sink;
	assert_int_equal(count, 1);
	pthread_mutex_lock(&fake.lock);
	result->outcome = fake.requests < fake.script_len ? fake.script[fake.requests] : EG_OUTCOME_DELIVERED;
	fake.requests++;
	len = strlen(fake.seen);
	snprintf(fake.seen + len, sizeof(fake.seen) - len, "%s:%c ", items[0].id, letters[result->outcome]);
	pthread_mutex_unlock(&fake.lock);
}

static void fake_close(void *sink)
{
	(void)sink;
}

static void changed(void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&fake.lock);
	fake.changes++;
	pthread_cond_broadcast(&fake.wake);
	pthread_mutex_unlock(&fake.lock);
}

static const struct eg_protocol fake_protocol = {fake_open, fake_send, fake_close};
static const struct eg_sink_place place = {.cursor_fd = -1, .host = "h", .changed = changed};
static struct eg_sinks_config routes;

static struct eg_route *begin(const enum eg_outcome *script, size_t len)
{
	json_t *list = json_loads(ROUTE("\""), 0, NULL);
	struct eg_error err = {0};
	struct eg_route *route;

	fake.script = script;
	fake.script_len = len;
	fake.requests = fake.changes = 0;
	fake.seen[0] = '\0';
	assert_int_equal(eg_routes_config_parse("test", list, &routes, &err), 0);
	json_decref(list);
	assert_int_equal(eg_route_start(&place, &routes.sinks[0], &fake_protocol, &route), 0);
	return route;
}

static void end(struct eg_route *route)
{
	eg_route_ask_to_stop(route);
	assert_true(eg_route_join(route, 10000000000ull));
	eg_route_free(route);
	eg_sinks_config_free(&routes);
}

static bool give(struct eg_route *route, uint64_t number, const char *type)
{
	char id[16];
	json_t *event;
	bool taken;

	snprintf(id, sizeof(id), "h-1-a%d", (int)number);
	event = json_pack("{s:i, s:s, s:s, s:s, s:s}", "schema", 1, "ts", "2026-01-01T00:00:00Z", "type", type, "event_id", id,
			  "host", "h");
	taken = eg_route_give(route, number, event);
	json_decref(event);
	return taken;
}

/* Until all up to that number are settled. */
static struct eg_route_report settled(struct eg_route *route, uint64_t number)
{
	struct eg_route_report report;
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 20;
	for (;;) {
		size_t changes;

		pthread_mutex_lock(&fake.lock);
		changes = fake.changes;
		pthread_mutex_unlock(&fake.lock);
		eg_route_report(route, &report);
		if (report.done >= number)
			return report;
		pthread_mutex_lock(&fake.lock);
		while (fake.changes == changes)
			assert_int_equal(pthread_cond_timedwait(&fake.wake, &fake.lock, &deadline), 0);
		pthread_mutex_unlock(&fake.lock);
	}
}

static void test_in_order_until_settled(void **state)
{
	static const enum eg_outcome script[] = {EG_OUTCOME_RETRY, EG_OUTCOME_DELIVERED, EG_OUTCOME_SPLIT};
	struct eg_route *route = begin(script, 3);
	struct eg_route_report report;

	(void)state;
	assert_true(give(route, 1, "kill"));
	assert_true(give(route, 4, "policy")); /* not for it */
	assert_true(give(route, 5, "alert"));
	assert_true(give(route, 9, "restore"));
	report = settled(route, 9);
	assert_string_equal(fake.seen, "h-1-a1:R h-1-a1:D h-1-a5:S h-1-a9:D ");
	assert_int_equal(report.delivered, 2);
	assert_int_equal(report.filtered, 1);
	assert_int_equal(report.refused, 1);
	assert_int_equal(report.retries, 1);
	assert_int_equal(report.requests, 4);
	assert_int_equal(report.waiting, 0);
	assert_int_equal(report.state, EG_SINK_OK);
	assert_non_null(strstr(report.last_error, "alert h-1-a5 was refused"));
	end(route);
}

/* It ends at once while it waits for its receiver, and takes no more than there is room for. */
static void test_stands_still(void **state)
{
	static enum eg_outcome script[10000];
	struct eg_route *route;
	struct eg_route_report report;
	uint64_t number = 0;

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		script[i] = EG_OUTCOME_PAUSE;
	route = begin(script, 10000);
	while (give(route, number + 1, "kill"))
		number++;
	assert_int_equal(number, EG_SHIP_ALERTS_AT_ONCE);
	do
		eg_route_report(route, &report);
	while (report.state != EG_SINK_PAUSED);
	assert_int_equal(report.done, 0);
	assert_int_equal(report.waiting, EG_SHIP_ALERTS_AT_ONCE);
	end(route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature), cmocka_unit_test(test_url), cmocka_unit_test(test_which),
		cmocka_unit_test(test_configuration), cmocka_unit_test(test_in_order_until_settled),
		cmocka_unit_test(test_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

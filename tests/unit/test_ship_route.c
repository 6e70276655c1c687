// SPDX-License-Identifier: Apache-2.0
/* What a route's requests look like, and which events are for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature), cmocka_unit_test(test_url), cmocka_unit_test(test_which),
		cmocka_unit_test(test_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

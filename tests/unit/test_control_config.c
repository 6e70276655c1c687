// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/lib/control_config.h"

static int parse(const char *text, struct eg_control_config **ret, struct eg_error *err)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	int r;

	assert_non_null(value);
	r = eg_control_config_parse("egret.json", value, ret, err);
	json_decref(value);
	return r;
}

static struct eg_control_config *good(const char *text)
{
	struct eg_control_config *control = NULL;
	struct eg_error err = {0};

	if (parse(text, &control, &err))
		fail_msg("%s: %s", text, err.message);
	return control;
}

static void defaults(void **state)
{
	struct eg_control_config *control =
		good("{\"source\": \"etcd\", \"endpoints\": [\"https://a:2379\", \"http://b:1\"]}");

	(void)state;
	assert_int_equal(control->source, EG_CONTROL_ETCD);
	assert_string_equal(control->endpoints[1], "http://b:1");
	assert_null(control->endpoints[2]);
	assert_string_equal(control->prefix, "/egret/");
	assert_string_equal(control->user, "egret-sync");
	assert_int_equal(control->lease_ns, 60000000000ull);
	assert_null(control->keys[0]);
	assert_true(eg_control_owns_app(control, "any") && eg_control_owns_cgroup(control, "any/where"));
	eg_control_config_free(control);
}

static void everything(void **state)
{
	struct eg_control_config *control = good("{\"source\": \"etcd\", \"endpoints\": [\"https://a:2379\"], "
						 "\"prefix\": \"/x/y/\", \"username\": \"u\", "
						 "\"password_file\": \"/p\", \"tls\": {\"ca\": \"/ca\", \"cert\": "
						 "\"/c\", \"key\": \"/k\"}, \"keys\": [\"/1\", "
						 "\"/2\"], \"apps\": [\"hr-*\", \"one\"], \"cgroups\": "
						 "[\"a.slice/b\"], \"user\": \"daemon\", \"lease\": \"5s\"}");

	(void)state;
	assert_string_equal(control->keys[1], "/2");
	assert_string_equal(control->cert_file, "/c");
	assert_string_equal(control->password_file, "/p");
	assert_int_equal(control->lease_ns, 5000000000ull);
	assert_true(eg_control_owns_app(control, "hr-x") && eg_control_owns_app(control, "one"));
	assert_false(eg_control_owns_app(control, "hr") || eg_control_owns_app(control, "one-more"));
	assert_true(eg_control_owns_cgroup(control, "a.slice/b") && eg_control_owns_cgroup(control, "a.slice/b/c*"));
	assert_false(eg_control_owns_cgroup(control, "a.slice") || eg_control_owns_cgroup(control, "a.slice/b*") ||
		     eg_control_owns_cgroup(control, "a.slice/bc"));
	eg_control_config_free(control);
}

#define HTTPS "\"source\": \"https\", \"endpoints\": [\"https://a/b\"]"
#define ETCD "\"source\": \"etcd\", \"endpoints\": [\"https://a:1\"]"

static void state_url(void **state)
{
	struct eg_control_config *control = good("{" HTTPS ", \"state_url\": \"https://A/states//\", \"lease\": \"5s\"}");

	(void)state;
	assert_string_equal(control->state_url, "https://A/states");
	assert_int_equal(control->lease_ns, 5000000000ull);
	eg_control_config_free(control);
}

static void errors(void **state)
{
	static const struct {
		const char *text;
		const char *key;
		const char *words;
	} cases[] = {
		{"5", "\"control\"", "must be an object"},
		{"{}", "\"control.source\"", "is missing"},
		{"{\"source\": \"consul\"}", "\"control.source\"", "\"etcd\" or \"https\""},
		{"{\"source\": \"etcd\"}", "\"control.endpoints\"", "is missing"},
		{"{\"source\": \"etcd\", \"endpoints\": []}", "\"control.endpoints\"", "list of 1"},
		{"{\"source\": \"etcd\", \"endpoints\": \"https://a\"}", "\"control.endpoints\"", "list of 1"},
		{"{\"source\": \"etcd\", \"endpoints\": [\"a:2379\"]}", "\"control.endpoints\"", "https://HOST:PORT"},
		{"{\"source\": \"etcd\", \"endpoints\": [\"https://u@a:1\"]}", "\"control.endpoints\"", "no user"},
		{"{\"source\": \"etcd\", \"endpoints\": [\"https://a:1/v3\"]}", "\"control.endpoints\"", "no path"},
		{"{\"source\": \"https\", \"endpoints\": [\"http://a/b\"]}", "\"control.endpoints\"",
		 "https://HOST/PATH"},
		{"{\"source\": \"https\", \"endpoints\": [\"https://a/b\", \"https://c/d\"]}", "\"control.endpoints\"",
		 "one URL"},
		{"{\"source\": \"https\", \"endpoints\": [\"https://a/b\"], \"prefix\": \"/x/\"}", "\"control.prefix\"",
		 "etcd"},
		{"{" ETCD ", \"prefix\": \"egret\"}", "\"control.prefix\"", "slash"},
		{"{" ETCD ", \"prefix\": \"/\"}", "\"control.prefix\"", "slash"},
		{"{" ETCD ", \"prefix\": \"/a//\"}", "\"control.prefix\"", "slash"},
		{"{" ETCD ", \"username\": \"u\"}", "\"control.username\"", "alone"},
		{"{" ETCD ", \"password_file\": \"/p\"}", "\"control.password_file\"", "alone"},
		{"{" ETCD ", \"token_file\": \"/t\"}", "\"control.token_file\"", "\"https\""},
		{"{" ETCD ", \"state_url\": \"https://a:1/s\"}", "\"control.state_url\"", "\"https\""},
		{"{" HTTPS ", \"state_url\": \"http://a/s\"}", "\"control.state_url\"", "https://HOST/PATH"},
		{"{" HTTPS ", \"state_url\": \"https://a/s?x\"}", "\"control.state_url\"", "no query"},
		{"{" HTTPS ", \"state_url\": \"https://b/s\"}", "\"control.state_url\"", "on the server of"},
		{"{" HTTPS ", \"state_url\": \"https://a.b/s\"}", "\"control.state_url\"", "on the server of"},
		{"{" HTTPS ", \"state_url\": \"https://a:444/s\"}", "\"control.state_url\"", "on the server of"},
		{"{\"source\": \"etcd\", \"endpoints\": [\"http://a:1\"], \"username\": \"u\", \"password_file\": "
		 "\"/p\"}",
		 "\"control.endpoints\"", "in the clear"},
		{"{" ETCD ", \"tls\": {\"cert\": \"/c\"}}", "\"control.tls\"", "both"},
		{"{" ETCD ", \"tls\": {\"insecure\": true}}", "\"control.tls.insecure\"", "is not a key"},
		{"{" ETCD ", \"tls\": {\"ca\": 1}}", "\"control.tls.ca\"", "text"},
		{"{" ETCD ", \"tls\": []}", "\"control.tls\"", "object"},
		{"{" ETCD ", \"keys\": []}", "\"control.keys\"", "list of 1"},
		{"{" ETCD ", \"apps\": [\"a/b\"]}", "\"control.apps\"", "no pattern"},
		{"{" ETCD ", \"cgroups\": [\"/a\"]}", "\"control.cgroups\"", "no path"},
		{"{" ETCD ", \"lease\": \"1s\"}", "\"control.lease\"", "from 5s"},
		{"{" ETCD ", \"wait\": 5}", "\"control.wait\"", "time"},
		{"{" ETCD ", \"user\": \"a\\nb\"}", "\"control.user\"", "control characters"},
		{"{" ETCD ", \"endpoint\": []}", "\"control.endpoint\"", "is not a key"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_control_config *control = NULL;
		struct eg_error err = {0};

		assert_int_equal(parse(cases[i].text, &control, &err), -EINVAL);
		assert_string_equal(err.code, "bad_config");
		if (!strstr(err.message, cases[i].key) || !strstr(err.message, cases[i].words) ||
		    strncmp(err.message, "egret.json: ", 12) != 0)
			fail_msg("%s: %s", cases[i].text, err.message);
		assert_null(control);
		eg_error_clear(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(state_url),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

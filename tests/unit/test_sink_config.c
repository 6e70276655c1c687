// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/sink_config.h"

#define SECOND 1000000000ull

static struct eg_sinks_config parse(const char *text)
{
	struct eg_sinks_config sinks = {0};
	struct eg_error err = {0};
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	int r;

	assert_non_null(value);
	r = eg_sinks_config_parse("egret.json", value, &sinks, &err);
	if (r)
		print_error("%s\n", err.message);
	assert_int_equal(r, 0);
	json_decref(value);
	return sinks;
}

/* ---- What is read ---------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
	struct eg_sinks_config sinks = parse("[{\"name\": \"soc\", \"type\": \"hec\", \"url\": \"https://splunk:8088\","
					     " \"token_file\": \"/etc/egret/hec\"}]");
	const struct eg_sink_config *sink = &sinks.sinks[0];

	(void)state;
	assert_int_equal(sinks.count, 1);
	assert_string_equal(sink->name, "soc");
	assert_int_equal(sink->type, EG_SINK_HEC);
	assert_int_equal(sink->schema, EG_SCHEMA_EGRET);
	assert_null(sink->types);
	assert_false(sink->flows_full);
	assert_int_equal(sink->rollup_ns, 60 * SECOND);
	assert_true(sink->gzip);
	assert_false(sink->ack);
	assert_int_equal(sink->timeout_ns, 30 * SECOND);
	assert_int_equal(sink->batch_events, 1000);
	assert_int_equal(sink->batch_bytes, 512 << 10);
	assert_int_equal(sink->batch_ns, SECOND);
	assert_int_equal(sink->dead_bytes, 16 << 20);
	assert_string_equal(sink->token_file, "/etc/egret/hec");
	eg_sinks_config_free(&sinks);
	assert_int_equal(sinks.count, 0);
}

static void test_every_key_of_http(void **state)
{
	struct eg_sinks_config sinks = parse(
		"[{\"name\": \"es\", \"type\": \"elasticsearch\", \"schema\": \"ecs\", \"types\": [\"deny\", \"kill\"],"
		" \"apps\": [\"hr-*\"], \"verdicts\": [\"deny\"], \"flows\": \"full\", \"drop\": [\"comm\"],"
		" \"hash\": [\"uid\"], \"hash_key_file\": \"/k\", \"url\": \"https://es:9200\", \"proxy\": \"http://p:1\","
		" \"tls\": {\"ca\": \"/ca\", \"cert\": \"/c\", \"key\": \"/k\"}, \"username\": \"u\", \"password_file\": \"/p\","
		" \"headers\": {\"X-Team\": \"soc\"}, \"compression\": \"none\", \"index\": \"x\", \"timeout\": \"5s\","
		" \"batch\": {\"events\": 7, \"bytes\": \"8KiB\", \"wait\": \"100ms\"}, \"dead_letters\": \"1MiB\"}]");
	const struct eg_sink_config *sink = &sinks.sinks[0];

	(void)state;
	assert_int_equal(sink->schema, EG_SCHEMA_ECS);
	assert_string_equal(sink->types[1], "kill");
	assert_null(sink->types[2]);
	assert_string_equal(sink->apps[0], "hr-*");
	assert_string_equal(sink->verdicts[0], "deny");
	assert_true(sink->flows_full);
	assert_string_equal(sink->drop[0], "comm");
	assert_string_equal(sink->hash[0], "uid");
	assert_string_equal(sink->hash_key_file, "/k");
	assert_string_equal(sink->ca_file, "/ca");
	assert_string_equal(sink->cert_file, "/c");
	assert_string_equal(sink->username, "u");
	assert_string_equal(json_string_value(json_object_get(sink->headers, "X-Team")), "soc");
	assert_false(sink->gzip);
	assert_string_equal(sink->index, "x");
	assert_int_equal(sink->batch_events, 7);
	assert_int_equal(sink->batch_bytes, 8192);
	assert_int_equal(sink->batch_ns, SECOND / 10);
	assert_int_equal(sink->dead_bytes, 1 << 20);
	eg_sinks_config_free(&sinks);
}

static void test_file_and_others(void **state)
{
	struct eg_sinks_config sinks =
		parse("[{\"name\": \"f\", \"type\": \"file\", \"path\": \"/var/log/x\", \"rollup\": \"5s\","
		      "  \"rotate\": {\"size\": \"1MiB\", \"every\": \"1h\"}, \"keep\": {\"size\": \"off\", \"for\": \"2d\"}},"
		      " {\"name\": \"l\", \"type\": \"loki\", \"url\": \"http://loki\", \"tenant\": \"t\", \"labels\": {\"a\": \"b\"}},"
		      " {\"name\": \"s\", \"type\": \"syslog\", \"url\": \"unix:/dev/log\", \"facility\": 4},"
		      " {\"name\": \"t\", \"type\": \"syslog\", \"url\": \"tls://[::1]:6514\", \"tls\": {\"ca\": \"/ca\"}},"
		      " {\"name\": \"o\", \"type\": \"otlp\", \"url\": \"http://o:4318\"},"
		      " {\"name\": \"w\", \"type\": \"webhook\", \"url\": \"http://w/x\"}]");

	(void)state;
	assert_int_equal(sinks.count, 6);
	assert_int_equal(sinks.sinks[0].rollup_ns, 5 * SECOND);
	assert_int_equal(sinks.sinks[0].rotate_bytes, 1 << 20);
	assert_int_equal(sinks.sinks[0].rotate_ns, 3600 * SECOND);
	assert_int_equal(sinks.sinks[0].keep_bytes, 0);
	assert_int_equal(sinks.sinks[0].keep_ns, 2 * 86400 * SECOND);
	assert_string_equal(sinks.sinks[1].tenant, "t");
	assert_int_equal(sinks.sinks[2].facility, 4);
	assert_false(sinks.sinks[4].gzip);
	assert_string_equal(sinks.sinks[5].content_type, "application/x-ndjson");
	eg_sinks_config_free(&sinks);
}

static void test_exposed_credentials(void **state)
{
	const struct {
		const char *url;
		bool exposed;
	} cases[] = {{"http://splunk:8088", true}, {"https://splunk:8088", false}, {"http://127.0.0.1:8088", false},
		     {"http://[::1]:8088", false}, {"http://localhost.evil.example", true}, {"http://127.evil.example", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		struct eg_sinks_config sinks;

		snprintf(text, sizeof(text), "[{\"name\": \"a\", \"type\": \"hec\", \"url\": \"%s\", \"token_file\": \"/t\"}]",
			 cases[i].url);
		sinks = parse(text);
		assert_int_equal(eg_sink_config_exposed(&sinks.sinks[0]), cases[i].exposed);
		eg_sinks_config_free(&sinks);
	}
}

/* ---- What is refused --------------------------------------------------------------------------- */

#define HEC  "\"name\": \"a\", \"type\": \"hec\", \"url\": \"https://h\", \"token_file\": \"/t\""
#define FILE_SINK "\"name\": \"a\", \"type\": \"file\", \"path\": \"/f\""
#define HOOK "\"name\": \"a\", \"type\": \"webhook\", \"url\": \"https://h\""

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		const char *key;
		const char *words;
	} cases[] = {
		{"{}", "\"sinks\"", "must be a list"},
		{"[7]", "\"sinks[0]\"", "must be an object"},
		{"[{\"name\": \"a\"}]", "sinks[0].type", "must be"},
		{"[{\"name\": \"a\", \"type\": \"kafka\"}]", "sinks[0].type", "must be"},
		{"[{\"type\": \"file\", \"path\": \"/f\"}]", "sinks[0].name", "is required"},
		{"[{\"name\": \"A\", \"type\": \"file\", \"path\": \"/f\"}]", "sinks[0].name", "a-z"},
		{"[{\"name\": \"../a\", \"type\": \"file\", \"path\": \"/f\"}]", "sinks[0].name", "a-z"},
		{"[{" FILE_SINK ", \"colour\": 1}]", "sinks[0].colour", "is not a key"},
		{"[{" FILE_SINK ", \"url\": \"http://x\"}]", "sinks[0].url", "not a key of a sink of the type \"file\""},
		{"[{" HEC ", \"path\": \"/f\"}]", "sinks[0].path", "not a key of a sink of the type \"hec\""},
		{"[{\"name\": \"a\", \"type\": \"file\"}]", "sinks[0].path", "is required"},
		{"[{\"name\": \"a\", \"type\": \"file\", \"path\": \"x\"}]", "sinks[0].path", "absolute"},
		{"[{\"name\": \"a\", \"type\": \"loki\"}]", "sinks[0].url", "is required"},
		{"[{" FILE_SINK "}, {\"name\": \"a\", \"type\": \"file\", \"path\": \"/g\"}]", "sinks[1].name", "sinks[0]"},
		{"[{" FILE_SINK "}, {\"name\": \"b\", \"type\": \"file\", \"path\": \"/f\"}]", "sinks[1].path", "sinks[0]"},
		{"[{" HEC ", \"token\": \"s3cret\"}]", "sinks[0].token", "\"token_file\""},
		{"[{" HOOK ", \"password\": \"s3cret\"}]", "sinks[0].password", "\"password_file\""},
		{"[{" HOOK ", \"api_key\": \"s3cret\"}]", "sinks[0].api_key", "\"token_file\""},
		{"[{" HOOK ", \"headers\": {\"Authorization\": \"s3cret\"}}]", "sinks[0].headers", "a key of its own"},
		{"[{" HOOK ", \"headers\": {\"X-A\": \"a\\r\\nX-B: s3cret\"}}]", "sinks[0].headers", "control characters"},
		{"[{" HOOK ", \"headers\": {\"X A\": \"a\"}}]", "sinks[0].headers", "name of a header"},
		{"[{\"name\": \"a\", \"type\": \"webhook\", \"url\": \"https://u:s3cret@h\"}]", "sinks[0].url", "password_file"},
		{"[{" HOOK ", \"proxy\": \"http://u:s3cret@h\"}]", "sinks[0].proxy", "password_file"},
		{"[{\"name\": \"a\", \"type\": \"webhook\", \"url\": \"ftp://h\"}]", "sinks[0].url", "https://"},
		{"[{\"name\": \"a\", \"type\": \"webhook\", \"url\": \"https://\"}]", "sinks[0].url", "https://"},
		{"[{\"name\": \"a\", \"type\": \"syslog\", \"url\": \"tcp://h:x\"}]", "sinks[0].url", "tcp://HOST[:PORT]"},
		{"[{\"name\": \"a\", \"type\": \"syslog\", \"url\": \"tls://h/x\"}]", "sinks[0].url", "tcp://HOST[:PORT]"},
		{"[{\"name\": \"a\", \"type\": \"syslog\", \"url\": \"https://h\"}]", "sinks[0].url", "tcp://HOST[:PORT]"},
		{"[{\"name\": \"a\", \"type\": \"syslog\", \"url\": \"udp://h\", \"proxy\": \"http://p\"}]", "sinks[0].proxy", "TCP only"},
		{"[{\"name\": \"a\", \"type\": \"syslog\", \"url\": \"udp://h:514\", \"tls\": {\"ca\": \"/c\"}}]", "sinks[0].tls",
		 "tls://"},
		{"[{" HEC ", \"tls\": {\"cert\": \"/c\"}}]", "sinks[0].tls.key", "is required"},
		{"[{" HEC ", \"tls\": {\"key\": \"/c\"}}]", "sinks[0].tls.cert", "is required"},
		{"[{" HEC ", \"tls\": {\"ca\": 7}}]", "sinks[0].tls.ca", "absolute path"},
		{"[{" HEC ", \"tls\": {\"verify\": false}}]", "sinks[0].tls.verify", "is not a key"},
		{"[{\"name\": \"a\", \"type\": \"webhook\", \"url\": \"http://h\", \"tls\": {\"ca\": \"/c\"}}]", "sinks[0].tls",
		 "https://"},
		{"[{\"name\": \"a\", \"type\": \"hec\", \"url\": \"https://h\"}]", "sinks[0].token_file", "is required"},
		{"[{" HOOK ", \"username\": \"u\"}]", "sinks[0].password_file", "is required"},
		{"[{" HOOK ", \"password_file\": \"/u\"}]", "sinks[0].username", "is required"},
		{"[{" HOOK ", \"username\": \"u\", \"password_file\": \"/p\", \"token_file\": \"/t\"}]", "sinks[0].token_file",
		 "contradicts"},
		{"[{" FILE_SINK ", \"hash\": [\"uid\"]}]", "sinks[0].hash_key_file", "is required"},
		{"[{" FILE_SINK ", \"hash_key_file\": \"/k\"}]", "sinks[0].hash_key_file", "of no use"},
		{"[{" FILE_SINK ", \"hash\": [\"uid\"], \"hash_key_file\": \"/k\", \"drop\": [\"uid\"]}]", "sinks[0].hash", "drop"},
		{"[{" FILE_SINK ", \"drop\": [\"event_id\"]}]", "sinks[0].drop", "every event needs"},
		{"[{" FILE_SINK ", \"types\": []}]", "sinks[0].types", "leave it out"},
		{"[{" FILE_SINK ", \"types\": [\"flows\"]}]", "sinks[0].types", "\"flows\""},
		{"[{" FILE_SINK ", \"types\": [\"relax\"]}]", "sinks[0].types", "\"relax\""}, /* an alert tells of it */
		{"[{" FILE_SINK ", \"verdicts\": [\"maybe\"]}]", "sinks[0].verdicts", "\"maybe\""},
		{"[{" FILE_SINK ", \"apps\": [7]}]", "sinks[0].apps", "not one of those"},
		{"[{" FILE_SINK ", \"flows\": \"full\", \"rollup\": \"60s\"}]", "sinks[0].rollup", "contradicts"},
		{"[{" FILE_SINK ", \"rollup\": \"0s\"}]", "sinks[0].rollup", "must be a time"},
		{"[{" FILE_SINK ", \"rollup\": \"2h\"}]", "sinks[0].rollup", "must be a time"},
		{"[{" FILE_SINK ", \"rotate\": {\"size\": \"1B\"}}]", "sinks[0].rotate.size", "must be a size"},
		{"[{" FILE_SINK ", \"batch\": {\"events\": 0}}]", "sinks[0].batch.events", "whole number from 1"},
		{"[{" FILE_SINK ", \"schema\": \"cef\"}]", "sinks[0].schema", "\"ocsf\""},
		{"[{" HOOK ", \"compression\": true}]", "sinks[0].compression", "\"gzip\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_sinks_config sinks = {0};
		struct eg_error err = {0};
		json_t *value = json_loads(cases[i].text, 0, NULL);

		assert_non_null(value);
		if (eg_sinks_config_parse("egret.json", value, &sinks, &err) != -EINVAL)
			fail_msg("%s was taken", cases[i].text);
		assert_int_equal(sinks.count, 0);
		assert_string_equal(err.code, "bad_config");
		if (strncmp(err.message, "egret.json: ", 12) || !strstr(err.message, cases[i].key) ||
		    !strstr(err.message, cases[i].words))
			fail_msg("%s: \"%s\" lacks \"%s\" or \"%s\"", cases[i].text, err.message, cases[i].key, cases[i].words);
		assert_null(strstr(err.message, "s3cret"));
		eg_error_clear(&err);
		json_decref(value);
	}
}

static void test_no_more_than_can_be(void **state)
{
	struct eg_sinks_config sinks;
	struct eg_error err = {0};
	json_t *value = json_array();

	(void)state;
	for (int i = 0; i <= EG_SINKS_MAX; i++)
		json_array_append_new(value, json_pack("{s:s}", "type", "file"));
	for (size_t i = 0; i < json_array_size(value); i++) {
		json_object_set_new(json_array_get(value, i), "name", json_sprintf("s%zu", i));
		json_object_set_new(json_array_get(value, i), "path", json_sprintf("/f%zu", i));
	}
	assert_int_equal(eg_sinks_config_parse("egret.json", value, &sinks, &err), -EINVAL);
	assert_non_null(strstr(err.message, "may have 32 entries"));
	json_array_remove(value, EG_SINKS_MAX);
	assert_int_equal(eg_sinks_config_parse("egret.json", value, &sinks, &err), 0);
	assert_int_equal(sinks.count, EG_SINKS_MAX);
	eg_sinks_config_free(&sinks);
	eg_error_clear(&err);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),	  cmocka_unit_test(test_every_key_of_http),
		cmocka_unit_test(test_file_and_others),	  cmocka_unit_test(test_exposed_credentials),
		cmocka_unit_test(test_refused),		  cmocka_unit_test(test_no_more_than_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/sync/etcd_json.h"

static json_t *json(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	assert_non_null(root);
	return root;
}

static void prefix_end(void **state)
{
	const char *const cases[][2] = {{"/egret/", "/egret0"}, {"a", "b"}, {"/egret/kills/", "/egret/kills0"}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *end = eg_etcd_prefix_end(cases[i][0]);

		assert_string_equal(end, cases[i][1]);
		free(end);
	}
}

static void assert_json(json_t *object, const char *expected)
{
	json_t *wanted = json(expected);

	assert_true(json_equal(object, wanted));
	json_decref(object);
	json_decref(wanted);
}

static void bodies(void **state)
{
	(void)state;
	assert_json(eg_etcd_range_body("/k", NULL, 0, 0), "{\"key\": \"L2s=\"}");
	assert_json(eg_etcd_range_body("/k", "/l", 256, 7),
		    "{\"key\": \"L2s=\", \"range_end\": \"L2w=\", \"limit\": \"256\", \"revision\": \"7\"}");
	assert_json(eg_etcd_watch_body("/k", "/l", 8, 2),
		    "{\"create_request\": {\"key\": \"L2s=\", \"range_end\": \"L2w=\", "
		    "\"start_revision\": \"8\", \"watch_id\": \"2\", \"fragment\": true}}");
	assert_json(eg_etcd_put_body("/k", "v", 1, 9), "{\"key\": \"L2s=\", \"value\": \"dg==\", \"lease\": \"9\"}");
	assert_json(eg_etcd_put_body("/k", "", 0, 0), "{\"key\": \"L2s=\", \"value\": \"\"}");
}

/* As etcd 3.4 answers: numbers are texts, and what is empty is left out. */
static void ranges(void **state)
{
	json_t *full = json("{\"header\": {\"revision\": \"42\"}, \"more\": true, \"count\": \"2\", \"kvs\": ["
			    "{\"key\": \"L2s=\", \"mod_revision\": \"40\", \"value\": \"dg==\"},"
			    "{\"key\": \"L2wAeA==\", \"value\": \"dg==\"}, {\"key\": \"L2w=\"}]}");
	json_t *empty = json("{\"header\": {\"revision\": \"1\"}}");
	struct eg_etcd_range range;

	(void)state;
	assert_int_equal(eg_etcd_range_parse(full, &range), 0);
	assert_int_equal(range.revision, 42);
	assert_true(range.more);
	assert_int_equal(range.count, 2); /* a key with a NUL in it is no app's */
	assert_string_equal(range.kvs[0].key, "/k");
	assert_string_equal(range.kvs[0].value, "v");
	assert_int_equal(range.kvs[0].mod_revision, 40);
	assert_string_equal(range.kvs[1].key, "/l");
	assert_int_equal(range.kvs[1].value_len, 0);
	eg_etcd_range_clear(&range);
	assert_int_equal(eg_etcd_range_parse(empty, &range), 0);
	assert_int_equal(range.count, 0);
	assert_false(range.more);
	eg_etcd_range_clear(&range);
	json_decref(full);
	json_decref(empty);
}

static void bad_ranges(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[]",
		"{\"header\": 1}",
		"{\"header\": {\"revision\": \"-1\"}}",
		"{\"header\": {\"revision\": \"1e9\"}}",
		"{\"header\": {\"revision\": \"99999999999999999999\"}}",
		"{\"header\": {\"revision\": \"1\"}, \"kvs\": {}}",
		"{\"header\": {\"revision\": \"1\"}, \"kvs\": [1]}",
		"{\"header\": {\"revision\": \"1\"}, \"kvs\": [{\"key\": \"L2s=\"}, {\"key\": 5}]}",
		"{\"header\": {\"revision\": \"1\"}, \"kvs\": [{\"key\": \"L2s\"}]}",
		"{\"header\": {\"revision\": \"1\"}, \"kvs\": [{\"key\": \"L2s=\", \"value\": \"?\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_etcd_range range;
		json_t *root = json(cases[i]);

		assert_int_equal(eg_etcd_range_parse(root, &range), -EBADMSG);
		json_decref(root);
	}
}

static void parse(const char *line, struct eg_etcd_watch *ret)
{
	assert_int_equal(eg_etcd_watch_parse(line, strlen(line), ret), 0);
}

static void watches(void **state)
{
	struct eg_etcd_watch watch;

	(void)state;
	parse("{\"result\":{\"header\":{\"revision\":\"5\"},\"watch_id\":\"2\",\"created\":true}}", &watch);
	assert_true(watch.created && !watch.canceled && watch.watch_id == 2 && watch.revision == 5 && !watch.count);
	eg_etcd_watch_clear(&watch);

	parse("{\"result\":{\"header\":{\"revision\":\"6\"},\"events\":[{\"kv\":{\"key\":\"L2s=\",\"mod_revision\":"
	      "\"6\",\"value\":"
	      "\"dg==\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"L2w=\",\"mod_revision\":\"6\"}}]}}",
	      &watch);
	assert_int_equal(watch.count, 2);
	assert_false(watch.events[0].gone); /* a PUT has no type */
	assert_true(watch.events[1].gone);
	assert_string_equal(watch.events[1].key, "/l");
	eg_etcd_watch_clear(&watch);

	parse("{\"result\":{\"header\":{\"revision\":\"9\"},\"canceled\":true,\"compact_revision\":\"8\"}}", &watch);
	assert_true(watch.canceled && watch.compact_revision == 8);
	eg_etcd_watch_clear(&watch);
	parse("{\"result\":{\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,\"cancel_reason\":\"rpc error: "
	      "permission denied\"}}",
	      &watch);
	assert_true(watch.canceled && watch.watch_id == 0);
	assert_non_null(strstr(watch.reason, "permission denied"));
	eg_etcd_watch_clear(&watch);
	/* the last words of a member that stops */
	parse("{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: server stopped\"}}", &watch);
	assert_true(watch.canceled);
	assert_string_equal(watch.reason, "etcdserver: server stopped");
	eg_etcd_watch_clear(&watch);
}

static void bad_watches(void **state)
{
	static const char *const cases[] = {"",
					    "{",
					    "{}",
					    "[]",
					    "{\"result\": 1}",
					    "{\"result\": {\"events\": {}}}",
					    "{\"result\": {\"events\": [1]}}",
					    "{\"result\": {\"events\": [{\"kv\": {\"key\": \"*\"}}]}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_etcd_watch watch;

		assert_int_equal(eg_etcd_watch_parse(cases[i], strlen(cases[i]), &watch), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefix_end), cmocka_unit_test(bodies),	 cmocka_unit_test(ranges),
		cmocka_unit_test(bad_ranges), cmocka_unit_test(watches), cmocka_unit_test(bad_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

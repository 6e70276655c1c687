// SPDX-License-Identifier: Apache-2.0
/*
 * What the API's routes ask of the agent, what they answer, and to whom. As root: callers of
 * other users and groups are children.
 */
#include "api_tests.h"

#include <grp.h>
#include <sys/wait.h>

/* ---- Routes ------------------------------------------------------------------------------------- */

static void test_routes(void **state)
{
	static const struct {
		const char *method, *target, *body, *want; /* want: members of the answer */
	} cases[] = {
		{"GET", "/v1/status", "", "{\"op\":\"status\"}"},
		{"GET", "/v1/apps", "", "{\"op\":\"apps\",\"labels\":null}"},
		{"GET", "/v1/apps?labels=team%3Dhr,env!%3Ddev", "", "{\"labels\":\"team=hr,env!=dev\"}"},
		{"GET", "/v1/apps/hr.db_1-x", "", "{\"op\":\"app\",\"app\":\"hr.db_1-x\"}"},
		{"GET", "/v1/policies/hr", "", "{\"op\":\"policy_get\"}"},
		{"PUT", "/v1/policies/hr", "ab", "{\"op\":\"policy_put\",\"app\":\"hr\",\"len\":2,\"sum\":3105,"
		 "\"if_match\":null,\"take_over\":false,\"role\":3,\"uid\":0,\"pid\":true,\"via\":\"socket\"}"},
		{"PUT", "/v1/policies/hr?take_over=1", "", "{\"len\":0,\"take_over\":true}"},
		{"DELETE", "/v1/policies/hr", "", "{\"op\":\"policy_delete\",\"take_over\":false,\"role\":3}"},
		{"DELETE", "/v1/policies/hr?take_over=true", "", "{\"take_over\":true}"},
		{"POST", "/v1/policies:check", "{\"version\": 9", "{\"op\":\"policy_check\",\"len\":13}"},
		{"POST", "/v1/policies:plan", "{}", "{\"op\":\"policy_plan\",\"len\":2,\"last\":86400000000000,\"limit\":100000}"},
		{"POST", "/v1/policies:plan?last=1h&limit=5", "", "{\"len\":0,\"last\":3600000000000,\"limit\":5}"},
		{"GET", "/v1/policies/hr/history", "", "{\"op\":\"policy_history\",\"app\":\"hr\",\"rev\":null}"},
		{"GET", "/v1/policies/hr/history?rev=2-a", "", "{\"rev\":\"2-a\"}"},
		{"POST", "/v1/policies/hr/rollback", "", "{\"op\":\"policy_back\",\"app\":\"hr\",\"rev\":null,\"for\":0,"
		 "\"if_match\":null,\"take_over\":false,\"role\":3}"},
		{"POST", "/v1/policies/hr/rollback", "{\"rev\":\"2-a\",\"for\":\"1h\",\"if_match\":\"3-b\",\"take_over\":true}",
		 "{\"rev\":\"2-a\",\"for\":3600000000000,\"if_match\":\"3-b\",\"take_over\":true}"},
		{"POST", "/v1/policies/hr/renew", "{\"for\":\"1d\"}", "{\"for\":86400000000000}"},
		{"POST", "/v1/apps/hr/kill", "", "{\"op\":\"kill\",\"app\":\"hr\",\"labels\":null,\"all\":false,"
		 "\"reason\":null,\"ticket\":null,\"dry_run\":false,\"expect\":-1,\"role\":3,\"uid\":0}"},
		{"POST", "/v1/apps/hr/kill", "{\"reason\":\"leak\",\"ticket\":\"S-1\",\"dry_run\":true}",
		 "{\"app\":\"hr\",\"reason\":\"leak\",\"ticket\":\"S-1\",\"dry_run\":true}"},
		{"POST", "/v1/kill", "{\"labels\":\"a=b\",\"expect\":3}",
		 "{\"app\":null,\"labels\":\"a=b\",\"all\":false,\"expect\":3}"},
		{"POST", "/v1/kill", "{\"all\":true}", "{\"app\":null,\"labels\":null,\"all\":true,\"expect\":-1}"},
		{"POST", "/v1/apps/hr/restore", "{\"reason\":\"ok\"}", "{\"op\":\"restore\",\"app\":\"hr\",\"reason\":\"ok\"}"},
		{"POST", "/v1/restore", "", "{\"op\":\"restore\",\"app\":null,\"reason\":null}"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":\"15m\",\"reason\":\"r\"}",
		 "{\"op\":\"relax\",\"app\":\"hr\",\"for_ns\":900000000000,\"reason\":\"r\"}"},
		{"POST", "/v1/apps/hr/override", "{\"for\":\"1h\",\"reason\":\"r\"}",
		 "{\"op\":\"override\",\"app\":\"hr\",\"for_ns\":3600000000000,\"reason\":\"r\"}"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":\"0\",\"reason\":\"r\"}", "{\"for_ns\":0}"},
		{"POST", "/v1/apps/hr/snapshot", "{\"reason\":\"r\"}", "{\"op\":\"snapshot\",\"app\":\"hr\",\"reason\":\"r\"}"},
		{"POST", "/v1/tags", "{\"cgroup\":\"/a/b\",\"app\":\"hr\"}", "{\"op\":\"tag\",\"cgroup\":\"/a/b\",\"app\":\"hr\",\"init\":0}"},
		{"POST", "/v1/tags", "{\"cgroup\":\"/a/b\",\"app\":\"hr\",\"init\":77}", "{\"init\":77}"},
		{"GET", "/v1/explain?app=hr&dest=10.0.0.1:443", "",
		 "{\"app\":\"hr\",\"dest\":\"10.0.0.1:443\",\"proto\":\"tcp\",\"direction\":\"egress\"}"},
		{"GET", "/v1/explain?app=hr&dest=%5Bfd00::1%5D:5&proto=udp&direction=ingress", "",
		 "{\"dest\":\"[fd00::1]:5\",\"proto\":\"udp\",\"direction\":\"ingress\"}"},
		{"GET", "/v1/denied", "", "{\"op\":\"denied\",\"app\":null,\"since_ns\":0}"},
		{"GET", "/v1/denied?app=hr&last=10m", "", "{\"app\":\"hr\",\"since_ns\":600000000000}"},
		{"GET", "/v1/sinks", "", "{\"op\":\"sinks\"}"},
		{"POST", "/v1/sinks/soc/test", "", "{\"op\":\"sink_test\",\"sink\":\"soc\"}"},
		{"GET", "/v1/usage?app=hr", "", "{\"op\":\"usage\",\"app\":\"hr\",\"labels\":null}"},
		{"GET", "/v1/usage?labels=a%3Db", "", "{\"app\":null,\"labels\":\"a=b\"}"},
	};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *want = json_loads(cases[i].want, 0, NULL), *value;
		struct answer a;
		const char *key;

		assert_non_null(want);
		client_ask(path, cases[i].method, cases[i].target, "", cases[i].body, strlen(cases[i].body), &a);
		if (a.status != 200)
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].target, a.status, a.body);
		json_object_foreach(want, key, value)
			if (!json_equal(json_object_get(a.json, key), value))
				fail_msg("%s %s: \"%s\" in %s", cases[i].method, cases[i].target, key, a.body);
		assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
		assert_string_equal(answer_header(&a, "Cache-Control"), "no-store");
		assert_string_equal(answer_header(&a, "Connection"), "close");
		json_decref(want);
		answer_free(&a);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *method, *target, *body;
		int status;
		const char *code;
	} cases[] = {
		{"GET", "/", "", 404, "not_found"},
		{"GET", "/v1/apps/", "", 404, "not_found"},
		{"GET", "/v1/apps/hr/", "", 404, "not_found"},
		{"GET", "/v1/apps/a%2Fb", "", 404, "not_found"},
		{"GET", "/v1/status/%ff%0a", "", 404, "not_found"},
		{"POST", "/v1/apps/hr/explode", "", 404, "not_found"},
		{"DELETE", "/v1/status", "", 405, "method_not_allowed"},
		{"BREW", "/v1/status", "", 405, "method_not_allowed"},
		{"GET", "/v1/apps/hr/kill", "", 405, "method_not_allowed"},
		{"GET", "/v1/apps/HR", "", 400, "bad_name"},
		{"GET", "/v1/apps/-hr", "", 400, "bad_name"},
		{"GET", "/v1/apps/%ff", "", 400, "bad_name"},
		{"GET", "/v1/apps/a123456789012345678901234567890123456789012345678901234567890123", "", 400, "bad_name"},
		{"POST", "/v1/apps/%2e%2e/kill", "", 400, "bad_name"},
		{"GET", "/v1/usage?app=H", "", 400, "bad_name"},
		{"POST", "/v1/tags", "{\"cgroup\":\"/a\",\"app\":\"A\"}", 400, "bad_name"},
		{"GET", "/v1/status?x=1", "", 400, "bad_query"},
		{"GET", "/v1/apps?label=a", "", 400, "bad_query"},
		{"GET", "/v1/apps?labels", "", 400, "bad_query"},
		{"GET", "/v1/apps?labels=%ff", "", 400, "bad_query"},
		{"GET", "/v1/usage?app=a&app=b", "", 400, "bad_query"},
		{"GET", "/v1/usage?=", "", 400, "bad_query"},
		{"PUT", "/v1/policies/hr?take_over=yes", "", 400, "bad_query"},
		{"GET", "/v1/denied?last=ten", "", 400, "bad_query"},
		{"GET", "/v1/explain?app=hr", "", 400, "bad_query"},
		{"GET", "/v1/explain?dest=10.0.0.1", "", 400, "bad_query"},
		{"GET", "/v1/explain?app=hr&dest=10.0.0.1&proto=sctp", "", 400, "bad_query"},
		{"GET", "/v1/explain?app=hr&dest=10.0.0.1&direction=up", "", 400, "bad_query"},
		{"GET", "/v1/events?type=nonsense", "", 400, "bad_query"},
		{"GET", "/v1/events?limit=-1", "", 400, "bad_query"},
		{"GET", "/v1/events?limit=1234567890123456789", "", 400, "bad_query"},
		{"GET", "/v1/events?follow=2", "", 400, "bad_query"},
		{"POST", "/v1/apps/hr/kill", "{", 400, "bad_json"},
		{"POST", "/v1/apps/hr/kill", "[]", 400, "bad_json"},
		{"POST", "/v1/apps/hr/kill", "{\"reason\":\"\xff\"}", 400, "bad_json"},
		{"POST", "/v1/apps/hr/kill", "{\"reason\":\"a\\u0000b\"}", 400, "bad_json"},
		{"POST", "/v1/apps/hr/kill", "{\"reason\":\"a\",\"reason\":\"b\"}", 400, "bad_json"},
		{"POST", "/v1/apps/hr/kill", "{\"all\":true}", 400, "unknown_key"},
		{"POST", "/v1/kill", "{\"al\":true}", 400, "unknown_key"},
		{"POST", "/v1/kill", "", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"all\":false}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"all\":\"true\"}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"labels\":\"\"}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"labels\":\"\",\"all\":true}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"labels\":\"a=b\",\"all\":true}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"all\":true,\"expect\":-1}", 400, "bad_value"},
		{"POST", "/v1/kill", "{\"all\":true,\"expect\":1.0}", 400, "bad_value"},
		{"POST", "/v1/apps/hr/kill", "{\"reason\":null}", 400, "bad_value"},
		{"POST", "/v1/apps/hr/kill", "{\"ticket\":\"1234567890123456789012345678901234567890123456789012345678901234\"}",
		 400, "bad_value"},
		{"POST", "/v1/apps/hr/snapshot", "{\"reasn\":\"r\"}", 400, "unknown_key"},
		{"POST", "/v1/apps/hr/relax", "{\"reason\":\"r\"}", 400, "bad_value"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":15,\"reason\":\"r\"}", 400, "bad_value"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":\"x\",\"reason\":\"r\"}", 400, "bad_value"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":\"15m\"}", 400, "reason_required"},
		{"POST", "/v1/apps/hr/relax", "{\"for\":\"15m\",\"reason\":\" \"}", 400, "reason_required"},
		{"POST", "/v1/tags", "{\"app\":\"hr\"}", 400, "bad_value"},
	};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer a;

		client_ask(path, cases[i].method, cases[i].target, "", cases[i].body, strlen(cases[i].body), &a);
		if (a.status != cases[i].status)
			print_error("%s %s %s\n", cases[i].method, cases[i].target, cases[i].body);
		check_error(&a, cases[i].status, cases[i].code);
		answer_free(&a);
	}
	assert_int_equal(atomic_load(&agent.calls), 0);
}

/* What the agent says of a failure comes through, and a failure without a word is a 500. */
static void test_agent_errors(void **state)
{
	struct answer a;

	(void)state;
	start();
	client_ask(path, "POST", "/v1/apps/fail-409/kill", "", NULL, 0, &a);
	check_error(&a, 409, "fake_code");
	assert_string_equal(answer_text(&a, "message"), "It failed: ?.");
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(json_object_get(json_object_get(a.json, "error"), "details"), 0), "line")),
			 7);
	answer_free(&a);
	client_ask(path, "GET", "/v1/apps/fail-bare", "", NULL, 0, &a);
	check_error(&a, 500, "internal");
	answer_free(&a);
}

static void test_allow_and_head(void **state)
{
	struct answer a, b;

	(void)state;
	start();
	client_ask(path, "POST", "/v1/policies/hr", "", NULL, 0, &a);
	check_error(&a, 405, "method_not_allowed");
	assert_string_equal(answer_header(&a, "Allow"), "GET, HEAD, PUT, DELETE");
	answer_free(&a);
	client_ask(path, "GET", "/v1/status", "", NULL, 0, &a);
	client_ask(path, "HEAD", "/v1/status", "", NULL, 0, &b);
	assert_int_equal(b.status, 200);
	assert_int_equal(b.len, 0);
	assert_int_equal(strtoul(answer_header(&b, "Content-Length"), NULL, 10), a.len);
	answer_free(&a);
	answer_free(&b);
}

static void test_if_match(void **state)
{
	static const struct {
		const char *method, *app, *header;
		int status;
		const char *if_match; /* that the agent is given */
	} cases[] = {
		{"PUT", "hr", "If-Match: \"6-x\"\r\n", 200, "6-x"}, /* the agent compares */
		{"PUT", "hr", "If-Match: 6-x\r\n", 200, "6-x"},
		{"PUT", "hr", "If-Match: *\r\n", 200, "*"},
		{"PUT", "hr", "If-Match: \"a\", \"b\"\r\n", 400, NULL},
		{"PUT", "hr", "If-Match: \"\"\r\n", 400, NULL},
		{"DELETE", "hr", "If-Match: \"6-x\"\r\n", 200, "6-x"},
		{"DELETE", "hr", "If-Match: *\r\n", 200, "*"},
		{"DELETE", "hr", "", 200, NULL},
		{"DELETE", "hr", "If-Match: \"a\", \"b\"\r\n", 400, NULL},
	};
	struct answer a;

	(void)state;
	start();
	client_ask(path, "GET", "/v1/policies/hr", "", NULL, 0, &a);
	assert_string_equal(answer_header(&a, "ETag"), "\"7-abc\"");
	answer_free(&a);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char target[64];

		snprintf(target, sizeof(target), "/v1/policies/%s", cases[i].app);
		client_ask(path, cases[i].method, target, cases[i].header, NULL, 0, &a);
		if (a.status != cases[i].status)
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].header, a.status, a.body);
		if (cases[i].if_match)
			assert_string_equal(answer_text(&a, "if_match"), cases[i].if_match);
		answer_free(&a);
	}
}

/* ---- Roles ------------------------------------------------------------------------------------------- */

static gid_t group_of(const char *name)
{
	const struct group *group = getgrnam(name);

	assert_non_null(group);
	return group->gr_gid;
}

/*
 * Asks in a child as uid, with the primary group gid, and `more` among a hundred others that mean
 * nothing. The status, and 1000 times the role that the agent was told.
 */
static int ask_as(uid_t uid, gid_t gid, gid_t more, const char *method, const char *target)
{
	int pipes[2], said = -1;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		gid_t groups[100] = {more};
		struct answer a;

		for (unsigned i = 2; i < 100; i++) /* and groups[1] is 0, which means nothing either */
			groups[i] = 60000 + i;
		if (setgroups(100, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(1);
		client_ask(path, method, target, "", NULL, 0, &a);
		said = a.status + 1000 * (int)answer_number(&a, "role");
		if (a.status == 200 && json_object_get(a.json, "uid") && answer_number(&a, "uid") != uid)
			said = -1;
		if (a.status == 403 && strcmp(answer_text(&a, "code"), "forbidden"))
			said = -1;
		_exit(write(pipes[1], &said, sizeof(said)) != sizeof(said));
	}
	close(pipes[1]);
	if (read(pipes[0], &said, sizeof(said)) != sizeof(said))
		said = -2;
	close(pipes[0]);
	waitpid(pid, NULL, 0);
	return said;
}

#define KEPT_OUT 0 /* the socket's access list lets nobody of no role connect */

static void test_roles(void **state)
{
	const gid_t admin = group_of(ADMIN), responder = group_of(RESPONDER), viewer = group_of(VIEWER), none = NOBODY;
	const struct {
		uid_t uid;
		gid_t gid, more;
		const char *method, *target;
		int want;
	} cases[] = {
		{0, none, none, "POST", "/v1/apps/hr/kill", 3200},
		{NOBODY, none, none, "GET", "/v1/status", KEPT_OUT},
		{NOBODY, none, none, "GET", "/nowhere", KEPT_OUT},
		{NOBODY, none, none, "POST", "/v1/apps/hr/kill", KEPT_OUT},
		{NOBODY, viewer, none, "GET", "/v1/status", 200},
		{NOBODY, none, viewer, "GET", "/v1/status", 200},
		{NOBODY, none, viewer, "GET", "/metrics", 200},
		{NOBODY, none, viewer, "GET", "/v1/policies/hr", 200},
		{NOBODY, none, viewer, "POST", "/v1/apps/hr/kill", 403},
		{NOBODY, none, viewer, "POST", "/v1/restore", 403},
		{NOBODY, none, viewer, "POST", "/v1/policies:check", 403},
		{NOBODY, responder, none, "POST", "/v1/apps/hr/kill", 2200},
		{NOBODY, none, responder, "POST", "/v1/apps/hr/kill", 2200},
		{NOBODY, none, responder, "POST", "/v1/apps/hr/restore", 2200},
		{NOBODY, viewer, responder, "POST", "/v1/restore", 2200},
		{NOBODY, none, responder, "GET", "/v1/events", 200},
		{NOBODY, none, responder, "PUT", "/v1/policies/hr", 403},
		{NOBODY, none, responder, "DELETE", "/v1/policies/hr", 403},
		{NOBODY, none, responder, "POST", "/v1/tags", 403},
		{NOBODY, none, responder, "POST", "/v1/apps/hr/relax", 403},
		{NOBODY, none, responder, "POST", "/v1/apps/hr/override", 403},
		{NOBODY, none, admin, "PUT", "/v1/policies/hr", 3200},
		{NOBODY, admin, viewer, "DELETE", "/v1/policies/hr", 3200},
		{1, none, none, "GET", "/v1/status", KEPT_OUT},
	};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int said = ask_as(cases[i].uid, cases[i].gid, cases[i].more, cases[i].method, cases[i].target);

		if (said != cases[i].want)
			fail_msg("case %zu, %s %s: %d", i, cases[i].method, cases[i].target, said);
	}
}

/* Without groups, and with one that doesn't exist, only root is somebody; a reload changes that. */
static void test_groups_reloaded(void **state)
{
	struct eg_error err = {0};

	(void)state;
	config.groups = (struct eg_api_groups){NULL, "no-such-group", NULL};
	start();
	assert_int_equal(ask_as(NOBODY, group_of(ADMIN), NOBODY, "GET", "/v1/status"), KEPT_OUT);
	assert_int_equal(ask_as(NOBODY, group_of(RESPONDER), group_of(VIEWER), "GET", "/v1/status"), KEPT_OUT);
	assert_true(answers());
	config.groups.viewer = VIEWER;
	assert_int_equal(eg_api_reload(api, &config, &err), 0);
	assert_int_equal(ask_as(NOBODY, group_of(RESPONDER), group_of(VIEWER), "GET", "/v1/status"), 200);
	assert_int_equal(ask_as(NOBODY, group_of(RESPONDER), group_of(VIEWER), "POST", "/v1/restore"), 403);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agent_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allow_and_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_if_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups_reloaded, setup, teardown),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

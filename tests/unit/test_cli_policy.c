// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_policy.c - policy check, apply, diff, get, delete
 */
#include <errno.h>
#include <sys/stat.h>

#include "../../agent/cli/check.h"
#include "../../agent/cli/diff.h"
#include "test_cli_fixture.h"

#define OK(body) reply("200 OK", body)
#define NOW_NS   1790000000000000000ull /* 2026-09-21 */
#define DAY_NS   (24ull * 3600 * 1000000000)

#define GOOD                                                                                          \
	"{\"version\":1,\"app\":\"app-x\",\"owner\":\"o\",\"ticket\":\"T\",\"expires\":\"2026-10-01T00:00:00Z\"," \
	"\"cgroups\":[\"a.slice/x*.scope\"],\"egress\":[{\"id\":\"db\",\"to\":[\"10.0.0.1\"],\"proto\":\"tcp\"," \
	"\"ports\":[5432]}],\"limits\":{\"egress\":{\"bytes\":\"1MiB\",\"per\":\"1h\",\"action\":\"drop\"}}}"

/* ---- Files of a test -------------------------------------------------------------------------- */

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/egret-test-policy.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static void put_file(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Arguments with %s for the directory. */
#define RUN_IN(o, arguments, ...)                                \
	do {                                                     \
		char words_[256];                                \
		snprintf(words_, sizeof(words_), arguments, dir);      \
		RUN((o), words_, __VA_ARGS__);                   \
	} while (0)

static const char *body(const struct outcome *o, size_t n)
{
	return strstr(o->fake.requests[n], "\r\n\r\n") + 4;
}

/* ---- check -------------------------------------------------------------------------------------- */

static void test_check_text(void **state)
{
	EG_JSON json_t *good = NULL, *late = NULL, *broken = NULL;

	(void)state;
	good = eg_check_text("f.json", GOOD, strlen(GOOD), NOW_NS, 90 * DAY_NS);
	assert_true(eg_json_true(good, "ok"));
	assert_string_equal(eg_json_text(good, "app"), "app-x");
	late = eg_check_text("f.json", GOOD, strlen(GOOD), NOW_NS, 2 * DAY_NS);
	assert_false(eg_json_true(late, "ok"));
	assert_int_equal(json_array_size(json_object_get(late, "diagnostics")), 1);
	broken = eg_check_text("f.json", "{\"version\":1,\n \"app\":", 21, NOW_NS, 90 * DAY_NS);
	assert_false(eg_json_true(broken, "ok"));
	assert_true(json_is_null(json_object_get(broken, "app")));
	assert_int_equal(eg_json_u64(json_array_get(json_object_get(broken, "diagnostics"), 0), "line"), 2);
}

static void test_check_files(void **state)
{
	OUTCOME good, two, bad, json, strict, info;

	(void)state;
	put_file("a.json", "{\"version\":1,\n\"nope\":1}");
	put_file("b.txt", "not looked at");
	put_file(".hidden.json", "{");
	RUN_IN(&bad, "policy check %s", NULL);
	assert_int_equal(bad.status, EG_EXIT_NO);
	assert_has(bad.out, "/a.json:2:1: error:");
	assert_lacks(bad.out, "hidden");
	assert_int_equal(bad.fake.request_count, 0); /* no agent is needed */
	RUN_IN(&json, "policy check %s -o json", NULL);
	assert_int_equal(json.status, EG_EXIT_NO);
	assert_has(json.out, "\"ok\": false");
	put_file("a.json", "{\"app\":\"app-x\"}");
	put_file("b.json", "{\"app\":\"app-x\"}");
	RUN_IN(&two, "policy check --online %s", OK("{\"ok\":true,\"app\":\"app-x\",\"diagnostics\":[]}"),
	       OK("{\"ok\":true,\"app\":\"app-x\",\"diagnostics\":[]}"));
	assert_int_equal(two.status, EG_EXIT_NO);
	assert_has(two.out, "/b.json: error: app: app-x is also the app of ");
	RUN_IN(&good, "policy check --online %s/a.json",
	       OK("{\"ok\":true,\"app\":\"app-x\",\"diagnostics\":[{\"level\":\"warning\",\"file\":null,\"line\":3,\"column\":4,"
		  "\"path\":\"limits\",\"message\":\"No cap\",\"fix\":\"\"}]}"));
	assert_int_equal(good.status, EG_EXIT_OK);
	assert_string_equal(body(&good, 0), "{\"app\":\"app-x\"}");
	assert_has(good.out, "/a.json:3:4: warning: limits: No cap");
	assert_has(good.out, "1 policy checked: 0 errors, 1 warning");
	RUN_IN(&strict, "policy check --strict --online %s/a.json -o json",
	       OK("{\"ok\":true,\"app\":\"app-x\",\"diagnostics\":[{\"level\":\"warning\",\"code\":\"no_cap\",\"file\":null,\"line\":3,"
		  "\"column\":4,\"path\":\"limits\",\"message\":\"No cap\",\"fix\":\"\"}]}"));
	assert_int_equal(strict.status, EG_EXIT_NO);
	assert_has(strict.out, "\"ok\": false");
	assert_has(strict.out, "\"code\": \"no_cap\"");
	RUN_IN(&info, "policy check --strict --online %s/a.json",
	       OK("{\"ok\":true,\"app\":\"app-x\",\"diagnostics\":[{\"level\":\"info\",\"code\":\"search_list\",\"file\":null,\"line\":3,"
		  "\"column\":4,\"path\":\"dns\",\"message\":\"Hm\",\"fix\":\"\"}]}"));
	assert_int_equal(info.status, EG_EXIT_OK);
	assert_has(info.out, "/a.json:3:4: info: dns: Hm [search_list]");
}

static void test_check_faults(void **state)
{
	OUTCOME none, empty, span;

	(void)state;
	RUN_IN(&none, "policy check %s/nowhere.json", NULL);
	assert_int_equal(none.status, EG_EXIT_USAGE);
	assert_has(none.err, "nowhere.json: No such file");
	RUN_IN(&empty, "policy check %s", NULL);
	assert_int_equal(empty.status, EG_EXIT_USAGE);
	assert_has(empty.err, "no *.json");
	RUN_IN(&span, "policy check --max-lifetime long %s", NULL);
	assert_int_equal(span.status, EG_EXIT_USAGE);
}

/* ---- apply ---------------------------------------------------------------------------------------- */

static void test_apply(void **state)
{
	OUTCOME one, refused, conflict;

	(void)state;
	put_file("a.json", GOOD);
	RUN_IN(&one, "policy apply %s/a.json --take-over --if-match 3-abc",
	       OK("{\"app\":\"app-x\",\"policy_rev\":\"4-def\",\"changed\":true,\"rules\":1,\"reset_sockets\":2,\"warnings\":"
		  "[{\"level\":\"warning\",\"file\":null,\"line\":1,\"column\":1,\"path\":\"\",\"message\":\"Hm\",\"fix\":\"\"}]}"));
	assert_int_equal(one.status, EG_EXIT_OK);
	assert_has(one.fake.requests[0], "PUT /v1/policies/app-x?take_over=1 HTTP/1.1");
	assert_has(one.fake.requests[0], "If-Match: \"3-abc\"");
	assert_string_equal(body(&one, 0), GOOD); /* byte for byte: the agent's places are the file's */
	assert_has(one.out, "4-def is in force, 1 rule; reset: 2 sockets");
	assert_has(one.err, "/a.json:1:1: warning: Hm");
	RUN_IN(&refused, "policy apply %s/a.json",
	       reply("400 Bad", "{\"error\":{\"code\":\"bad_policy\",\"message\":\"1 error.\",\"details\":[{\"level\":\"error\","
				"\"file\":null,\"line\":7,\"column\":8,\"path\":\"x\",\"message\":\"m\",\"fix\":\"f\"}]}}"));
	assert_int_equal(refused.status, EG_EXIT_NO);
	assert_has(refused.err, "/a.json:7:8: error: x: m (f)");
	RUN_IN(&conflict, "policy apply %s/a.json",
	       reply("412 P", "{\"error\":{\"code\":\"rev_changed\",\"message\":\"m\"}}"));
	assert_int_equal(conflict.status, EG_EXIT_CONFLICT);
}

/* Of several files none is sent while one is wrong. */
static void test_apply_all_or_none(void **state)
{
	OUTCOME bad, good, unreadable, twice;

	(void)state;
	put_file("a.json", "{\"app\":\"app-a\"}");
	put_file("b.json", "{\"app\":\"app-b\"}");
	RUN_IN(&bad, "policy apply %s", OK("{\"ok\":true,\"diagnostics\":[]}"),
	       OK("{\"ok\":false,\"diagnostics\":[{\"level\":\"error\",\"message\":\"m\"}]}"));
	assert_int_equal(bad.status, EG_EXIT_NO);
	assert_int_equal(bad.fake.request_count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_has(bad.fake.requests[i], "POST /v1/policies:check");
	assert_has(bad.err, "nothing was applied");
	RUN_IN(&good, "policy apply %s", OK("{\"ok\":true}"), OK("{\"ok\":true}"),
	       OK("{\"app\":\"app-a\",\"policy_rev\":\"1-a\",\"changed\":true}"),
	       OK("{\"app\":\"app-b\",\"policy_rev\":\"1-b\",\"changed\":false}"));
	assert_int_equal(good.status, EG_EXIT_OK);
	assert_has(good.fake.requests[2], "PUT /v1/policies/app-a ");
	assert_has(good.fake.requests[3], "PUT /v1/policies/app-b ");
	assert_has(good.out, "app-b: 1-b is in force already");
	put_file("b.json", "{\"app\":");
	RUN_IN(&unreadable, "policy apply %s", NULL);
	assert_int_equal(unreadable.status, EG_EXIT_NO);
	assert_int_equal(unreadable.fake.request_count, 0);
	put_file("b.json", "{\"app\":\"app-a\"}");
	RUN_IN(&twice, "policy apply %s", NULL);
	assert_int_equal(twice.fake.request_count, 0);
	assert_has(twice.err, "are both policies of app-a");
}

static void test_apply_dry_run(void **state)
{
	OUTCOME o;

	(void)state;
	put_file("a.json", GOOD);
	RUN_IN(&o, "policy apply --dry-run %s/a.json", OK("{\"ok\":true,\"diagnostics\":[]}"),
	       OK("{\"policy\":{\"version\":1,\"app\":\"app-x\"},\"policy_rev\":\"3-abc\"}"));
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_int_equal(o.fake.request_count, 2);
	assert_has(o.fake.requests[0], "POST /v1/policies:check");
	assert_has(o.fake.requests[1], "GET /v1/policies/app-x");
	assert_has(o.out, "+ owner: \"o\"");
}

static void test_get_delete(void **state)
{
	OUTCOME get, gone, deleted;

	(void)state;
	RUN(&get, "policy get app-x", OK("{\"policy\":{\"egress\":[],\"app\":\"app-x\",\"version\":1},\"policy_rev\":\"1\"}"));
	assert_string_equal(get.out, "{\n  \"version\": 1,\n  \"app\": \"app-x\",\n  \"egress\": []\n}\n");
	RUN(&gone, "policy get app-x", reply("404 N", "{\"error\":{\"code\":\"not_found\",\"message\":\"m\"}}"));
	assert_int_equal(gone.status, EG_EXIT_NOT_FOUND);
	RUN(&deleted, "policy delete app-x --take-over", OK("{\"app\":\"app-x\",\"deleted\":true,\"reset_sockets\":4}"));
	assert_has(deleted.fake.requests[0], "DELETE /v1/policies/app-x?take_over=1 HTTP/1.1");
	assert_has(deleted.out, "reset: 4 sockets");
}

/* ---- diff ------------------------------------------------------------------------------------------- */

/* "op path" of each change, with commas between. */
static void assert_changes(const char *before, const char *after, const char *expected)
{
	EG_JSON json_t *a = json_loads(before, 0, NULL), *b = json_loads(after, 0, NULL), *changes = NULL;
	char text[1024] = "";
	json_t *change;
	size_t i;

	assert_non_null(b);
	changes = eg_diff_policies(a, b);
	json_array_foreach(changes, i, change) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%s %s", i ? "," : "", eg_json_text(change, "op"),
			 eg_json_text(change, "path"));
	}
	assert_string_equal(text, expected);
}

static void test_diff_same(void **state)
{
	(void)state;
	assert_changes(GOOD, GOOD, "");
	assert_changes("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}", "{\"b\":{\"d\":3,\"c\":2},\"a\":1}", "");
	/* order of addresses; a port as text */
	assert_changes("{\"egress\":[{\"id\":\"x\",\"to\":[\"a\",\"b\"],\"ports\":[443,\"1-9\"]}]}",
		       "{\"egress\":[{\"id\":\"x\",\"to\":[\"b\",\"a\"],\"ports\":[\"1-9\",\"443\"]}]}", "");
}

/* Another spelling is no difference. */
static void test_diff_meaning(void **state)
{
	(void)state;
	assert_changes("{\"egress\":[{\"id\":\"x\",\"to\":[\"10.0.0.1\",\"fd00::1\",\"API.example.\"]}]}",
		       "{\"egress\":[{\"id\":\"x\",\"to\":[\"10.0.0.1/32\",\"fd00:0:0::1\",\"api.example\"]}]}", "");
	assert_changes("{\"limits\":{\"egress\":{\"bytes\":\"1MiB\",\"per\":\"1h\"},\"egress_rate\":\"1Mbit/s\"}}",
		       "{\"limits\":{\"egress\":[{\"bytes\":1048576,\"per\":\"60m\",\"action\":\"drop\"}],\"egress_rate\":\"1000kbit/s\"}}", "");
	assert_changes("{\"limits\":{\"new_flows\":\"60/min\"},\"expires\":\"2027-01-31T01:00:00+01:00\"}",
		       "{\"limits\":{\"new_flows\":\"60/60s\"},\"expires\":\"2027-01-31T00:00:00Z\"}", "");
	assert_changes("{}", "{\"mode\":\"enforce\",\"self\":true,\"log\":\"rollup\",\"raw_sockets\":false,\"$schema\":\"x\"}", "");
	assert_changes("{\"egress\":[{\"to\":[\"10.0.0.0/8\"]}]}", "{\"egress\":[{\"to\":[\"10.0.0.0/9\"]}]}", "change egress[0].to");
}

static void test_diff_changes(void **state)
{
	(void)state;
	assert_changes("null", "{\"version\":1,\"app\":\"x\",\"egress\":[{\"id\":\"y\"}]}",
		       "add version,add app,add egress[y]");
	assert_changes("{\"owner\":\"a\",\"ticket\":\"t\"}", "{\"owner\":\"b\",\"mode\":\"audit\"}",
		       "change owner,remove ticket,add mode");
	assert_changes("{\"labels\":{\"team\":\"hr\",\"old\":\"x\"}}", "{\"labels\":{\"team\":\"it\",\"new\":\"x\"}}",
		       "change labels.team,remove labels.old,add labels.new");
	assert_changes("{\"limits\":{\"egress\":{\"bytes\":\"1MiB\"}}}",
		       "{\"limits\":{\"egress\":{\"bytes\":\"2MiB\"},\"new_flows\":\"1/s\"}}",
		       "change limits.egress.bytes,add limits.new_flows");
	assert_changes("{\"limits\":{\"egress\":{\"bytes\":\"1MiB\"}}}",
		       "{\"limits\":{\"egress\":[{\"bytes\":\"1MiB\"},{\"bytes\":\"2MiB\"}]}}", "change limits.egress");
	assert_changes("{\"labels\":{\"rate\":\"60/min\"}}", "{\"labels\":{\"rate\":\"1/s\"}}", "change labels.rate");
	assert_changes("{\"mode\":\"audit\"}", "{\"mode\":\"enforce\"}", "change mode");
	assert_changes("{\"self\":false}", "{}", "remove self");
}

static void test_diff_rules(void **state)
{
	static const char before[] = "{\"egress\":[{\"id\":\"a\",\"to\":[\"1\"]},{\"id\":\"b\",\"to\":[\"2\"]}]}";

	(void)state;
	assert_changes(before, "{\"egress\":[{\"id\":\"a\",\"to\":[\"1\",\"3\"]},{\"id\":\"c\",\"to\":[\"2\"]}]}",
		       "change egress[a].to,remove egress[b],add egress[c]");
	/* a new rule in front moves nobody */
	assert_changes(before, "{\"egress\":[{\"id\":\"n\"},{\"id\":\"a\",\"to\":[\"1\"]},{\"id\":\"b\",\"to\":[\"2\"]}]}",
		       "add egress[n]");
	assert_changes(before, "{\"egress\":[{\"id\":\"b\",\"to\":[\"2\"]},{\"id\":\"a\",\"to\":[\"1\"]}]}", "order egress");
	assert_changes(before, "{}", "remove egress[a],remove egress[b]");
	/* without an id: by its place */
	assert_changes("{\"ingress\":[{\"from\":[\"1\"]}]}", "{\"ingress\":[{\"from\":[\"2\"]}]}", "change ingress[0].from");
	assert_changes("{\"egress\":[3,null]}", "{\"egress\":{\"x\":1}}", "change egress");
}

static void test_diff_lists(void **state)
{
	EG_JSON json_t *a = json_loads("{\"cgroups\":[\"x\",\"y\"]}", 0, NULL);
	EG_JSON json_t *b = json_loads("{\"cgroups\":[\"y\",\"z\"]}", 0, NULL), *changes = NULL, *expected = NULL;

	(void)state;
	changes = eg_diff_policies(a, b);
	expected = json_loads("[{\"op\":\"change\",\"path\":\"cgroups\",\"added\":[\"z\"],\"removed\":[\"x\"]}]", 0, NULL);
	assert_true(json_equal(changes, expected));
}

/* A hundred thousand addresses on each side are compared in their order of size, not its square. */
static void test_diff_is_not_quadratic(void **state)
{
	EG_JSON json_t *a = json_object(), *b = json_object(), *changes = NULL;
	json_t *to_a = json_array(), *to_b = json_array();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		json_array_append_new(to_a, json_sprintf("10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255));
		json_array_append_new(to_b, json_sprintf("10.%d.%d.%d", (i + 1) >> 16, ((i + 1) >> 8) & 255, (i + 1) & 255));
	}
	json_object_set_new(a, "egress", json_pack("[{s:s,s:o}]", "id", "x", "to", to_a));
	json_object_set_new(b, "egress", json_pack("[{s:s,s:o}]", "id", "x", "to", to_b));
	changes = eg_diff_policies(a, b);
	assert_int_equal(json_array_size(changes), 1);
	assert_int_equal(json_array_size(json_object_get(json_array_get(changes, 0), "added")), 1);
	assert_int_equal(json_array_size(json_object_get(json_array_get(changes, 0), "removed")), 1);
}

static void test_diff_command(void **state)
{
	OUTCOME same, other, none;

	(void)state;
	put_file("a.json", GOOD);
	RUN_IN(&same, "policy diff %s/a.json", OK("{\"policy\":" GOOD ",\"policy_rev\":\"3-abc\"}"));
	assert_int_equal(same.status, EG_EXIT_OK);
	assert_has(same.out, "the same as 3-abc");
	RUN_IN(&other, "policy diff %s/a.json", OK("{\"policy\":{\"version\":1},\"policy_rev\":\"3-abc\"}"));
	assert_int_equal(other.status, EG_EXIT_NO);
	assert_has(other.out, "  + egress[db]: {\"id\": \"db\", \"to\": [\"10.0.0.1\"], \"proto\": \"tcp\", \"ports\": [5432]}");
	RUN_IN(&none, "policy diff %s/a.json", reply("404 N", "{\"error\":{\"code\":\"not_found\",\"message\":\"m\"}}"));
	assert_int_equal(none.status, EG_EXIT_NO);
	assert_has(none.out, "no policy is in force");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_text),    TEST(test_check_files),
		TEST(test_check_faults),	      TEST(test_apply),
		TEST(test_apply_all_or_none),	      TEST(test_apply_dry_run),
		TEST(test_get_delete),		      cmocka_unit_test(test_diff_same),
		cmocka_unit_test(test_diff_meaning),
		cmocka_unit_test(test_diff_changes),  cmocka_unit_test(test_diff_rules),
		cmocka_unit_test(test_diff_lists),    cmocka_unit_test(test_diff_is_not_quadratic),
		TEST(test_diff_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

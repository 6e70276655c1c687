// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/ship/schema.h"

/* HMAC-SHA-256 under "key", as openssl dgst -sha256 -hmac key has it, first half. */
#define OF_1000	  "608d30ad06071e8f4a713f62e7017c3c"
#define OF_CURL	  "5984445fda1034c71297e7645766f627"
#define OF_SECRET "eb5006df3840a42bb31709f8b50f960d"
#define OF_OBJECT "88a67f24bbcdaed0e6c997404bb79a74"

static json_t *json(const char *text)
{
	char *copy = strdup(text);
	json_t *made;

	for (char *quote = copy; (quote = strchr(quote, '\'')); *quote = '"')
		;
	made = json_loads(copy, JSON_REJECT_DUPLICATES, NULL);
	if (!made)
		fail_msg("no JSON: %s", copy);
	free(copy);
	return made;
}

static void check(char *const *drop, char *const *hash, const char *event, const char *expected)
{
	struct eg_redaction redaction = {.drop = drop, .hash = hash, .key = "key", .key_len = 3};
	json_t *is = json(event), *becomes = json(expected);
	char *text;

	assert_int_equal(eg_redact(&redaction, is), 0);
	text = json_dumps(is, 0);
	if (!json_equal(is, becomes))
		fail_msg("%s: %s, not %s", event, text, expected);
	free(text);
	json_decref(is);
	json_decref(becomes);
}

#define LIST(...) ((char *const[]){__VA_ARGS__, NULL})

static void dropped(void **state)
{
	(void)state;
	check(NULL, NULL, "{'uid':1}", "{'uid':1}");
	check(LIST("uid", "comm", "none"), NULL, "{'uid':1,'comm':'x','pid':2}", "{'pid':2}");
	check(LIST("labels.team"), NULL, "{'labels':{'team':'hr','env':'x'}}", "{'labels':{'env':'x'}}");
	check(LIST("labels.a.b"), NULL, "{'labels':{'a.b':'1','a':'2'}}", "{'labels':{'a':'2'}}");
	check(LIST("labels.a.b"), NULL, "{'labels':{'a':{'b':1,'c':2}}}", "{'labels':{'a':{'c':2}}}");
	check(LIST("labels"), NULL, "{'labels':{'team':'hr'},'x':1}", "{'x':1}");
}

static void hashed(void **state)
{
	(void)state;
	check(NULL, LIST("uid", "comm"), "{'uid':1000,'comm':'curl'}", "{'uid':'" OF_1000 "','comm':'" OF_CURL "'}");
	check(NULL, LIST("a"), "{'a':['curl',1000,null]}", "{'a':['" OF_CURL "','" OF_1000 "',null]}");
	check(NULL, LIST("labels.team"), "{'labels':{'team':'curl'}}", "{'labels':{'team':'" OF_CURL "'}}");
	check(NULL, LIST("a"), "{'a':{'a':1}}", "{'a':'" OF_OBJECT "'}");
	check(NULL, LIST("a"), "{'a':null}", "{'a':null}");
}

/* The same user is the same hash, as a member or as a word of the actor's text. */
static void actors(void **state)
{
	(void)state;
	check(LIST("actor.uid"), NULL, "{'actor':'uid=1000 pid=7 via=socket'}", "{'actor':'pid=7 via=socket'}");
	check(LIST("actor.via"), NULL, "{'actor':'uid=1000 via=socket'}", "{'actor':'uid=1000'}");
	check(LIST("actor.via"), NULL, "{'actor':'via=socket'}", "{}");
	check(LIST("actor.id"), NULL, "{'actor':'uid=1000 pid=7'}", "{'actor':'uid=1000 pid=7'}");
	check(NULL, LIST("actor.uid"), "{'actor':'uid=1000 pid=7'}", "{'actor':'uid=" OF_1000 " pid=7'}");
	check(NULL, LIST("actor.uid"), "{'actor':{'uid':1000}}", "{'actor':{'uid':'" OF_1000 "'}}");
}

static void refused_names(void **state)
{
	(void)state;
	check(LIST("refused_name"), NULL, "{'type':'dns','verdict':'deny','name':'secret.example'}",
	      "{'type':'dns','verdict':'deny'}");
	check(NULL, LIST("refused_name"), "{'type':'dns','verdict':'audit','name':'secret.example'}",
	      "{'type':'dns','verdict':'audit','name':'" OF_SECRET "'}");
	check(NULL, LIST("refused_name"), "{'type':'deny','verdict':'deny','sni':'secret.example'}",
	      "{'type':'deny','verdict':'deny','sni':'" OF_SECRET "'}");
	check(NULL, LIST("refused_name", "name"), "{'type':'dns','verdict':'deny','name':'secret.example'}",
	      "{'type':'dns','verdict':'deny','name':'" OF_SECRET "'}");
	check(LIST("refused_name"), NULL, "{'type':'dns','verdict':'allow','name':'api.example'}",
	      "{'type':'dns','verdict':'allow','name':'api.example'}");
	check(LIST("refused_name"), NULL, "{'type':'flow','verdict':'audit','name':'api.example'}",
	      "{'type':'flow','verdict':'audit','name':'api.example'}");
}

static void kept(void **state)
{
	(void)state;
	check(LIST("schema", "ts", "type", "event_id", "host"), LIST("ts", "host"),
	      "{'schema':1,'ts':'t','type':'x','event_id':'i','host':'h'}",
	      "{'schema':1,'ts':'t','type':'x','event_id':'i','host':'h'}");
}

/* What was hashed fits the schemas: no field gets a type that it must not have. */
static void before_rendering(void **state)
{
	struct eg_redaction redaction = {.hash = LIST("uid", "pid", "dst"), .key = "key", .key_len = 3};
	json_t *event = json("{'ts':'2026-11-25T21:00:00Z','type':'deny','event_id':'b-1-1','host':'b','verdict':'deny',"
			     "'uid':1000,'pid':1000,'dst':'10.0.0.1','src':'10.0.0.2','proto':'tcp'}");
	json_t *made;

	(void)state;
	assert_int_equal(eg_redact(&redaction, event), 0);
	assert_int_equal(eg_schema_render(EG_SCHEMA_ECS, event, &made), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(made, "user"), "id")), OF_1000);
	assert_null(json_object_get(json_object_get(made, "process"), "pid"));
	assert_string_equal(json_string_value(json_object_get(json_object_get(made, "egret"), "pid")), OF_1000);
	assert_null(json_object_get(json_object_get(made, "destination"), "ip"));
	assert_int_equal(json_string_length(json_object_get(json_object_get(made, "destination"), "address")), 32);
	json_decref(made);
	json_decref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dropped),	 cmocka_unit_test(hashed), cmocka_unit_test(actors),
		cmocka_unit_test(refused_names), cmocka_unit_test(kept),   cmocka_unit_test(before_rendering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

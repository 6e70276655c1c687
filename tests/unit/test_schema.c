// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/event_json.h"
#include "../../agent/ship/schema.h"

struct golden {
	const char *what;
	const char *event;
	const char *made;
};

#include "schema_golden_ecs.h"
#include "schema_golden_ocsf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD	     "'schema':1,'ts':'2026-11-25T21:00:00.123456789Z','event_id':'box-7-42','host':'box'"

/* JSON with single quotes. */
static json_t *json(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *made;

	assert_non_null(copy);
	for (char *quote = copy; (quote = strchr(quote, '\'')); *quote = '"')
		;
	made = json_loads(copy, JSON_REJECT_DUPLICATES, &error);
	if (!made)
		fail_msg("%s: %s", error.text, copy);
	free(copy);
	return made;
}

static json_t *with(json_t *object, const char *more)
{
	json_t *added = json(more);

	assert_int_equal(json_object_update_recursive(object, added), 0);
	json_decref(added);
	return object;
}

static json_t *event(const char *members)
{
	return with(json("{" HEAD "}"), members);
}

static void assert_json(const json_t *got, const json_t *expected, const char *what)
{
	char *a, *b;

	if (json_equal(got, expected))
		return;
	a = json_dumps(got, JSON_SORT_KEYS | JSON_INDENT(1));
	b = json_dumps(expected, JSON_SORT_KEYS | JSON_INDENT(1));
	fail_msg("%s: got\n%s\nexpected\n%s", what, a, b);
}

static json_t *render(enum eg_sink_schema schema, json_t *native)
{
	json_t *before = json_deep_copy(native), *made = NULL;

	assert_int_equal(eg_schema_render(schema, native, &made), 0);
	assert_json(native, before, "the event is only read");
	json_decref(before);
	json_decref(native);
	return made;
}

static void check_goldens(enum eg_sink_schema schema, const struct golden *rows, size_t count,
			  const char *common)
{
	for (size_t i = 0; i < count; i++) {
		json_t *made = render(schema, event(rows[i].event));
		json_t *expected = with(json(common), rows[i].made);

		assert_json(made, expected, rows[i].what);
		json_decref(made);
		json_decref(expected);
	}
}

static void ecs(void **state)
{
	(void)state;
	check_goldens(EG_SCHEMA_ECS, ecs_events, COUNT(ecs_events),
		      "{'@timestamp':'2026-11-25T21:00:00.123456789Z','ecs':{'version':'9.4.0'},"
		      "'event':{'id':'box-7-42','sequence':42,'module':'egret'},"
		      "'agent':{'id':'box','ephemeral_id':'box-7','type':'egret','version':'" EG_VERSION "'},"
		      "'observer':{'type':'firewall','vendor':'Egret','product':'Egret','version':'" EG_VERSION "',"
		      "'hostname':'box'},'host':{'id':'box','name':'box','os':{'type':'linux'}},'egret':{'schema':1}}");
}

static void ocsf(void **state)
{
	(void)state;
	check_goldens(EG_SCHEMA_OCSF, ocsf_events, COUNT(ocsf_events),
		      "{'time':1795640400123,'metadata':{'version':'1.8.0','product':{'name':'Egret','vendor_name':'Egret',"
		      "'version':'" EG_VERSION "'},'log_name':'egret','log_provider':'egretd','log_version':'1',"
		      "'sequence':42,'uid':'box-7-42','original_time':'2026-11-25T21:00:00.123456789Z'},"
		      "'device':{'uid':'box','hostname':'box','type_id':1,'type':'Server',"
		      "'os':{'name':'Linux','type_id':200,'type':'Linux'}}}");
}

/* No type that a filter knows is without its golden event, nor a golden event of a type that isn't one. */
static void every_type(void **state)
{
	static const char *const types[] = {"flow", "deny", "cap", "rate", "kill", "restore", "expire", "policy", "dns",
					    "alert", "agent", "lost", "suppressed"};
	bool seen[COUNT(types)] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(ecs_events); i++) {
		json_t *is = event(ecs_events[i].event);
		const char *type = json_string_value(json_object_get(is, "type"));
		bool known = false;

		assert_string_equal(ecs_events[i].event, ocsf_events[i].event);
		for (size_t t = 0; t < COUNT(types); t++)
			if (strcmp(type, types[t]) == 0)
				known = seen[t] = true;
		assert_int_equal(known, eg_event_type_known(type, strlen(type)));
		json_decref(is);
	}
	for (size_t t = 0; t < COUNT(types); t++)
		if (!seen[t])
			fail_msg("no golden event of type %s", types[t]);
}

static void native(void **state)
{
	json_t *is = event("{'type':'flow','phase':'end','anything':{'a':[1,null]}}"), *made;

	(void)state;
	made = render(EG_SCHEMA_EGRET, json_incref(is));
	assert_json(made, is, "as it is");
	json_decref(made);
	json_decref(is);
}

/* ---- What must not break a form ------------------------------------------------------------------------ */

static void what_is_no_event(void **state)
{
	static const char *const rows[] = {
		"[]", "{}", "{'type':'flow','event_id':'a-1-1'}", "{'ts':'2026-11-25T21:00:00Z','type':'flow'}",
		"{'ts':'yesterday','type':'flow','event_id':'a-1-1'}",
		"{'ts':'2026-11-25T21:00:00Z','type':7,'event_id':'a-1-1'}",
		"{'ts':'2026-11-25T21:00:00Z','type':'Two Words','event_id':'a-1-1'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *no = json(rows[i]), *made = NULL;

		assert_int_equal(eg_schema_render(EG_SCHEMA_ECS, no, &made), -EINVAL);
		assert_int_equal(eg_schema_render(EG_SCHEMA_OCSF, no, &made), -EINVAL);
		assert_int_equal(eg_schema_severity(no), EG_SEVERITY_INFO);
		assert_null(made);
		json_decref(no);
	}
}

static const json_t *at(const json_t *object, const char *path)
{
	char name[64];

	while (object && *path) {
		size_t len = strcspn(path, "/");

		memcpy(name, path, len);
		name[len] = 0;
		object = json_object_get(object, name);
		path += len + (path[len] == '/');
	}
	return object;
}

/* A member whose type or range the schema's field does not have stays as it is, where nothing is expected of it. */
static void wrong_types(void **state)
{
	static const struct {
		const char *member;
		const char *ecs_path; /* where it would be */
		const char *ocsf_path;
	} rows[] = {
		{"{'pid':'abc'}", "process/pid", "actor/process/pid"},
		{"{'pid':-1}", "process/pid", "actor/process/pid"},
		{"{'src_port':65536}", "source/port", "src_endpoint/port"},
		{"{'src':7}", "source/ip", "src_endpoint/ip"},
		{"{'src':'0f3a'}", "source/ip", "src_endpoint/ip"},
		{"{'bytes_out':'1'}", "source/bytes", "traffic/bytes_out"},
		{"{'bytes_out':1.5}", "source/bytes", "traffic/bytes_out"},
		{"{'duration_ms':'1'}", "event/duration", "duration"},
		{"{'start':'soon'}", "event/start", "start_time"},
		{"{'labels':['a']}", "labels", "metadata/tags"},
		{"{'proto':'quic'}", "network/transport", "connection_info/protocol_name"},
		{"{'direction':'up'}", "network/direction", NULL},
		{"{'comm':{}}", "process/name", "actor/process/name"},
		{"{'rule':1}", "rule/id", "firewall_rule/uid"},
		{"{'name':null}", "destination/domain", "dst_endpoint/domain"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *is = event("{'type':'flow','phase':'end','pid':1,'dst':'10.0.0.1'}");
		json_t *member = json(rows[i].member), *made[2];
		const char *name = json_object_iter_key(json_object_iter(member));
		const json_t *value = json_object_get(member, name);

		assert_int_equal(json_object_update(is, member), 0);
		made[0] = render(EG_SCHEMA_ECS, json_incref(is));
		made[1] = render(EG_SCHEMA_OCSF, is);
		if (at(made[0], rows[i].ecs_path) || (rows[i].ocsf_path && at(made[1], rows[i].ocsf_path)))
			fail_msg("%s was taken", rows[i].member);
		if (strcmp(rows[i].member, "{'src':'0f3a'}") == 0) { /* a hash still tells one end from another */
			assert_string_equal(json_string_value(at(made[0], "source/address")), "0f3a");
			assert_string_equal(json_string_value(at(made[1], "src_endpoint/uid")), "0f3a");
		} else {
			assert_json(json_object_get(json_object_get(made[0], "egret"), name), value, rows[i].member);
			assert_json(json_object_get(json_object_get(made[1], "unmapped"), name), value, rows[i].member);
		}
		json_decref(made[0]);
		json_decref(made[1]);
		json_decref(member);
	}
}

/* The event's own member of a name that a group has. */
static void names_that_clash(void **state)
{
	json_t *made = render(EG_SCHEMA_ECS, event("{'type':'cap','percent':80,'cap':'x','other':'y'}"));

	(void)state;
	assert_int_equal(json_integer_value(at(made, "egret/cap/percent")), 80);
	assert_string_equal(json_string_value(at(made, "egret/other/cap")), "x");
	assert_string_equal(json_string_value(at(made, "egret/other/other")), "y");
	json_decref(made);
}

static void labels_with_dots(void **state)
{
	json_t *made = render(EG_SCHEMA_ECS, event("{'type':'flow','phase':'end','labels':{'a':'1','a.b':'2'}}"));
	json_t *labels = json("{'a':'1','a_b':'2'}"), *pairs = json("['a=1','a.b=2']");

	(void)state;
	assert_json(at(made, "labels"), labels, "labels");
	assert_json(at(made, "egret/labels"), pairs, "egret.labels");
	json_decref(labels);
	json_decref(pairs);
	json_decref(made);
}

static void actors(void **state)
{
	json_t *made = render(EG_SCHEMA_OCSF, event("{'type':'policy','actor':{'uid':7,'pid':8,'via':'socket'}}"));

	(void)state;
	assert_string_equal(json_string_value(at(made, "actor/user/uid")), "7");
	assert_int_equal(json_integer_value(at(made, "actor/process/pid")), 8);
	assert_string_equal(json_string_value(at(made, "actor/app_name")), "socket");
	assert_null(at(made, "unmapped/actor"));
	json_decref(made);
	made = render(EG_SCHEMA_OCSF, event("{'type':'policy','action':'apply','actor':'uid=7 pid=x role=admin'}"));
	assert_string_equal(json_string_value(at(made, "actor/user/uid")), "7");
	assert_null(at(made, "actor/process"));
	assert_string_equal(json_string_value(at(made, "unmapped/actor")), "uid=7 pid=x role=admin");
	json_decref(made);
}

/* ---- Severity -------------------------------------------------------------------------------------------- */

static void severity(void **state)
{
	static const struct {
		const char *event;
		enum eg_severity severity;
	} rows[] = {
		{"{'type':'flow','phase':'end','verdict':'allow'}", EG_SEVERITY_INFO},
		{"{'type':'deny','verdict':'deny','reason':'no_rule'}", EG_SEVERITY_WARNING},
		{"{'type':'deny','verdict':'audit','reason':'no_rule'}", EG_SEVERITY_NOTICE},
		{"{'type':'deny','verdict':'deny','reason':'killed'}", EG_SEVERITY_NOTICE},
		{"{'type':'dns','action':'learned','verdict':'allow'}", EG_SEVERITY_INFO},
		{"{'type':'dns','action':'refused','verdict':'deny','reason':'dns_name'}", EG_SEVERITY_WARNING},
		{"{'type':'dns','action':'refused','verdict':'audit','reason':'dns_name'}", EG_SEVERITY_NOTICE},
		{"{'type':'dns','action':'dropped','verdict':'deny','reason':'dns_shortage'}", EG_SEVERITY_NOTICE},
		{"{'type':'cap','percent':80}", EG_SEVERITY_NOTICE},
		{"{'type':'cap','percent':100}", EG_SEVERITY_WARNING},
		{"{'type':'kill','layer':'local'}", EG_SEVERITY_ALERT},
		{"{'type':'restore'}", EG_SEVERITY_NOTICE},
		{"{'type':'expire'}", EG_SEVERITY_WARNING},
		{"{'type':'policy','action':'apply'}", EG_SEVERITY_NOTICE},
		{"{'type':'alert','action':'root_lost'}", EG_SEVERITY_ALERT},
		{"{'type':'alert','action':'relax_end'}", EG_SEVERITY_NOTICE},
		{"{'type':'alert','action':'control_lost'}", EG_SEVERITY_ALERT},
		{"{'type':'alert','action':'control_connected'}", EG_SEVERITY_NOTICE},
		{"{'type':'alert','action':'table_filling'}", EG_SEVERITY_ALERT},
		{"{'type':'alert','action':'table_filling_end'}", EG_SEVERITY_NOTICE},
		{"{'type':'alert','action':'quota_filling'}", EG_SEVERITY_WARNING},
		{"{'type':'alert','action':'quota_filling_end'}", EG_SEVERITY_NOTICE},
		{"{'type':'alert','alert':'denied','action':'kill'}", EG_SEVERITY_ALERT},
		{"{'type':'agent','action':'start'}", EG_SEVERITY_NOTICE},
		{"{'type':'agent','action':'reattach','ok':true}", EG_SEVERITY_WARNING},
		{"{'type':'agent','action':'snapshot','file':'x'}", EG_SEVERITY_INFO},
		{"{'type':'agent','action':'snapshot_failed'}", EG_SEVERITY_WARNING},
		{"{'type':'lost'}", EG_SEVERITY_WARNING},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *is = event(rows[i].event);

		if (eg_schema_severity(is) != rows[i].severity)
			fail_msg("%s: %d", rows[i].event, (int)eg_schema_severity(is));
		json_decref(is);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ecs),		    cmocka_unit_test(ocsf),	    cmocka_unit_test(native),
		cmocka_unit_test(what_is_no_event), cmocka_unit_test(wrong_types),  cmocka_unit_test(names_that_clash),
		cmocka_unit_test(labels_with_dots), cmocka_unit_test(actors),	    cmocka_unit_test(severity),
		cmocka_unit_test(every_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_suggest.c - events added up, and the policy that explains them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/cli/cli.h"
#include "../../agent/cli/suggest.h"

#define SEEN EG_CLEANUP(eg_seen_clear)

static char *json_of(const char *text)
{
	char *json = strdup(text);

	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	return json;
}

static void add(struct eg_seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct eg_seen *seen, const char *format, ...)
{
	char text[600];
	EG_FREE char *json = NULL;
	EG_JSON json_t *event = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json = json_of(text);
	event = json_loads(json, 0, NULL);
	if (!event)
		fail_msg("%s", text);
	assert_int_equal(eg_seen_add(seen, event), 0);
}

#define OUT(id, dst, port, bytes, verdict)                                                                            \
	"{'type':'flow','ts':'T','flow_id':'%d','direction':'egress','proto':'tcp','dst':'%s','dst_port':%d,'bytes_out':%d," \
	"'bytes_in':0,'verdict':'%s'}",                                                                               \
		id, dst, port, bytes, verdict

/* The rules of the suggestion, compact; quotes are single ones. */
static void assert_rules(struct eg_seen *seen, const char *base_text, const char *expected)
{
	EG_FREE char *base_json = json_of(base_text), *wanted = json_of(expected), *text = NULL;
	EG_JSON json_t *base = json_loads(base_json, 0, NULL), *policy = NULL, *evidence = NULL;
	EG_JSON json_t *rules = NULL;

	assert_non_null(base);
	eg_seen_sort(seen);
	policy = eg_suggest(base, seen, &evidence);
	assert_non_null(policy);
	assert_string_equal(eg_json_text(policy, "mode"), "enforce");
	rules = json_pack("{s:O*,s:O*}", "egress", json_object_get(policy, "egress"), "ingress", json_object_get(policy, "ingress"));
	text = json_dumps(rules, JSON_COMPACT);
	assert_string_equal(text, wanted);
}

static void test_added_up(void **state)
{
	SEEN struct eg_seen seen = {0};

	(void)state;
	add(&seen, OUT(1, "10.0.0.1", 443, 100, "allow"));
	add(&seen, OUT(1, "10.0.0.1", 443, 250, "allow")); /* the same flow goes on */
	add(&seen, OUT(2, "10.0.0.1", 443, 50, "audit"));
	add(&seen, "{'type':'deny','ts':'U','direction':'egress','proto':'tcp','dst':'10.0.0.1','dst_port':443,"
		   "'verdict':'deny','reason':'no_rule'}");
	add(&seen, "{'type':'deny','ts':'V','direction':'egress','proto':'tcp','dst':'10.0.0.1','dst_port':443,"
		   "'verdict':'deny','reason':'killed'}"); /* no rule changes that */
	add(&seen, "{'type':'kill'}");
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.ones[0].allowed, 1);
	assert_int_equal(seen.ones[0].audited, 1);
	assert_int_equal(seen.ones[0].denied, 1);
	assert_int_equal(seen.ones[0].bytes, 300);
	assert_string_equal(seen.ones[0].first, "T");
	assert_string_equal(seen.ones[0].last, "U");
	assert_int_equal(seen.events, 6);
}

static void test_too_many(void **state)
{
	SEEN struct eg_seen seen = {0};

	(void)state;
	for (int i = 0; i < EG_SEEN_MAX + 5; i++) {
		char dst[32];

		snprintf(dst, sizeof(dst), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		add(&seen, OUT(i, dst, 443, 1, "audit"));
	}
	assert_int_equal(seen.count, EG_SEEN_MAX);
	assert_int_equal(seen.left_out, 5);
}

/* Ports in a row are a range, peers with the same ports share a rule, whatever the order of the events. */
static void test_merged(void **state)
{
	static const int ports[] = {8082, 443, 8080, 8081};
	SEEN struct eg_seen seen = {0};

	(void)state;
	for (int i = 0; i < 8; i++)
		add(&seen, OUT(i, i & 1 ? "10.0.0.2" : "10.0.0.1", ports[i / 2], 1, i & 2 ? "allow" : "audit"));
	add(&seen, OUT(9, "10.0.0.3", 443, 1, "audit"));
	add(&seen, OUT(10, "10.0.0.4", 443, 1, "deny")); /* was not let through */
	assert_rules(&seen, "{'egress':[{'id':'old'}]}",
		     "{'egress':[{'id':'hosts-tcp-443','to':['10.0.0.1','10.0.0.2'],'proto':'tcp','ports':[443,'8080-8082']},"
		     "{'id':'hosts-tcp-443-2','to':['10.0.0.3'],'proto':'tcp','ports':[443]}]}");
}

/* The name that the app asked for comes before the address; a private answer needs `private`. */
static void test_names(void **state)
{
	SEEN struct eg_seen seen = {0};

	(void)state;
	add(&seen, "{'type':'dns','ts':'T','action':'dropped','verdict':'audit','name':'a.example','addresses':['192.0.2.1','192.0.2.2']}");
	add(&seen, "{'type':'dns','ts':'T','action':'learned','verdict':'allow','name':'b.example','addresses':['10.0.0.7']}");
	add(&seen, "{'type':'dns','ts':'T','action':'forged','verdict':'deny','name':'evil.example','addresses':['192.0.2.1']}");
	add(&seen, OUT(1, "192.0.2.1", 443, 1, "audit"));
	add(&seen, OUT(2, "192.0.2.2", 443, 1, "audit"));
	add(&seen, OUT(3, "10.0.0.7", 443, 1, "allow"));
	add(&seen, OUT(4, "192.0.2.9", 443, 1, "audit"));
	assert_rules(&seen, "{'egress':[{'to':['*.example'],'tls':'verify-sni'}]}",
		     "{'egress':[{'id':'names-tcp-443','to':['a.example'],'proto':'tcp','ports':[443],'tls':'verify-sni'},"
		     "{'id':'names-tcp-443-2','to':['b.example'],'proto':'tcp','ports':[443],'tls':'verify-sni','private':['10.0.0.7']},"
		     "{'id':'hosts-tcp-443','to':['192.0.2.9'],'proto':'tcp','ports':[443]}]}");
}

/* ICMP, who came in, the answers to him, and what is the app's own. */
static void test_others(void **state)
{
	SEEN struct eg_seen seen = {0};

	(void)state;
	add(&seen, "{'type':'flow','ts':'T','flow_id':'1','direction':'egress','proto':'icmp','dst':'10.0.0.1','icmp_type':8,'verdict':'audit'}");
	add(&seen, "{'type':'flow','ts':'T','flow_id':'2','direction':'egress','proto':'icmpv6','dst':'fd00::1','icmp_type':128,'verdict':'audit'}");
	add(&seen, "{'type':'flow','ts':'T','flow_id':'3','direction':'egress','proto':'icmp','dst':'10.0.0.2','icmp_type':13,'verdict':'audit'}");
	add(&seen, "{'type':'deny','ts':'T','direction':'ingress','proto':'tcp','src':'10.0.0.9','src_port':50000,'dst':'10.0.0.5',"
		   "'dst_port':8080,'verdict':'audit','reason':'no_ingress_rule'}");
	add(&seen, "{'type':'deny','ts':'T','direction':'egress','proto':'tcp','src':'10.0.0.5','src_port':8080,'dst':'10.0.0.9',"
		   "'dst_port':50000,'verdict':'audit','reason':'no_ingress_rule'}");
	add(&seen, "{'type':'flow','ts':'T','flow_id':'4','direction':'egress','proto':'udp','dst':'10.0.0.53','dst_port':53,"
		   "'rule':'dns','verdict':'allow'}");
	add(&seen, "{'type':'flow','ts':'T','flow_id':'5','direction':'egress','proto':'tcp','dst':'127.0.0.1','dst_port':8888,"
		   "'loopback':true,'verdict':'allow'}");
	assert_rules(&seen, "{}",
		     "{'egress':[{'id':'hosts-icmp','to':['10.0.0.1','fd00::1'],'proto':'icmp'},"
		     "{'id':'hosts-icmp-2','to':['10.0.0.2'],'proto':'icmp','types':[13]}],"
		     "'ingress':[{'id':'from-tcp-8080','from':['10.0.0.9'],'proto':'tcp','ports':[8080]}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added_up), cmocka_unit_test(test_too_many), cmocka_unit_test(test_merged),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

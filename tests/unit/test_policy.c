// SPDX-License-Identifier: Apache-2.0
/*
 * What a good policy becomes; test_policy_bad.c has the others. Texts are written with ' for ".
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../agent/lib/policy.h"
#include "../../agent/lib/policy_impl.h"

#define NS_PER_S 1000000000ull
#define DAY_NS   (86400 * NS_PER_S)
#define HEAD     "{'version':1,'app':'a','expires':'2027-01-31T00:00:00Z'"
#define EXPIRES  (1801353600ull * NS_PER_S) /* 2027-01-31T00:00:00Z */

#define POLICY EG_CLEANUP(eg_cleanup_policy)
#define DIAGS  EG_CLEANUP(eg_diags_clear)

static char *json_of(const char *text)
{
	char *json = strdup(text);

	assert_non_null(json);
	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	return json;
}

static struct eg_policy *parse_with(const char *text, struct eg_diags *diags)
{
	EG_FREE char *json = json_of(text);
	struct eg_policy *policy = NULL;
	int r = eg_policy_parse("a.json", json, strlen(json), &policy, diags);

	if (r || diags->errors) {
		char line[1024];

		for (size_t i = 0; i < diags->count; i++)
			print_error("%s\n", eg_diag_text(diags, &diags->items[i], line, sizeof(line)));
		fail_msg("refused: %s", text);
	}
	assert_non_null(policy);
	return policy;
}

static struct eg_policy *parse(const char *text)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = parse_with(text, &diags);

	assert_int_equal(diags.count, 0);
	return policy;
}

static void assert_cidr(const struct eg_policy_rule *rule, size_t n, const char *text)
{
	char shown[EG_ADDR_TEXT];

	assert_true(n < rule->cidr_count);
	assert_string_equal(eg_cidr_to_text(&rule->cidrs[n], shown), text);
}

/* ---- The document ------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
	POLICY struct eg_policy *policy = parse(HEAD "}");

	(void)state;
	assert_string_equal(policy->app, "a");
	assert_true(policy->expires_utc_ns == EXPIRES);
	assert_int_equal(policy->mode, EG_MODE_ENFORCE);
	assert_true(policy->self);
	assert_false(policy->raw_sockets || policy->log_full || policy->allow_netns_admin || policy->ingress_set ||
		     policy->dns.set || policy->alert_count);
	assert_int_equal(policy->dns.types, EG_POLICY_DNS_TYPES);
	assert_int_equal(policy->dns.resolver_count + policy->dns.ask_only_count, 0);
	assert_null(policy->owner);
	assert_int_equal(json_object_size(policy->labels), 0);
	assert_int_equal(policy->rule_count + policy->cgroup_count + policy->limits.egress_count, 0);
	assert_null(eg_policy_rule_id(policy, 0));
	assert_string_equal(eg_policy_rule_id(policy, EG_RULE_SELF), "self");
	assert_string_equal(eg_policy_rule_id(policy, EG_RULE_DNS), "dns");
	assert_null(eg_policy_rule_id(policy, EG_RULE_NONE));
}

static void test_every_key(void **state)
{
	DIAGS struct eg_diags diags = {0};
	char address[EG_ADDR_TEXT];
	POLICY struct eg_policy *policy = parse_with(
		HEAD ",'$schema':'https://example.com/policy.json','owner':'hr@example.com','ticket':'SEC-1',"
		     "'purpose':'Directory','catalog_id':'c-1','request_id':'r-1','labels':{'team':'hr','env':'prod'},"
		     "'mode':'audit','cgroups':['m.slice/a-*.scope','b'],'self':false,'raw_sockets':true,"
		     "'allow_netns_admin':true,'log':'full',"
		     "'dns':{'resolvers':['10.0.0.2','fd00::53'],'rate':'60/min','ask_only':['Corp.Example.com.','local'],"
		     "'types':['SRV','TXT','A']},"
		     "'alerts':[{'when':'denied','over':'20/min','action':'alert'},"
		     "{'when':'ingress_bytes','over':'100MiB/min','action':'kill'}],"
		     "'limits':{'egress':[{'bytes':'50MiB','per':'1h'},{'bytes':1000,'per':'1d','action':'kill'}],"
		     "'ingress':{'bytes':'2GB','per':'31d','action':'alert'},'egress_rate':'10Mbit/s',"
		     "'new_flows':'100/min'}}",
		&diags);

	(void)state;
	assert_string_equal(policy->owner, "hr@example.com");
	assert_string_equal(policy->ticket, "SEC-1");
	assert_string_equal(policy->purpose, "Directory");
	assert_string_equal(policy->catalog_id, "c-1");
	assert_string_equal(policy->request_id, "r-1");
	assert_string_equal(json_string_value(json_object_get(policy->labels, "env")), "prod");
	assert_int_equal(policy->mode, EG_MODE_AUDIT);
	assert_int_equal(policy->cgroup_count, 2);
	assert_string_equal(policy->cgroups[0], "m.slice/a-*.scope");
	assert_string_equal(policy->cgroups[1], "b");
	assert_false(policy->self);
	assert_true(policy->raw_sockets && policy->allow_netns_admin && policy->log_full);
	assert_true(policy->dns.set && policy->alert_count);
	assert_int_equal(policy->dns.resolver_count, 2);
	assert_string_equal(eg_addr_to_text(&policy->dns.resolvers[0], address), "10.0.0.2");
	assert_string_equal(eg_addr_to_text(&policy->dns.resolvers[1], address), "fd00::53");
	assert_int_equal(policy->dns.rate, 60);
	assert_true(policy->dns.rate_per_ns == 60 * NS_PER_S);
	assert_int_equal(policy->dns.ask_only_count, 2);
	assert_string_equal(policy->dns.ask_only[0], "corp.example.com");
	assert_string_equal(policy->dns.ask_only[1], "local");
	assert_int_equal(policy->dns.types, EG_POLICY_DNS_TYPES | 1u << EG_DNS_BIT_SRV | 1u << EG_DNS_BIT_TXT);
	assert_int_equal(policy->limits.egress_count, 2);
	assert_true(policy->limits.egress[0].bytes == 50ull << 20);
	assert_true(policy->limits.egress[0].per_ns == 3600 * NS_PER_S);
	assert_int_equal(policy->limits.egress[0].action, EG_CAP_DROP);
	assert_int_equal(policy->limits.egress[1].bytes, 1000);
	assert_int_equal(policy->limits.egress[1].action, EG_CAP_KILL);
	assert_int_equal(policy->limits.ingress_count, 1);
	assert_true(policy->limits.ingress[0].bytes == 2000000000ull);
	assert_true(policy->limits.ingress[0].per_ns == 31 * DAY_NS);
	assert_int_equal(policy->limits.ingress[0].action, EG_CAP_ALERT);
	assert_int_equal(policy->limits.egress_rate_bits, 10000000);
	assert_int_equal(policy->limits.new_flows, 100);
	assert_true(policy->limits.new_flows_per_ns == 60 * NS_PER_S);

	assert_int_equal(policy->alert_count, 2);
	assert_int_equal(policy->alerts[0].when, EG_ALERT_DENIED);
	assert_int_equal(policy->alerts[0].over, 20);
	assert_true(policy->alerts[0].per_ns == 60 * NS_PER_S && !policy->alerts[0].kill);
	assert_int_equal(policy->alerts[1].when, EG_ALERT_INGRESS_BYTES);
	assert_int_equal(policy->alerts[1].over, 100 << 20);
	assert_true(policy->alerts[1].kill);
	assert_int_equal(diags.count, 0);
}

/* The hash is of what the policy says, not of how it is written down. */
static void test_hash(void **state)
{
	POLICY struct eg_policy *a = parse("{'version':1,'app':'a','expires':'2027-01-31T00:00:00Z'}");
	POLICY struct eg_policy *b = parse("{ 'expires':'2027-01-31T00:00:\\u00300Z',\n'app':'\\u0061','version':1 }");
	POLICY struct eg_policy *c = parse("{'version':1,'app':'b','expires':'2027-01-31T00:00:00Z'}");
	/* of {"app":"a","expires":"2027-01-31T00:00:00Z","version":1}, by sha256sum */
	static const uint8_t expected[] = {
		0x87, 0x14, 0x1c, 0x37, 0x18, 0x26, 0x92, 0x22,
		0x9a, 0xb0, 0xdb, 0x9b, 0x41, 0x57, 0xa8, 0xc7,
		0x34, 0x64, 0x19, 0xad, 0xe0, 0x82, 0xd3, 0x3f,
		0x14, 0xe8, 0xd2, 0xa8, 0xb5, 0x4d, 0x59, 0x27,
	};

	(void)state;
	assert_memory_equal(a->hash, expected, sizeof(expected));
	assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
	assert_memory_not_equal(a->hash, c->hash, sizeof(a->hash));
}

static void test_app_names(void **state)
{
	static const char name63[] = "a23456789012345678901234567890123456789012345678901234567890123";

	(void)state;
	assert_true(eg_policy_app_name("a") && eg_policy_app_name("0") && eg_policy_app_name("app-x.y_z-0"));
	assert_true(strlen(name63) == 63 && eg_policy_app_name(name63));
	assert_false(eg_policy_app_name("") || eg_policy_app_name("A") || eg_policy_app_name("-a") ||
		     eg_policy_app_name(".a") || eg_policy_app_name("_a") || eg_policy_app_name("a/b") ||
		     eg_policy_app_name("a b") || eg_policy_app_name("\xc3\xa9") || eg_policy_app_name("*"));
	assert_false(eg_policy_app_name("a234567890123456789012345678901234567890123456789012345678901234"));
}

/* ---- Rules ---------------------------------------------------------------------------------------- */

static void test_rules(void **state)
{
	POLICY struct eg_policy *policy = parse(
		HEAD ",\n'ingress':[\n  {'id':'gw','from':['10.0.0.9/32'],'proto':'tcp','ports':['8080-8090']}],\n"
		     "'egress':[{'id':'db','to':['10.20.0.0/16','fd00:20::15','::ffff:10.1.0.0/112'],'proto':'tcp',"
		     "'ports':[5432,'443','1-9']},\n"
		     "   {'to':['Sheets.Googleapis.COM.','*.slack.com','10.0.0.1'],'proto':'tcp','ports':'any',"
		     "'tls':'verify-sni','private':['10.0.0.0/8','fd00::1'],'prefetch':true},\n"
		     "{'to':['10.0.0.1'],'proto':'icmp'}, {'to':['self']},"
		     "{'to':['10.0.0.1'],'proto':'udp','ports':['any'],'limits':{'egress':[{'bytes':'1kB','per':'10s'}],"
		     "'ingress':{'bytes':'1','per':'1s'},'new_flows':'10/min'}},"
		     "{'to':['10.0.0.1'],'proto':'icmp','types':[0,8,254]},{'to':['10.0.0.1'],'proto':'icmp','types':'any'}"
		     "]}");
	const struct eg_policy_rule *rule;

	(void)state;
	assert_int_equal(policy->rule_count, 8);
	assert_int_equal(policy->egress_count, 7);
	assert_true(policy->ingress_set);

	rule = &policy->rules[0];
	assert_string_equal(rule->id, "db");
	assert_int_equal(rule->dir, EG_DIR_EGRESS);
	assert_int_equal(rule->proto, IPPROTO_TCP);
	assert_int_equal(rule->cidr_count, 3);
	assert_cidr(rule, 0, "10.20.0.0/16");
	assert_cidr(rule, 1, "fd00:20::15");
	assert_cidr(rule, 2, "10.1.0.0/16");
	assert_int_equal(rule->port_count, 3);
	assert_true(rule->ports[0].lo == 5432 && rule->ports[0].hi == 5432);
	assert_true(rule->ports[1].lo == 443 && rule->ports[1].hi == 443);
	assert_true(rule->ports[2].lo == 1 && rule->ports[2].hi == 9);
	assert_int_equal(rule->line, 4);
	assert_int_equal(rule->column, 11);

	rule = &policy->rules[1];
	assert_string_equal(rule->id, "egress[1]");
	assert_string_equal(eg_policy_rule_id(policy, 1), "egress[1]");
	assert_int_equal(rule->name_count, 2);
	assert_string_equal(rule->names[0], "sheets.googleapis.com");
	assert_string_equal(rule->names[1], "*.slack.com");
	assert_int_equal(rule->cidr_count, 1);
	assert_int_equal(rule->port_count, 1);
	assert_true(rule->ports[0].lo == 0 && rule->ports[0].hi == 65535);
	assert_true(rule->verify_sni && rule->prefetch);
	assert_false(rule->verify_connect);
	assert_int_equal(rule->private_count, 2);
	assert_true(rule->privates[0].bits == 104 && rule->privates[1].bits == 128);
	assert_int_equal(rule->line, 5);
	assert_int_equal(rule->column, 4);

	assert_int_equal(policy->rules[2].proto, IPPROTO_ICMP);
	assert_int_equal(policy->rules[2].port_count + policy->rules[2].type_count, 0);
	assert_false(policy->rules[2].types_any);

	assert_true(policy->rules[3].self);
	assert_int_equal(policy->rules[3].proto, 0);
	assert_int_equal(policy->rules[3].cidr_count, 0);
	assert_string_equal(policy->rules[3].id, "egress[3]");

	rule = &policy->rules[4];
	assert_int_equal(rule->proto, IPPROTO_UDP);
	assert_int_equal(rule->ports[0].hi, 65535);
	assert_int_equal(rule->limits.egress_count, 1);
	assert_int_equal(rule->limits.egress[0].bytes, 1000);
	assert_int_equal(rule->limits.ingress[0].bytes, 1);
	assert_int_equal(rule->limits.new_flows, 10);

	assert_int_equal(policy->rules[5].type_count, 3);
	assert_int_equal(policy->rules[5].types[2], 254);
	assert_true(policy->rules[6].types_any);

	rule = &policy->rules[7];
	assert_string_equal(rule->id, "gw");
	assert_int_equal(rule->dir, EG_DIR_INGRESS);
	assert_cidr(rule, 0, "10.0.0.9");
	assert_true(rule->ports[0].lo == 8080 && rule->ports[0].hi == 8090);
	assert_int_equal(rule->line, 3);
	assert_int_equal(rule->column, 3);
}

/* ---- Lifetime --------------------------------------------------------------------------------------- */

static int lifetime(uint64_t now, uint64_t max, struct eg_diags *diags)
{
	EG_FREE char *json = json_of(HEAD "}");
	POLICY struct eg_policy *policy = parse(HEAD "}");

	return eg_policy_check_lifetime(policy, json, strlen(json), now, max, diags);
}

static void assert_lifetime_refused(uint64_t now, uint64_t max, const char *words, const char *fix)
{
	DIAGS struct eg_diags diags = {0};

	assert_int_equal(lifetime(now, max, &diags), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_string_equal(diags.items[0].path, "expires");
	assert_int_equal(diags.items[0].line, 1);
	assert_int_equal(diags.items[0].column, strstr(HEAD, "'2027") - HEAD + 1);
	assert_non_null(strstr(diags.items[0].message, words));
	assert_non_null(strstr(diags.items[0].fix, fix));
}

static void test_lifetime(void **state)
{
	DIAGS struct eg_diags diags = {0};

	(void)state;
	assert_int_equal(lifetime(EXPIRES - 1, DAY_NS, &diags), 0);
	assert_int_equal(lifetime(EXPIRES - 90 * DAY_NS, 90 * DAY_NS, &diags), 0);
	assert_int_equal(lifetime(EXPIRES - 1, UINT64_MAX, &diags), 0);
	assert_int_equal(diags.count, 0);
	/* expired when now >= expires */
	assert_lifetime_refused(EXPIRES, DAY_NS, "expired at 2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z");
	assert_lifetime_refused(EXPIRES + DAY_NS, DAY_NS, "expired at", "2027-02-02T00:00:00Z");
	assert_lifetime_refused(EXPIRES - 90 * DAY_NS - 1, 90 * DAY_NS, "90d", "2027-01-30T23:59:59Z");
}

/* ---- Lint --------------------------------------------------------------------------------------------- */

struct lint {
	const char *path, *words;
};

/* Those that are more than information. */
static void assert_lint(const char *text, const struct lint *wanted, size_t count)
{
	EG_FREE char *json = json_of(text);
	DIAGS struct eg_diags diags = {0};
	POLICY struct eg_policy *policy = parse(text);
	size_t n = 0;

	eg_policy_lint(policy, json, strlen(json), &diags);
	for (size_t i = 0; i < diags.count; i++) {
		const struct eg_diag *diag = &diags.items[i];

		assert_true(diag->line && diag->column && diag->fix[0] && diag->code);
		if (diag->level == EG_DIAG_INFO)
			continue;
		if (n >= count || strcmp(diag->path, wanted[n].path) || !strstr(diag->message, wanted[n].words))
			fail_msg("%s: lint %zu is %s: %s", text, n, diag->path, diag->message);
		n++;
	}
	if (n < count)
		fail_msg("%s: %s is missing", text, wanted[n].words);
}

#define GOOD HEAD ",'owner':'o','ticket':'t','cgroups':['a'],'limits':{'egress':{'bytes':'1MB','per':'1h'}}"
#define LINT(text, ...)                                                                        \
	assert_lint(text, (const struct lint[]){__VA_ARGS__},                                  \
		    sizeof((const struct lint[]){__VA_ARGS__}) / sizeof(struct lint))
#define TO(dest) "{'to':['10.9.9.9'," dest "],'proto':'tcp','ports':[1]}"

static void test_lint_missing(void **state)
{
	(void)state;
	assert_lint(GOOD ",'egress':[" TO("'10.0.0.1'") "]}", NULL, 0);
	LINT(HEAD ",'egress':[" TO("'10.0.0.1'") "]}", {"", "No owner"}, {"", "No ticket"}, {"", "No cgroups"},
	     {"", "No cap"});
	LINT(HEAD ",'owner':'o','ticket':'t'}", {"", "No cgroups"}); /* it reaches nothing: a cap caps nothing */
	assert_lint(HEAD ",'owner':'o','ticket':'t','cgroups':['a'],'egress':[{'to':['10.0.0.1'],'proto':'icmp',"
			 "'limits':{'egress':{'bytes':'1MB','per':'1h'}}},{'to':['self']}]}",
		    NULL, 0);
}

static void test_lint_dests(void **state)
{
	(void)state;
	LINT(GOOD ",'egress':[" TO("'a.example','0.0.0.0/0'") "]}", {"egress[0].to[2]", "0.0.0.0/0 allows every"});
	LINT(GOOD ",'egress':[" TO("'::/0'") "]}", {"egress[0].to[1]", "::/0 allows every"});
	LINT(GOOD ",'egress':[" TO("'169.254.169.254'") "]}", {"egress[0].to[1]", "metadata"});
	LINT(GOOD ",'egress':[" TO("'169.254.0.0/16'") "]}", {"egress[0].to[1]", "metadata"});
	LINT(GOOD ",'egress':[" TO("'fd00:ec2::254','fd00:ec2::253'") "]}", {"egress[0].to[1]", "metadata"});
	LINT(GOOD ",'egress':[" TO("'127.0.0.1'") "]}", {"egress[0].to[1]", "loopback"});
	LINT(GOOD ",'egress':[" TO("'::1','::2'") "]}", {"egress[0].to[1]", "loopback"});
	LINT(GOOD ",'ingress':[{'from':['127.0.0.1','0.0.0.0/0'],'proto':'tcp','ports':[1]}]}",
	     {"ingress[0].from[1]", "allows every"});
}

#define RULE(dests, ports) "{'to':[" dests "],'proto':'tcp','ports':[" ports "]}"
#define TWO(first, second) GOOD ",'egress':[" first "," second "]}"

static void test_lint_shadows(void **state)
{
	(void)state;
	LINT(TWO(RULE("'10.0.0.0/8','10.9.0.1'", "'1-99'"), RULE("'10.1.0.0/16'", "5,99")), {"egress[1]", "egress[0]"});
	LINT(TWO(RULE("'10.0.0.0/8'", "'1-5','6-9'"), RULE("'10.1.0.0/16'", "'2-8'")), {"egress[1]", "never used"});
	LINT(TWO("{'id':'x','to':['10.0.0.1'],'proto':'icmp','types':'any'}", "{'to':['10.0.0.1'],'proto':'icmp'}"),
	     {"egress[1]", "that x before it"});
	assert_lint(TWO(RULE("'10.0.0.0/8'", "'1-5','7-9'"), RULE("'10.1.0.0/16'", "'2-8'")), NULL, 0);
	assert_lint(TWO(RULE("'10.0.0.0/8'", "1"), RULE("'10.1.0.0/16','11.0.0.1'", "1")), NULL, 0);
	assert_lint(TWO(RULE("'10.0.0.0/8'", "1"), "{'to':['10.0.0.1'],'proto':'udp','ports':[1]}"), NULL, 0);
	assert_lint(TWO(RULE("'10.0.0.0/8'", "1"), RULE("'10.1.0.1','a.example'", "1")), NULL, 0);
	assert_lint(TWO("{'to':['10.0.0.1'],'proto':'icmp'}", "{'to':['10.0.0.1'],'proto':'icmp','types':[13]}"), NULL, 0);
	/* another direction is another matter */
	assert_lint(GOOD ",'egress':[" RULE("'10.0.0.1'", "1") "],'ingress':[{'from':['10.0.0.1'],'proto':'tcp','ports':[1]}]}",
		    NULL, 0);
}

#define NAMED(names, more) "{'to':[" names "],'proto':'tcp','ports':[443]" more "}"
#define SNI               ",'tls':'verify-sni'"

static void test_lint_names(void **state)
{
	(void)state;
	LINT(GOOD ",'egress':[" NAMED("'10.0.0.1','*.com'", "") "]}", {"egress[0].to[1]", "\"*.com\" is everybody's"});
	LINT(GOOD ",'egress':[" NAMED("'a.example.com','*.co.uk','*.github.io'", "") "]}", {"egress[0].to[1]", "below co.uk"},
	     {"egress[0].to[2]", "below github.io"});
	assert_lint(GOOD ",'egress':[" NAMED("'*.example.com','com','a.github.io','*.a.github.io','*.notgithub.io'", "") "]}",
		    NULL, 0);
	LINT(GOOD ",'egress':[" NAMED("'a.example'", ",'private':['10.0.0.0/8','169.254.0.0/16','fd00:ec2::254']") "]}",
	     {"egress[0].private[1]", "169.254.0.0/16 holds 169.254.169.254"}, {"egress[0].private[2]", "never granted"});
	LINT(GOOD ",'egress':[" NAMED("'a.example'", ",'private':['100.64.0.0/10','168.63.129.16','169.254.170.2']") "]}",
	     {"egress[0].private[0]", "100.100.100.200"}, {"egress[0].private[1]", "168.63.129.16"},
	     {"egress[0].private[2]", "169.254.170.2"});
	LINT(GOOD ",'dns':{'resolvers':['10.0.0.1']},'egress':[" RULE("'10.0.0.1'", "1") "]}", {"dns", "asked for nothing"});
	assert_lint(GOOD ",'dns':{'ask_only':['a.example']},'egress':[" RULE("'10.0.0.1'", "1") "]}", NULL, 0);
}

static void test_lint_defeated(void **state)
{
	(void)state;
	LINT(TWO(NAMED("'a.example'", SNI), RULE("'0.0.0.0/0'", "'1-1000'")),
	     {"egress[1]", "Rule egress[1] allows every address, so what egress[0] says about \"verify-sni\" is never asked"},
	     {"egress[1].to[0]", "allows every"});
	LINT(TWO(RULE("'::/0'", "443"), NAMED("'a.example'", SNI)), {"egress[0]", "never asked"},
	     {"egress[0].to[0]", "allows every"});
	LINT(TWO(RULE("'::/0'", "80"), NAMED("'a.example'", SNI)), {"egress[0].to[0]", "allows every"});
	LINT(TWO(RULE("'::/0'", "443"), NAMED("'a.example'", "")), {"egress[0].to[0]", "allows every"});
	assert_lint(TWO(RULE("'10.0.0.0/8'", "443"), NAMED("'a.example'", SNI)), NULL, 0);
	LINT(TWO("{'to':['0.0.0.0/0'],'proto':'udp','ports':[443]}", NAMED("'a.example'", SNI)),
	     {"egress[0].to[0]", "allows every"});
}

static void test_lint_shadowed_names(void **state)
{
	(void)state;
	LINT(TWO(NAMED("'*.x.example'", ""), NAMED("'a.x.example','*.b.x.example'", SNI)), {"egress[0]", "the same name"},
	     {"egress[1]", "never used"});
	assert_lint(TWO(NAMED("'*.x.example'", ""), NAMED("'x.example'", "")), NULL, 0);
	assert_lint(TWO(NAMED("'*.x.example'", ""), NAMED("'ax.example'", "")), NULL, 0);
	assert_lint(TWO(NAMED("'*.x.example'", SNI), NAMED("'a.x.example'", "")), NULL, 0);
	assert_lint(TWO(NAMED("'*.x.example'", ""), NAMED("'a.x.example'", ",'private':['10.0.0.0/8']")), NULL, 0);
	assert_lint(TWO(NAMED("'a.x.example'", ""), NAMED("'a.x.example'", ",'prefetch':true")), NULL, 0);
}

/* ---- Codes ------------------------------------------------------------------------------------------------ */

static const struct eg_diag *find_code(const struct eg_diags *diags, const char *code)
{
	for (size_t i = 0; i < diags->count; i++)
		if (!strcmp(diags->items[i].code, code))
			return &diags->items[i];
	return NULL;
}

/* There in the first policy, not in the second. */
static void assert_code(const char *code, enum eg_diag_level level, const char *with, const char *without)
{
	for (int i = 0; i < 2; i++) {
		EG_FREE char *json = json_of(i ? without : with);
		POLICY struct eg_policy *policy = parse(i ? without : with);
		DIAGS struct eg_diags diags = {0};
		const struct eg_diag *found;
		char line[800], tail[40];

		eg_policy_lint(policy, json, strlen(json), &diags);
		eg_policy_lint_lifetime(policy, json, strlen(json), EXPIRES - 61 * DAY_NS + i * 2 * DAY_NS, &diags);
		found = find_code(&diags, code);
		if ((found == NULL) != (i == 1))
			fail_msg("%s: %s", code, i ? without : with);
		if (i)
			continue;
		assert_int_equal(found->level, level);
		snprintf(tail, sizeof(tail), ") [%s]", code);
		eg_diag_text(&diags, found, line, sizeof(line));
		assert_string_equal(line + strlen(line) - strlen(tail), tail);
	}
}

static void test_lint_codes(void **state)
{
	const char *plain = GOOD ",'egress':[" RULE("'10.0.0.1'", "1") "]}";
	const char *named = GOOD ",'dns':{'resolvers':['10.0.0.1'],'ask_only':['a']},'egress':[" NAMED("'a.example'", "") "]}";
	const char *bare = HEAD ",'egress':[" RULE("'10.0.0.1'", "1") "]}";
	const struct {
		const char *code;
		enum eg_diag_level level;
		const char *with, *without;
	} cases[EG_LINT_COUNT_] = {
		{"no_owner", EG_DIAG_WARNING, bare, plain},
		{"no_ticket", EG_DIAG_WARNING, bare, plain},
		{"no_cgroups", EG_DIAG_WARNING, bare, plain},
		{"no_cap", EG_DIAG_WARNING, bare, plain},
		{"long_expiry", EG_DIAG_INFO, plain, plain},
		{"rule_duplicate", EG_DIAG_WARNING, TWO(RULE("'10.0.0.1','10.0.0.2'", "1"), RULE("'10.0.0.2','10.0.0.1'", "'1-1'")),
		 TWO(RULE("'10.0.0.0/24'", "1"), RULE("'10.0.0.1'", "1"))},
		{"rule_shadowed", EG_DIAG_WARNING, TWO(RULE("'10.0.0.0/24'", "1"), RULE("'10.0.0.1'", "1")),
		 TWO(RULE("'10.0.0.1'", "1"), RULE("'10.0.0.0/24'", "1"))},
		{"any_address", EG_DIAG_WARNING, TWO(RULE("'10.0.0.1'", "1"), RULE("'::/0'", "1")), plain},
		{"wide_prefix", EG_DIAG_WARNING, TWO(RULE("'96.0.0.0/7'", "1"), RULE("'10.0.0.1'", "1")),
		 TWO(RULE("'96.0.0.0/8','2001:db8::/32'", "1"), RULE("'0.0.0.0/0'", "1"))},
		{"metadata", EG_DIAG_WARNING, TWO(RULE("'169.254.169.254'", "80"), RULE("'10.0.0.1'", "1")), plain},
		{"loopback", EG_DIAG_WARNING, TWO(RULE("'127.1.2.3'", "80"), RULE("'10.0.0.1'", "1")), plain},
		{"link_local", EG_DIAG_WARNING, TWO(RULE("'fe80::1'", "80"), RULE("'169.254.1.1'", "1")), plain},
		{"private_network", EG_DIAG_INFO, TWO(RULE("'172.16.0.0/12'", "80"), RULE("'fd00::/8'", "1")),
		 TWO(RULE("'172.16.0.0/13'", "80"), RULE("'fd00::/8'", "1"))},
		{"any_port", EG_DIAG_INFO, TWO(RULE("'10.0.0.1'", "'any'"), RULE("'10.0.0.2'", "1")),
		 TWO(RULE("'10.0.0.1'", "'1024-65535'"), RULE("'10.0.0.2'", "1"))},
		{"public_suffix", EG_DIAG_WARNING, GOOD ",'egress':[" NAMED("'*.co.uk'", "") "]}", named},
		{"private_metadata", EG_DIAG_WARNING, GOOD ",'egress':[" NAMED("'a.example'", ",'private':['169.254.0.0/16']") "]}",
		 named},
		{"sni_defeated", EG_DIAG_ERROR, TWO(NAMED("'a.example'", SNI), NAMED("'*.example'", "")),
		 TWO(NAMED("'a.example'", SNI), NAMED("'*.a.example'", ""))},
		{"sni_open", EG_DIAG_WARNING,
		 TWO(NAMED("'a.example'", SNI ",'private':['10.1.0.0/16']"), RULE("'10.1.2.3'", "443")),
		 TWO(NAMED("'a.example'", SNI ",'private':['10.1.0.0/16']"), RULE("'10.2.2.3'", "443"))},
		{"dns_unused", EG_DIAG_WARNING, GOOD ",'dns':{'resolvers':['10.0.0.1']},'egress':[" RULE("'10.0.0.1'", "1") "]}",
		 named},
		{"dns_host_resolver", EG_DIAG_INFO, GOOD ",'egress':[" NAMED("'a.example'", "") "]}", named},
		{"search_list", EG_DIAG_INFO, GOOD ",'egress':[" NAMED("'a.example'", "") "]}", named},
	};

	(void)state;
	for (size_t i = 0; i < EG_LINT_COUNT_; i++)
		assert_code(cases[i].code, cases[i].level, cases[i].with, cases[i].without);
}

/* ---- Scale ------------------------------------------------------------------------------------------------ */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* `rules` rules of `dests` addresses each. */
static char *large(size_t rules, size_t dests, size_t *ret_len)
{
	FILE *f;
	char *text = NULL;

	f = open_memstream(&text, ret_len);
	assert_non_null(f);
	fputs("{\"version\":1,\"app\":\"a\",\"expires\":\"2027-01-31T00:00:00Z\",\"egress\":[\n", f);
	for (size_t i = 0; i < rules; i++) {
		fputs(i ? ",\n{\"to\":[" : "{\"to\":[", f);
		for (size_t j = 0; j < dests; j++) {
			size_t n = i * dests + j;

			fprintf(f, "%s\"10.%zu.%zu.%zu\"", j ? "," : "", n >> 16 & 255, n >> 8 & 255, n & 255);
		}
		fputs("],\"proto\":\"tcp\",\"ports\":[443]}", f);
	}
	fputs("\n]}", f);
	fclose(f);
	return text;
}

/* The bound is far above what it takes (print it to see), and far below a pass for each element. */
static void check_large(size_t rules, size_t dests)
{
	DIAGS struct eg_diags diags = {0};
	POLICY struct eg_policy *policy = NULL;
	double begin = seconds(), parsed;
	size_t len;
	EG_FREE char *text = large(rules, dests, &len);

	begin = seconds();
	assert_int_equal(eg_policy_parse(NULL, text, len, &policy, &diags), 0);
	parsed = seconds();
	eg_policy_lint(policy, text, len, &diags);
	print_message("%zu rules, %zu addresses: parsed in %.3f s, linted in %.3f s\n", rules, rules * dests,
		      parsed - begin, seconds() - parsed);
	assert_true(seconds() - begin < 5);
	assert_int_equal(policy->rule_count, rules);
	assert_int_equal(policy->rules[rules - 1].cidr_count, dests);
	assert_int_equal(policy->rules[rules - 1].line, rules + 1);
	assert_int_equal(policy->rules[rules - 1].column, 1);
}

static void test_large(void **state)
{
	(void)state;
	check_large(1, 100000);
	check_large(10000, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_app_names),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_lint_missing),
		cmocka_unit_test(test_lint_dests),
		cmocka_unit_test(test_lint_shadows),
		cmocka_unit_test(test_lint_names),
		cmocka_unit_test(test_lint_defeated),
		cmocka_unit_test(test_lint_shadowed_names),
		cmocka_unit_test(test_lint_codes),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

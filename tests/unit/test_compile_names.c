// SPDX-License-Identifier: Apache-2.0
/* DNS names and resolvers as the kernel's tables. */
#include "compile_fixture.h"

#define TCP  IPPROTO_TCP
#define UDP  IPPROTO_UDP
#define OUT  EG_DIR_EGRESS
#define NONE EG_RULE_NONE

/* A TCP rule for a port and some names, NULL behind the last. */
static struct eg_policy_rule *allow_names(struct eg_policy *policy, uint16_t port, const char *name, ...)
{
	struct eg_policy_rule *rule = fixture_rule(policy, OUT, TCP);
	va_list names;

	fixture_ports(rule, port, port);
	va_start(names, name);
	for (; name; name = va_arg(names, const char *))
		fixture_name(rule, name);
	va_end(names);
	return rule;
}

static unsigned ask(const struct eg_compiled *compiled, const char *name, unsigned port)
{
	const struct eg_match *match = fixture_ask_name(compiled, name, TCP, port);

	return match ? match->rule : NONE;
}

static bool in_span(const struct eg_compiled *compiled, struct eg_rule_span span, uint32_t service)
{
	return fixture_search(compiled, span.first, span.count, service);
}

/* ---- Names ------------------------------------------------------------------------------------- */

static void test_exact_and_wildcard(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_compiled_name *name;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	allow_names(policy, 443, "api.example.com", "*.example.org", NULL);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->name_count, 2);
	assert_int_equal(ask(compiled, "api.example.com", 443), 0);
	assert_int_equal(ask(compiled, "api.example.com", 80), NONE);
	assert_null(fixture_find_name(compiled, "x.api.example.com"));
	assert_null(fixture_find_name(compiled, "api.example.co"));
	assert_null(fixture_find_name(compiled, "xapi.example.com"));
	assert_int_equal(ask(compiled, "a.example.org", 443), 0);
	assert_int_equal(ask(compiled, "a.b.c.example.org", 443), 0);
	assert_null(fixture_find_name(compiled, "example.org"));
	assert_null(fixture_find_name(compiled, "anexample.org"));

	/* as eg_name_key.text, packed one behind the other */
	name = fixture_find_name(compiled, "api.example.com");
	assert_int_equal(name->len, 16);
	assert_memory_equal(&compiled->name_texts[name->at], "moc.elpmaxe.ipa", 16);
	name = fixture_find_name(compiled, "a.example.org");
	assert_int_equal(name->len, 12);
	assert_memory_equal(&compiled->name_texts[name->at], "gro.elpmaxe.", 12);
	assert_int_equal(compiled->name_bytes, 17 + 13);
	assert_int_equal(compiled->name_texts[0], 12);
	assert_int_equal(compiled->name_texts[13], 16);

	assert_int_equal(compiled->ruleset.flags, EG_RULESET_NAMES);
	assert_int_equal(compiled->ruleset.dns_types, EG_POLICY_DNS_TYPES);
	assert_int_equal(compiled->ruleset.name_count, 1);
	assert_int_equal(compiled->matches[compiled->ruleset.name_first].rule, NONE);
	assert_int_equal(compiled->matches[compiled->ruleset.name_first].lo, EG_SERVICE(TCP, 443));
	assert_int_equal(fixture_find_name(compiled, "a.example.org")->rules.private_span.count, 0);
}

static void test_longer_name_carries_the_wildcards_around(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	allow_names(policy, 1, "*.b.example.com", NULL);
	allow_names(policy, 2, "*.example.com", NULL);
	allow_names(policy, 3, "a.b.example.com", "b.example.com", NULL);
	allow_names(policy, 1, "a.b.example.com", NULL);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->name_count, 4);
	assert_int_equal(ask(compiled, "a.b.example.com", 1), 0);
	assert_int_equal(ask(compiled, "a.b.example.com", 2), 1);
	assert_int_equal(ask(compiled, "a.b.example.com", 3), 2);
	assert_int_equal(ask(compiled, "c.b.example.com", 1), 0);
	assert_int_equal(ask(compiled, "c.b.example.com", 2), 1);
	assert_int_equal(ask(compiled, "c.b.example.com", 3), NONE);
	assert_int_equal(ask(compiled, "b.example.com", 1), NONE); /* not below itself */
	assert_int_equal(ask(compiled, "b.example.com", 2), 1);
	assert_int_equal(ask(compiled, "b.example.com", 3), 2);
	assert_null(fixture_find_name(compiled, "example.com"));
	assert_int_equal(compiled->ruleset.name_count, 1); /* ports 1 to 3, whoever's */
	assert_int_equal(compiled->matches[compiled->ruleset.name_first].hi, EG_SERVICE(TCP, 3));
}

static void test_icmp_of_both_families(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	fixture_name(fixture_rule(policy, OUT, IPPROTO_ICMP), "a.example");
	compiled = fixture_compile(policy);
	assert_non_null(fixture_ask_name(compiled, "a.example", IPPROTO_ICMP, 8));
	assert_non_null(fixture_ask_name(compiled, "a.example", IPPROTO_ICMPV6, 128));
	assert_null(fixture_ask_name(compiled, "a.example", IPPROTO_ICMPV6, 8));
}

static void test_ask_only(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_compiled_name *name;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	fixture_ask_only(policy, "corp.example.com");
	fixture_ask_only(policy, "com");
	allow_names(policy, 443, "*.corp.example.com", "*.a.example.org", NULL);
	fixture_ask_only(policy, "a.example.org");
	compiled = fixture_compile(policy);
	name = fixture_find_name(compiled, "corp.example.com");
	assert_non_null(name);
	assert_int_equal(name->rules.span.count, 0);
	name = fixture_find_name(compiled, "whatever.com");
	assert_non_null(name);
	assert_int_equal(name->rules.span.count, 0);
	assert_non_null(fixture_find_name(compiled, "com"));
	assert_int_equal(ask(compiled, "x.corp.example.com", 443), 0); /* a rule's all the same */
	assert_int_equal(ask(compiled, "x.a.example.org", 443), 0);
	assert_int_equal(fixture_find_name(compiled, "a.example.org")->rules.span.count, 0);
	assert_null(fixture_find_name(compiled, "example.org"));
	assert_int_equal(compiled->name_count, 6); /* "*.corp.example.com" and "*.a.example.org" are there once */
}

static void test_ask_only_alone(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	fixture_ask_only(policy, "corp.example");
	policy->dns.types = 1u << EG_DNS_BIT_TXT;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->ruleset.flags, 0);
	assert_int_equal(compiled->ruleset.name_count, 0);
	assert_int_equal(compiled->ruleset.dns_types, 1u << EG_DNS_BIT_TXT);
	assert_int_equal(compiled->name_count, 2);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", UDP, 53), EG_RULE_DNS);
}

/* ---- Verification -------------------------------------------------------------------------------- */

static void test_verify_flags(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_compiled_prefix *prefix;
	struct eg_policy_rule *rule;
	const struct eg_match *match;
	struct eg_addr addr;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	rule = allow_names(policy, 443, "a.example", NULL);
	rule->verify_sni = true;
	fixture_to(rule, "10.1.0.0/16");
	rule = allow_names(policy, 3128, "b.example", NULL);
	rule->verify_connect = true;
	fixture_to(rule, "10.2.0.1");
	allow_names(policy, 8443, "a.example", NULL);
	compiled = fixture_compile(policy);
	assert_int_equal(fixture_ask_name(compiled, "a.example", TCP, 443)->flags, EG_MATCH_SNI);
	assert_int_equal(fixture_ask_name(compiled, "a.example", TCP, 8443)->flags, 0);
	assert_int_equal(fixture_ask_name(compiled, "b.example", TCP, 3128)->flags, EG_MATCH_CONNECT);
	eg_addr_from_text("10.1.2.3", &addr);
	prefix = fixture_longest(compiled, OUT, &addr);
	match = fixture_search(compiled, prefix->span.first, prefix->span.count, EG_SERVICE(TCP, 443));
	assert_int_equal(match->flags, EG_MATCH_SNI);
	eg_addr_from_text("10.2.0.1", &addr);
	prefix = fixture_longest(compiled, OUT, &addr);
	match = fixture_search(compiled, prefix->span.first, prefix->span.count, EG_SERVICE(TCP, 3128));
	assert_int_equal(match->flags, EG_MATCH_CONNECT);
	/* what a proxy is asked for is never granted, so no grant is missing there */
	assert_false(in_span(compiled, (struct eg_rule_span){compiled->ruleset.name_first, compiled->ruleset.name_count},
			     EG_SERVICE(TCP, 3128)));
}

/* It is the proxy that looks them up: no resolver is needed, and no port is one's. */
static void test_names_for_a_proxy_alone(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = allow_names(policy, 3128, "a.example", NULL);

	(void)state;
	rule->verify_connect = true;
	fixture_to(rule, "10.2.0.1");
	assert_false(eg_compile_needs_resolvers(policy));
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->ruleset.dns_types, 0);
	assert_int_equal(compiled->ruleset.flags, EG_RULESET_NAMES);
	assert_int_equal(ask(compiled, "a.example", 3128), 0);
}

/* Any allow wins: a rule that verifies nothing owns what both allow, in whichever order they stand. */
static void test_a_rule_without_verification_wins(void **state)
{
	for (int first = 0; first < 2; first++) {
		FIXTURE struct eg_policy *policy = fixture_policy();
		COMPILED struct eg_compiled *compiled = NULL;

		fixture_resolver(policy, "10.0.0.53");
		for (int i = 0; i < 3; i++) {
			struct eg_policy_rule *rule = allow_names(policy, 443, "a.example", NULL);

			fixture_to(rule, i == 2 ? "10.0.0.0/8" : "10.0.0.0/16");
			rule->verify_sni = i == first;
			rule->verify_connect = i == !first;
		}
		compiled = fixture_compile(policy);
		assert_int_equal(ask(compiled, "a.example", 443), 2);
		assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 443), 2);
	}
	(void)state;
}

static void test_sni_before_connect(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	allow_names(policy, 443, "a.example", NULL)->verify_connect = true;
	allow_names(policy, 443, "a.example", NULL)->verify_sni = true;
	allow_names(policy, 443, "a.example", NULL)->verify_sni = true;
	compiled = fixture_compile(policy);
	assert_int_equal(ask(compiled, "a.example", 443), 1);
}

/* ---- Private answers ------------------------------------------------------------------------------ */

static bool takes(const struct eg_compiled *compiled, const char *address, unsigned rule)
{
	const struct eg_compiled_prefix *prefix;
	struct eg_addr addr;

	assert_int_equal(eg_addr_from_text(address, &addr), 0);
	prefix = fixture_longest(compiled, EG_TABLE_PRIVATE, &addr);
	return prefix && in_span(compiled, prefix->span, EG_SERVICE(0, rule));
}

static void test_private(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_compiled_name *name;
	struct eg_policy_rule *rule;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	allow_names(policy, 443, "*.example.com", NULL);
	rule = allow_names(policy, 444, "db.example.com", NULL);
	fixture_private(rule, "10.0.0.0/8");
	fixture_private(rule, "fd00::/8");
	rule = allow_names(policy, 445, "*.example.com", NULL);
	fixture_private(rule, "10.1.0.0/16");
	compiled = fixture_compile(policy);

	name = fixture_find_name(compiled, "db.example.com");
	assert_true(in_span(compiled, name->rules.span, EG_SERVICE(TCP, 443)));
	assert_false(in_span(compiled, name->rules.private_span, EG_SERVICE(TCP, 443)));
	assert_true(in_span(compiled, name->rules.private_span, EG_SERVICE(TCP, 444)));
	assert_true(in_span(compiled, name->rules.private_span, EG_SERVICE(TCP, 445)));
	name = fixture_find_name(compiled, "x.example.com");
	assert_false(in_span(compiled, name->rules.private_span, EG_SERVICE(TCP, 444)));
	assert_true(in_span(compiled, name->rules.private_span, EG_SERVICE(TCP, 445)));

	assert_true(takes(compiled, "10.2.0.1", 1) && takes(compiled, "10.1.0.1", 1) && takes(compiled, "fd00::1", 1));
	assert_true(takes(compiled, "10.1.0.1", 2));
	assert_false(takes(compiled, "10.2.0.1", 2) || takes(compiled, "fd00::1", 2) || takes(compiled, "10.1.0.1", 0) ||
		     takes(compiled, "192.168.0.1", 1));
	/* they allow no packet */
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.0.1", TCP, 444), NONE);
	assert_int_equal(fixture_ask(compiled, EG_DIR_INGRESS, "10.1.0.1", TCP, 444), NONE);
}

/* Rules beside each other are one interval, so that many can have the same list. */
static void test_private_of_many_rules(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_addr addr;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	for (int i = 0; i < 400; i++)
		fixture_private(allow_names(policy, 443, "a.example", NULL), "10.0.0.0/8");
	compiled = fixture_compile(policy);
	eg_addr_from_text("10.1.0.1", &addr);
	assert_int_equal(fixture_longest(compiled, EG_TABLE_PRIVATE, &addr)->span.count, 1);
	assert_true(takes(compiled, "10.1.0.1", 0) && takes(compiled, "10.1.0.1", 399));
	assert_false(takes(compiled, "10.1.0.1", 400));
}

/* ---- Resolvers -------------------------------------------------------------------------------------- */

static void test_resolvers(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	fixture_resolver(policy, "fd00::53");
	fixture_resolver(policy, "10.0.0.53");
	fixture_allow(policy, OUT, UDP, "10.0.0.53", 1, 1000);
	fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 53, 60);
	fixture_allow(policy, OUT, UDP, "fd00::/8", 0, 65535);
	fixture_allow(policy, EG_DIR_INGRESS, UDP, "10.0.0.53", 53, 53);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->resolver_count, 3);
	assert_false(compiled->resolvers_of_host);
	/* no rule opens a tunnel through the resolver's port, and each keeps its other ports */
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", UDP, 53), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", TCP, 53), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", UDP, 52), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", UDP, 54), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", TCP, 54), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.54", TCP, 53), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.54", UDP, 53), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::53", UDP, 53), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::53", UDP, 54), 2);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::54", UDP, 53), 2);
	assert_int_equal(fixture_ask(compiled, EG_DIR_INGRESS, "10.0.0.53", UDP, 53), 3);
	assert_memory_equal(compiled->ruleset.policy_hash, policy->hash, sizeof(policy->hash));
}

/* A DNAT in the app's namespace may have translated the port: Docker's 127.0.0.11. */
static void test_loopback_resolver(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_resolver(policy, "127.0.0.11");
	fixture_resolver(policy, "::1");
	fixture_allow(policy, OUT, TCP, "127.0.0.0/8", 80, 80);
	compiled = fixture_compile(policy);
	assert_int_equal(fixture_ask(compiled, OUT, "127.0.0.11", UDP, 53), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "127.0.0.11", UDP, 41234), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "127.0.0.11", TCP, 80), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "127.0.0.12", TCP, 80), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "::1", TCP, 65535), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled, OUT, "::1", IPPROTO_ICMPV6, 128), NONE);
}

static void test_no_names_no_resolvers(void **state)
{
	const struct eg_resolvers host = {.addr = {{.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 53}}}, .count = 1};
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};

	(void)state;
	fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 1, 100);
	assert_false(eg_compile_needs_resolvers(policy));
	assert_int_equal(eg_compile(policy, &host, &compiled, &diags), 0);
	assert_int_equal(compiled->resolver_count, 0);
	assert_int_equal(compiled->ruleset.dns_types, 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.53", TCP, 53), 0);
}

static void test_resolvers_of_the_host(void **state)
{
	struct eg_resolvers host = {.addr = {{.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 53}}}, .count = 1};
	FIXTURE struct eg_policy *policy = fixture_policy();
	struct eg_compiled *compiled[3] = {0};
	struct eg_diags diags = {0};

	(void)state;
	allow_names(policy, 443, "a.example", NULL);
	assert_true(eg_compile_needs_resolvers(policy));
	for (int i = 0; i < 3; i++) {
		host.addr[0].b[15] = i == 2 ? 54 : 53;
		assert_int_equal(eg_compile(policy, &host, &compiled[i], &diags), 0);
		assert_true(compiled[i]->resolvers_of_host);
		assert_int_equal(compiled[i]->resolver_count, 1);
	}
	assert_int_equal(fixture_ask(compiled[0], OUT, "10.0.0.53", UDP, 53), EG_RULE_DNS);
	assert_int_equal(fixture_ask(compiled[2], OUT, "10.0.0.53", UDP, 53), NONE);
	/* the same text is not the same tables */
	assert_memory_equal(compiled[0]->ruleset.policy_hash, compiled[1]->ruleset.policy_hash, 32);
	assert_memory_not_equal(compiled[0]->ruleset.policy_hash, compiled[2]->ruleset.policy_hash, 32);
	assert_memory_not_equal(compiled[0]->ruleset.policy_hash, policy->hash, 32);
	for (int i = 0; i < 3; i++)
		eg_compiled_free(compiled[i]);

	/* none at all */
	fixture_refused(policy, 1, "egress[0].to", "No resolver is known");
	policy->rules[0].name_count--;
	policy->dns.set = true;
	fixture_refused(policy, 0, "dns", "No resolver is known");
	policy->rules[0].name_count++;
	host = (struct eg_resolvers){.may_lack = true};
	assert_int_equal(eg_compile(policy, &host, &compiled[0], &diags), 0);
	assert_int_equal(compiled[0]->resolver_count, 0);
	assert_true(compiled[0]->resolvers_of_host);
	assert_int_equal(ask(compiled[0], "a.example", 443), 0);
	eg_compiled_free(compiled[0]);
	eg_diags_clear(&diags);
}

/* ---- Meters and sizes ---------------------------------------------------------------------------------- */

static void test_rate(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_meter_conf *meter;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	policy->dns.rate = 60;
	policy->dns.rate_per_ns = 60000000000ull;
	policy->limits.new_flows = 1;
	policy->limits.new_flows_per_ns = 1000000000ull;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->meter_count, 2);
	assert_int_equal(compiled->ruleset.meters_flows, 1);
	assert_int_equal(compiled->ruleset.meters_dns, 2);
	meter = &compiled->ruleset.meters[1];
	assert_int_equal(meter->kind, EG_METER_DNS);
	assert_int_equal(meter->rule, NONE);
	assert_int_equal(meter->dir, EG_DIR_EGRESS);
	assert_true(meter->per_ns == 1000000000ull && meter->limit == 60000000000ull);
}

static void test_too_many_ports_of_names(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	struct eg_policy_rule *rule;

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	for (uint32_t side = 0; side < 2; side++) {
		rule = allow_names(policy, 65535, side ? "b.example" : "a.example", NULL);
		for (uint32_t i = 0; i < 3000; i++)
			fixture_ports(rule, (uint16_t)(10 * i % 60000 + 3 * side), (uint16_t)(10 * i % 60000 + 3 * side));
	}
	fixture_refused(policy, 2, "egress[1].ports", "rules with names");
	free(rule->names[0]);
	rule->names[0] = strdup("a.example");
	fixture_refused(policy, 1, "egress[0]", "a.example");
}

static void test_many_names(void **state)
{
	enum { COUNT = 200000 };
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = allow_names(policy, 443, "*.example", NULL);

	(void)state;
	fixture_resolver(policy, "10.0.0.53");
	rule->names = reallocarray(rule->names, COUNT, sizeof(*rule->names));
	assert_non_null(rule->names);
	for (uint32_t i = 1; i < COUNT; i++)
		assert_true(asprintf(&rule->names[i], "h%u.example", i * 7919u % COUNT) > 0);
	rule->name_count = COUNT;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->name_count, COUNT);
	assert_int_equal(compiled->match_count, 4); /* the name's, the services of names, and the resolver's two */
	assert_int_equal(ask(compiled, "h199999.example", 443), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_and_wildcard),
		cmocka_unit_test(test_longer_name_carries_the_wildcards_around),
		cmocka_unit_test(test_icmp_of_both_families),
		cmocka_unit_test(test_ask_only),
		cmocka_unit_test(test_ask_only_alone),
		cmocka_unit_test(test_verify_flags),
		cmocka_unit_test(test_names_for_a_proxy_alone),
		cmocka_unit_test(test_a_rule_without_verification_wins),
		cmocka_unit_test(test_sni_before_connect),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_private_of_many_rules),
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_loopback_resolver),
		cmocka_unit_test(test_no_names_no_resolvers),
		cmocka_unit_test(test_resolvers_of_the_host),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_too_many_ports_of_names),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "compile_fixture.h"

#include <errno.h>
#include <stdio.h>

#define TCP  IPPROTO_TCP
#define UDP  IPPROTO_UDP
#define OUT  EG_DIR_EGRESS
#define IN   EG_DIR_INGRESS
#define NONE EG_RULE_NONE

/* ---- Prefixes and services -------------------------------------------------------------- */

static void test_empty_policy_allows_nothing(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = fixture_compile(policy);

	(void)state;
	assert_int_equal(compiled->prefix_count, 0);
	assert_int_equal(compiled->match_count, 0);
	assert_int_equal(compiled->meter_count, 0);
	assert_int_equal(compiled->ruleset.bind_count, 0);
	assert_int_equal(compiled->ruleset.flags, 0);
}

static void test_one_rule(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 443, 444);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 1);
	assert_int_equal(compiled->match_count, 1);
	assert_int_equal(compiled->ruleset.match_count, 1);
	assert_int_equal(compiled->ruleset.rule_count, 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.2.3", TCP, 443), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.2.3", TCP, 444), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.2.3", TCP, 442), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.2.3", TCP, 445), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.1.2.3", UDP, 443), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "11.1.2.3", TCP, 443), NONE);
	assert_int_equal(fixture_ask(compiled, IN, "10.1.2.3", TCP, 443), NONE);
}

static void test_longer_prefix_carries_the_shorter(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_allow(policy, OUT, TCP, "10.0.0.5/32", 22, 22);
	fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 443, 443);
	fixture_allow(policy, OUT, UDP, "0.0.0.0/0", 53, 53);
	fixture_allow(policy, OUT, TCP, "10.0.0.4/31", 443, 500);
	fixture_allow(policy, IN, TCP, "10.0.0.0/24", 8080, 8080);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 5);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.5", TCP, 22), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.5", TCP, 443), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.5", TCP, 444), 3);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.5", UDP, 53), 2);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.4", TCP, 22), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.6", TCP, 444), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.6", TCP, 443), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "8.8.8.8", UDP, 53), 2);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.5", TCP, 8080), NONE);
	assert_int_equal(fixture_ask(compiled, IN, "10.0.0.5", TCP, 8080), 4);
}

static void test_overlapping_ports_belong_to_the_first_rule(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = fixture_allow(policy, OUT, TCP, "10.0.0.1", 100, 200);

	(void)state;
	fixture_ports(rule, 201, 300); /* adjacent: one interval */
	fixture_ports(rule, 150, 160); /* within */
	fixture_allow(policy, OUT, TCP, "10.0.0.1", 0, 65535);
	fixture_allow(policy, OUT, TCP, "10.0.0.1", 1, 400);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->match_count, 3);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 0), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 99), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 100), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 300), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 301), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 65535), 1);
}

static void test_same_services_share_a_span(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 443, 443);

	(void)state;
	fixture_to(rule, "10.0.0.1");
	fixture_to(rule, "fd00::/8");
	fixture_to(rule, "10.0.0.1"); /* twice */
	rule = fixture_allow(policy, OUT, TCP, "10.0.0.1", 443, 443); /* adds nothing */
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 3);
	assert_int_equal(compiled->match_count, 1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(compiled->prefixes[i].span.first, 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 443), 0);
}

static void test_ipv6_never_covers_ipv4(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_addr v4;

	(void)state;
	fixture_allow(policy, OUT, TCP, "::/0", 443, 443);
	fixture_allow(policy, OUT, TCP, "10.0.0.0/8", 22, 22);
	fixture_allow(policy, IN, TCP, "::/64", 80, 80);
	fixture_allow(policy, IN, TCP, "0.0.0.0/0", 81, 81);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 5); /* a hole for egress; ingress has 0.0.0.0/0 */
	assert_int_equal(fixture_ask(compiled, OUT, "2001:db8::1", TCP, 443), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "8.8.8.8", TCP, 443), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 443), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, 22), 1);
	assert_int_equal(fixture_ask(compiled, IN, "::1", TCP, 80), 2);
	assert_int_equal(fixture_ask(compiled, IN, "8.8.8.8", TCP, 80), NONE);
	assert_int_equal(fixture_ask(compiled, IN, "8.8.8.8", TCP, 81), 3);
	assert_int_equal(eg_addr_from_text("8.8.8.8", &v4), 0);
	assert_int_equal(fixture_longest(compiled, OUT, &v4)->span.count, 0);
}

static void test_no_hole_where_none_is_needed(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_allow(policy, OUT, TCP, "fd00::/8", 443, 443);
	fixture_allow(policy, OUT, TCP, "::/96", 443, 443);
	fixture_allow(policy, OUT, TCP, "0:0:0:0:0:fffe::/96", 443, 443);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 3);
}

static void test_icmp(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = fixture_allow(policy, OUT, IPPROTO_ICMP, "10.0.0.1", 0, 0);

	(void)state;
	fixture_to(rule, "fd00::1");
	rule = fixture_allow(policy, OUT, IPPROTO_ICMP, "10.0.0.2", 0, 0);
	fixture_to(rule, "fd00::2");
	rule->types[rule->type_count++] = 13;
	rule->types[rule->type_count++] = 8;
	rule = fixture_allow(policy, IN, IPPROTO_ICMP, "10.0.0.3", 0, 0);
	fixture_to(rule, "fd00::3");
	rule->types_any = true;
	compiled = fixture_compile(policy);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", 1, 8), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", 1, 128), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", 1, 0), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", 58, 128), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::1", 58, 128), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::1", 58, 8), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::1", 1, 8), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.2", 1, 13), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.2", 1, 8), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.2", 1, 9), NONE);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::2", 58, 13), 1);
	assert_int_equal(fixture_ask(compiled, OUT, "fd00::2", 58, 128), NONE);
	assert_int_equal(fixture_ask(compiled, IN, "10.0.0.3", 1, 0), 2);
	assert_int_equal(fixture_ask(compiled, IN, "10.0.0.3", 1, 255), 2);
	assert_int_equal(fixture_ask(compiled, IN, "fd00::3", 58, 255), 2);
	assert_int_equal(fixture_ask(compiled, IN, "fd00::3", 1, 8), NONE);
}

static void test_header(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	policy->expires_utc_ns = 12345;
	policy->mode = EG_MODE_AUDIT;
	policy->raw_sockets = true;
	policy->log_full = true;
	memset(policy->hash, 0x5a, sizeof(policy->hash));
	fixture_rule(policy, OUT, 0)->self = true;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, 0);
	assert_int_equal(compiled->ruleset.expires_utc_ns, 12345);
	assert_int_equal(compiled->ruleset.mode, EG_MODE_AUDIT);
	assert_int_equal(compiled->ruleset.flags, EG_RULESET_SELF | EG_RULESET_RAW | EG_RULESET_LOG_FULL);
	assert_int_equal(compiled->ruleset.uid, 0);
	assert_int_equal(compiled->ruleset.app, 0);
	assert_memory_equal(compiled->ruleset.policy_hash, policy->hash, sizeof(policy->hash));
}

static void test_self_of_the_policy(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	policy->self = true;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->ruleset.flags, EG_RULESET_SELF);
}

static bool may_bind(const struct eg_compiled *compiled, unsigned port)
{
	return fixture_search(compiled, compiled->ruleset.bind_first, compiled->ruleset.bind_count,
			      EG_SERVICE(TCP, port));
}

static void test_bind(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;

	(void)state;
	fixture_allow(policy, OUT, TCP, "10.0.0.1", 443, 443);
	fixture_allow(policy, IN, TCP, "10.0.0.1", 8080, 8082);
	fixture_allow(policy, IN, TCP, "fd00::/8", 8083, 8090);
	fixture_allow(policy, IN, UDP, "10.0.0.0/8", 9000, 9000);
	fixture_allow(policy, IN, TCP, "10.0.0.0/8", 8081, 8085);
	fixture_allow(policy, IN, TCP, "10.0.0.0/8", 22, 22);
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->ruleset.bind_count, 2);
	assert_true(may_bind(compiled, 22));
	assert_true(may_bind(compiled, 8080));
	assert_true(may_bind(compiled, 8090));
	assert_false(may_bind(compiled, 8079));
	assert_false(may_bind(compiled, 8091));
	assert_false(may_bind(compiled, 9000));
	assert_false(may_bind(compiled, 443));
	assert_int_equal(compiled->matches[compiled->ruleset.bind_first].rule, EG_RULE_NONE);
	assert_true(compiled->ruleset.bind_first + 2 <= compiled->match_count);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void test_most_intervals(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	struct eg_policy_rule *rule = fixture_rule(policy, OUT, TCP);

	(void)state;
	fixture_to(rule, "10.0.0.0/8");
	for (uint32_t i = 0; i < EG_MATCHES_MAX; i++)
		fixture_ports(rule, (uint16_t)(2 * i + 1), (uint16_t)(2 * i + 1));
	{
		COMPILED struct eg_compiled *compiled = fixture_compile(policy);

		assert_int_equal(compiled->match_count, EG_MATCHES_MAX);
		for (unsigned port = 0; port <= 2 * EG_MATCHES_MAX; port++)
			assert_int_equal(fixture_ask(compiled, OUT, "10.0.0.1", TCP, port), port & 1 ? 0 : NONE);
	}
	fixture_allow(policy, OUT, UDP, "10.1.0.0/16", 1, 1);
	fixture_refused(policy, 2, "egress[1]", "10.1.0.0/16");
}

static void test_too_many_ports_to_listen_on(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	struct eg_policy_rule *rule;

	(void)state;
	for (uint32_t side = 0; side < 2; side++) {
		rule = fixture_rule(policy, IN, TCP);
		fixture_to(rule, side ? "10.0.0.1" : "10.0.0.2");
		for (uint32_t i = 0; i < 3000; i++)
			fixture_ports(rule, (uint16_t)(10 * i % 60000 + 3 * side), (uint16_t)(10 * i % 60000 + 3 * side));
	}
	fixture_refused(policy, 2, "ingress[1].ports", "ingress");
}

/* Many rules for everybody, and an address for each combination of some: bounded, then refused. */
static void test_too_many_intervals_in_all(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	struct eg_policy_rule *rule = fixture_allow(policy, OUT, TCP, "0.0.0.0/0", 1, 1);
	struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};
	char text[32];

	(void)state;
	for (uint32_t i = 0; i < 4000; i++)
		fixture_ports(rule, (uint16_t)(4 * i + 1), (uint16_t)(4 * i + 1));
	for (unsigned i = 0; i < 1200; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
		fixture_allow(policy, OUT, UDP, text, (uint16_t)i, (uint16_t)i);
	}
	assert_int_equal(eg_compile(policy, NULL, &compiled, &diags), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_non_null(strstr(diags.items[0].message, "10.0."));
	eg_diags_clear(&diags);
}

/* ---- Size --------------------------------------------------------------------------------------- */

static void test_a_million_addresses(void **state)
{
	enum { COUNT = 1000000 };
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	struct eg_policy_rule *rule = fixture_allow(policy, OUT, TCP, "10.0.0.0/32", 443, 443);

	(void)state;
	rule->cidrs = reallocarray(rule->cidrs, COUNT, sizeof(*rule->cidrs));
	assert_non_null(rule->cidrs);
	for (uint32_t i = 0; i < COUNT; i++) {
		rule->cidrs[i] = rule->cidrs[0];
		rule->cidrs[i].addr.w_be[3] = htonl(0x0a000000 + (uint32_t)(i * 7919ull % COUNT)); /* in no order */
	}
	rule->cidr_count = COUNT;
	compiled = fixture_compile(policy);
	assert_int_equal(compiled->prefix_count, COUNT);
	assert_int_equal(compiled->match_count, 1);
	assert_int_equal(fixture_ask(compiled, OUT, "10.15.66.63", TCP, 443), 0);
	assert_int_equal(fixture_ask(compiled, OUT, "10.15.66.64", TCP, 443), NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_policy_allows_nothing),
		cmocka_unit_test(test_one_rule),
		cmocka_unit_test(test_longer_prefix_carries_the_shorter),
		cmocka_unit_test(test_overlapping_ports_belong_to_the_first_rule),
		cmocka_unit_test(test_same_services_share_a_span),
		cmocka_unit_test(test_ipv6_never_covers_ipv4),
		cmocka_unit_test(test_no_hole_where_none_is_needed),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_self_of_the_policy),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_most_intervals),
		cmocka_unit_test(test_too_many_ports_to_listen_on),
		cmocka_unit_test(test_too_many_intervals_in_all),
		cmocka_unit_test(test_a_million_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "compile_fixture.h"

#define TCP    IPPROTO_TCP
#define OUT    EG_DIR_EGRESS
#define SECOND 1000000000ull

static struct eg_policy_cap cap_of(uint64_t bytes, enum eg_cap_action action)
{
	return (struct eg_policy_cap){.bytes = bytes, .per_ns = 3600 * SECOND, .action = action};
}

static void test_meters(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();
	COMPILED struct eg_compiled *compiled = NULL;
	const struct eg_meter_conf *meters;
	struct eg_policy_rule *rule;
	const struct eg_match *match;

	(void)state;
	policy->limits.egress[0] = cap_of(1000, EG_CAP_DROP);
	policy->limits.egress[1] = cap_of(2000, EG_CAP_KILL);
	policy->limits.egress_count = 2;
	policy->limits.ingress[0] = cap_of(3000, EG_CAP_ALERT);
	policy->limits.ingress_count = 1;
	policy->limits.egress_rate_bits = 10000000;
	policy->limits.new_flows = 100;
	policy->limits.new_flows_per_ns = 60 * SECOND;
	fixture_allow(policy, OUT, TCP, "10.0.0.1", 443, 443);
	rule = fixture_allow(policy, OUT, TCP, "10.0.0.1", 5432, 5432);
	rule->limits.egress[0] = cap_of(4000, EG_CAP_DROP);
	rule->limits.egress_count = 1;
	rule->limits.ingress[0] = cap_of(5000, EG_CAP_KILL);
	rule->limits.ingress_count = 1;
	rule->limits.new_flows = 3;
	rule->limits.new_flows_per_ns = SECOND;
	compiled = fixture_compile(policy);
	meters = compiled->ruleset.meters;

	assert_int_equal(compiled->meter_count, 8);
	assert_int_equal(compiled->ruleset.meters_out, 0x030201);
	assert_int_equal(compiled->ruleset.meters_in, 0x04);
	assert_int_equal(compiled->ruleset.meters_flows, 0x05);
	assert_int_equal(meters[0].limit, 1000);
	assert_int_equal(meters[0].per_ns, 3600 * SECOND);
	assert_int_equal(meters[0].kind, EG_METER_BYTES);
	assert_int_equal(meters[0].rule, EG_RULE_NONE);
	assert_int_equal(meters[1].action, EG_CAP_KILL);
	assert_int_equal(meters[2].kind, EG_METER_RATE);
	assert_int_equal(meters[2].dir, EG_DIR_EGRESS);
	assert_int_equal(meters[3].dir, EG_DIR_INGRESS);
	assert_int_equal(meters[3].action, EG_CAP_ALERT);
	assert_int_equal(meters[4].kind, EG_METER_FLOWS);
	assert_int_equal(meters[5].limit, 4000);
	assert_int_equal(meters[5].rule, 1);
	assert_int_equal(meters[6].dir, EG_DIR_INGRESS);
	assert_int_equal(meters[7].rule, 1);
	for (size_t i = 0; i < EG_METERS_PER_APP; i++)
		assert_int_equal(meters[i].state, 0);

	assert_int_equal(compiled->match_count, 2);
	match = &compiled->matches[0];
	assert_int_equal(match->meter_out | match->meter_in | match->meter_flows, 0);
	match = &compiled->matches[1];
	assert_int_equal(match->rule, 1);
	assert_int_equal(match->meter_out, 6);
	assert_int_equal(match->meter_in, 7);
	assert_int_equal(match->meter_flows, 8);
}

/* As eg_meter_take_tokens of bpf/meters.h. */
static bool take_tokens(uint64_t *word, uint64_t cost_ns, uint64_t burst_ns, uint64_t now)
{
	uint64_t next = (*word > now ? *word : now) + cost_ns;

	if (next - now > burst_ns)
		return false;
	*word = next;
	return true;
}

static void test_flows_at_once(void **state)
{
	static const struct {
		uint64_t flows, per_ns;
	} cases[] = {{1, SECOND}, {7, SECOND}, {100, 60 * SECOND}, {1000, 3 * SECOND}, {999983, 61 * SECOND}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		FIXTURE struct eg_policy *policy = fixture_policy();
		COMPILED struct eg_compiled *compiled = NULL;
		const struct eg_meter_conf *conf;
		uint64_t word = 0, now = 5000 * SECOND, passed = 0;

		policy->limits.new_flows = cases[i].flows;
		policy->limits.new_flows_per_ns = cases[i].per_ns;
		compiled = fixture_compile(policy);
		conf = &compiled->ruleset.meters[0];
		while (take_tokens(&word, conf->per_ns, conf->limit, now))
			passed++;
		assert_int_equal(passed, cases[i].flows);
		/* one comes back after its share of the span, and not a nanosecond before */
		assert_false(take_tokens(&word, conf->per_ns, conf->limit, now + conf->per_ns - 1));
		assert_true(take_tokens(&word, conf->per_ns, conf->limit, now + conf->per_ns));
		assert_true(conf->per_ns >= cases[i].per_ns / cases[i].flows);
	}
}

static void test_rate(void **state)
{
	static const uint64_t rates[] = {8, 500000, 10000000, 1000000000, 100000000000};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		FIXTURE struct eg_policy *policy = fixture_policy();
		COMPILED struct eg_compiled *compiled = NULL;
		const struct eg_meter_conf *conf;
		uint64_t word = 0, now = 5000 * SECOND;
		double bits;

		policy->limits.egress_rate_bits = rates[i];
		compiled = fixture_compile(policy);
		conf = &compiled->ruleset.meters[0];
		bits = 65536.0 * 8 * 1e9 / (double)conf->per_ns;
		assert_true(bits <= (double)rates[i] && bits > (double)rates[i] * 0.999);
		assert_true(conf->limit >= SECOND / 10);
		/* 64 KiB in 123 segments with headers of 60 bytes pass an idle bucket at any rate */
		assert_true(take_tokens(&word, (65536 + 123 * 60) * conf->per_ns >> 16, conf->limit, now));
	}
}

static void test_too_many_meters(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();

	(void)state;
	policy->limits.egress_rate_bits = 1000000;
	for (unsigned i = 0; i < EG_METERS_PER_APP; i++) {
		struct eg_policy_rule *rule = fixture_allow(policy, OUT, TCP, "10.0.0.1", 1, 1);

		rule->limits.egress[0] = cap_of(4000, EG_CAP_DROP);
		rule->limits.egress_count = 1;
	}
	fixture_refused(policy, EG_METERS_PER_APP, "egress[15].limits", "more than 16 limits");
	policy->limits.egress_rate_bits = 0;
	{
		COMPILED struct eg_compiled *compiled = fixture_compile(policy);

		assert_int_equal(compiled->meter_count, EG_METERS_PER_APP);
	}
}

static void test_list_too_long(void **state)
{
	FIXTURE struct eg_policy *policy = fixture_policy();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		policy->limits.egress[i] = cap_of(1000, EG_CAP_DROP);
	policy->limits.egress_count = 3;
	policy->limits.egress_rate_bits = 1000000;
	fixture_refused(policy, 0, "limits", "at most 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meters),
		cmocka_unit_test(test_flows_at_once),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_too_many_meters),
		cmocka_unit_test(test_list_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

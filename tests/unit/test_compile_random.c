// SPDX-License-Identifier: Apache-2.0
/*
 * test_compile_random.c - random policies against an oracle that reads the rules in order
 *
 * The addresses are few and close together, so that prefixes of all lengths nest, repeat and
 * touch, in both families and around the place where the trie has IPv4.
 */
#include "compile_fixture.h"

#include <stdio.h>

#define POLICIES 1500
#define PROBES   200

static uint64_t seed;

/* splitmix64 */
static uint32_t below(uint32_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) % n);
}

static struct eg_addr random_addr(void)
{
	static const uint8_t ends[] = {0, 1, 0x7f, 0x80, 0xff};
	struct eg_addr addr = {0};

	if (below(2)) { /* IPv4 */
		addr.b[10] = addr.b[11] = 0xff;
		addr.b[12] = below(2) ? 10 : ends[below(5)];
	} else if (below(2)) { /* near ::ffff:0:0/96 */
		addr.b[9] = below(4) ? 0 : 1;
		addr.b[10] = below(4) ? 0xff : 0xfe;
		addr.b[11] = below(4) ? 0xff : 0xfe;
		addr.b[12] = ends[below(5)];
	} else {
		addr.b[0] = below(2) ? 0xfd : ends[below(5)];
		addr.b[7] = (uint8_t)below(2);
		addr.b[8] = ends[below(5)];
	}
	addr.b[15] = below(3) ? (uint8_t)below(8) : (uint8_t)below(256);
	return addr;
}

static bool is_v4(const struct eg_addr *addr)
{
	static const struct eg_addr base = {.b = {[10] = 0xff, [11] = 0xff}};

	return fixture_same_bits(addr, &base, 96);
}

static struct eg_cidr random_cidr(void)
{
	struct eg_cidr cidr = {.addr = random_addr()};
	uint32_t bits = below(3) ? 120 + below(9) : below(129);

	if (is_v4(&cidr.addr) && bits < 96)
		bits = below(2) ? 96 : 96 + bits % 33;
	cidr.bits = (uint8_t)bits;
	for (unsigned i = bits; i < 128; i++)
		cidr.addr.b[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	return cidr;
}

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 0};

static void random_rule(struct eg_policy *policy, enum eg_dir dir)
{
	struct eg_policy_rule *rule = fixture_rule(policy, dir, protos[below(8) ? below(3) : 3]);
	uint32_t count = rule->proto ? 1 + below(6) : 0;

	rule->self = !rule->proto;
	for (uint32_t i = 0; i < count; i++)
		rule->cidrs[rule->cidr_count++] = random_cidr();
	if (rule->proto == IPPROTO_TCP || rule->proto == IPPROTO_UDP) {
		for (uint32_t i = 1 + below(4); i; i--) {
			uint16_t lo = (uint16_t)(below(6) ? below(40) : 65535 - below(4));
			uint16_t hi = (uint16_t)(below(6) ? (lo + below(6) < 65535 ? lo + below(6) : lo) : 65535);

			fixture_ports(rule, lo, hi < lo ? lo : hi);
		}
	} else if (rule->proto == IPPROTO_ICMP) {
		rule->types_any = !below(5);
		for (uint32_t i = below(4); i; i--)
			rule->types[rule->type_count++] = (uint8_t)below(16);
	}
	if (!below(20)) {
		rule->limits.egress[0] = (struct eg_policy_cap){1000 + policy->rule_count, 1000000000, EG_CAP_DROP};
		rule->limits.egress_count = 1;
	}
}

static bool oracle_rule_serves(const struct eg_policy_rule *rule, bool v4, uint8_t proto, unsigned port)
{
	if (rule->proto == IPPROTO_ICMP) {
		if (proto != (v4 ? 1 : 58))
			return false;
		if (rule->types_any)
			return port <= 255;
		for (size_t i = 0; i < rule->type_count; i++)
			if (rule->types[i] == port)
				return true;
		return !rule->type_count && port == (v4 ? 8 : 128);
	}
	if (rule->proto != proto)
		return false;
	for (size_t i = 0; i < rule->port_count; i++)
		if (port >= rule->ports[i].lo && port <= rule->ports[i].hi)
			return true;
	return false;
}

static bool oracle_holds(const struct eg_cidr *cidrs, size_t count, const struct eg_addr *addr)
{
	for (size_t i = 0; i < count; i++) {
		const struct eg_cidr *cidr = &cidrs[i];
		bool cidr_v4 = cidr->bits >= 96 && is_v4(&cidr->addr);

		if (cidr_v4 == is_v4(addr) && fixture_same_bits(&cidr->addr, addr, cidr->bits))
			return true;
	}
	return false;
}

/* The host's guardrail, or the first rule in file order that allows it; *ret_named: one names the address. */
static unsigned oracle(const struct eg_policy *policy, enum eg_dir dir, const struct eg_addr *addr, uint8_t proto,
		       unsigned port, bool *ret_named)
{
	unsigned first = EG_RULE_NONE;

	*ret_named = policy->guard && oracle_holds(policy->guard->cidrs, policy->guard->cidr_count, addr);
	if (*ret_named)
		return EG_RULE_GUARDRAIL;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (rule->dir != dir || !oracle_holds(rule->cidrs, rule->cidr_count, addr))
			continue;
		*ret_named = true;
		if (first == EG_RULE_NONE && oracle_rule_serves(rule, is_v4(addr), proto, port))
			first = (unsigned)i;
	}
	return first;
}

/* An address in, at the end of, or beside one of the policy's prefixes; sometimes any. */
static struct eg_addr random_probe(const struct eg_policy *policy)
{
	const struct eg_policy_rule *rule = policy->rule_count ? &policy->rules[below((uint32_t)policy->rule_count)] : NULL;
	const struct eg_cidr *cidr;
	struct eg_addr addr, noise;

	if (!rule || !rule->cidr_count || !below(8))
		return random_addr();
	cidr = &rule->cidrs[below((uint32_t)rule->cidr_count)];
	addr = cidr->addr;
	noise = random_addr();
	for (unsigned i = cidr->bits; i < 128; i++)
		addr.b[i / 8] |= (uint8_t)(noise.b[i / 8] & (0x80 >> i % 8));
	if (cidr->bits && !below(6))
		addr.b[(cidr->bits - 1) / 8] ^= (uint8_t)(0x80 >> (cidr->bits - 1) % 8);
	return addr;
}

static void check_tables(const struct eg_compiled *compiled)
{
	for (size_t i = 0; i < compiled->prefix_count; i++) {
		const struct eg_compiled_prefix *prefix = &compiled->prefixes[i];
		const struct eg_match *match = &compiled->matches[prefix->span.first];

		assert_true(prefix->span.count <= EG_MATCHES_MAX);
		assert_true((size_t)prefix->span.first + prefix->span.count <= compiled->match_count);
		for (uint32_t j = 0; j < prefix->span.count; j++) {
			assert_true(match[j].lo <= match[j].hi);
			if (match[j].rule != EG_RULE_GUARDRAIL)
				assert_int_equal(match[j].lo >> 16, match[j].hi >> 16);
			if (j) /* sorted, disjoint, and nothing left to merge */
				assert_true(match[j].lo > match[j - 1].hi + (match[j].rule == match[j - 1].rule));
		}
		for (size_t j = 0; j < i; j++) {
			const struct eg_compiled_prefix *other = &compiled->prefixes[j];
			bool same_place = other->table == prefix->table && !eg_cidr_compare(&other->cidr, &prefix->cidr);
			bool same_content =
				other->span.count == prefix->span.count &&
				!memcmp(&compiled->matches[other->span.first], match, prefix->span.count * sizeof(*match));

			assert_false(same_place);
			if (same_content)
				assert_int_equal(other->span.first, prefix->span.first);
		}
	}
}

static void check_probe(const struct eg_policy *policy, const struct eg_compiled *compiled)
{
	static const uint8_t asked[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 47};
	struct eg_addr addr = random_probe(policy);
	enum eg_dir dir = below(3) ? EG_DIR_EGRESS : EG_DIR_INGRESS;
	uint8_t proto = asked[below(5)];
	unsigned port = below(4) ? below(48) : below(2) ? 65535 - below(6) : 128;
	const struct eg_compiled_prefix *prefix = fixture_longest(compiled, dir, &addr);
	const struct eg_match *match = NULL;
	unsigned want, meter;
	bool named;

	want = oracle(policy, dir, &addr, proto, port, &named);
	if (prefix)
		match = fixture_search(compiled, prefix->span.first, prefix->span.count, EG_SERVICE(proto, port));
	assert_int_equal(match ? match->rule : EG_RULE_NONE, want);
	assert_int_equal(prefix && prefix->span.count, named);
	if (!match || want == EG_RULE_GUARDRAIL)
		return;
	meter = match->meter_out;
	assert_int_equal(!!meter, policy->rules[want].limits.egress_count);
	if (meter)
		assert_int_equal(compiled->ruleset.meters[meter - 1].rule, want);
}

static void check_bind(const struct eg_policy *policy, const struct eg_compiled *compiled)
{
	for (unsigned port = 0; port <= 65535; port = port == 60 ? 65500 : port + 1) {
		bool want = false;

		for (size_t i = 0; i < policy->rule_count; i++)
			want |= policy->rules[i].dir == EG_DIR_INGRESS && policy->rules[i].proto == IPPROTO_TCP &&
				oracle_rule_serves(&policy->rules[i], true, IPPROTO_TCP, port);
		assert_int_equal(!!fixture_search(compiled, compiled->ruleset.bind_first, compiled->ruleset.bind_count,
						  EG_SERVICE(IPPROTO_TCP, port)),
				 want);
	}
}

static void test_random_policies(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < POLICIES; i++) {
		struct eg_policy *policy = fixture_policy();
		struct eg_cidr denied[4];
		struct eg_policy_guard guard = {.cidrs = denied};
		struct eg_compiled *compiled;
		uint32_t rules;

		seed = i; /* so that policy i can be made again alone */
		rules = below(12);
		for (uint32_t j = 0; j < rules; j++)
			random_rule(policy, EG_DIR_EGRESS);
		for (uint32_t j = 0; j < rules / 2; j++)
			random_rule(policy, EG_DIR_INGRESS);
		guard.cidr_count = below(2) ? below(5) : 0;
		for (size_t j = 0; j < guard.cidr_count; j++)
			denied[j] = random_cidr();
		policy->guard = &guard;
		compiled = fixture_compile(policy);
		check_tables(compiled);
		for (uint32_t j = 0; j < PROBES; j++)
			check_probe(policy, compiled);
		check_bind(policy, compiled);
		eg_compiled_free(compiled);
		fixture_free(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

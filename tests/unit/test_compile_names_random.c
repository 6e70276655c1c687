// SPDX-License-Identifier: Apache-2.0
/*
 * test_compile_names_random.c - random names against an oracle that compares label by label
 *
 * The labels are few, so that names, wildcards and suffixes nest, repeat and touch.
 */
#include "compile_fixture.h"

#include <stdio.h>

#define POLICIES 1500
#define PROBES   150

static uint64_t seed;

/* splitmix64 */
static uint32_t below(uint32_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) % n);
}

/* One to five labels, some of which are the end or the beginning of another. */
static void random_name(char ret[EG_NAME_SIZE])
{
	static const char *const labels[] = {"a", "b", "ab", "ba", "a-a", "x"};
	size_t used = 0;

	for (uint32_t n = 1 + below(5); n; n--)
		used += (size_t)snprintf(ret + used, EG_NAME_SIZE - used, "%s%s", labels[below(6)], n > 1 ? "." : "");
}

static void random_rule(struct eg_policy *policy)
{
	struct eg_policy_rule *rule = fixture_rule(policy, EG_DIR_EGRESS, below(4) ? IPPROTO_TCP : IPPROTO_UDP);
	char name[EG_NAME_SIZE], text[EG_NAME_SIZE + 2];

	for (uint32_t n = 1 + below(3); n; n--) {
		uint16_t lo = (uint16_t)below(12);

		fixture_ports(rule, lo, (uint16_t)(lo + below(4)));
	}
	for (uint32_t n = below(4); n; n--) {
		random_name(name);
		snprintf(text, sizeof(text), "%s%s", below(2) ? "*." : "", name);
		fixture_name(rule, text);
	}
	if (rule->name_count && rule->proto == IPPROTO_TCP) {
		rule->verify_sni = !below(4);
		rule->verify_connect = !rule->verify_sni && !below(6);
	}
	if (rule->name_count && !below(3))
		fixture_private(rule, "10.0.0.0/8");
	if (!below(4))
		fixture_to(rule, "10.0.0.53");
}

/* Whether `name` has `suffix` as its last labels, and at least `more` before them. */
static bool ends_in(const char *name, const char *suffix, size_t more)
{
	size_t len = strlen(name), tail = strlen(suffix);

	if (len == tail)
		return !more && !strcmp(name, suffix);
	return len > tail && name[len - tail - 1] == '.' && !strcmp(name + len - tail, suffix);
}

static bool stands_for(const char *pattern, const char *name)
{
	return strncmp(pattern, "*.", 2) ? !strcmp(pattern, name) : ends_in(name, pattern + 2, 1);
}

static bool rule_names(const struct eg_policy_rule *rule, const char *name)
{
	for (size_t i = 0; i < rule->name_count; i++)
		if (stands_for(rule->names[i], name))
			return true;
	return false;
}

static bool rule_serves(const struct eg_policy_rule *rule, uint8_t proto, unsigned port)
{
	for (size_t i = 0; i < rule->port_count; i++)
		if (rule->proto == proto && port >= rule->ports[i].lo && port <= rule->ports[i].hi)
			return true;
	return false;
}

static unsigned strength(const struct eg_policy_rule *rule)
{
	return rule->verify_connect ? 2 : rule->verify_sni;
}

/* The rule that allows it: the weakest verification, then the first. */
static unsigned oracle(const struct eg_policy *policy, const char *name, uint8_t proto, unsigned port, bool private)
{
	unsigned best = EG_RULE_NONE;

	for (unsigned i = 0; i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (!rule_names(rule, name) || !rule_serves(rule, proto, port) || (private && !rule->private_count))
			continue;
		if (best == EG_RULE_NONE || strength(rule) < strength(&policy->rules[best]))
			best = i;
	}
	return best;
}

static bool may_ask(const struct eg_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->rule_count; i++)
		if (rule_names(&policy->rules[i], name))
			return true;
	for (size_t i = 0; i < policy->dns.ask_only_count; i++)
		if (ends_in(name, policy->dns.ask_only[i], 0))
			return true;
	return false;
}

static void check_span(const struct eg_policy *policy, const struct eg_compiled *compiled, struct eg_rule_span span,
		       uint32_t service, unsigned want)
{
	const struct eg_match *match = fixture_search(compiled, span.first, span.count, service);
	unsigned flags = 0;

	assert_int_equal(match ? match->rule : EG_RULE_NONE, want);
	if (!match)
		return;
	flags |= policy->rules[want].verify_sni ? EG_MATCH_SNI : 0;
	flags |= policy->rules[want].verify_connect ? EG_MATCH_CONNECT : 0;
	assert_int_equal(match->flags, flags);
}

static void check_probe(const struct eg_policy *policy, const struct eg_compiled *compiled)
{
	const struct eg_compiled_name *entry;
	uint8_t proto = below(3) ? IPPROTO_TCP : IPPROTO_UDP;
	unsigned port = below(17);
	char name[EG_NAME_SIZE];

	random_name(name);
	entry = fixture_find_name(compiled, name);
	assert_int_equal(entry != NULL, may_ask(policy, name));
	if (!entry)
		return;
	check_span(policy, compiled, entry->rules.span, EG_SERVICE(proto, port), oracle(policy, name, proto, port, false));
	check_span(policy, compiled, entry->rules.private_span, EG_SERVICE(proto, port),
		   oracle(policy, name, proto, port, true));
}

static void check_services(const struct eg_policy *policy, const struct eg_compiled *compiled)
{
	for (unsigned port = 0; port < 20; port++) {
		bool want = false;

		for (size_t i = 0; i < policy->rule_count; i++)
			want |= policy->rules[i].name_count && !policy->rules[i].verify_connect &&
				rule_serves(&policy->rules[i], IPPROTO_TCP, port);
		assert_int_equal(!!fixture_search(compiled, compiled->ruleset.name_first, compiled->ruleset.name_count,
						  EG_SERVICE(IPPROTO_TCP, port)),
				 want);
	}
}

/* Sorted, each once, and packed as the agent copies them. */
static void check_table(const struct eg_compiled *compiled)
{
	size_t at = 0;

	for (size_t i = 0; i < compiled->name_count; i++) {
		const struct eg_compiled_name *name = &compiled->names[i], *before = i ? name - 1 : NULL;
		size_t common = before && before->len < name->len ? before->len : name->len;

		assert_int_equal(compiled->name_texts[at], name->len);
		assert_int_equal(name->at, at + 1);
		at += 1u + name->len;
		if (before) {
			int order = memcmp(&compiled->name_texts[before->at], &compiled->name_texts[name->at], common);

			assert_true(order < 0 || (!order && before->len < name->len));
		}
		assert_true((size_t)name->rules.span.first + name->rules.span.count <= compiled->match_count);
	}
	assert_int_equal(at, compiled->name_bytes);
}

static void test_random_names(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < POLICIES; i++) {
		struct eg_policy *policy = fixture_policy();
		struct eg_compiled *compiled;
		char name[EG_NAME_SIZE];

		seed = i; /* so that policy i can be made again alone */
		fixture_resolver(policy, "10.0.0.53");
		for (uint32_t j = below(10); j; j--)
			random_rule(policy);
		for (uint32_t j = below(3); j; j--) {
			random_name(name);
			fixture_ask_only(policy, name);
		}
		compiled = fixture_compile(policy);
		check_table(compiled);
		check_services(policy, compiled);
		for (uint32_t j = 0; j < PROBES; j++)
			check_probe(policy, compiled);
		assert_int_equal(fixture_ask(compiled, EG_DIR_EGRESS, "10.0.0.53", IPPROTO_TCP, 53), EG_RULE_DNS);
		eg_compiled_free(compiled);
		fixture_free(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

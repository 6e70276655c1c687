/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_fixture.h - policies made by hand, compiled ones read as the kernel reads them
 */
#ifndef EG_TESTS_COMPILE_FIXTURE_H
#define EG_TESTS_COMPILE_FIXTURE_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/compile.h"

#define FIXTURE_ROOM 4096 /* addresses or ports of one rule */

#define FIXTURE  EG_CLEANUP(fixture_cleanup)
#define COMPILED EG_CLEANUP(eg_cleanup_compiled)

static inline struct eg_policy *fixture_policy(void)
{
	struct eg_policy *policy = calloc(1, sizeof(*policy));

	assert_non_null(policy);
	strcpy(policy->app, "a");
	policy->dns.types = EG_POLICY_DNS_TYPES;
	return policy;
}

static inline struct eg_policy_rule *fixture_rule(struct eg_policy *policy, enum eg_dir dir, uint8_t proto)
{
	struct eg_policy_rule *rule;

	policy->rules = reallocarray(policy->rules, policy->rule_count + 1, sizeof(*policy->rules));
	assert_non_null(policy->rules);
	rule = &policy->rules[policy->rule_count++];
	*rule = (struct eg_policy_rule){.dir = dir, .proto = proto, .line = (unsigned)policy->rule_count, .column = 7};
	rule->cidrs = calloc(FIXTURE_ROOM, sizeof(*rule->cidrs));
	rule->ports = calloc(FIXTURE_ROOM, sizeof(*rule->ports));
	rule->names = calloc(FIXTURE_ROOM, sizeof(*rule->names));
	rule->privates = calloc(FIXTURE_ROOM, sizeof(*rule->privates));
	assert_true(rule->cidrs && rule->ports && rule->names && rule->privates);
	if (dir == EG_DIR_EGRESS) {
		assert_int_equal(policy->egress_count, policy->rule_count - 1); /* egress comes first */
		policy->egress_count++;
	}
	return rule;
}

static inline void fixture_to(struct eg_policy_rule *rule, const char *cidr)
{
	assert_true(rule->cidr_count < FIXTURE_ROOM);
	assert_int_equal(eg_cidr_from_text(cidr, &rule->cidrs[rule->cidr_count++]), 0);
}

/* "api.example.com" or "*.example.com", in normal form. */
static inline void fixture_name(struct eg_policy_rule *rule, const char *name)
{
	assert_true(rule->name_count < FIXTURE_ROOM);
	rule->names[rule->name_count] = strdup(name);
	assert_non_null(rule->names[rule->name_count++]);
}

static inline void fixture_private(struct eg_policy_rule *rule, const char *cidr)
{
	assert_true(rule->private_count < FIXTURE_ROOM);
	assert_int_equal(eg_cidr_from_text(cidr, &rule->privates[rule->private_count++]), 0);
}

static inline void fixture_ask_only(struct eg_policy *policy, const char *suffix)
{
	struct eg_policy_dns *dns = &policy->dns;

	dns->set = true;
	dns->ask_only = reallocarray(dns->ask_only, dns->ask_only_count + 1, sizeof(*dns->ask_only));
	assert_non_null(dns->ask_only);
	dns->ask_only[dns->ask_only_count++] = strdup(suffix);
}

static inline void fixture_resolver(struct eg_policy *policy, const char *address)
{
	struct eg_policy_dns *dns = &policy->dns;

	dns->set = true;
	dns->resolvers = reallocarray(dns->resolvers, dns->resolver_count + 1, sizeof(*dns->resolvers));
	assert_non_null(dns->resolvers);
	assert_int_equal(eg_addr_from_text(address, &dns->resolvers[dns->resolver_count++]), 0);
}

static inline void fixture_ports(struct eg_policy_rule *rule, uint16_t lo, uint16_t hi)
{
	assert_true(rule->port_count < FIXTURE_ROOM);
	rule->ports[rule->port_count++] = (struct eg_policy_ports){lo, hi};
}

/* A rule with one prefix and one stretch of ports. */
static inline struct eg_policy_rule *fixture_allow(struct eg_policy *policy, enum eg_dir dir, uint8_t proto,
						   const char *cidr, uint16_t lo, uint16_t hi)
{
	struct eg_policy_rule *rule = fixture_rule(policy, dir, proto);

	fixture_to(rule, cidr);
	if (proto != IPPROTO_ICMP)
		fixture_ports(rule, lo, hi);
	return rule;
}

static inline void fixture_free(struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		free(policy->rules[i].cidrs);
		free(policy->rules[i].ports);
		free(policy->rules[i].privates);
		for (size_t j = 0; j < policy->rules[i].name_count; j++)
			free(policy->rules[i].names[j]);
		free(policy->rules[i].names);
	}
	for (size_t i = 0; i < policy->dns.ask_only_count; i++)
		free(policy->dns.ask_only[i]);
	free(policy->dns.ask_only);
	free(policy->dns.resolvers);
	free(policy->rules);
	free(policy);
}

static inline void fixture_cleanup(struct eg_policy **policy)
{
	fixture_free(*policy);
}

static inline struct eg_compiled *fixture_compile(const struct eg_policy *policy)
{
	struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};

	assert_int_equal(eg_compile(policy, NULL, &compiled, &diags), 0);
	assert_int_equal(diags.errors, 0);
	eg_diags_clear(&diags);
	return compiled;
}

/* Compiles what can't be; the one error is about this place. */
static inline void fixture_refused(const struct eg_policy *policy, unsigned line, const char *path, const char *words)
{
	struct eg_compiled *compiled = NULL;
	struct eg_diags diags = {0};

	assert_int_equal(eg_compile(policy, NULL, &compiled, &diags), -EINVAL);
	assert_null(compiled);
	assert_int_equal(diags.errors, 1);
	assert_int_equal(diags.items[0].level, EG_DIAG_ERROR);
	assert_int_equal(diags.items[0].line, line);
	assert_int_equal(diags.items[0].column, line ? 7 : 0);
	assert_string_equal(diags.items[0].path, path);
	assert_non_null(strstr(diags.items[0].message, words));
	assert_true(diags.items[0].fix[0]);
	eg_diags_clear(&diags);
}

/* Whether the first `bits` bits are the same: what the trie looks at. */
static inline bool fixture_same_bits(const struct eg_addr *a, const struct eg_addr *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a->b[i / 8] ^ b->b[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

/* As the trie: the longest prefix, whatever the family. */
static inline const struct eg_compiled_prefix *fixture_longest(const struct eg_compiled *compiled,
							       unsigned table, const struct eg_addr *addr)
{
	const struct eg_compiled_prefix *best = NULL;

	for (size_t i = 0; i < compiled->prefix_count; i++) {
		const struct eg_compiled_prefix *prefix = &compiled->prefixes[i];

		if (prefix->table == table && (!best || prefix->cidr.bits > best->cidr.bits) &&
		    fixture_same_bits(&prefix->cidr.addr, addr, prefix->cidr.bits))
			best = prefix;
	}
	return best;
}

/* As eg_matches_search of bpf/rules.h. */
static inline const struct eg_match *fixture_search(const struct eg_compiled *compiled, uint32_t first,
						    uint32_t count, uint32_t service)
{
	uint32_t low = 0, high = count;

	for (int step = 0; step < EG_MATCH_STEPS && low < high; step++) {
		const struct eg_match *match = &compiled->matches[first + (low + high) / 2];

		if (service < match->lo)
			high = (low + high) / 2;
		else if (service > match->hi)
			low = (low + high) / 2 + 1;
		else
			return match;
	}
	return NULL;
}

/* As the trie of names: the longest entry. NULL: none, so that the name may not be asked. */
static inline const struct eg_compiled_name *fixture_find_name(const struct eg_compiled *compiled, const char *name)
{
	const struct eg_compiled_name *best = NULL;
	char key[EG_NAME_SIZE] = "";
	size_t len = strlen(name);

	assert_true(len && len <= EG_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		key[i] = name[len - 1 - i];
	for (size_t i = 0; i < compiled->name_count; i++) {
		const struct eg_compiled_name *entry = &compiled->names[i];

		if (!memcmp(&compiled->name_texts[entry->at], key, entry->len) && (!best || entry->len > best->len))
			best = entry;
	}
	return best;
}

static inline const struct eg_match *fixture_ask_name(const struct eg_compiled *compiled, const char *name,
						      uint8_t proto, unsigned port)
{
	const struct eg_compiled_name *entry = fixture_find_name(compiled, name);

	return entry ? fixture_search(compiled, entry->rules.span.first, entry->rules.span.count,
				      EG_SERVICE(proto, port)) :
		       NULL;
}

/* The rule that allows it, or EG_RULE_NONE. */
static inline unsigned fixture_ask(const struct eg_compiled *compiled, unsigned table, const char *address,
				   uint8_t proto, unsigned port)
{
	const struct eg_compiled_prefix *prefix;
	const struct eg_match *match;
	struct eg_addr addr;

	assert_int_equal(eg_addr_from_text(address, &addr), 0);
	prefix = fixture_longest(compiled, table, &addr);
	if (!prefix)
		return EG_RULE_NONE;
	match = fixture_search(compiled, prefix->span.first, prefix->span.count, EG_SERVICE(proto, port));
	return match ? match->rule : EG_RULE_NONE;
}

#endif

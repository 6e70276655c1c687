// SPDX-License-Identifier: Apache-2.0
/*
 * compile_prefix.c - which services each prefix carries
 *
 * Theory of operation. The addresses of all rules are sorted, an outer prefix before what
 * lies in it; a stack then holds the prefixes around the current one, and a tree of rules
 * (compile_tree.c) what they carry together. The resolvers are prefixes like those of a rule.
 *
 * IPv4 and IPv6 are two passes: no IPv6 prefix covers IPv4, though the trie, where IPv4 is
 * ::ffff:0:0/96, would think so. Where one is that short, a hole is put at ::ffff:0:0/96.
 *
 * What the host forbids is a rule like any other that beats them all (compile_span.c), so that it holds
 * for the longer prefixes in it.
 *
 * The table of private answers is made the same way from the rules' `private` lists; what it
 * carries are the numbers of the rules.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

#define V4_BITS   96
#define DEPTH_MAX 129 /* prefixes around an address: /0 .. /128 */

/* Beside EG_RULE_DNS in the tree: a resolver on loopback. */
#define RULE_DNS_LOOPBACK (1u << 16 | EG_RULE_DNS)

enum family { V4, V6, FAMILY_COUNT_ };

struct entry {
	struct eg_cidr cidr;
	uint32_t rule;
};

struct level { /* a prefix around the current one */
	const struct eg_cidr *cidr;
	uint32_t node;
};

/* One family in one table. */
struct pass {
	const struct eg_policy *policy;
	struct eg_spans *spans;
	struct eg_compiled *compiled;
	struct eg_diags *diags;
	enum eg_rule_table table;
	enum family family;
	struct eg_rule_tree tree;
	struct level stack[DEPTH_MAX];
	size_t depth;
};

/* ---- Services ------------------------------------------------------------------------------ */

static int add_rule(const void *ctx, uint32_t rule, struct eg_segments *segments)
{
	const struct pass *pass = ctx;

	if (rule == EG_RULE_GUARDRAIL)
		return eg_services_add_guardrail(segments);
	if (rule == EG_RULE_DNS || rule == RULE_DNS_LOOPBACK)
		return eg_services_add_dns(segments, rule == RULE_DNS_LOOPBACK);
	if (pass->table == EG_TABLE_PRIVATE) /* without an owner, so that neighbours are one interval */
		return eg_segments_add(segments, EG_SERVICE(0, rule), EG_SERVICE(0, rule), EG_RULE_NONE);
	return eg_services_add(segments, &pass->policy->rules[rule], pass->family == V4 ? EG_COMPILE_V4 : EG_COMPILE_V6,
			       rule);
}

/* ---- Prefixes -------------------------------------------------------------------------------- */

static void emit(struct pass *pass, const struct eg_cidr *cidr, struct eg_rule_span span)
{
	pass->compiled->prefixes[pass->compiled->prefix_count++] = (struct eg_compiled_prefix){
		.cidr = *cidr,
		.table = (uint8_t)pass->table,
		.span = span,
	};
}

static int refuse(struct pass *pass, int error, const struct entry *entry)
{
	char text[EG_ADDR_TEXT];

	eg_cidr_to_text(&entry->cidr, text);
	if (error == -E2BIG)
		return eg_compile_refuse(pass->policy, entry->rule, NULL, pass->diags,
					 "Write neighbouring ports as ranges, or merge rules",
					 "The rules for %s have more than %u ranges of ports", text, EG_MATCHES_MAX);
	if (error == -ENOSPC)
		return eg_compile_refuse(pass->policy, entry->rule, NULL, pass->diags,
					 "Give addresses that need the same ports to one rule",
					 "At %s the rules need more than %u ranges of ports for all addresses", text,
					 EG_COMPILE_MATCHES_MAX);
	return error;
}

/* The prefix of entries[0 .. count), which differ by their rule. */
static int add_prefix(struct pass *pass, const struct entry *entries, size_t count)
{
	const struct eg_cidr *cidr = &entries[0].cidr;
	struct eg_rule_span span;
	uint32_t node;
	int r = 0;

	while (pass->depth && !eg_cidr_covers(pass->stack[pass->depth - 1].cidr, cidr))
		pass->depth--;
	node = pass->depth ? pass->stack[pass->depth - 1].node : EG_RULE_TREE_ROOT;
	for (size_t i = 0; !r && i < count; i++)
		r = eg_rule_tree_below(&pass->tree, node, entries[i].rule, &node);
	if (!r)
		r = eg_rule_tree_span(&pass->tree, node, &span);
	if (r)
		return refuse(pass, r, &entries[count - 1]);
	pass->stack[pass->depth++] = (struct level){cidr, node};
	emit(pass, cidr, span);
	return 0;
}

static bool is_v4(const struct eg_cidr *cidr)
{
	return cidr->bits >= V4_BITS && eg_addr_v4mapped(&cidr->addr);
}

static const struct eg_cidr v4_all = {
	.addr.b = {[10] = 0xff, [11] = 0xff},
	.bits = V4_BITS,
};

/* Whether the trie would find this IPv6 prefix for an IPv4 address. */
static bool is_around_v4(const struct eg_cidr *cidr)
{
	size_t whole = cidr->bits / 8;
	uint8_t rest = (uint8_t)(0xff00 >> cidr->bits % 8);

	if (cidr->bits >= V4_BITS || memcmp(cidr->addr.b, v4_all.addr.b, whole) != 0)
		return false;
	return ((cidr->addr.b[whole] ^ v4_all.addr.b[whole]) & rest) == 0;
}

static int entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = eg_cidr_compare(&a->cidr, &b->cidr);

	return order ? order : (a->rule > b->rule) - (a->rule < b->rule);
}

/* A rule's prefixes for a table. */
static const struct eg_cidr *cidrs_of(const struct eg_policy_rule *rule, enum eg_rule_table table, size_t *ret_count)
{
	if (table == EG_TABLE_PRIVATE) {
		*ret_count = rule->private_count;
		return rule->privates;
	}
	*ret_count = rule->dir == (enum eg_dir)table ? rule->cidr_count : 0;
	return rule->cidrs;
}

static bool is_loopback(const struct eg_addr *addr)
{
	static const struct eg_addr one = {.b = {[15] = 1}};

	return (eg_addr_v4mapped(addr) && addr->b[12] == 127) || !memcmp(addr, &one, sizeof(one));
}

/* The pass's addresses, sorted; returns how many. */
static size_t collect(const struct pass *pass, struct entry *ret)
{
	const struct eg_policy_guard *guard = pass->policy->guard;
	const struct eg_compiled *compiled = pass->compiled;
	size_t count = 0, cidr_count;

	for (size_t i = 0; i < pass->policy->rule_count; i++) {
		const struct eg_cidr *cidrs = cidrs_of(&pass->policy->rules[i], pass->table, &cidr_count);

		for (size_t j = 0; j < cidr_count; j++)
			if (is_v4(&cidrs[j]) == (pass->family == V4))
				ret[count++] = (struct entry){cidrs[j], (uint32_t)i};
	}
	for (size_t i = 0; pass->table == EG_TABLE_EGRESS && i < compiled->resolver_count; i++) {
		const struct eg_cidr cidr = {compiled->resolvers[i], 128};

		if (is_v4(&cidr) == (pass->family == V4))
			ret[count++] = (struct entry){cidr, is_loopback(&cidr.addr) ? RULE_DNS_LOOPBACK : EG_RULE_DNS};
	}
	for (size_t i = 0; guard && pass->table != EG_TABLE_PRIVATE && i < guard->cidr_count; i++) {
		if (is_v4(&guard->cidrs[i]) == (pass->family == V4))
			ret[count++] = (struct entry){guard->cidrs[i], EG_RULE_GUARDRAIL};
	}
	qsort(ret, count, sizeof(*ret), entry_compare);
	return count;
}

static int run(struct pass *pass, const struct entry *entries, size_t count)
{
	int r = eg_rule_tree_init(&pass->tree, pass->spans, add_rule, pass);

	if (r)
		return r;
	for (size_t i = 0, end; i < count; i = end) {
		end = i + 1;
		while (end < count && !eg_cidr_compare(&entries[i].cidr, &entries[end].cidr))
			end++;
		r = add_prefix(pass, &entries[i], end - i);
		if (r)
			return r;
	}
	return 0;
}

static void add_hole(struct pass *pass, const struct entry *entries, size_t count, bool has_v4_all)
{
	for (size_t i = 0; i < count && !has_v4_all; i++) {
		if (is_around_v4(&entries[i].cidr)) {
			emit(pass, &v4_all, (struct eg_rule_span){0, 0});
			return;
		}
	}
}

static int compile_table(const struct pass *like, enum eg_rule_table table, struct entry *scratch)
{
	bool has_v4_all = false;
	int r = 0;

	for (enum family family = V4; !r && family < FAMILY_COUNT_; family++) {
		struct pass pass = *like;
		size_t count;

		pass.table = table;
		pass.family = family;
		count = collect(&pass, scratch);
		r = run(&pass, scratch, count);
		if (family == V4)
			has_v4_all = count && scratch[0].cidr.bits == V4_BITS;
		else if (!r)
			add_hole(&pass, scratch, count, has_v4_all);
		eg_rule_tree_clear(&pass.tree);
	}
	return r;
}

int eg_compile_prefixes(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
			struct eg_diags *diags)
{
	const struct pass pass = {.policy = policy, .spans = spans, .compiled = compiled, .diags = diags};
	EG_FREE struct entry *scratch = NULL;
	size_t count = compiled->resolver_count + (policy->guard ? 2 * policy->guard->cidr_count : 0);
	int r = 0;

	for (size_t i = 0; i < policy->rule_count; i++)
		count += policy->rules[i].cidr_count + policy->rules[i].private_count;
	scratch = reallocarray(NULL, count + 1, sizeof(*scratch));
	compiled->prefixes = reallocarray(NULL, count + EG_TABLE_COUNT_, sizeof(*compiled->prefixes));
	if (!scratch || !compiled->prefixes)
		return -ENOMEM;
	for (enum eg_rule_table table = EG_TABLE_EGRESS; !r && table < EG_TABLE_COUNT_; table++)
		r = compile_table(&pass, table, scratch);
	return r;
}

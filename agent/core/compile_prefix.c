// SPDX-License-Identifier: Apache-2.0
/*
 * compile_prefix.c - which services each prefix carries
 *
 * Theory of operation. The addresses of all rules are sorted, an outer prefix before what
 * lies in it; a stack then holds the prefixes around the current one. What a prefix carries
 * is told by the rules around it and its own, in that order: a path in a tree of rules, in
 * which equal paths are one node. Only a node that is new is compiled into a span, from the
 * span of the nearest node above it, so the cost is that of distinct combinations of rules,
 * not of addresses.
 *
 * IPv4 and IPv6 are two passes: no IPv6 prefix covers IPv4, though the trie, where IPv4 is
 * ::ffff:0:0/96, would think so. Where one is that short, a hole is put at ::ffff:0:0/96.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

#define V4_BITS    96
#define DEPTH_MAX  129 /* prefixes around an address: /0 .. /128 */
#define NO_SPAN    UINT32_MAX
#define NO_NODE    UINT32_MAX
#define ROOT       0u

enum family { V4, V6, FAMILY_COUNT_ };

struct entry {
	struct eg_cidr cidr;
	uint32_t rule;
};

struct node { /* a path of rules */
	uint32_t above;
	uint32_t rule;
	uint32_t span; /* NO_SPAN: not compiled yet */
};

struct level { /* a prefix around the current one */
	const struct eg_cidr *cidr;
	uint32_t node;
};

/* One family in one direction. */
struct pass {
	const struct eg_policy *policy;
	struct eg_spans *spans;
	struct eg_compiled *compiled;
	struct eg_diags *diags;
	enum eg_dir dir;
	enum family family;
	struct node *nodes;
	size_t node_count;
	size_t node_room;
	uint32_t *table; /* hash of (above, rule): index into nodes, NO_NODE is free */
	size_t table_size; /* a power of two */
	struct eg_segments segments; /* scratch */
	struct level stack[DEPTH_MAX];
	size_t depth;
};

/* ---- Tree of rules ------------------------------------------------------------------------ */

static void pass_clear(struct pass *pass)
{
	free(pass->nodes);
	free(pass->table);
	eg_segments_clear(&pass->segments);
}

static uint32_t *cell_of(struct pass *pass, uint32_t above, uint32_t rule)
{
	uint64_t h = ((uint64_t)above << 32 | rule) * 0x9e3779b97f4a7c15ull;

	for (size_t at = (size_t)(h >> 32);; at++) {
		uint32_t *cell = &pass->table[at & (pass->table_size - 1)];

		if (*cell == NO_NODE || (pass->nodes[*cell].above == above && pass->nodes[*cell].rule == rule))
			return cell;
	}
}

/* Twice the room for nodes, and a table of four times as many cells. */
static int grow(struct pass *pass)
{
	size_t room = pass->node_room ? pass->node_room * 2 : 64;
	struct node *nodes = reallocarray(pass->nodes, room, sizeof(*nodes));
	uint32_t *table;

	if (!nodes)
		return -ENOMEM;
	pass->nodes = nodes;
	table = reallocarray(NULL, room * 4, sizeof(*table));
	if (!table)
		return -ENOMEM;
	memset(table, 0xff, room * 4 * sizeof(*table));
	free(pass->table);
	pass->table = table;
	pass->table_size = room * 4;
	pass->node_room = room;
	for (size_t i = ROOT + 1; i < pass->node_count; i++)
		*cell_of(pass, nodes[i].above, nodes[i].rule) = (uint32_t)i;
	return 0;
}

static int node_below(struct pass *pass, uint32_t above, uint32_t rule, uint32_t *ret)
{
	uint32_t *cell;
	int r;

	if (pass->node_count == pass->node_room) {
		r = grow(pass);
		if (r)
			return r;
	}
	cell = cell_of(pass, above, rule);
	if (*cell == NO_NODE) {
		pass->nodes[pass->node_count] = (struct node){above, rule, NO_SPAN};
		*cell = (uint32_t)pass->node_count++;
	}
	*ret = *cell;
	return 0;
}

/* ---- Services ------------------------------------------------------------------------------ */

static int add_icmp(struct eg_segments *segments, const struct eg_policy_rule *rule, uint32_t number,
		    enum family family)
{
	const uint32_t proto = family == V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	const uint32_t echo = family == V4 ? 8 : 128;
	bool any = rule->types_any;
	int r = 0;

	for (size_t i = 0; i < rule->type_count; i++)
		any |= rule->types[i] == EG_POLICY_ICMP_ANY;
	if (any)
		return eg_segments_add(segments, EG_SERVICE(proto, 0), EG_SERVICE(proto, 255), number);
	if (!rule->type_count)
		return eg_segments_add(segments, EG_SERVICE(proto, echo), EG_SERVICE(proto, echo), number);
	for (size_t i = 0; !r && i < rule->type_count; i++)
		r = eg_segments_add(segments, EG_SERVICE(proto, rule->types[i]), EG_SERVICE(proto, rule->types[i]),
				    number);
	return r;
}

static int add_rule(struct pass *pass, uint32_t number)
{
	const struct eg_policy_rule *rule = &pass->policy->rules[number];
	int r = 0;

	if (rule->proto == IPPROTO_ICMP)
		return add_icmp(&pass->segments, rule, number, pass->family);
	for (size_t i = 0; !r && i < rule->port_count; i++)
		r = eg_segments_add(&pass->segments, EG_SERVICE(rule->proto, rule->ports[i].lo),
				    EG_SERVICE(rule->proto, rule->ports[i].hi), number);
	return r;
}

/* What the node allows: the span of the nearest compiled node above it, and the rules since. */
static int node_compile(struct pass *pass, uint32_t index)
{
	const struct eg_rule_span *base;
	uint32_t at = index;
	int r = 0;

	pass->segments.count = 0;
	for (; !r && pass->nodes[at].span == NO_SPAN; at = pass->nodes[at].above)
		r = add_rule(pass, pass->nodes[at].rule);
	base = &pass->spans->items[pass->nodes[at].span];
	for (uint32_t i = 0; !r && i < base->count; i++) {
		const struct eg_match *match = &pass->spans->matches[base->first + i];

		r = eg_segments_add(&pass->segments, match->lo, match->hi, match->rule);
	}
	if (r)
		return r;
	return eg_spans_intern(pass->spans, &pass->segments, &pass->nodes[index].span);
}

/* ---- Prefixes -------------------------------------------------------------------------------- */

static void emit(struct pass *pass, const struct eg_cidr *cidr, uint32_t span)
{
	pass->compiled->prefixes[pass->compiled->prefix_count++] = (struct eg_compiled_prefix){
		.cidr = *cidr,
		.dir = (uint8_t)pass->dir,
		.span = pass->spans->items[span],
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
	uint32_t node;
	int r = 0;

	while (pass->depth && !eg_cidr_covers(pass->stack[pass->depth - 1].cidr, cidr))
		pass->depth--;
	node = pass->depth ? pass->stack[pass->depth - 1].node : ROOT;
	for (size_t i = 0; !r && i < count; i++)
		r = node_below(pass, node, entries[i].rule, &node);
	if (r)
		return r;
	if (pass->nodes[node].span == NO_SPAN) {
		r = node_compile(pass, node);
		if (r)
			return refuse(pass, r, &entries[count - 1]);
	}
	pass->stack[pass->depth++] = (struct level){cidr, node};
	emit(pass, cidr, pass->nodes[node].span);
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

/* The pass's addresses, sorted; returns how many. */
static size_t collect(const struct pass *pass, struct entry *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < pass->policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &pass->policy->rules[i];

		if (rule->dir != pass->dir)
			continue;
		for (size_t j = 0; j < rule->cidr_count; j++)
			if (is_v4(&rule->cidrs[j]) == (pass->family == V4))
				ret[count++] = (struct entry){rule->cidrs[j], (uint32_t)i};
	}
	qsort(ret, count, sizeof(*ret), entry_compare);
	return count;
}

static int run(struct pass *pass, const struct entry *entries, size_t count)
{
	int r = grow(pass);

	if (r)
		return r;
	pass->nodes[ROOT] = (struct node){NO_NODE, NO_NODE, 0};
	pass->node_count = 1;
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
			emit(pass, &v4_all, 0);
			return;
		}
	}
}

static int compile_direction(const struct pass *like, enum eg_dir dir, struct entry *scratch)
{
	bool has_v4_all = false;
	int r = 0;

	for (enum family family = V4; !r && family < FAMILY_COUNT_; family++) {
		struct pass pass = *like;
		size_t count;

		pass.dir = dir;
		pass.family = family;
		count = collect(&pass, scratch);
		r = run(&pass, scratch, count);
		if (family == V4)
			has_v4_all = count && scratch[0].cidr.bits == V4_BITS;
		else if (!r)
			add_hole(&pass, scratch, count, has_v4_all);
		pass_clear(&pass);
	}
	return r;
}

int eg_compile_prefixes(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
			struct eg_diags *diags)
{
	const struct pass pass = {.policy = policy, .spans = spans, .compiled = compiled, .diags = diags};
	EG_FREE struct entry *scratch = NULL;
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < policy->rule_count; i++)
		count += policy->rules[i].cidr_count;
	scratch = reallocarray(NULL, count + 1, sizeof(*scratch));
	compiled->prefixes = reallocarray(NULL, count + EG_DIR_COUNT_, sizeof(*compiled->prefixes));
	if (!scratch || !compiled->prefixes)
		return -ENOMEM;
	for (enum eg_dir dir = EG_DIR_EGRESS; !r && dir < EG_DIR_COUNT_; dir++)
		r = compile_direction(&pass, dir, scratch);
	return r;
}

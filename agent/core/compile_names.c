// SPDX-License-Identifier: Apache-2.0
/*
 * compile_names.c - which services each DNS name carries
 *
 * Theory of operation. As with prefixes: the trie gives one match, the longest. A name is kept
 * backwards, "*.example.com" as "moc.elpmaxe." and a name itself with a NUL behind it, so that a
 * wildcard is a prefix of what it stands for, and of nothing else (it does not stand for
 * example.com). Sorted, a name comes behind the wildcards around it; a stack holds those.
 *
 * A name that the host forbids is an entry that refuses, and so is every one that it covers.
 *
 * A name has two sets of services: of all rules, and of those that take private answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

#define DEPTH_MAX (EG_NAME_MAX / 2 + 2) /* wildcards around a name: one for each dot */

/* What a rule, or `ask_only`, says of one name. */
struct entry {
	const char *text; /* backwards */
	uint8_t len; /* of its NUL too, where it has one */
	uint32_t rule; /* EG_RULE_NONE: it may be asked, no more; EG_RULE_GUARDRAIL: never */
};

enum set { ALL, PRIVATE, SETS };

struct level { /* a wildcard around the current name */
	const struct entry *entry;
	uint32_t node[SETS];
	bool refused;
};

struct names_pass {
	const struct eg_policy *policy;
	struct eg_compiled *compiled;
	struct eg_diags *diags;
	struct eg_rule_tree trees[SETS];
	struct level stack[DEPTH_MAX];
	size_t depth;
	size_t used; /* of compiled->name_texts */
};

/* ---- Collecting ------------------------------------------------------------------------------ */

/* What all entries take: how many, and how many bytes. */
static size_t measure(const struct eg_policy *policy, size_t *ret_bytes)
{
	size_t count = 0, bytes = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		for (size_t j = 0; j < policy->rules[i].name_count; j++)
			bytes += strlen(policy->rules[i].names[j]) + 2;
		count += policy->rules[i].name_count;
	}
	for (size_t i = 0; i < policy->dns.ask_only_count; i++)
		bytes += 2 * (strlen(policy->dns.ask_only[i]) + 2);
	for (size_t i = 0; policy->guard && i < policy->guard->name_count; i++, count++)
		bytes += strlen(policy->guard->names[i]) + 2;
	*ret_bytes = bytes;
	return count + 2 * policy->dns.ask_only_count;
}

/* Writes the name backwards at *at, which it moves on, with `end` behind it. */
static struct entry turn(char **at, const char *name, char end, uint32_t rule)
{
	const struct entry entry = {.text = *at, .len = (uint8_t)(strlen(name) + 1), .rule = rule};

	for (size_t i = strlen(name); i-- > 0;)
		*(*at)++ = name[i];
	*(*at)++ = end;
	return entry;
}

static struct entry turn_pattern(char **at, const char *name, uint32_t rule)
{
	bool wildcard = !strncmp(name, "*.", 2);

	return turn(at, wildcard ? name + 2 : name, wildcard ? '.' : '\0', rule);
}

static size_t collect(const struct eg_policy *policy, char *texts, struct entry *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		for (size_t j = 0; j < policy->rules[i].name_count; j++)
			ret[count++] = turn_pattern(&texts, policy->rules[i].names[j], (uint32_t)i);
	}
	for (size_t i = 0; policy->guard && i < policy->guard->name_count; i++)
		ret[count++] = turn_pattern(&texts, policy->guard->names[i], EG_RULE_GUARDRAIL);
	for (size_t i = 0; i < policy->dns.ask_only_count; i++) {
		ret[count++] = turn(&texts, policy->dns.ask_only[i], '\0', EG_RULE_NONE);
		ret[count++] = turn(&texts, policy->dns.ask_only[i], '.', EG_RULE_NONE);
	}
	return count;
}

static int name_compare(const struct entry *a, const struct entry *b)
{
	int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = name_compare(a, b);

	return order ? order : (a->rule > b->rule) - (a->rule < b->rule);
}

static bool covers(const struct entry *outer, const struct entry *inner)
{
	return outer->len <= inner->len && !memcmp(outer->text, inner->text, outer->len);
}

/* ---- Names --------------------------------------------------------------------------------------- */

static int add_rule(const void *ctx, uint32_t rule, struct eg_segments *segments)
{
	const struct eg_policy *policy = ctx;

	return eg_services_add(segments, &policy->rules[rule], EG_COMPILE_V4 | EG_COMPILE_V6, rule);
}

static int refuse(struct names_pass *pass, int error, const struct entry *entry)
{
	char text[EG_NAME_SIZE] = "";

	for (size_t i = 0; i + 1 < entry->len; i++)
		text[i] = entry->text[entry->len - 2 - i];
	if (error == -E2BIG)
		return eg_compile_refuse(pass->policy, entry->rule, NULL, pass->diags,
					 "Write neighbouring ports as ranges, or merge rules",
					 "The rules for %s have more than %u ranges of ports", text, EG_MATCHES_MAX);
	if (error == -ENOSPC)
		return eg_compile_refuse(pass->policy, entry->rule, NULL, pass->diags,
					 "Give names that need the same ports to one rule",
					 "At %s the rules need more than %u ranges of ports in all", text,
					 EG_COMPILE_MATCHES_MAX);
	return error;
}

static void emit(struct names_pass *pass, const struct entry *entry, const struct eg_rule_span spans[SETS])
{
	struct eg_compiled *compiled = pass->compiled;

	compiled->name_texts[pass->used++] = (char)entry->len;
	memcpy(&compiled->name_texts[pass->used], entry->text, entry->len);
	compiled->names[compiled->name_count++] = (struct eg_compiled_name){
		.at = (uint32_t)pass->used,
		.len = entry->len,
		.rules = {.span = spans[ALL], .private_span = spans[PRIVATE]},
	};
	pass->used += entry->len;
}

static int go_down(struct names_pass *pass, const struct entry *entries, size_t count, uint32_t nodes[SETS])
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		uint32_t rule = entries[i].rule;

		if (rule == EG_RULE_NONE)
			continue;
		r = eg_rule_tree_below(&pass->trees[ALL], nodes[ALL], rule, &nodes[ALL]);
		if (!r && pass->policy->rules[rule].private_count)
			r = eg_rule_tree_below(&pass->trees[PRIVATE], nodes[PRIVATE], rule, &nodes[PRIVATE]);
	}
	return r;
}

/* The name of entries[0 .. count), which differ by their rule. */
static int add_name(struct names_pass *pass, const struct entry *entries, size_t count)
{
	struct level level = {.entry = &entries[0], .node = {EG_RULE_TREE_ROOT, EG_RULE_TREE_ROOT}};
	struct eg_rule_span spans[SETS] = {[ALL] = {.count = EG_NAME_REFUSED}};
	int r;

	while (pass->depth && !covers(pass->stack[pass->depth - 1].entry, &entries[0]))
		pass->depth--;
	if (pass->depth) {
		level = pass->stack[pass->depth - 1];
		level.entry = &entries[0];
	}
	for (size_t i = 0; i < count; i++)
		level.refused |= entries[i].rule == EG_RULE_GUARDRAIL;
	if (level.refused) {
		emit(pass, &entries[0], spans);
		pass->stack[pass->depth++] = level;
		return 0;
	}
	r = go_down(pass, entries, count, level.node);
	for (enum set set = ALL; !r && set < SETS; set++)
		r = eg_rule_tree_span(&pass->trees[set], level.node[set], &spans[set]);
	if (r)
		return refuse(pass, r, &entries[0]);
	emit(pass, &entries[0], spans);
	pass->stack[pass->depth++] = level;
	return 0;
}

static int run(struct names_pass *pass, const struct entry *entries, size_t count)
{
	int r = 0;

	for (size_t i = 0, end; !r && i < count; i = end) {
		end = i + 1;
		while (end < count && !name_compare(&entries[i], &entries[end]))
			end++;
		r = add_name(pass, &entries[i], end - i);
	}
	pass->compiled->name_bytes = pass->used;
	return r;
}

int eg_compile_names(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
		     struct eg_diags *diags)
{
	struct names_pass pass = {.policy = policy, .compiled = compiled, .diags = diags};
	size_t bytes, count = measure(policy, &bytes);
	EG_FREE struct entry *entries = reallocarray(NULL, count + 1, sizeof(*entries));
	EG_FREE char *texts = malloc(bytes + 1);
	int r = 0;

	compiled->names = reallocarray(NULL, count + 1, sizeof(*compiled->names));
	compiled->name_texts = malloc(bytes + count + 1);
	if (!entries || !texts || !compiled->names || !compiled->name_texts)
		return -ENOMEM;
	for (enum set set = ALL; !r && set < SETS; set++)
		r = eg_rule_tree_init(&pass.trees[set], spans, add_rule, policy);
	if (!r && count) {
		collect(policy, texts, entries);
		qsort(entries, count, sizeof(*entries), entry_compare);
		r = run(&pass, entries, count);
	}
	for (enum set set = ALL; set < SETS; set++)
		eg_rule_tree_clear(&pass.trees[set]);
	return r;
}

/* What names allow at all, whoever's they are: where a grant could have helped. Names that only a proxy is asked for
 * are not granted. */
int eg_compile_name_services(const struct eg_policy *policy, struct eg_spans *spans, struct eg_ruleset *ret,
			     struct eg_diags *diags)
{
	EG_CLEANUP(eg_segments_clear) struct eg_segments segments = {0};
	size_t last = EG_RULE_NONE;
	uint32_t span;
	int r = 0;

	for (size_t i = 0; !r && i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (!rule->name_count)
			continue;
		ret->flags |= EG_RULESET_NAMES;
		if (rule->verify_connect)
			continue;
		last = i;
		r = eg_services_add(&segments, rule, EG_COMPILE_V4 | EG_COMPILE_V6, EG_RULE_NONE);
	}
	if (!r)
		r = eg_spans_intern(spans, &segments, &span);
	if (r == -E2BIG || r == -ENOSPC)
		return eg_compile_refuse(policy, last, "ports", diags, "Write neighbouring ports as ranges",
					 "The rules with names have more than %u ranges of ports", EG_MATCHES_MAX);
	if (r)
		return r;
	ret->name_first = spans->items[span].first;
	ret->name_count = spans->items[span].count;
	return 0;
}

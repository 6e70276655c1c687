/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_impl.h - what the parts of the compiler share
 */
#ifndef EG_CORE_COMPILE_IMPL_H
#define EG_CORE_COMPILE_IMPL_H

#include <stdbool.h>

#include "compile.h"

/* All intervals of one policy: 64 MiB of them. */
#define EG_COMPILE_MATCHES_MAX (4u << 20)

/* What every interval of a rule carries. */
struct eg_rule_mark {
	uint8_t meter_out; /* the rule's own: 1-based into eg_ruleset.meters, 0 none */
	uint8_t meter_in;
	uint8_t meter_flows;
	uint16_t flags; /* EG_MATCH_* */
};

/* ---- compile_span.c: sets of services, each kept once ------------------------------ */

/* What one rule allows: services lo .. hi, inclusive. They may overlap. */
struct eg_segment {
	uint32_t lo;
	uint32_t hi;
	uint32_t rule; /* EG_RULE_NONE: no rule's in particular (bind) */
};

struct eg_segments {
	struct eg_segment *items;
	size_t count;
	size_t room;
};

int eg_segments_add(struct eg_segments *segments, uint32_t lo, uint32_t hi, uint32_t rule);
void eg_segments_clear(struct eg_segments *segments);

struct eg_spans {
	const struct eg_rule_mark *marks; /* by rule; borrowed */
	struct eg_match *matches; /* of all spans, one after the other */
	size_t match_count;
	size_t match_room;
	struct eg_rule_span *items; /* items[0] is the empty span */
	size_t count;
	size_t room;
	uint32_t *table; /* hash of contents: index into items, 0 is free */
	size_t table_size; /* a power of two */
	struct eg_segment *heap; /* scratch */
	size_t heap_count;
	size_t heap_room;
};

int eg_spans_init(struct eg_spans *spans, const struct eg_rule_mark *marks);
void eg_spans_clear(struct eg_spans *spans);
/*
 * The span of these segments (which it sorts): disjoint, each stretch owned by EG_RULE_GUARDRAIL if
 * that is among them, then by EG_RULE_DNS, then by a rule that verifies nothing (any allow wins), then by one that
 * verifies the server's name, and among equals by the lowest. *ret is an index into items. -E2BIG: more
 * intervals than one prefix can carry; -ENOSPC: more than a policy can; -ENOMEM.
 */
int eg_spans_intern(struct eg_spans *spans, struct eg_segments *segments, uint32_t *ret);

/* ---- compile_service.c ---------------------------------------------------------------- */

#define EG_COMPILE_V4 (1u << 0)
#define EG_COMPILE_V6 (1u << 1)

/* What the rule says of protocol, ports and types; for ICMP, of these families. 0 or -ENOMEM. */
int eg_services_add(struct eg_segments *segments, const struct eg_policy_rule *rule, unsigned families, uint32_t owner);
/* Everything, which the host forbids. */
int eg_services_add_guardrail(struct eg_segments *segments);
/* What belongs to a resolver at its address. */
int eg_services_add_dns(struct eg_segments *segments, bool loopback);

/* ---- compile_tree.c -------------------------------------------------------------------- */

/* Adds what a rule carries in this tree. 0 or -ENOMEM. */
typedef int (*eg_rule_tree_fn)(const void *ctx, uint32_t rule, struct eg_segments *segments);

#define EG_RULE_TREE_ROOT 0u /* the node of no rules at all; its span is empty */

struct eg_rule_tree {
	struct eg_spans *spans;
	eg_rule_tree_fn add;
	const void *ctx;
	struct eg_rule_node *nodes;
	size_t node_count;
	size_t node_room;
	uint32_t *table; /* hash of (above, rule): index into nodes */
	size_t table_size; /* a power of two */
	struct eg_segments segments; /* scratch */
};

int eg_rule_tree_init(struct eg_rule_tree *tree, struct eg_spans *spans, eg_rule_tree_fn add, const void *ctx);
void eg_rule_tree_clear(struct eg_rule_tree *tree);
/* The node of one rule more. 0 or -ENOMEM. */
int eg_rule_tree_below(struct eg_rule_tree *tree, uint32_t above, uint32_t rule, uint32_t *ret);
/* What the rules of the node carry together. 0, or as eg_spans_intern. */
int eg_rule_tree_span(struct eg_rule_tree *tree, uint32_t node, struct eg_rule_span *ret);

/* ---- compile_meters.c ----------------------------------------------------------------- */

/* Fills ruleset's meters and lists, *ret_count and ret_by_rule[rule_count] (zero before). */
int eg_compile_meters(const struct eg_policy *policy, struct eg_ruleset *ruleset, size_t *ret_count,
		      struct eg_rule_mark *ret_by_rule, struct eg_diags *diags);

/* ---- compile_prefix.c ------------------------------------------------------------------- */

/* The prefixes of all tables (the resolvers are compiled->resolvers), and the spans that they carry. */
int eg_compile_prefixes(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
			struct eg_diags *diags);

/* ---- compile_names.c -------------------------------------------------------------------- */

/* The names of all rules and of `ask_only`, and the spans that they carry. */
int eg_compile_names(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
		     struct eg_diags *diags);
/* name_first, name_count and EG_RULESET_NAMES. */
int eg_compile_name_services(const struct eg_policy *policy, struct eg_spans *spans, struct eg_ruleset *ret,
			     struct eg_diags *diags);

/* ---- compile.c ---------------------------------------------------------------------------- */

/*
 * Adds an error at the rule (or, for EG_RULE_NONE, at the policy); part is the key below it
 * or NULL. Returns -EINVAL.
 */
int eg_compile_refuse(const struct eg_policy *policy, size_t rule, const char *part, struct eg_diags *diags,
		      const char *fix, const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif

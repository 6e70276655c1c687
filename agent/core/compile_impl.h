/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_impl.h - what the parts of the compiler share
 */
#ifndef EG_CORE_COMPILE_IMPL_H
#define EG_CORE_COMPILE_IMPL_H

#include "compile.h"

/* All intervals of one policy: 64 MiB of them. */
#define EG_COMPILE_MATCHES_MAX (4u << 20)

/* The rule's own meters: 1-based into eg_ruleset.meters, 0 none. */
struct eg_rule_meters {
	uint8_t out;
	uint8_t in;
	uint8_t flows;
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
	const struct eg_rule_meters *meters; /* by rule; borrowed */
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

int eg_spans_init(struct eg_spans *spans, const struct eg_rule_meters *meters);
void eg_spans_clear(struct eg_spans *spans);
/*
 * The span of these segments (which it sorts): disjoint, each stretch owned by the lowest
 * rule. *ret is an index into items. -E2BIG: more intervals than one prefix can carry;
 * -ENOSPC: more than a policy can; -ENOMEM.
 */
int eg_spans_intern(struct eg_spans *spans, struct eg_segments *segments, uint32_t *ret);

/* ---- compile_meters.c ----------------------------------------------------------------- */

/* Fills ruleset's meters and lists, *ret_count and ret_by_rule[rule_count] (zero before). */
int eg_compile_meters(const struct eg_policy *policy, struct eg_ruleset *ruleset, size_t *ret_count,
		      struct eg_rule_meters *ret_by_rule, struct eg_diags *diags);

/* ---- compile_prefix.c ------------------------------------------------------------------- */

/* The prefixes of both directions, and the spans that they carry. */
int eg_compile_prefixes(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
			struct eg_diags *diags);

/* ---- compile.c ---------------------------------------------------------------------------- */

/*
 * Adds an error at the rule (or, for EG_RULE_NONE, at the policy); part is the key below it
 * or NULL. Returns -EINVAL.
 */
int eg_compile_refuse(const struct eg_policy *policy, size_t rule, const char *part, struct eg_diags *diags,
		      const char *fix, const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif

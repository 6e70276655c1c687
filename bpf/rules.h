/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rules.h - which rule of a ruleset allows an address and a service
 *
 * Theory of operation. The agent flattened overlapping prefixes, so one look-up in the trie
 * gives the intervals of every rule that covers the address: disjoint, sorted, each with the
 * first rule in file order that allows it. A binary search finds the service among them.
 */
#ifndef EG_BPF_RULES_H
#define EG_BPF_RULES_H

#include "maps.h"
#include "parse.h"

struct eg_found {
	__u8 allowed;
	__u8 prefix_seen; /* some rule names the address */
	__u16 rule;
	__u8 meter_out;
	__u8 meter_in;
	__u8 meter_flows;
	__u8 way; /* 1 + way of the grant that allows it; 0: a rule's own address */
	__u16 flags; /* EG_MATCH_* */
	__u16 pad;
};

/* True and *ret filled if one of matches[first .. first + count) holds a service of lo .. hi. */
EG_GLOBAL int eg_matches_search(__u32 first, __u32 count, __u32 lo, __u32 hi, struct eg_found *ret)
{
	__u32 low = 0, high = count;

	if (!ret)
		return false;
	for (int step = 0; step < EG_MATCH_STEPS; step++) {
		const struct eg_match *match;
		__u32 index;

		if (low >= high)
			break;
		index = first + (low + high) / 2;
		match = bpf_map_lookup_elem(&matches, &index);
		if (!match)
			break;
		if (hi < match->lo) {
			high = (low + high) / 2;
		} else if (lo > match->hi) {
			low = (low + high) / 2 + 1;
		} else {
			ret->allowed = 1;
			ret->rule = match->rule;
			ret->flags = match->flags;
			ret->meter_out = match->meter_out;
			ret->meter_in = match->meter_in;
			ret->meter_flows = match->meter_flows;
			return true;
		}
	}
	return false;
}

static __always_inline void eg_rules_search(__u32 uid, __u32 dir, const struct eg_addr *addr, __u32 lo, __u32 hi,
					    struct eg_found *ret)
{
	struct eg_rule_key key = {
		.prefixlen = 8 * (sizeof(key.table_be) + sizeof(key.addr)),
		.table_be = bpf_htonl(EG_TABLE_OF(uid, dir)),
		.addr = *addr,
	};
	const struct eg_rule_span *span;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->rule = EG_RULE_NONE;
	span = bpf_map_lookup_elem(&rules, &key);
	if (!span)
		return;
	ret->prefix_seen = span->count > 0; /* an empty span is a hole: ::/0 does not cover IPv4 */
	eg_matches_search(span->first, span->count, lo, hi, ret);
}

#endif

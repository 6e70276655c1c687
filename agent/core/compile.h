/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - a policy as the kernel's tables: prefixes, intervals of services, meters
 *
 * Pure. Overlapping prefixes are flattened: the trie gives one match, so a longer prefix
 * carries the services of the shorter ones that cover it. Any allow wins; what is allowed
 * twice belongs to the first rule in file order.
 */
#ifndef EG_CORE_COMPILE_H
#define EG_CORE_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "../lib/diag.h"
#include "../lib/policy.h"

struct eg_compiled_prefix {
	struct eg_cidr cidr;
	uint8_t dir; /* enum eg_dir */
	struct eg_rule_span span; /* first is relative to matches */
};

struct eg_compiled {
	/* Whole but for uid, app, match_first (bind_first is relative) and meters[].state. */
	struct eg_ruleset ruleset;
	struct eg_compiled_prefix *prefixes;
	size_t prefix_count;
	struct eg_match *matches;
	size_t match_count;
	size_t meter_count;
};

/*
 * 0; -EINVAL with errors in diags (more meters or intervals than a ruleset can carry, or
 * something this version does not enforce, such as names); -ENOMEM.
 */
int eg_compile(const struct eg_policy *policy, struct eg_compiled **ret, struct eg_diags *diags);
void eg_compiled_free(struct eg_compiled *compiled);
EG_DEFINE_CLEANUP(compiled, struct eg_compiled *, eg_compiled_free);

#endif

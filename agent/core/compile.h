/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - a policy as the kernel's tables: prefixes, intervals of services, meters
 *
 * Pure. Overlapping prefixes are flattened: the trie gives one match, so a longer prefix
 * carries the services of the shorter ones that cover it; names and wildcards likewise. Any
 * allow wins; what is allowed twice belongs to the first rule in file order, rules that verify
 * the server's name coming after those that don't. What goes to a resolver is EG_RULE_DNS,
 * whatever the rules say, or a prefix around it would open a tunnel.
 */
#ifndef EG_CORE_COMPILE_H
#define EG_CORE_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "../lib/diag.h"
#include "../lib/policy.h"

struct eg_compiled_prefix {
	struct eg_cidr cidr;
	uint8_t table; /* enum eg_rule_table */
	struct eg_rule_span span; /* first is relative to matches */
};

struct eg_compiled_name {
	uint32_t at; /* of its text in name_texts, as in eg_name_key.text */
	uint8_t len; /* bytes that the trie looks at: the NUL of an exact name is one */
	struct eg_name_rules rules; /* first is relative to matches */
};

struct eg_compiled {
	/* Whole but for uid, app, match_first (bind_first, name_first are relative) and meters[].state. */
	struct eg_ruleset ruleset;
	struct eg_compiled_prefix *prefixes;
	size_t prefix_count;
	struct eg_compiled_name *names;
	size_t name_count;
	char *name_texts; /* for each name, in order, a byte with its len, and its text */
	size_t name_bytes;
	struct eg_match *matches;
	size_t match_count;
	size_t meter_count;
	struct eg_addr *resolvers; /* in force */
	size_t resolver_count;
	bool resolvers_of_host; /* not named by the policy */
};

#define EG_RESOLVERS_MAX 16

/* Of the host. */
struct eg_resolvers {
	struct eg_addr addr[EG_RESOLVERS_MAX];
	size_t count;
	bool may_lack; /* none is no error: they come later */
};

/* Whether the host's resolvers are the policy's: it asks for names and doesn't say whom. */
bool eg_compile_needs_resolvers(const struct eg_policy *policy);
/*
 * host may be NULL where it is not needed. 0; -EINVAL with errors in diags (more meters or
 * intervals than a ruleset can carry, or no resolver known); -ENOMEM.
 *
 * ruleset.policy_hash is that of the policy, and of the host's resolvers and guardrails where they are in it:
 * what has the same hash has the same tables.
 */
int eg_compile(const struct eg_policy *policy, const struct eg_resolvers *host, struct eg_compiled **ret,
	       struct eg_diags *diags);
void eg_compiled_free(struct eg_compiled *compiled);
EG_DEFINE_CLEANUP(compiled, struct eg_compiled *, eg_compiled_free);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_views.h - what the agent knows, as JSON for the API. A part of agent_impl.h, which includes it.
 */
#ifndef EG_CORE_AGENT_VIEWS_H
#define EG_CORE_AGENT_VIEWS_H

#include "agent_impl.h"

/* ---- views: view_*.c ----------------------------------------------------------------------------------- */

const char *eg_reason_name(uint32_t reason); /* "no_rule" */
const char *eg_reason_sentence(uint32_t reason);
json_t *eg_caps_json(struct eg_agent *agent, const struct eg_entry *entry); /* under lock */
json_t *eg_rules_json(const struct eg_applied *now); /* NULL: none */
/* Calls fn for every app, under lock, which is let go of now and then. */
void eg_apps_each(struct eg_agent *agent, void (*fn)(void *ctx, struct eg_entry *entry), void *ctx);

/* What an app has learned from DNS. Under lock. */
struct eg_grants {
	uint64_t used; /* those that have expired, but whose place nobody took yet, included */
	uint64_t max;
	uint64_t evicted; /* that were still good */
	uint64_t learned; /* answers that granted something */
};
void eg_grants_of(struct eg_agent *agent, const struct eg_entry *entry, struct eg_grants *ret);
json_t *eg_grants_json(struct eg_agent *agent, const struct eg_entry *entry); /* the same. Under lock */
/*
 * All grants of a slot, newest first, or with a name (as in eg_name_key.text) those for it that are
 * still good. Hundreds of system calls: not to be called under lock. 0 or -errno.
 */
int eg_grants_list(struct eg_agent *agent, uint32_t slot, uint32_t gen, const char *name, json_t **ret);
/* Those of one address, expired ones included. */
json_t *eg_grants_of_address(struct eg_agent *agent, uint32_t slot, uint32_t gen, const struct eg_addr *addr);
json_t *eg_grant_json(struct eg_agent *agent, const struct eg_grant_key *key); /* null: there is none */
/* Whether rules of the policy in force name DNS names. Under lock. */
bool eg_entry_names(struct eg_agent *agent, const struct eg_entry *entry);

/* view_prefix.c: of each part of a prefix, whether it is allowed; of ICMP, port is the type. */
struct eg_prefix_query {
	const char *dest; /* as it was asked */
	struct eg_cidr cidr;
	uint16_t port;
	uint8_t proto;
	enum eg_dir dir;
	const char *proto_text;
};
int eg_explain_prefix(struct eg_agent *agent, const char *app, const struct eg_prefix_query *query, json_t **ret,
		      struct eg_error *err);

/* What a question or a denial is about. */
struct eg_fix {
	uint32_t reason;
	const char *peer; /* address or name, as text */
	uint16_t port;
	uint8_t proto;
	enum eg_dir dir;
};
/* What would allow it, as text to paste or a sentence; null where nothing can. */
json_t *eg_fix_json(const struct eg_fix *fix);
const char *eg_proto_name(uint8_t number, char fallback[16]); /* "tcp", "udp", "icmp" or the number */
bool eg_proto_number(const char *name, uint8_t *ret); /* of IPv4; false: not one of those */

/* What a slot was denied, all reasons together. */
void eg_slot_denied(struct eg_agent *agent, uint32_t slot, uint64_t *ret_denied, uint64_t *ret_audited);
json_t *eg_states_json(struct eg_agent *agent); /* apps by state; takes lock */

/* What somebody should look at, each a sentence. Takes lock. */
json_t *eg_alarms_json(struct eg_agent *agent);

#endif

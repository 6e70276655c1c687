/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict.h - the one place where it is decided what an app may reach
 *
 * Both address families, both directions, connect, packet, guard and explain end here.
 * The order is fixed: a hold, then expiry, then deletion, then the rules; audit turns
 * down what the rules and limits say, never a hold or the end of a policy.
 */
#ifndef EG_BPF_VERDICT_H
#define EG_BPF_VERDICT_H

#include "clock.h"
#include "events.h"
#include "grant.h"
#include "maps.h"
#include "rules.h"

/* Who asks for what. */
struct eg_ask {
	struct eg_addr remote;
	__u32 service; /* EG_SERVICE of the remote port, or for EG_DIR_INGRESS of the local one */
	__u8 origin; /* enum eg_dir: who began it */
	__u8 loopback; /* remote is a loopback address */
	__u8 self; /* ... and the socket there is the app's own */
	__u8 any_port; /* of the service's protocol: it can't be read off a later fragment */
	__u32 app; /* slot, and its generation: whose grants count */
	__u32 gen;
	__u64 now_ns; /* boot */
};

#define EG_VERDICT_GRANTED (1u << 15) /* denied, though the address has a grant: for another service */

struct eg_verdict {
	__u8 reason; /* EG_REASON_NONE: allowed */
	__u8 prefix_seen;
	__u16 rule;
	__u32 uid;
	__u32 meters_out; /* lists, the rule's own included */
	__u32 meters_in;
	__u32 meters_flows;
	__u16 flags; /* EG_MATCH_* of the rule, EG_VERDICT_GRANTED */
	__u16 way; /* 1 + way of the grant; 0: no grant was needed */
};

static __always_inline void eg_verdict_fill(const struct eg_ruleset *ruleset, const struct eg_found *found,
					    struct eg_verdict *ret)
{
	ret->uid = ruleset->uid;
	ret->rule = found->rule;
	ret->prefix_seen = found->prefix_seen;
	ret->flags = found->allowed ? found->flags : 0;
	ret->way = found->way;
	ret->meters_out = ruleset->meters_out | (__u32)found->meter_out << 24;
	ret->meters_in = ruleset->meters_in | (__u32)found->meter_in << 24;
	ret->meters_flows = ruleset->meters_flows | (__u32)found->meter_flows << 24;
	ret->reason = EG_REASON_NONE;
}

/* What rules say that name the address itself. */
EG_GLOBAL int eg_verdict_addresses(const struct eg_ruleset *ruleset, const struct eg_ask *ask,
				   struct eg_verdict *ret)
{
	struct eg_found found;

	if (!ruleset || !ask || !ret)
		return 0;
	eg_rules_search(ruleset->uid, ask->origin, &ask->remote, ask->service,
			ask->any_port ? ask->service | 0xffff : ask->service, &found);
	eg_verdict_fill(ruleset, &found, ret);
	if (ask->loopback) { /* never leaves the host: no cap counts it */
		ret->meters_out = 0;
		ret->meters_in = 0;
		ret->meters_flows = 0;
	}
	if (found.allowed) {
		if (found.rule == EG_RULE_GUARDRAIL)
			ret->reason = EG_REASON_GUARDRAIL;
		return 0;
	}
	if (ask->self && ruleset->flags & EG_RULESET_SELF) {
		ret->rule = EG_RULE_SELF;
		return 0;
	}
	if (ask->origin == EG_DIR_INGRESS)
		ret->reason = EG_REASON_NO_INGRESS_RULE;
	else if (found.prefix_seen)
		ret->reason = EG_REASON_NO_RULE_PORT;
	else
		ret->reason = ask->loopback ? EG_REASON_LOOPBACK : EG_REASON_NO_RULE;
	return 0;
}

/* Of two that allow, one that demands nothing of the first data wins. */
static __always_inline void eg_verdict_take(const struct eg_ruleset *ruleset, const struct eg_scratch *s,
					    struct eg_verdict *ret)
{
	bool loopback_free = !ret->meters_out && !ret->meters_in;

	if (ret->reason == EG_REASON_NONE && s->best.flags & EG_MATCH_VERIFY)
		return;
	eg_verdict_fill(ruleset, &s->best, ret);
	if (loopback_free && eg_addr_is_loopback(&s->grant_key.addr)) {
		ret->meters_out = 0;
		ret->meters_in = 0;
		ret->meters_flows = 0;
	}
}

static __always_inline void eg_verdict_other_service(struct eg_verdict *ret)
{
	ret->reason = EG_REASON_NO_RULE_PORT;
	ret->prefix_seen = 1;
	ret->flags |= EG_VERDICT_GRANTED;
}

/*
 * What the grants of the address add to that: makes *ret allow, or says why they don't.
 */
EG_GLOBAL int eg_verdict_grants(const struct eg_ruleset *ruleset, const struct eg_ask *ask, struct eg_verdict *ret)
{
	struct eg_scratch *s;

	if (!ruleset || !ask || !ret)
		return 0;
	s = eg_scratch_claim();
	if (!s)
		return 0;
	s->grant_key.app = ask->app;
	s->grant_key.gen = ask->gen;
	s->grant_key.addr = ask->remote;
	s->look.now_ns = ask->now_ns;
	s->look.uid = ruleset->uid;
	s->look.service = ask->service;
	__builtin_memset(&s->best, 0, sizeof(s->best));
	eg_grants_search(s);
	if (s->best.allowed)
		eg_verdict_take(ruleset, s, ret);
	else if (ret->reason != EG_REASON_NONE && s->look.stale)
		ret->reason = EG_REASON_GRANT_EXPIRED;
	else if (ret->reason == EG_REASON_NO_RULE && s->look.granted)
		eg_verdict_other_service(ret);
	else if (ret->reason == EG_REASON_NO_RULE && eg_matches_search(ruleset->name_first, ruleset->name_count,
								       ask->service, ask->service, &s->found))
		ret->reason = EG_REASON_NO_GRANT;
	eg_scratch_release(s);
	return 0;
}

/*
 * The verdict of a live flow whose address was granted for this name: a change of policy, or the
 * grant's end, cuts it only if the name itself is no longer allowed. Leaves *ret if it is not.
 */
EG_GLOBAL int eg_verdict_named(const struct eg_ruleset *ruleset, const struct eg_flow *flow,
			       const struct eg_sock_names *named, struct eg_verdict *ret)
{
	struct eg_scratch *s;

	if (!ruleset || !flow || !named || !ret || flow->origin != EG_DIR_EGRESS)
		return 0;
	s = eg_scratch_claim();
	if (!s)
		return 0;
	__builtin_memcpy(s->key.text, named->name, sizeof(s->key.text));
	s->grant_key.addr = flow->peer;
	if (eg_name_allows(s->index, ruleset->uid, EG_SERVICE(flow->proto, flow->peer_port)) &&
	    !(s->found.flags & EG_MATCH_CONNECT))
		eg_verdict_fill(ruleset, &s->found, ret);
	eg_scratch_release(s);
	return 0;
}

static __always_inline void eg_verdict_rules(const struct eg_ruleset *ruleset, const struct eg_ask *ask,
					     struct eg_verdict *ret)
{
	eg_verdict_addresses(ruleset, ask, ret);
	if (ruleset->flags & EG_RULESET_NAMES && ask->origin == EG_DIR_EGRESS &&
	    ret->reason != EG_REASON_GUARDRAIL && (ret->reason != EG_REASON_NONE || ret->flags & EG_MATCH_VERIFY))
		eg_verdict_grants(ruleset, ask, ret);
}

static __always_inline bool eg_killed(const struct eg_app *app, const struct eg_clock *clock)
{
	__u64 word = *(volatile const __u64 *)&app->ctl.kill;

	if ((__u32)word && word >> 32 == app->ctl.gen &&
	    ((__u32)word != EG_HOLD_CONTROL || clock->boot_ns >= app->ctl.override_until_boot_ns))
		return true;
	return app->state.auto_kill > app->ctl.auto_cleared;
}

/* Latches the end of a policy, and tells it once. */
static __always_inline void eg_expire_latch(const struct eg_who *who, struct eg_app *app,
					    const struct eg_ruleset *ruleset)
{
	__u64 seen = app->state.expired_uid;

	if (seen == ruleset->uid)
		return;
	if (__sync_val_compare_and_swap(&app->state.expired_uid, seen, ruleset->uid) == seen)
		eg_tell_expire(who, ruleset->uid, ruleset->expires_utc_ns);
}

/*
 * What the app's state says before any rule is read. Returns the ruleset in force, or NULL
 * with *ret_reason set.
 */
static __always_inline const struct eg_ruleset *eg_standing(const struct eg_who *who,
							    const struct eg_host_ctl *host, struct eg_app *app,
							    const struct eg_clock *clock, __u8 *ret_reason)
{
	__u64 word = *(volatile __u64 *)&app->ctl.ruleset;
	const struct eg_ruleset *ruleset = NULL;
	__u32 index = (__u32)word;

	if (*(volatile const __u64 *)&host->kill_all) {
		*ret_reason = EG_REASON_KILLED_ALL;
		return NULL;
	}
	if (eg_killed(app, clock)) {
		*ret_reason = EG_REASON_KILLED;
		return NULL;
	}
	if (word) {
		ruleset = bpf_map_lookup_elem(&rulesets, &index);
		if (!ruleset || ruleset->uid != word >> 32) {
			*ret_reason = EG_REASON_INTERNAL;
			return NULL;
		}
		if (clock->utc_ns >= ruleset->expires_utc_ns || app->state.expired_uid == ruleset->uid) {
			eg_expire_latch(who, app, ruleset);
			*ret_reason = EG_REASON_EXPIRED;
			return NULL;
		}
	}
	if (app->ctl.flags) {
		*ret_reason = app->ctl.flags & EG_APP_DELETED ? EG_REASON_POLICY_DELETED : EG_REASON_NETNS_ADMIN;
		return NULL;
	}
	if (!ruleset)
		*ret_reason = EG_REASON_NO_POLICY;
	return ruleset;
}

/* True where what the rules and limits refuse is let through, and told. */
static __always_inline bool eg_relaxed(const struct eg_app *app, const struct eg_ruleset *ruleset,
				       const struct eg_clock *clock)
{
	return ruleset->mode == EG_MODE_AUDIT || app->ctl.relax_until_boot_ns > clock->boot_ns;
}

/* Whether what is refused for this reason is let through all the same: never what the host forbids. */
static __always_inline bool eg_lets_through(__u8 reason, bool relaxed)
{
	return relaxed && reason != EG_REASON_GUARDRAIL;
}

#endif

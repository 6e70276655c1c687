/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict.h - the one place where it is decided what an app may reach
 *
 * Both address families, both directions, connect, packet, guard and explain end here.
 * The order is SEMANTICS': a hold, then expiry, then deletion, then the rules; audit turns
 * down what the rules and limits say, never a hold or the end of a policy.
 */
#ifndef EG_BPF_VERDICT_H
#define EG_BPF_VERDICT_H

#include "clock.h"
#include "events.h"
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
};

struct eg_verdict {
	__u8 reason; /* EG_REASON_NONE: allowed */
	__u8 prefix_seen;
	__u16 rule;
	__u32 uid;
	__u32 meters_out; /* lists, the rule's own included */
	__u32 meters_in;
	__u32 meters_flows;
};

EG_GLOBAL int eg_verdict_rules(const struct eg_ruleset *ruleset, const struct eg_ask *ask, struct eg_verdict *ret)
{
	struct eg_found found;

	if (!ruleset || !ask || !ret)
		return 0;
	eg_rules_search(ruleset->uid, ask->origin, &ask->remote, ask->service,
			ask->any_port ? ask->service | 0xffff : ask->service, &found);
	ret->uid = ruleset->uid;
	ret->rule = found.rule;
	ret->prefix_seen = found.prefix_seen;
	ret->meters_out = ruleset->meters_out | (__u32)found.meter_out << 24;
	ret->meters_in = ruleset->meters_in | (__u32)found.meter_in << 24;
	ret->meters_flows = ruleset->meters_flows | (__u32)found.meter_flows << 24;
	ret->reason = EG_REASON_NONE;
	if (ask->loopback) { /* never leaves the host: no cap counts it */
		ret->meters_out = 0;
		ret->meters_in = 0;
		ret->meters_flows = 0;
	}
	if (found.allowed)
		return 0;
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

static __always_inline bool eg_killed(const struct eg_app *app)
{
	__u64 word = *(volatile const __u64 *)&app->ctl.kill;

	if ((__u32)word && word >> 32 == app->ctl.gen)
		return true;
	return app->state.auto_kill > app->ctl.auto_cleared;
}

/* Latches the end of a policy, and tells it once. */
static __always_inline void eg_expire_latch(const struct eg_who *who, struct eg_app *app,
					    const struct eg_ruleset *ruleset)
{
	__u64 seen = app->state.expired_uid;
	struct eg_notice notice = {
		.type = EG_EVENT_EXPIRE,
		.reason = EG_REASON_EXPIRED,
		.rule = EG_RULE_NONE,
		.uid = ruleset->uid,
		.window_end_utc_ns = ruleset->expires_utc_ns,
	};

	if (seen == ruleset->uid)
		return;
	if (__sync_val_compare_and_swap(&app->state.expired_uid, seen, ruleset->uid) == seen)
		eg_tell_notice(who, &notice);
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
	if (eg_killed(app)) {
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

#endif

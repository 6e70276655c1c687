/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * case.h - a packet with all that is known about its app, and how its case ends
 */
#ifndef EG_BPF_CASE_H
#define EG_BPF_CASE_H

#include "flow.h"
#include "meters.h"
#include "tag.h"
#include "verdict.h"

#define EG_PASS      1
#define EG_DROP      0
#define EG_DROP_CN   2 /* drop, and tell TCP that there is congestion (egress only) */
#define EG_LOOK      4 /* no verdict yet: its data decides (look.h) */
#define EG_UNTAGGED  5 /* no verdict yet: the socket's app has to be found */
#define EG_TAGGED    6 /* found */
#define EG_UNSETTLED 7 /* no verdict yet: the full path gives it */

#define EG_CAPPED(reason)        (1u << 8 | (__u32)(reason)) /* no verdict yet: a meter refused */
#define EG_IS_CAPPED(result)     ((__u32)(result) >> 8 == 1)
#define EG_CAPPED_REASON(result) ((__u32)(result) & 0xff)

/* The packet and all that is known about its app. */
struct eg_case {
	struct eg_host_ctl *host;
	struct eg_app *app;
	struct eg_sock *sock;
	const struct eg_ruleset *ruleset;
	struct eg_clock clock;
	__u32 looked; /* EG_LOOKED() */
};

static __always_inline int eg_refuse(const struct eg_who *who, const struct eg_view *view, __u8 reason,
				     __u16 rule, __u32 uid, __u32 dir, bool quiet)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_PACKET,
		.dir = (__u8)dir,
		.rule = rule,
		.uid = uid,
	};

	eg_tell_denial(who, view, &denial, quiet);
	return reason == EG_REASON_RATE_EGRESS && dir == EG_DIR_EGRESS ? EG_DROP_CN : EG_DROP;
}

static __always_inline void eg_audit(const struct eg_who *who, const struct eg_view *view, __u8 reason,
				     __u16 rule, __u32 uid, __u32 dir, bool quiet)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_PACKET,
		.dir = (__u8)dir,
		.audited = 1,
		.rule = rule,
		.uid = uid,
	};

	eg_tell_denial(who, view, &denial, quiet);
}

static __always_inline void eg_tell_due(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					__u32 due)
{
	struct bpf_sock *sk = eg_full_sock(skb);

	eg_tell_flow(&c->sock->who, flow, sk && flow == &c->sock->flow ? eg_names_of(sk, flow) : NULL, due);
}

/* The last step of a packet that the rules allow, or audit lets through. */
static __always_inline int eg_pass(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
				   const struct eg_view *view, __u32 dir, __u32 meters, bool relaxed)
{
	__u8 reason;
	__u32 due;

	if (meters) {
		reason = (__u8)eg_meters_take(&c->sock->who, c->ruleset, meters, view->bytes, &c->clock);
		if (reason != EG_REASON_NONE) {
			if (!relaxed)
				return eg_refuse(&c->sock->who, view, reason, flow->rule, c->ruleset->uid, dir, true);
			eg_audit(&c->sock->who, view, reason, flow->rule, c->ruleset->uid, dir, true);
		}
	}
	due = (__u32)eg_flow_account(&c->sock->who, flow, view, dir, c->clock.boot_ns);
	if (due)
		eg_tell_due(skb, c, flow, due);
	return EG_PASS;
}

#endif

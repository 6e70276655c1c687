/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * settled.h - the packet that nothing is left to be decided about
 *
 * Theory of operation. Most packets belong to a flow that was judged under the ruleset in force,
 * that has told its start and has nothing else to tell, and whose data needs no look. They pass
 * here, in one small frame: entering the full path's (packet.bpf.c) and leaving it, and each call
 * on the way, cost as much as the decision. Every condition is one that the full path asks as well,
 * with the same functions, or is stricter here: replies of TCP need not be fresh there, for one.
 * "Not settled" says nothing, and has taken nothing: the full path begins anew.
 */
#ifndef EG_BPF_SETTLED_H
#define EG_BPF_SETTLED_H

#include "case.h"
#include "look.h"
#include "queue.h"

/* Judged, allowed, told, and not to be looked into. */
static __always_inline bool eg_settled_flow(const struct eg_flow *flow)
{
	return flow->state == EG_FLOW_OPEN && flow->reason == EG_REASON_NONE && flow->rule != EG_RULE_SELF &&
	       (flow->flags & (EG_FLOW_STARTED | EG_FLOW_LOOK)) == EG_FLOW_STARTED;
}

static __always_inline bool eg_settled_proto(const struct eg_view *view)
{
	return view->proto == IPPROTO_TCP || view->proto == IPPROTO_UDP;
}

/* EG_PASS, EG_UNSETTLED, or EG_CAPPED() with the reason of the meter that refused. */
static __always_inline int eg_settled(struct __sk_buff *skb, __u32 dir)
{
	struct eg_host_ctl *host = eg_host();
	const struct eg_ruleset *ruleset;
	struct bpf_sock *sk = skb->sk;
	struct eg_clock clock;
	struct eg_sock *sock;
	struct eg_flow *flow;
	struct eg_view view;
	struct eg_app *app;
	__u32 meters;
	__u8 reason;

	if (!host || !sk || sk->state == BPF_TCP_LISTEN)
		return EG_UNSETTLED;
	sock = eg_tag_sock(sk, host, &app);
	if (!sock || !app)
		return EG_UNSETTLED;
	flow = &sock->flow;
	if (!eg_settled_flow(flow) || eg_parse(skb, &view) != EG_REASON_NONE || !eg_settled_proto(&view) ||
	    !eg_flow_is_with(flow, &view, dir))
		return EG_UNSETTLED;
	eg_clock_coarse(host, &clock);
	ruleset = eg_standing(&sock->who, host, app, &clock, &reason);
	if (!ruleset || *(volatile __u32 *)&flow->uid != ruleset->uid || clock.boot_ns > flow->report_ns)
		return EG_UNSETTLED;
	if (*(volatile __u8 *)&flow->reason != EG_REASON_NONE) /* again, now that it is known to be this ruleset's */
		return EG_UNSETTLED;
	if (dir != flow->origin && !eg_flow_fresh(flow, host, clock.boot_ns))
		return EG_UNSETTLED;
	meters = dir == EG_DIR_EGRESS ? flow->meters_out : flow->meters_in;
	if (meters) {
		reason = (__u8)eg_meters_take(&sock->who, ruleset, meters, view.bytes, &clock);
		if (reason != EG_REASON_NONE)
			return (int)EG_CAPPED(reason);
	}
	eg_flow_count(&sock->who, flow, &view, dir, clock.boot_ns);
	if (dir == EG_DIR_EGRESS && view.proto != IPPROTO_TCP)
		eg_queue_at_once(skb);
	return EG_PASS;
}

/* For each direction its own, as with the full path. */
EG_GLOBAL int eg_settled_out(struct __sk_buff *skb)
{
	return eg_settled(skb, EG_DIR_EGRESS);
}

EG_GLOBAL int eg_settled_in(struct __sk_buff *skb)
{
	return eg_settled(skb, EG_DIR_INGRESS);
}

/* What becomes of a packet that is settled but for the meter. Apart, so that eg_settled keeps its frame small. */
EG_GLOBAL int eg_capped(struct __sk_buff *skb, __u32 reason, __u32 dir)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_sock *sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	struct eg_host_ctl *host = eg_host();
	const struct eg_ruleset *ruleset;
	struct eg_clock clock;
	struct eg_view view;
	struct eg_app *app;

	if (!host || !sock || eg_parse(skb, &view) != EG_REASON_NONE)
		return EG_DROP;
	app = eg_app_at(sock->who.app);
	ruleset = eg_look_ruleset(sock);
	if (!app || !ruleset)
		return EG_DROP;
	eg_clock_coarse(host, &clock);
	if (!eg_relaxed(app, ruleset, &clock))
		return eg_refuse(&sock->who, &view, (__u8)reason, sock->flow.rule, ruleset->uid, dir, true);
	eg_audit(&sock->who, &view, (__u8)reason, sock->flow.rule, ruleset->uid, dir, true);
	eg_flow_count(&sock->who, &sock->flow, &view, dir, clock.boot_ns);
	return EG_PASS;
}

#endif

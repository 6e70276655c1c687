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

/* EG_PASS or EG_DROP, or EG_UNSETTLED. */
EG_GLOBAL int eg_settled(struct __sk_buff *skb, __u32 dir)
{
	struct bpf_sock *sk = skb->sk;
	struct eg_flow *flow;
	struct eg_view view;
	struct eg_case c;
	__u32 meters;
	__u8 reason;

	c.host = eg_host();
	if (!c.host || !sk || sk->state == BPF_TCP_LISTEN)
		return EG_UNSETTLED;
	c.sock = eg_tag_sock(sk, c.host, &c.app);
	if (!c.sock || !c.app)
		return EG_UNSETTLED;
	flow = &c.sock->flow;
	if (!eg_settled_flow(flow) || eg_parse(skb, &view) != EG_REASON_NONE || !eg_settled_proto(&view) ||
	    !eg_flow_is_with(flow, &view, dir))
		return EG_UNSETTLED;
	eg_clock_coarse(c.host, &c.clock);
	c.ruleset = eg_standing(&c.sock->who, c.host, c.app, &c.clock, &reason);
	if (!c.ruleset || *(volatile __u32 *)&flow->uid != c.ruleset->uid || c.clock.boot_ns > flow->report_ns)
		return EG_UNSETTLED;
	if (*(volatile __u8 *)&flow->reason != EG_REASON_NONE) /* again, now that it is known to be this ruleset's */
		return EG_UNSETTLED;
	if (dir != flow->origin && !eg_flow_fresh(flow, c.host, c.clock.boot_ns))
		return EG_UNSETTLED;
	meters = dir == EG_DIR_EGRESS ? flow->meters_out : flow->meters_in;
	if (meters)
		return eg_pass(skb, &c, flow, &view, dir, meters, eg_relaxed(c.app, c.ruleset, &c.clock));
	eg_flow_count(&c.sock->who, flow, &view, dir, c.clock.boot_ns);
	return EG_PASS;
}

#endif

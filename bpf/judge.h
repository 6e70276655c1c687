/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * judge.h - a packet whose flow is found: its verdict, and what follows from it
 *
 * A verdict is kept with the flow, under the id of the ruleset that it came from, and serves
 * until there is another ruleset. What it allows may still depend on the packet's data (look.h),
 * and on the meters, which come last.
 */
#ifndef EG_BPF_JUDGE_H
#define EG_BPF_JUDGE_H

#include "case.h"
#include "look.h"
#include "self.h"
#include "verdict.h"

/* What the rules say of a flow begun by `origin`, of which this packet goes `dir`. */
static __always_inline void eg_judge(struct __sk_buff *skb, const struct eg_case *c, const struct eg_view *view,
				     __u32 dir, __u32 origin, struct eg_verdict *ret)
{
	struct eg_ask ask = {
		.origin = (__u8)origin,
		.app = c->sock->who.app,
		.gen = c->sock->who.gen,
		.now_ns = c->clock.boot_ns,
	};
	__u16 port = origin == EG_DIR_EGRESS ? eg_view_remote_port(view, dir) : eg_view_local_port(view, dir);

	ask.remote = *eg_view_remote(view, dir);
	if (view->proto == IPPROTO_ICMP || view->proto == IPPROTO_ICMPV6) {
		port = view->icmp_type;
		/* an echo reply that leaves answers a request that some ingress rule admits */
		if (dir == EG_DIR_EGRESS && (port == 0 || port == 129)) {
			ask.origin = EG_DIR_INGRESS;
			port = port == 0 ? 8 : 128;
		}
	}
	ask.service = EG_SERVICE(view->proto, port);
	if (eg_addr_is_loopback(&ask.remote)) {
		ask.loopback = 1;
		ask.self = eg_self_is_mine(skb, c->sock, view, dir);
	}
	eg_verdict_rules(c->ruleset, &ask, ret);
	if (dir == EG_DIR_EGRESS && view->src_port == EG_PORT_DNS)
		ret->reason = EG_REASON_BIND_DNS; /* bind() refuses it; a raw socket asks nobody */
}

static __always_inline void eg_end_kept(struct __sk_buff *skb, const struct eg_case *c)
{
	struct bpf_sock *sk = eg_full_sock(skb);

	eg_flow_end(&c->sock->who, &c->sock->flow, sk ? eg_names_of(sk, &c->sock->flow) : NULL);
}

/* The verdict for the flow that is kept with the socket, which is new. */
static __always_inline void eg_begin_kept(struct __sk_buff *skb, const struct eg_case *c, const struct eg_view *view,
					  const struct eg_verdict *verdict, __u32 dir, __u32 origin)
{
	struct eg_flow *flow = &c->sock->flow;
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_sock_names *named = sk ? bpf_sk_storage_get(&sock_names, sk, 0, 0) : NULL;

	if (named) { /* of a connection that this socket had before */
		named->data_known = 0;
		named->name[0] = 0;
		named->sni[0] = 0;
	}
	eg_flow_begin(&c->sock->who, flow, view, dir, origin);
	eg_flow_cache(flow, verdict);
	if (flow->flags & EG_FLOW_NAMED)
		eg_names_keep(skb, &c->sock->who, flow, true);
}

/* Whether the packet has data that has to be looked at, and was not. */
static __always_inline bool eg_must_look(const struct __sk_buff *skb, const struct eg_case *c, __u16 rule,
					 const struct eg_view *view, __u32 dir)
{
	if (!(c->looked & EG_LOOKED_NOT) || (dir == EG_DIR_INGRESS && rule != EG_RULE_DNS))
		return false;
	return view->proto != IPPROTO_TCP || view->payload < skb->len;
}

/* What looking said, and the rate of queries: the reason to drop the packet, or NONE. */
static __always_inline __u8 eg_looked(const struct eg_case *c, __u16 rule, __u32 dir)
{
	__u8 reason = EG_LOOKED_REASON(c->looked);

	if (c->looked & EG_LOOKED_NOT)
		return EG_REASON_NONE;
	if (reason == EG_REASON_NONE && dir == EG_DIR_EGRESS && rule == EG_RULE_DNS && c->ruleset->meters_dns)
		reason = (__u8)eg_meters_take(&c->sock->who, c->ruleset, c->ruleset->meters_dns,
					      EG_LOOKED_QUERIES(c->looked), &c->clock);
	return reason;
}

/* Events of DNS are told, with the name, where they are found; here they are counted. */
static __always_inline bool eg_reason_is_told(__u8 reason, __u16 rule)
{
	return rule == EG_RULE_DNS && reason >= EG_REASON_DNS_NAME && reason <= EG_REASON_DNS_SHORTAGE &&
	       reason != EG_REASON_DNS_RATE;
}

/* As eg_refuse. What stands against a connection's first data is told with what it named. */
static __always_inline int eg_refuse_flow(struct __sk_buff *skb, const struct eg_case *c, const struct eg_flow *flow,
					  const struct eg_view *view, __u8 reason, __u32 dir, bool quiet)
{
	if (!eg_reason_is_first(reason))
		return eg_refuse(&c->sock->who, view, reason, flow->rule, flow->uid, dir, quiet);
	eg_tell_first(skb, view, EG_FIRST_TOLD(reason, 0), dir);
	return EG_DROP;
}

static __always_inline void eg_audit_flow(struct __sk_buff *skb, const struct eg_case *c, const struct eg_flow *flow,
					  const struct eg_view *view, __u8 reason, __u32 dir, bool quiet)
{
	if (eg_reason_is_first(reason))
		eg_tell_first(skb, view, EG_FIRST_TOLD(reason, 1), dir);
	else
		eg_audit(&c->sock->who, view, reason, flow->rule, flow->uid, dir, quiet);
}

/*
 * Looking at the first data said no: that stays with the flow. Data that is held back comes again,
 * but what audit lets through does not.
 */
static __always_inline void eg_keep_first(struct eg_flow *flow, __u8 reason, bool relaxed)
{
	if (!eg_reason_is_first(reason) || (reason == EG_REASON_HELLO_HELD && !relaxed))
		return;
	flow->reason = reason == EG_REASON_HELLO_HELD ? EG_REASON_HELLO_MISSING : reason;
	flow->flags = (flow->flags & (__u16)~EG_FLOW_LOOK) | (relaxed ? EG_FLOW_AUDITED : 0);
}

/* A packet whose flow's verdict is known and in force. */
static __always_inline int eg_packet_cached(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					    const struct eg_view *view, __u32 dir)
{
	bool relaxed = eg_relaxed(c->app, c->ruleset, &c->clock);
	__u32 meters = dir == EG_DIR_EGRESS ? flow->meters_out : flow->meters_in;

	if (flow->reason != EG_REASON_NONE) {
		if (!eg_lets_through(flow->reason, relaxed))
			return eg_refuse_flow(skb, c, flow, view, flow->reason, dir, false);
		if (!(flow->flags & EG_FLOW_AUDITED)) {
			flow->flags |= EG_FLOW_AUDITED;
			eg_audit_flow(skb, c, flow, view, flow->reason, dir, false);
		}
	}
	if (flow->flags & EG_FLOW_LOOK || !(c->looked & EG_LOOKED_NOT)) {
		__u8 reason;

		if (eg_must_look(skb, c, flow->rule, view, dir))
			return EG_LOOK;
		reason = eg_looked(c, flow->rule, dir);
		if (reason != EG_REASON_NONE) {
			bool told = eg_reason_is_told(reason, flow->rule);

			eg_keep_first(flow, reason, relaxed);
			if (!relaxed || reason == EG_REASON_DNS_SHORTAGE || reason == EG_REASON_DNS_UNASKED)
				return eg_refuse_flow(skb, c, flow, view, reason, dir, told);
			eg_audit_flow(skb, c, flow, view, reason, dir, told);
		}
	}
	return eg_pass(skb, c, flow, view, dir, meters, relaxed);
}

/* The flow began by a grant that is gone: the name that is kept with the socket counts. */
static __always_inline void eg_judge_named(struct __sk_buff *skb, const struct eg_case *c, const struct eg_flow *flow,
					   struct eg_verdict *verdict)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_sock_names *named = sk ? bpf_sk_storage_get(&sock_names, sk, 0, 0) : NULL;

	if (named)
		eg_verdict_named(c->ruleset, flow, named, verdict);
}

/* One more flow of the app, begun by the app itself, spends from `new_flows`. */
static __always_inline __u8 eg_new_flow(const struct eg_case *c, const struct eg_view *view,
					const struct eg_verdict *verdict, __u32 dir)
{
	__u8 reason;

	if (dir != EG_DIR_EGRESS || !verdict->meters_flows)
		return EG_REASON_NONE;
	reason = (__u8)eg_meters_take(&c->sock->who, c->ruleset, verdict->meters_flows, 0, &c->clock);
	if (reason == EG_REASON_NONE || !eg_relaxed(c->app, c->ruleset, &c->clock))
		return reason;
	eg_audit(&c->sock->who, view, reason, verdict->rule, verdict->uid, dir, true);
	return EG_REASON_NONE;
}

/* By a verdict that is not kept with the flow, which only counts the packet. */
static __always_inline int eg_packet_by(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					const struct eg_view *view, __u32 dir, const struct eg_verdict *verdict)
{
	bool relaxed = eg_relaxed(c->app, c->ruleset, &c->clock);
	__u8 reason = verdict->reason;

	if (reason == EG_REASON_NONE && verdict->flags & EG_MATCH_VERIFY && !(flow->flags & EG_FLOW_VERIFIED))
		reason = EG_REASON_HELLO_HELD; /* it comes again, when the flow has its verdict */
	if (reason != EG_REASON_NONE) {
		if (!eg_lets_through(reason, relaxed))
			return eg_refuse(&c->sock->who, view, reason, verdict->rule, verdict->uid, dir, false);
		eg_audit(&c->sock->who, view, reason, verdict->rule, verdict->uid, dir, false);
	}
	if (verdict->rule == EG_RULE_DNS && reason == EG_REASON_NONE) {
		if (eg_must_look(skb, c, EG_RULE_DNS, view, dir))
			return EG_LOOK;
		reason = eg_looked(c, EG_RULE_DNS, dir);
		if (reason != EG_REASON_NONE)
			return eg_refuse(&c->sock->who, view, reason, EG_RULE_DNS, verdict->uid, dir,
					 eg_reason_is_told(reason, EG_RULE_DNS));
	}
	return eg_pass(skb, c, flow, view, dir, dir == EG_DIR_EGRESS ? verdict->meters_out : verdict->meters_in,
		       relaxed);
}

/* Judged for this packet alone, counted on `flow`. */
static __always_inline int eg_packet_uncached(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					      const struct eg_view *view, __u32 dir, __u32 origin)
{
	struct eg_verdict verdict;

	eg_judge(skb, c, view, dir, origin, &verdict);
	return eg_packet_by(skb, c, flow, view, dir, &verdict);
}

/*
 * Judges the flow again under the ruleset in force, then its packet. Of CPUs that do so at once,
 * perhaps by different rulesets, one puts its verdict into the flow.
 */
static __always_inline int eg_packet_rejudged(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					      const struct eg_view *view, __u32 dir)
{
	__u32 seen = *(volatile __u32 *)&flow->uid;
	struct eg_verdict verdict;

	eg_judge(skb, c, view, dir, flow->origin, &verdict);
	if (verdict.reason != EG_REASON_NONE && verdict.reason != EG_REASON_GUARDRAIL && flow->flags & EG_FLOW_NAMED &&
	    flow == &c->sock->flow)
		eg_judge_named(skb, c, flow, &verdict);
	if (seen == EG_UID_CLAIMED || __sync_val_compare_and_swap(&flow->uid, seen, EG_UID_CLAIMED) != seen)
		return eg_packet_by(skb, c, flow, view, dir, &verdict);
	eg_flow_judged(flow, &verdict);
	if (flow->flags & EG_FLOW_VERIFY && !(flow->flags & EG_FLOW_LOOK) && verdict.reason == EG_REASON_NONE)
		flow->reason = (__u8)eg_first_again(skb, flow, c->ruleset->uid);
	if (flow->reason == EG_REASON_HELLO_HELD) /* no room to look just now: judged again with the next packet */
		verdict.uid = 0;
	eg_flow_publish(flow, &verdict);
	return eg_packet_cached(skb, c, flow, view, dir);
}

#endif

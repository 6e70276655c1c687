// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * packet.bpf.c - the authority: every packet into and out of a managed cgroup
 *
 * Theory of operation. A packet's socket leads to its app (tag.h). The app's standing comes
 * first: a hold or the end of the policy needs no parsing to be obeyed. Then the packet is
 * parsed and its flow found. A flow keeps the verdict of the ruleset it was judged by; under
 * another ruleset, or with another peer, it is judged again, so an established connection
 * obeys a new policy with its next packet. A packet against the direction of its flow is a
 * reply: allowed while the flow is (and, without TCP's own state, while the other side has
 * been heard of lately). What is allowed takes its bytes from the meters last, so a packet
 * that is denied costs nothing.
 *
 * NAT in the app's namespace shows this hook a translated packet on its way out and an
 * untranslated one on its way in. The destination that is judged is the translated one, which
 * the packet goes to. What comes in to a connected socket is what the kernel found to be of its
 * connection, so it is read as coming from the peer that the flow was judged by.
 */
#include "case.h"
#include "look.h"
#include "peer.h"
#include "self.h"
#include "settled.h"
#include "tag.h"
#include "verdict.h"

static __always_inline void eg_count_unflowed(__u32 slot, const struct eg_view *view, __u32 dir)
{
	struct eg_counters *count = bpf_map_lookup_elem(&counters, &slot);

	if (!count)
		return;
	if (dir == EG_DIR_EGRESS) {
		eg_add(&count->bytes_out, view->bytes);
		eg_add(&count->packets_out, view->packets);
	} else {
		eg_add(&count->bytes_in, view->bytes);
		eg_add(&count->packets_in, view->packets);
	}
}

/* A packet of no app: the host decides what those get. */
static __always_inline int eg_packet_unknown(struct __sk_buff *skb, const struct eg_tag *tag, __u32 dir)
{
	struct eg_who who = {.app = EG_APP_UNKNOWN, .cgroup_id = tag->cgroup_id};
	struct eg_view view;

	eg_parse(skb, &view);
	if (tag->unknown == EG_UNKNOWN_DENY)
		return eg_refuse(&who, &view, tag->reason, EG_RULE_NONE, 0, dir, false);
	if (tag->unknown == EG_UNKNOWN_AUDIT)
		eg_audit(&who, &view, tag->reason, EG_RULE_NONE, 0, dir, false);
	eg_count_unflowed(EG_APP_UNKNOWN, &view, dir);
	return EG_PASS;
}

#define EG_NEIGHBOUR_MAX 96 /* bytes: IPv6 header, message, one link-layer address (RFC 4861, RFC 4391) */

static __always_inline bool eg_addr_is_on_link(const struct eg_addr *a)
{
	return (a->b[0] == 0xff && (a->b[1] & 0x0f) == 2) || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

/*
 * Neighbour discovery (RFC 4861) and multicast listener reports (RFC 3810) of the app's own
 * namespace come from kernel sockets, which sock_create never saw. So could a raw socket that is
 * older than the programs: what is not bound to the link by its address must be the probe of a
 * neighbour (about the address it goes to) or the answer to one (about the address it comes from).
 */
EG_GLOBAL int eg_is_neighbour(struct __sk_buff *skb, const struct eg_view *view)
{
	struct eg_addr target;

	if (!view || view->proto != IPPROTO_ICMPV6)
		return false;
	switch (view->icmp_type) {
	case 131:
	case 132:
	case 143:
		return view->hop_limit == 1 && view->dst.b[0] == 0xff;
	case 133:
		return view->hop_limit == 255 && eg_addr_is_on_link(&view->dst);
	case 135:
	case 136:
		if (view->hop_limit != 255 || eg_addr_is_on_link(&view->dst))
			return view->hop_limit == 255;
		if (view->bytes > EG_NEIGHBOUR_MAX ||
		    bpf_skb_load_bytes(skb, sizeof(struct ipv6hdr) + 8, &target, sizeof(target)))
			return false;
		return eg_addr_equal(&target, view->icmp_type == 135 ? &view->dst : &view->src);
	default:
		return false;
	}
}

/* Whether the ICMP error quotes a packet that went to the flow's peer. */
EG_GLOBAL int eg_icmp_quotes(struct __sk_buff *skb, const struct eg_view *view, const struct eg_flow *flow)
{
	struct ipv6hdr inner6;
	struct iphdr inner;
	struct eg_addr to;
	__u8 first;

	if (!view || !flow)
		return false;
	if (view->proto == IPPROTO_ICMPV6) {
		if (bpf_skb_load_bytes(skb, sizeof(inner6) + 8, &inner6, sizeof(inner6)))
			return false;
		__builtin_memcpy(&to, &inner6.daddr, sizeof(to));
		return inner6.nexthdr == flow->proto && eg_addr_equal(&to, &flow->peer);
	}
	if (bpf_skb_load_bytes(skb, 0, &first, sizeof(first)) ||
	    bpf_skb_load_bytes(skb, (first & 0x0fu) * 4 + 8, &inner, sizeof(inner)))
		return false;
	eg_addr_v4(&to, inner.daddr);
	return inner.protocol == flow->proto && eg_addr_equal(&to, &flow->peer);
}

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

/* A packet whose flow's verdict is known and in force. */
static __always_inline int eg_packet_cached(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					    const struct eg_view *view, __u32 dir)
{
	bool relaxed = eg_relaxed(c->app, c->ruleset, &c->clock);
	__u32 meters = dir == EG_DIR_EGRESS ? flow->meters_out : flow->meters_in;

	if (flow->reason != EG_REASON_NONE) {
		if (!relaxed)
			return eg_refuse(&c->sock->who, view, flow->reason, flow->rule, flow->uid, dir, false);
		if (!(flow->flags & EG_FLOW_AUDITED)) {
			flow->flags |= EG_FLOW_AUDITED;
			eg_audit(&c->sock->who, view, flow->reason, flow->rule, flow->uid, dir, false);
		}
	}
	if (flow->flags & EG_FLOW_LOOK || !(c->looked & EG_LOOKED_NOT)) {
		__u8 reason;

		if (eg_must_look(skb, c, flow->rule, view, dir))
			return EG_LOOK;
		reason = eg_looked(c, flow->rule, dir);
		if (reason != EG_REASON_NONE) {
			bool told = eg_reason_is_told(reason, flow->rule);

			if (!relaxed || reason == EG_REASON_DNS_SHORTAGE || reason == EG_REASON_DNS_UNASKED)
				return eg_refuse(&c->sock->who, view, reason, flow->rule, flow->uid, dir, told);
			eg_audit(&c->sock->who, view, reason, flow->rule, flow->uid, dir, told);
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

/* Judges the flow again under the ruleset in force, then its packet. */
static __always_inline int eg_packet_rejudged(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					      const struct eg_view *view, __u32 dir)
{
	struct eg_verdict verdict;

	eg_judge(skb, c, view, dir, flow->origin, &verdict);
	if (verdict.reason != EG_REASON_NONE && flow->flags & EG_FLOW_NAMED && flow == &c->sock->flow)
		eg_judge_named(skb, c, flow, &verdict);
	eg_flow_cache(flow, &verdict);
	if (flow->flags & EG_FLOW_VERIFY && !(flow->flags & EG_FLOW_LOOK) && verdict.reason == EG_REASON_NONE)
		flow->reason = (__u8)eg_first_again(skb, flow, c->ruleset->uid);
	return eg_packet_cached(skb, c, flow, view, dir);
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

/* Judged for this packet alone, counted on `flow`. */
static __always_inline int eg_packet_uncached(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					      const struct eg_view *view, __u32 dir, __u32 origin)
{
	bool relaxed = eg_relaxed(c->app, c->ruleset, &c->clock);
	struct eg_verdict verdict;
	__u8 reason;

	eg_judge(skb, c, view, dir, origin, &verdict);
	if (verdict.reason != EG_REASON_NONE) {
		if (!relaxed)
			return eg_refuse(&c->sock->who, view, verdict.reason, verdict.rule, verdict.uid, dir, false);
		eg_audit(&c->sock->who, view, verdict.reason, verdict.rule, verdict.uid, dir, false);
	}
	if (verdict.rule == EG_RULE_DNS && verdict.reason == EG_REASON_NONE) {
		if (eg_must_look(skb, c, EG_RULE_DNS, view, dir))
			return EG_LOOK;
		reason = eg_looked(c, EG_RULE_DNS, dir);
		if (reason != EG_REASON_NONE)
			return eg_refuse(&c->sock->who, view, reason, EG_RULE_DNS, verdict.uid, dir,
					 eg_reason_is_told(reason, EG_RULE_DNS));
	}
	return eg_pass(skb, c, flow, view, dir, dir == EG_DIR_EGRESS ? verdict.meters_out : verdict.meters_in, relaxed);
}

/* The flow that counts what has none of its own. */
static __always_inline struct eg_flow *eg_others(const struct eg_case *c, const struct eg_view *view, __u32 dir,
						 __u32 origin, __u16 flag)
{
	struct eg_flow *flow = &c->sock->others;

	if (!__sync_val_compare_and_swap(&flow->id, 0, EG_FLOW_CLAIMED)) {
		eg_flow_begin(&c->sock->who, flow, view, dir, origin);
		flow->flags |= flag;
		__builtin_memset(&flow->peer, 0, sizeof(flow->peer));
		flow->peer_port = 0;
	}
	return flow;
}

/* Handshakes on a listening socket: each judged by its own peer, all counted together. */
static __always_inline int eg_packet_listener(struct __sk_buff *skb, const struct eg_case *c,
					      const struct eg_view *view, __u32 dir)
{
	struct eg_flow *flow = eg_others(c, view, dir, EG_DIR_INGRESS, EG_FLOW_LISTENER);

	return eg_packet_uncached(skb, c, flow, view, dir, EG_DIR_INGRESS);
}

/*
 * A TCP flow that connect() did not announce: a Fast Open, a subflow, a socket older than
 * its tag, or one whose destination NAT changed. Who began it is told by a SYN; without one,
 * by which table allows it.
 */
static __always_inline int eg_packet_tcp_new(struct __sk_buff *skb, const struct eg_case *c,
					     const struct eg_view *view, __u32 dir, bool syn_out)
{
	struct eg_flow *flow = &c->sock->flow;
	bool admitted = flow->state == EG_FLOW_ADMITTED;
	__u32 origin = admitted ? flow->origin : dir;
	struct eg_verdict verdict;
	__u8 reason;

	eg_judge(skb, c, view, dir, syn_out ? EG_DIR_EGRESS : origin, &verdict);
	if (!syn_out && !admitted && verdict.reason != EG_REASON_NONE) {
		struct eg_verdict other;

		eg_judge(skb, c, view, dir, !origin, &other);
		if (other.reason == EG_REASON_NONE) {
			verdict = other;
			origin = !origin;
		}
	}
	if (verdict.reason != EG_REASON_NONE && !eg_relaxed(c->app, c->ruleset, &c->clock))
		return eg_refuse(&c->sock->who, view, verdict.reason, verdict.rule, verdict.uid, dir, false);
	if (!admitted && syn_out) {
		reason = eg_new_flow(c, view, &verdict, dir);
		if (reason != EG_REASON_NONE)
			return eg_refuse(&c->sock->who, view, reason, verdict.rule, verdict.uid, dir, true);
	}
	eg_end_kept(skb, c);
	eg_begin_kept(skb, c, view, &verdict, dir, syn_out ? EG_DIR_EGRESS : origin);
	return eg_packet_cached(skb, c, flow, view, dir);
}

static __always_inline bool eg_sock_is_connected_to(struct bpf_sock *sk, const struct eg_addr *addr, __u16 port)
{
	struct eg_addr peer;

	if (bpf_ntohs(sk->dst_port) != port || !port)
		return false;
	if (sk->family == EG_AF_INET) {
		eg_addr_v4(&peer, sk->dst_ip4);
	} else {
		peer.w_be[0] = sk->dst_ip6[0];
		peer.w_be[1] = sk->dst_ip6[1];
		peer.w_be[2] = sk->dst_ip6[2];
		peer.w_be[3] = sk->dst_ip6[3];
	}
	return eg_addr_equal(&peer, addr);
}

/*
 * Undoes to a packet that is not with the socket's flow what NAT may have done to it: outwards to
 * the socket's own port; inwards to its peer, if the kernel tells that the packet is the flow's.
 * That is so for every packet of a TCP connection, and for UDP from the peer that connect() named,
 * if that is the only one it ever spoke to: then the flow is what its packets to that peer became.
 */
static __always_inline void eg_view_untranslate(struct eg_view *view, struct bpf_sock *sk, const struct eg_case *c,
						__u32 dir)
{
	const struct eg_flow *flow = &c->sock->flow;

	if (dir == EG_DIR_EGRESS) {
		if (sk->src_port)
			view->src_port = (__u16)sk->src_port;
		return;
	}
	if (flow->state != EG_FLOW_OPEN && (flow->state != EG_FLOW_ENDED || view->proto != IPPROTO_TCP))
		return;
	if (view->proto != IPPROTO_TCP &&
	    ((c->sock->flags & (EG_SOCK_NAMED | EG_SOCK_SEVERAL)) != EG_SOCK_NAMED ||
	     flow->origin != EG_DIR_EGRESS || !eg_sock_is_connected_to(sk, &view->src, view->src_port)))
		return;
	view->src = flow->peer;
	view->src_port = flow->peer_port;
	view->dst_port = flow->local_port;
}

static __always_inline int eg_packet_tcp(struct __sk_buff *skb, struct bpf_sock *sk, const struct eg_case *c,
					 struct eg_view *view, __u32 dir)
{
	struct eg_flow *flow = &c->sock->flow;
	bool syn_out = dir == EG_DIR_EGRESS && (view->tcp_flags & (EG_TCP_SYN | EG_TCP_ACK)) == EG_TCP_SYN;
	bool same;

	same = eg_flow_is_with(flow, view, dir);
	if (!same || sk->state == BPF_TCP_LISTEN) {
		eg_view_untranslate(view, sk, c, dir);
		same = eg_flow_is_with(flow, view, dir);
	}
	if (sk->state == BPF_TCP_LISTEN)
		return eg_packet_listener(skb, c, view, dir);
	if (flow->state == EG_FLOW_OPEN && same) {
		if (flow->uid == c->ruleset->uid)
			return eg_packet_cached(skb, c, flow, view, dir);
		return eg_packet_rejudged(skb, c, flow, view, dir);
	}
	if (flow->state == EG_FLOW_ENDED && same && !syn_out)
		return eg_packet_rejudged(skb, c, flow, view, dir);
	return eg_packet_tcp_new(skb, c, view, dir, syn_out);
}

/* On the host's loopback another socket may have taken the place of the app's own since the flow was judged. */
static __always_inline bool eg_flow_self_may_end(const struct eg_case *c, const struct eg_flow *flow)
{
	__u32 known = c->sock->flags & (EG_SOCK_NS_KNOWN | EG_SOCK_HOST_NS);

	return flow->rule == EG_RULE_SELF && known != EG_SOCK_NS_KNOWN;
}

/* A packet of a known flow that is not TCP. */
static __always_inline int eg_packet_flow(struct __sk_buff *skb, const struct eg_case *c, struct eg_flow *flow,
					  const struct eg_view *view, __u32 dir)
{
	bool icmp = view->proto == IPPROTO_ICMP || view->proto == IPPROTO_ICMPV6;
	bool reply = dir != flow->origin && eg_flow_fresh(flow, c->host, c->clock.boot_ns);

	if (eg_flow_self_may_end(c, flow))
		flow->uid = 0;
	if ((dir == flow->origin || reply) && flow->uid == c->ruleset->uid && (!icmp || reply))
		return eg_packet_cached(skb, c, flow, view, dir);
	if (dir == flow->origin || (reply && !icmp))
		return eg_packet_rejudged(skb, c, flow, view, dir);
	/* neither a reply nor the flow's own direction: allowed only by a rule of its own */
	return eg_packet_uncached(skb, c, flow, view, dir, dir);
}

/* A peer that this socket did not know: judged first, so that outsiders fill no table. */
static __always_inline int eg_packet_new_peer(struct __sk_buff *skb, const struct eg_case *c,
					      struct eg_peer_key *key, const struct eg_view *view, __u32 dir)
{
	struct eg_flow *flow = &c->sock->flow;
	struct eg_peer *peer = NULL;
	struct eg_verdict verdict;
	__u8 reason;
	int result;

	eg_judge(skb, c, view, dir, dir, &verdict);
	if (verdict.reason != EG_REASON_NONE && !eg_relaxed(c->app, c->ruleset, &c->clock))
		return eg_refuse(&c->sock->who, view, verdict.reason, verdict.rule, verdict.uid, dir, false);
	reason = eg_new_flow(c, view, &verdict, dir);
	if (reason != EG_REASON_NONE)
		return eg_refuse(&c->sock->who, view, reason, verdict.rule, verdict.uid, dir, true);
	if (!__sync_val_compare_and_swap(&flow->id, 0, EG_FLOW_CLAIMED)) {
		eg_begin_kept(skb, c, view, &verdict, dir, dir);
		return eg_packet_cached(skb, c, flow, view, dir);
	}
	peer = eg_peer_create(&c->sock->who, key, view, dir, &reason);
	if (!peer) {
		if (reason != EG_REASON_NONE)
			return eg_refuse(&c->sock->who, view, reason, verdict.rule, verdict.uid, dir, false);
		return eg_packet_uncached(skb, c, eg_others(c, view, dir, dir, EG_FLOW_OTHERS), view, dir, dir);
	}
	eg_flow_cache(&peer->flow, &verdict);
	if (peer->flow.flags & EG_FLOW_NAMED)
		eg_names_keep(skb, &c->sock->who, &peer->flow, false);
	result = eg_packet_cached(skb, c, &peer->flow, view, dir);
	eg_peer_leave(peer);
	return result;
}

/*
 * Errors about a TCP or UDP flow go to its socket's error queue, and pass no hook. Those that
 * do are for a raw socket, which hears of everybody's: let in where it was this very socket
 * that asked, and lately.
 */
static __always_inline bool eg_is_own_error(struct __sk_buff *skb, const struct eg_case *c,
					    const struct eg_view *view, __u32 dir)
{
	const struct eg_flow *flow = &c->sock->flow;

	return dir == EG_DIR_INGRESS && eg_view_is_icmp_error(view) && flow->state == EG_FLOW_OPEN &&
	       flow->origin == EG_DIR_EGRESS && flow->uid == c->ruleset->uid && eg_flow_fresh(flow, c->host, c->clock.boot_ns) &&
	       eg_icmp_quotes(skb, view, flow);
}

/*
 * A datagram from a resolver on loopback that sits behind a DNAT: the query left for another port, so
 * no flow knows it. Looking at it tells whether it was asked for.
 */
static __always_inline bool eg_is_translated_answer(const struct eg_case *c, const struct eg_view *view, __u32 dir)
{
	struct eg_found found;

	if (dir == EG_DIR_EGRESS || !(c->ruleset->flags & EG_RULESET_NAMES) || view->proto != IPPROTO_UDP ||
	    view->src_port != EG_PORT_DNS || !eg_addr_is_loopback(&view->src))
		return false;
	eg_rules_search(c->ruleset->uid, EG_DIR_EGRESS, &view->src, EG_SERVICE(IPPROTO_UDP, EG_PORT_DNS),
			EG_SERVICE(IPPROTO_UDP, EG_PORT_DNS), &found);
	return found.rule == EG_RULE_DNS;
}

static __always_inline int eg_packet_other(struct __sk_buff *skb, struct bpf_sock *sk, const struct eg_case *c,
					   struct eg_view *view, __u32 dir)
{
	bool same = eg_flow_is_with(&c->sock->flow, view, dir);
	struct eg_peer_key key;
	struct eg_peer *peer;
	int result;

	if (dir == EG_DIR_EGRESS && !(c->sock->flags & EG_SOCK_NS_KNOWN) && eg_is_neighbour(skb, view))
		return eg_pass(skb, c, eg_others(c, view, dir, dir, EG_FLOW_OTHERS), view, dir, 0, false);
	if (eg_is_own_error(skb, c, view, dir))
		return eg_packet_cached(skb, c, &c->sock->flow, view, dir);
	if (!same && view->proto == IPPROTO_UDP) {
		eg_view_untranslate(view, sk, c, dir);
		same = eg_flow_is_with(&c->sock->flow, view, dir);
	}
	if (!same && eg_is_translated_answer(c, view, dir))
		return eg_packet_uncached(skb, c, eg_others(c, view, dir, dir, EG_FLOW_OTHERS), view, dir, EG_DIR_EGRESS);
	if (c->sock->flow.state == EG_FLOW_OPEN && same)
		return eg_packet_flow(skb, c, &c->sock->flow, view, dir);
	eg_peer_key_of(&key, bpf_get_socket_cookie(skb), view, dir);
	peer = bpf_map_lookup_elem(&peers, &key);
	if (!peer)
		return eg_packet_new_peer(skb, c, &key, view, dir);
	if (!eg_peer_enter(peer, view, dir, &c->sock->who))
		return eg_packet_uncached(skb, c, eg_others(c, view, dir, dir, EG_FLOW_OTHERS), view, dir, dir);
	result = eg_packet_flow(skb, c, &peer->flow, view, dir);
	eg_peer_leave(peer);
	return result;
}

/* Keeps the tag with the socket. False: *tag says what a packet of no app gets. */
static __always_inline bool eg_packet_tag_keep(struct bpf_sock *sk, struct eg_tag *tag)
{
	struct eg_sock *sock = bpf_sk_storage_get(&socks, sk, 0, 0);

	if (!tag->gen) {
		if (sock && sock->who.gen && tag->reason == EG_REASON_UNKNOWN_CGROUP)
			eg_tag_orphan(tag); /* its dead cgroup is forgotten, but it was some app's */
		return false;
	}
	if (!sock)
		sock = bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!sock) {
		tag->gen = 0;
		tag->unknown = EG_UNKNOWN_DENY;
		tag->reason = EG_REASON_INTERNAL;
		return false;
	}
	eg_tag_keep(sock, tag);
	return true;
}

/* A socket without a valid tag in its storage: EG_TAGGED, now it has one; or the packet's verdict. */
EG_GLOBAL int eg_packet_tag(struct __sk_buff *skb, __u32 dir)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_host_ctl *host = eg_host();
	struct eg_tag tag;

	if (!sk || !host)
		return EG_DROP;
	eg_tag_find(host, sk, &tag);
	return eg_packet_tag_keep(sk, &tag) ? EG_TAGGED : eg_packet_unknown(skb, &tag, dir);
}

static __always_inline int eg_packet(struct __sk_buff *skb, __u32 dir, __u32 looked)
{
	struct eg_case c = {.host = eg_host(), .looked = looked};
	struct bpf_sock *sk = skb->sk;
	struct eg_view view;
	__u8 reason = EG_REASON_INTERNAL, malformed;

	if (!c.host || !sk)
		return EG_DROP;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return EG_DROP;
	c.sock = eg_tag_sock(sk, c.host, &c.app);
	if (!c.sock || !c.app)
		return EG_UNTAGGED;
	eg_clock_coarse(c.host, &c.clock);
	malformed = (__u8)eg_parse(skb, &view);
	c.ruleset = eg_standing(&c.sock->who, c.host, c.app, &c.clock, &reason);
	if (!c.ruleset)
		return eg_refuse(&c.sock->who, &view, reason, EG_RULE_NONE, 0, dir, false);
	if (malformed != EG_REASON_NONE)
		return eg_refuse(&c.sock->who, &view, malformed, EG_RULE_NONE, c.ruleset->uid, dir, false);
	if (view.proto == IPPROTO_TCP && sk->type != 3 /* SOCK_RAW */)
		return eg_packet_tcp(skb, sk, &c, &view, dir);
	return eg_packet_other(skb, sk, &c, &view, dir);
}

EG_GLOBAL int eg_packet_out(struct __sk_buff *skb, __u32 looked)
{
	return eg_packet(skb, EG_DIR_EGRESS, looked);
}

EG_GLOBAL int eg_packet_in(struct __sk_buff *skb, __u32 looked)
{
	return eg_packet(skb, EG_DIR_INGRESS, looked);
}

/* Masks: the verifier takes nothing for granted of what a function returns. */
static __always_inline int eg_answer_out(int result)
{
	long answer = result == EG_PASS || result == EG_DROP_CN ? result : EG_DROP;

	asm volatile("%0 &= 3" : "+r"(answer));
	return (int)answer;
}

static __always_inline int eg_answer_in(int result)
{
	long answer = result == EG_PASS ? EG_PASS : EG_DROP;

	asm volatile("%0 &= 1" : "+r"(answer));
	return (int)answer;
}

SEC("cgroup_skb/egress")
int eg_egress(struct __sk_buff *skb)
{
	int result = eg_settled_out(skb);

	if (EG_IS_CAPPED(result))
		result = eg_capped(skb, EG_CAPPED_REASON(result), EG_DIR_EGRESS);
	if (result == EG_UNSETTLED)
		result = eg_packet_out(skb, EG_LOOKED_NOT);
	if (result == EG_UNTAGGED) {
		result = eg_packet_tag(skb, EG_DIR_EGRESS);
		if (result == EG_TAGGED)
			result = eg_packet_out(skb, EG_LOOKED_NOT);
	}
	if (result == EG_LOOK)
		result = eg_packet_out(skb, (__u32)eg_look_out(skb));
	return eg_answer_out(result);
}

SEC("cgroup_skb/ingress")
int eg_ingress(struct __sk_buff *skb)
{
	int result = eg_settled_in(skb);

	if (EG_IS_CAPPED(result))
		result = eg_capped(skb, EG_CAPPED_REASON(result), EG_DIR_INGRESS);
	if (result == EG_UNSETTLED)
		result = eg_packet_in(skb, EG_LOOKED_NOT);
	if (result == EG_UNTAGGED) {
		result = eg_packet_tag(skb, EG_DIR_INGRESS);
		if (result == EG_TAGGED)
			result = eg_packet_in(skb, EG_LOOKED_NOT);
	}
	if (result == EG_LOOK)
		result = eg_packet_in(skb, (__u32)eg_look_in(skb));
	return eg_answer_in(result);
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

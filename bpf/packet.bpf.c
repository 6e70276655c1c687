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
 */
#include "flow.h"
#include "icmp.h"
#include "judge.h"
#include "nat.h"
#include "peer.h"
#include "queue.h"
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
	if (verdict.reason != EG_REASON_NONE &&
	    !eg_lets_through(verdict.reason, eg_relaxed(c->app, c->ruleset, &c->clock)))
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

static __always_inline int eg_packet_tcp(struct __sk_buff *skb, struct bpf_sock *sk, const struct eg_case *c,
					 struct eg_view *view, __u32 dir)
{
	struct eg_flow *flow = &c->sock->flow;
	bool syn_out = dir == EG_DIR_EGRESS && (view->tcp_flags & (EG_TCP_SYN | EG_TCP_ACK)) == EG_TCP_SYN;
	bool same;

	same = eg_flow_is_with(flow, view, dir);
	if (!same || sk->state == BPF_TCP_LISTEN) {
		eg_view_untranslate(view, sk, c->sock, dir);
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
	if (verdict.reason != EG_REASON_NONE &&
	    !eg_lets_through(verdict.reason, eg_relaxed(c->app, c->ruleset, &c->clock)))
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
	       flow->origin == EG_DIR_EGRESS && flow->uid == c->ruleset->uid &&
	       eg_flow_fresh(flow, c->host, c->clock.boot_ns) && eg_icmp_quotes(skb, view, flow);
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
		eg_view_untranslate(view, sk, c->sock, dir);
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
	if (dir == EG_DIR_EGRESS && sk->type != EG_TYPE_STREAM)
		eg_queue_at_once(skb);
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
	if (view.proto == IPPROTO_TCP && sk->type != EG_TYPE_RAW)
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

#define EG_TAG_TRIES 4 /* each but the first for a change of tags at that very moment */

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
	for (int i = 0; i < EG_TAG_TRIES && result == EG_UNTAGGED; i++) {
		result = eg_packet_tag(skb, EG_DIR_EGRESS);
		if (result == EG_TAGGED)
			result = eg_packet_out(skb, EG_LOOKED_NOT);
	}
	if (result == EG_LOOK)
		result = eg_packet_out(skb, (__u32)eg_look_out(skb, eg_pages_are_shared(skb)));
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
	for (int i = 0; i < EG_TAG_TRIES && result == EG_UNTAGGED; i++) {
		result = eg_packet_tag(skb, EG_DIR_INGRESS);
		if (result == EG_TAGGED)
			result = eg_packet_in(skb, EG_LOOKED_NOT);
	}
	if (result == EG_LOOK)
		result = eg_packet_in(skb, (__u32)eg_look_in(skb));
	return eg_answer_in(result);
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

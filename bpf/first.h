/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * first.h - the first data of a TCP connection: whom it names, and whether that is allowed
 *
 * Theory of operation. The first data that a connection sends is looked at once. If it is a
 * ClientHello, the server that it names is kept for the log; where the rule demands it
 * ("verify-sni", "verify-connect"), nothing passes until the first data named a server that
 * the policy allows there. "First" is told by sequence number: data that comes before the
 * first byte was verified is dropped, wherever it lies in the stream.
 *
 * A hello that is not whole in its packet is dropped as well, which TCP takes for a loss: it
 * sends again, with what was written meanwhile in the same packet, up to one segment. So a
 * hello that is written in drips passes late, and one whose server name lies behind its first
 * packet never does: a whole segment or more that comes again EG_HELD_AGAIN times as it was
 * will not grow, and is refused for good.
 *
 * First data that can't become right is the end of its connection: the flow keeps the reason
 * (judge.h), so that neither the same bytes, sent again, nor any others pass. The agent resets
 * the socket when it is told.
 *
 * What was looked at stays with the socket: a policy that demands more of a live connection
 * finds there what it named.
 */
#ifndef EG_BPF_FIRST_H
#define EG_BPF_FIRST_H

#include "flow.h"
#include "grant.h"
#include "http.h"
#include "tls.h"
#include "verdict.h"

/* Of a connection's first data: for good, but for HELLO_HELD. */
static __always_inline bool eg_reason_is_first(__u8 reason)
{
	return reason >= EG_REASON_HELLO_MISSING && reason <= EG_REASON_SNI_DENIED;
}

/*
 * A packet of the socket's flow is refused, or audited, for what the connection's first data is:
 * counts and tells it, with the names. way: EG_FIRST_TOLD().
 */
#define EG_FIRST_TOLD(reason, audited) ((__u32)(reason) | (__u32)(audited) << 8)

EG_GLOBAL int eg_tell_first(struct __sk_buff *skb, const struct eg_view *view, __u32 way, __u32 dir)
{
	struct eg_denial d = {.reason = (__u8)way, .hook = EG_HOOK_PACKET, .dir = (__u8)dir, .audited = way >> 8 & 1};
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_event_named *event;
	const struct eg_sock_names *named;
	enum eg_loss_cause cause;
	struct eg_sock *sock;

	sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	if (!sock || !view)
		return 0;
	d.rule = sock->flow.rule;
	d.uid = sock->flow.uid;
	eg_tell_denial(&sock->who, view, &d, true);
	event = eg_event_begin_named(&sock->who, false, dir == EG_DIR_INGRESS ? EG_BUDGET_NOISE : EG_BUDGET_OWN, &cause);
	if (!event) {
		eg_denial_lost(&sock->who, view, &d, cause);
		return 0;
	}
	eg_denial_describe(&event->e, view, &d);
	event->e.type = EG_EVENT_DENY;
	event->e.used = bpf_get_socket_cookie(skb);
	named = eg_names_of(sk, &sock->flow);
	if (named && sock->flow.flags & EG_FLOW_NAMED)
		__builtin_memcpy(event->name, named->name, sizeof(event->name));
	if (named && sock->flow.flags & EG_FLOW_SNI)
		__builtin_memcpy(event->sni, named->sni, sizeof(named->sni));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Whether a rule allows the name in s->key for the flow's service. */
static __always_inline bool eg_first_allowed(struct eg_scratch *s, const struct eg_flow *flow, __u32 uid)
{
	const struct eg_name_rules *named = eg_name_rules_of(s, uid);
	__u32 service = EG_SERVICE(IPPROTO_TCP, flow->peer_port);

	return named && eg_matches_search(named->span.first, named->span.count, service, service, &s->found);
}

/* reason NONE: nothing stands against the flow's data. */
static __always_inline __u8 eg_first_judge(struct eg_scratch *s, struct eg_flow *flow, __u32 uid)
{
	flow->flags &= (__u16)~EG_FLOW_VERIFIED;
	if (!(flow->flags & EG_FLOW_VERIFY))
		return EG_REASON_NONE;
	if (!eg_first_allowed(s, flow, uid))
		return EG_REASON_SNI_DENIED;
	flow->flags |= EG_FLOW_VERIFIED;
	return EG_REASON_NONE;
}

static __always_inline __u8 eg_first_missing(const struct eg_flow *flow, int hello)
{
	if (!(flow->flags & EG_FLOW_VERIFY))
		return EG_REASON_NONE;
	switch (hello) {
	case EG_HELLO_HELD:
		return EG_REASON_HELLO_HELD;
	case EG_HELLO_UNNAMED:
		return EG_REASON_SNI_MISSING;
	default:
		return EG_REASON_HELLO_MISSING;
	}
}

static __always_inline bool eg_first_load(struct __sk_buff *skb, const struct eg_view *view, struct eg_msg *msg)
{
	__u32 len = skb->len - view->payload;

	return eg_msg_load(skb, view->payload, len > EG_MSG_MAX ? EG_MSG_MAX : len, msg);
}

/* A handshake record, of whatever version (RFC 8446, 5.1). */
static __always_inline bool eg_first_is_tls(struct __sk_buff *skb, const struct eg_view *view)
{
	__u8 record[2] = {0};

	return !bpf_skb_load_bytes(skb, view->payload, record, sizeof(record)) && record[0] == 22 && record[1] == 3;
}

#define EG_HELD_AGAIN 3

/* What is held back is at least a segment, and TCP has sent no more than it did the last times. */
static __always_inline bool eg_first_is_stuck(struct __sk_buff *skb, struct bpf_sock *sk,
					      struct eg_sock_names *named, const struct eg_view *view)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);
	__u32 len = skb->len - view->payload;

	if (!tcp || len < tcp->mss_cache || len > 0xffff)
		return false;
	if (named->held_len != len) {
		named->held_len = (__u16)len;
		named->held_again = 0;
		return false;
	}
	return ++named->held_again >= EG_HELD_AGAIN;
}

/* Reads the packet's data, which is the connection's first. */
static __always_inline __u8 eg_first_read(struct __sk_buff *skb, struct bpf_sock *sk, struct eg_scratch *s,
					  struct eg_flow *flow, const struct eg_view *view,
					  struct eg_sock_names *named, __u32 uid)
{
	bool connect = flow->flags & EG_FLOW_CONNECT;
	__u8 reason;
	int hello;

	if (!eg_first_load(skb, view, &s->msg))
		return EG_REASON_INTERNAL;
	hello = connect ? eg_http_connect(s) : eg_tls_hello(s);
	if (hello == EG_HELLO_HELD && eg_first_is_stuck(skb, sk, named, view))
		hello = EG_HELLO_NOT;
	if (hello != EG_HELLO_OK) {
		if (!(flow->flags & EG_FLOW_VERIFY)) /* one look is enough */
			flow->flags &= (__u16)~EG_FLOW_LOOK;
		return eg_first_missing(flow, hello);
	}
	__builtin_memcpy(named->sni, s->key.text, sizeof(named->sni));
	flow->flags |= EG_FLOW_SNI;
	reason = eg_first_judge(s, flow, uid);
	if (reason == EG_REASON_NONE)
		flow->flags &= (__u16)~EG_FLOW_LOOK;
	return reason;
}

/*
 * A packet with data of a connection whose first data was not looked at yet (EG_FLOW_LOOK): the
 * reason to drop it, or NONE.
 */
static __always_inline __u8 eg_first_look(struct __sk_buff *skb, struct bpf_sock *sk, struct eg_scratch *s,
					  struct eg_flow *flow, const struct eg_view *view, __u32 uid)
{
	__u32 seq = view->seq + !!(view->tcp_flags & EG_TCP_SYN); /* Fast Open: data behind the SYN */
	bool demanded = flow->flags & EG_FLOW_VERIFY;
	struct eg_sock_names *named;

	if (!demanded && !eg_first_is_tls(skb, view)) {
		flow->flags &= (__u16)~EG_FLOW_LOOK;
		return EG_REASON_NONE;
	}
	named = bpf_sk_storage_get(&sock_names, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!named)
		return demanded ? EG_REASON_HELLO_HELD : EG_REASON_NONE;
	if (!named->data_known) {
		named->data_seq = seq;
		named->data_known = 1;
		named->held_len = 0;
		named->held_again = 0;
	}
	if (seq == named->data_seq)
		return eg_first_read(skb, sk, s, flow, view, named, uid);
	return demanded ? EG_REASON_HELLO_HELD : EG_REASON_NONE;
}

/*
 * The flow was judged again, and data demands to be verified, or not any more, or by other
 * names. What it named is with the socket, if it named anything before.
 */
EG_GLOBAL int eg_first_again(struct __sk_buff *skb, struct eg_flow *flow, __u32 uid)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_sock_names *named;
	struct eg_scratch *s;
	__u8 reason;

	if (!sk || !flow)
		return EG_REASON_INTERNAL;
	named = bpf_sk_storage_get(&sock_names, sk, 0, 0);
	if (!named || !(flow->flags & EG_FLOW_SNI))
		return EG_REASON_HELLO_MISSING;
	s = eg_scratch_claim();
	if (!s)
		return EG_REASON_HELLO_HELD;
	__builtin_memcpy(s->key.text, named->sni, sizeof(s->key.text));
	reason = eg_first_judge(s, flow, uid);
	eg_scratch_release(s);
	return reason;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * look.h - looks into packets whose data decides: DNS, and the first data of a connection
 *
 * Theory of operation. The packet hook finds a packet's flow and its verdict. Where that asks
 * for a look (EG_FLOW_LOOK), the hook returns from all its frames, calls this, and begins again
 * with the answer: the stack of a program has 512 bytes, and neither fits on top of the other.
 * So what was found is found again here, which costs only these packets.
 */
#ifndef EG_BPF_LOOK_H
#define EG_BPF_LOOK_H

#include "ask.h"
#include "first.h"
#include "learn.h"
#include "pages.h"

#define EG_LOOKED(reason, queries) ((__u32)(reason) | (__u32)(queries) << 8)
#define EG_LOOKED_REASON(looked)   ((__u8)(looked))
#define EG_LOOKED_QUERIES(looked)  ((looked) >> 8 & 0xff)
#define EG_LOOKED_NOT              (1u << 16) /* not yet */

static __always_inline const struct eg_ruleset *eg_look_ruleset(const struct eg_sock *sock)
{
	struct eg_app *app = eg_app_at(sock->who.app);

	return app ? eg_ruleset_of(app) : NULL;
}

static __always_inline __u8 eg_look_shortage(const struct eg_sock *sock, const struct eg_view *view)
{
	if (view->proto != IPPROTO_TCP || sock->flow.rule == EG_RULE_DNS)
		return EG_REASON_DNS_SHORTAGE;
	return sock->flow.flags & EG_FLOW_VERIFY ? EG_REASON_HELLO_HELD : EG_REASON_NONE;
}

/*
 * What is read here is not all that leaves, or not as it is read: a datagram that the device makes several
 * of (UDP_SEGMENT), pages that the app can still write to, or a stream with an urgent byte in it, which its
 * receiver takes out (RFC 6093), so that all behind it is read one byte later.
 */
static __always_inline bool eg_look_is_vague(struct __sk_buff *skb, const struct eg_view *view, bool shared)
{
	if (view->proto != IPPROTO_TCP)
		return view->packets > 1 || !eg_pages_are_none(skb);
	return view->tcp_flags & EG_TCP_URG || shared;
}

/* The reason to refuse that, or NONE where nothing is demanded. A connection is refused for good. */
static __always_inline __u8 eg_look_vague(struct eg_scratch *s, struct eg_sock *sock, const struct eg_ruleset *ruleset,
					  const struct eg_view *view)
{
	if (view->proto == IPPROTO_TCP && sock->flow.rule != EG_RULE_DNS) {
		if (sock->flow.flags & EG_FLOW_VERIFY)
			return EG_REASON_HELLO_MISSING;
		sock->flow.flags &= (__u16)~EG_FLOW_LOOK; /* what it names is not worth a line in the log */
		return EG_REASON_NONE;
	}
	if (view->proto == IPPROTO_TCP) { /* which is told as the flow's */
		sock->flow.reason = EG_REASON_DNS_MALFORMED;
		return EG_REASON_DNS_MALFORMED;
	}
	s->text_len = 0;
	s->addr_count = 0;
	eg_dns_tell(sock, ruleset, view, s, 0, EG_REASON_DNS_MALFORMED, EG_DIR_EGRESS, false);
	return EG_REASON_DNS_MALFORMED;
}

/* Data that leaves; shared: in pages that are still the app's. Returns EG_LOOKED(). */
EG_GLOBAL int eg_look_out(struct __sk_buff *skb, bool shared)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	const struct eg_ruleset *ruleset;
	struct eg_sock *sock;
	struct eg_scratch *s;
	struct eg_view view;
	__u32 queries = 0;
	__u8 reason;

	sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	if (!sock || eg_parse(skb, &view) != EG_REASON_NONE)
		return EG_LOOKED(EG_REASON_INTERNAL, 0);
	ruleset = eg_look_ruleset(sock);
	if (!ruleset || !view.payload || view.payload > skb->len)
		return EG_LOOKED(EG_REASON_INTERNAL, 0);
	if (view.payload == skb->len && view.proto == IPPROTO_TCP)
		return EG_LOOKED(EG_REASON_NONE, 0);
	s = eg_scratch_claim();
	if (!s)
		return EG_LOOKED(eg_look_shortage(sock, &view), 0);
	if (eg_look_is_vague(skb, &view, shared))
		reason = eg_look_vague(s, sock, ruleset, &view);
	else if (view.proto == IPPROTO_TCP && sock->flow.rule != EG_RULE_DNS)
		reason = eg_first_look(skb, sk, s, &sock->flow, &view, ruleset->uid);
	else
		reason = eg_dns_out(skb, s, sock, ruleset, &view, &queries);
	eg_scratch_release(s);
	return (int)EG_LOOKED(reason, queries);
}

/* DNS that comes in. Returns EG_LOOKED(). */
EG_GLOBAL int eg_look_in(struct __sk_buff *skb)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	const struct eg_ruleset *ruleset;
	struct eg_sock *sock;
	struct eg_view view;

	sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	if (!sock || eg_parse(skb, &view) != EG_REASON_NONE)
		return EG_LOOKED(EG_REASON_INTERNAL, 0);
	ruleset = eg_look_ruleset(sock);
	if (!ruleset || !view.payload || view.payload > skb->len)
		return EG_LOOKED(EG_REASON_INTERNAL, 0);
	if (view.proto != IPPROTO_TCP)
		return eg_dns_in_udp(skb, sock, ruleset, &view);
	if (view.payload == skb->len)
		return EG_LOOKED(EG_REASON_NONE, 0);
	return eg_dns_in_tcp(skb, sk, sock, ruleset, &view);
}

#endif

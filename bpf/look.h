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

/* Data that leaves. Returns EG_LOOKED(). */
EG_GLOBAL int eg_look_out(struct __sk_buff *skb)
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
	if (view.proto == IPPROTO_TCP && sock->flow.rule != EG_RULE_DNS)
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

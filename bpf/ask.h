/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ask.h - a query on its way out: whether it may be asked, and what is remembered of it (see resolve.h)
 */
#ifndef EG_BPF_ASK_H
#define EG_BPF_ASK_H

#include "resolve.h"
#include "self.h"

static __always_inline __u32 eg_dns_type_bit(__u32 qtype)
{
	switch (qtype) {
#define X(name, number) case number: return 1u << EG_DNS_BIT_##name;
	EG_DNS_TYPES(X)
#undef X
	default:
		return 0;
	}
}

/* Whether the policy lets the name in s be asked for. */
static __always_inline __u8 eg_dns_may_ask(const struct eg_ruleset *ruleset, struct eg_scratch *s, __u32 qtype)
{
	if (!eg_name_rules_of(s, ruleset->uid))
		return EG_REASON_DNS_NAME;
	return eg_dns_type_bit(qtype) & ruleset->dns_types ? EG_REASON_NONE : EG_REASON_DNS_TYPE;
}

/*
 * The socket that listens there was not made below a managed root: else it might be the one that
 * asks, in another guise. (Sockets that an app brought along when it was tagged are cut.)
 */
EG_GLOBAL int eg_dns_resolver_is_foreign(struct __sk_buff *skb, const struct eg_view *view)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *other;
	bool foreign;
	__u32 size;

	if (!view)
		return false;
	size = eg_self_tuple(&tuple, view, EG_DIR_EGRESS);
	if (view->proto == IPPROTO_TCP)
		other = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		other = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!other)
		return false;
	foreign = !bpf_sk_storage_get(&socks, other, 0, 0);
	bpf_sk_release(other);
	return foreign;
}

/* The same question again (a retransmission) keeps its place. */
static long eg_asked_again(__u32 i, struct eg_asked_look *look)
{
	const struct eg_asked_one *q = &look->asked->q[EG_MASKED(i, 31)];
	struct eg_scratch *s = look->s;

	if (q->id != s->question.id || q->type != s->question.type || q->name_hash != s->question.name_hash ||
	    !eg_addr_equal(&q->resolver, &s->question.resolver))
		return 0;
	s->asked_at = i + 1;
	return 1;
}

_Static_assert(EG_ASKED_MAX == 32, "the masks");

static __always_inline __u8 eg_dns_remember(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_view *view,
					    const struct eg_dns_head *head)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_asked_look look = {.s = s};
	struct eg_asked_one *q;
	__u32 index;

	if (!sk)
		return EG_REASON_INTERNAL;
	look.asked = bpf_sk_storage_get(&asked, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!look.asked)
		return EG_REASON_DNS_SHORTAGE;
	s->question.name_hash = s->name_hash;
	s->question.resolver = view->dst;
	s->question.id = head->id;
	s->question.type = head->qtype;
	s->asked_at = 0;
	bpf_loop(EG_ASKED_MAX, eg_asked_again, &look, 0);
	index = s->asked_at ? s->asked_at - 1 : __sync_fetch_and_add(&look.asked->next, 1);
	q = &look.asked->q[EG_MASKED(index, 31)];
	q->name_hash = 0; /* free while it is written */
	q->id = head->id;
	q->type = head->qtype;
	q->resolver = view->dst;
	q->port = view->dst_port;
	q->asked_ns = bpf_ktime_get_boot_ns();
	q->name_hash = s->name_hash;
	return EG_REASON_NONE;
}

/* s->msg is one query. Returns the reason to refuse it, or NONE; audited ones are remembered as well. */
EG_LOCAL int eg_dns_ask(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
			 const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_dns_head head = {0};
	struct eg_app *app;
	bool audited;
	__u8 reason, remembered;

	if (!s || !sock || !ruleset || !view)
		return EG_REASON_INTERNAL;
	app = eg_app_at(sock->who.app);
	if (!app)
		return EG_REASON_INTERNAL;
	s->addr_count = 0;
	reason = (__u8)eg_dns_query(s, &head);
	if (reason == EG_REASON_NONE)
		reason = eg_dns_may_ask(ruleset, s, head.qtype);
	if (reason == EG_REASON_NONE && eg_addr_is_loopback(&view->dst) &&
	    !eg_dns_resolver_is_foreign(skb, view))
		reason = EG_REASON_LOOPBACK;
	audited = ruleset->mode == EG_MODE_AUDIT || app->ctl.relax_until_boot_ns > bpf_ktime_get_boot_ns();
	if (reason == EG_REASON_NONE || audited) {
		remembered = eg_dns_remember(skb, s, view, &head);
		if (remembered != EG_REASON_NONE) {
			reason = remembered;
			audited = false;
		}
	}
	if (reason != EG_REASON_NONE)
		eg_dns_tell(sock, ruleset, view, s, head.qtype, reason, EG_DIR_EGRESS, audited);
	return reason;
}

/* One query on TCP: whole, behind its length. */
static long eg_dns_batch_one(__u32 i, struct eg_dns_packet *p)
{
	struct eg_scratch *s = p->s;
	__u16 len_be = 0;
	__u32 len;

	(void)i;
	if (s->hint.at == p->skb->len)
		return 1;
	s->hint.result = EG_REASON_DNS_MALFORMED;
	s->piece.told = 0;
	if (bpf_skb_load_bytes(p->skb, s->hint.at, &len_be, sizeof(len_be)))
		return 1;
	len = bpf_ntohs(len_be);
	if (len > EG_DNS_QUERY_MAX || !eg_msg_load(p->skb, s->hint.at + 2, len, &s->msg))
		return 1;
	s->hint.at += 2 + len;
	s->hint.size++;
	s->piece.told = 1;
	s->hint.result = (__u32)eg_dns_ask(p->skb, s, p->sock, p->ruleset, p->view);
	return s->hint.result != EG_REASON_NONE;
}

static __always_inline __u8 eg_dns_out_tcp(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
					   const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_dns_packet packet = {.skb = skb, .s = s, .sock = sock, .ruleset = ruleset, .view = view};

	s->hint.at = view->payload;
	s->hint.size = 0;
	s->hint.result = EG_REASON_NONE;
	s->piece.told = 0;
	bpf_loop(EG_DNS_TCP_QUERIES, eg_dns_batch_one, &packet, 0);
	if (s->hint.result == EG_REASON_NONE && s->hint.at != skb->len) {
		s->hint.result = EG_REASON_DNS_MALFORMED;
		s->piece.told = 0;
	}
	if (s->hint.result != EG_REASON_NONE && !s->piece.told) {
		s->text_len = 0; /* of a query before it */
		eg_dns_tell(sock, ruleset, view, s, 0, (__u8)s->hint.result, EG_DIR_EGRESS, false);
	}
	return (__u8)s->hint.result;
}

/* A packet to a resolver: the reason to refuse it, or NONE; *ret_queries are in it. */
static __always_inline __u8 eg_dns_out(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
				       const struct eg_ruleset *ruleset, const struct eg_view *view,
				       __u32 *ret_queries)
{
	__u32 len = skb->len - view->payload;
	__u8 reason;

	s->text_len = 0;
	s->addr_count = 0;
	if (view->proto == IPPROTO_TCP) {
		reason = eg_dns_out_tcp(skb, s, sock, ruleset, view);
		*ret_queries = s->hint.size;
		return reason;
	}
	*ret_queries = 1;
	if (len <= EG_DNS_QUERY_MAX && eg_msg_load(skb, view->payload, len, &s->msg))
		return (__u8)eg_dns_ask(skb, s, sock, ruleset, view);
	eg_dns_tell(sock, ruleset, view, s, 0, EG_REASON_DNS_MALFORMED, EG_DIR_EGRESS, false);
	return EG_REASON_DNS_MALFORMED;
}

#endif

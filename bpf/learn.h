/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * learn.h - an answer on its way in: whether it was asked for, and what it grants (see resolve.h)
 */
#ifndef EG_BPF_LEARN_H
#define EG_BPF_LEARN_H

#include "resolve.h"

/* Writer and reader: kernel. No memory for one: the packet is dropped, and comes again. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_scratch); /* .piece: the connection, as far as answers came */
} dns_streams __weak SEC(".maps");

static long eg_asked_match(__u32 i, struct eg_asked_look *look)
{
	const struct eg_asked_one *q = &look->asked->q[EG_MASKED(i, 31)];
	struct eg_scratch *s = look->s;
	__u16 port = s->question.port;

	if (!q->name_hash || q->id != s->question.id || !eg_addr_equal(&q->resolver, &s->question.resolver) ||
	    s->question.asked_ns > q->asked_ns + EG_DNS_PATIENCE_NS)
		return 0;
	if (q->port != port && !(port == EG_PORT_DNS && eg_addr_is_loopback(&q->resolver)))
		return 0;
	if (!s->bare && (q->type != s->question.type || q->name_hash != s->question.name_hash))
		return 0;
	s->asked_at = i + 1;
	return 1;
}

static __always_inline bool eg_dns_was_asked(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_view *view,
					     const struct eg_dns_head *head)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_asked_look look = {.s = s};

	if (!sk)
		return false;
	look.asked = bpf_sk_storage_get(&asked, sk, 0, 0);
	if (!look.asked)
		return false;
	s->question.name_hash = s->name_hash;
	s->question.asked_ns = bpf_ktime_get_boot_ns();
	s->question.resolver = view->src;
	s->question.port = view->src_port;
	s->question.id = head->id;
	s->question.type = head->qtype;
	s->bare = head->bare;
	s->asked_at = 0;
	bpf_loop(EG_ASKED_MAX, eg_asked_match, &look, 0);
	return s->asked_at;
}

static long eg_dns_harvest_one(__u32 i, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	struct eg_harvest *h = &s->harvest;
	const struct eg_rule_span *span;
	enum eg_scope scope;
	__u32 at;
	int granted;

	if (i >= s->addr_count)
		return 1;
	at = EG_MASKED(i, 63);
	s->grant_key.addr = s->addr[at];
	scope = eg_scope_of(&s->grant_key.addr);
	if (scope != EG_SCOPE_PUBLIC) {
		span = scope == EG_SCOPE_PRIVATE && h->private_ok ? eg_private_span_of(s, h->uid) : NULL;
		if (!span || !span->count) {
			h->private++;
			return 0;
		}
	}
	granted = eg_grant_add(s, s->ttl_s[at]);
	if (granted == EG_GRANTED_NOT) {
		h->shortage = 1;
		return 1;
	}
	h->granted += granted == EG_GRANTED_NEW;
	return 0;
}

_Static_assert(EG_ANSWER_ADDRS == 64, "the masks");

/* Grants what s->addr holds for the name in s->key; what came of it is in s->harvest. */
EG_LOCAL int eg_dns_harvest(struct eg_scratch *s, __u32 slot, __u32 gen, __u32 uid)
{
	const struct eg_name_rules *named;
	struct eg_on_scratch on = {.s = s};
	struct eg_app *app;

	if (!s)
		return 0;
	__builtin_memset(&s->harvest, 0, sizeof(s->harvest));
	named = eg_name_rules_of(s, uid);
	if (!named)
		return 0; /* asked under an earlier policy, or in spite of this one */
	s->harvest.uid = uid;
	if (!named->span.count)
		return 0; /* only to be asked */
	s->harvest.private_ok = named->private_span.count > 0;
	s->grant_key.app = slot;
	s->grant_key.gen = gen;
	bpf_loop(EG_ANSWER_ADDRS, eg_dns_harvest_one, &on, 0);
	app = eg_app_at(slot);
	if (app && s->harvest.granted)
		eg_add(&app->state.dns_learned, 1);
	return 0;
}

/*
 * Whether the app may be who answers: in a network namespace that it made (nested.h). An MPTCP subflow,
 * which sock_create never saw, can be in one as well; of UDP only what is older than the tag was not seen.
 */
static __always_inline bool eg_dns_may_be_own(const struct eg_sock *sock, const struct eg_ruleset *ruleset,
					      const struct eg_view *view)
{
	if (ruleset->flags & EG_RULESET_ADMIN)
		return false;
	return sock->flags & EG_SOCK_NESTED || (view->proto == IPPROTO_TCP && !(sock->flags & EG_SOCK_NS_KNOWN));
}

/* s->msg is one answer. Returns the reason to drop it, or NONE: its addresses are granted. */
EG_LOCAL int eg_dns_learn(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
			   const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_dns_head head = {0};
	__u8 reason;

	if (!s || !sock || !ruleset || !view)
		return EG_REASON_INTERNAL;
	reason = (__u8)eg_dns_answer(s, &head);
	if (reason == EG_REASON_DNS_NAME) /* such a name was never asked */
		reason = EG_REASON_DNS_UNASKED;
	if (reason == EG_REASON_NONE && !eg_dns_was_asked(skb, s, view, &head))
		reason = EG_REASON_DNS_UNASKED;
	/* who can send to its own device can send as the resolver */
	if (reason == EG_REASON_NONE && skb->ifindex == EG_LOOPBACK_IFINDEX && !(sock->flags & EG_SOCK_HOST_NS) &&
	    !eg_addr_is_loopback(&view->src))
		reason = EG_REASON_DNS_UNASKED;
	if (reason == EG_REASON_NONE && eg_dns_may_be_own(sock, ruleset, view))
		reason = EG_REASON_DNS_UNASKED;
	if (reason == EG_REASON_NONE && !head.bare) {
		eg_dns_harvest(s, sock->who.app, sock->who.gen, ruleset->uid);
		reason = s->harvest.shortage ? EG_REASON_DNS_SHORTAGE : EG_REASON_NONE;
		if (s->harvest.private) /* it passes; the addresses stay shut */
			eg_dns_tell(sock, ruleset, view, s, head.qtype, EG_REASON_DNS_PRIVATE, EG_DIR_INGRESS, true);
		if (!s->harvest.uid && s->addr_count &&
		    ruleset->mode == EG_MODE_AUDIT) /* who asks for a rule needs the name */
			eg_dns_tell(sock, ruleset, view, s, head.qtype, EG_REASON_DNS_NAME, EG_DIR_INGRESS, true);
	}
	if (reason != EG_REASON_NONE || (!head.bare && s->harvest.granted))
		eg_dns_tell(sock, ruleset, view, s, head.qtype, reason, EG_DIR_INGRESS, false);
	return reason;
}

static __always_inline __u32 eg_min(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

static __always_inline long eg_dns_pieces_end(struct eg_scratch *s, __u32 reason)
{
	s->piece.result = reason;
	s->piece.told = 0;
	return 1;
}

/* One of the length's two bytes, or what is still missing of the message. p->s is the stream's. */
static long eg_dns_piece(__u32 i, struct eg_dns_packet *p)
{
	struct eg_scratch *s = p->s;
	__u32 want, take;

	(void)i;
	if (s->piece.at >= p->skb->len)
		return 1;
	if (s->piece.head < 2) {
		if (bpf_skb_load_bytes(p->skb, s->piece.at, &s->piece.len[s->piece.head & 1], 1))
			return eg_dns_pieces_end(s, EG_REASON_DNS_MALFORMED);
		s->piece.head++;
		s->piece.at++;
		return 0;
	}
	want = (__u32)s->piece.len[0] << 8 | s->piece.len[1];
	if (!want || want > EG_MSG_MAX || s->piece.have >= want)
		return eg_dns_pieces_end(s, EG_REASON_DNS_MALFORMED);
	take = eg_min(eg_min(p->skb->len - s->piece.at, want - s->piece.have), EG_MSG_PAD);
	if (!take || bpf_skb_load_bytes(p->skb, s->piece.at, &s->msg.b[EG_MASKED(s->piece.have, 8191)],
					EG_MASKED(take - 1, 2047) + 1))
		return eg_dns_pieces_end(s, EG_REASON_DNS_MALFORMED);
	s->piece.have += take;
	s->piece.at += take;
	if (s->piece.have < want)
		return 0;
	s->msg.len = want;
	s->piece.head = 0;
	s->piece.have = 0;
	s->piece.told = 1;
	s->piece.result = (__u32)eg_dns_learn(p->skb, s, p->sock, p->ruleset, p->view);
	return s->piece.result != EG_REASON_NONE;
}

static __always_inline __u8 eg_dns_stream_read(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
					       const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_dns_packet packet = {.skb = skb, .s = s, .sock = sock, .ruleset = ruleset, .view = view};
	__u32 have = s->piece.have, head = s->piece.head;
	__s32 ahead;

	if (!s->piece.known) {
		s->piece.next_seq = view->seq;
		s->piece.known = 1;
	}
	ahead = (__s32)(view->seq - s->piece.next_seq);
	if (ahead > 0)
		return EG_REASON_DNS_SHORTAGE; /* what is before it has not come yet */
	if ((__u32)-ahead >= skb->len - view->payload)
		return EG_REASON_NONE; /* read before */
	s->piece.at = view->payload + (__u32)-ahead;
	s->piece.result = EG_REASON_NONE;
	s->piece.told = 0;
	bpf_loop(EG_DNS_PIECES, eg_dns_piece, &packet, 0);
	if (s->piece.result == EG_REASON_NONE && s->piece.at != skb->len)
		s->piece.result = EG_REASON_DNS_MALFORMED;
	if (s->piece.result != EG_REASON_NONE && !s->piece.told) {
		s->text_len = 0;
		s->addr_count = 0;
		eg_dns_tell(sock, ruleset, view, s, 0, (__u8)s->piece.result, EG_DIR_INGRESS, false);
	}
	if (s->piece.result != EG_REASON_NONE) { /* it comes again, and is read again from its start */
		s->piece.have = have;
		s->piece.head = head;
		return (__u8)s->piece.result;
	}
	s->piece.next_seq = view->seq + (skb->len - view->payload);
	return EG_REASON_NONE;
}

/* A packet of a connection to a resolver: the reason to drop it, or NONE. */
static __always_inline __u8 eg_dns_in_tcp(struct __sk_buff *skb, struct bpf_sock *sk, const struct eg_sock *sock,
					  const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_scratch *stream;
	__u8 reason;

	stream = bpf_sk_storage_get(&dns_streams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!stream || __sync_lock_test_and_set(&stream->busy, 1))
		return EG_REASON_DNS_SHORTAGE; /* another CPU has a packet of the same connection */
	reason = eg_dns_stream_read(skb, stream, sock, ruleset, view);
	eg_scratch_release(stream);
	return reason;
}

/* A datagram from a resolver: the reason to drop it, or NONE. */
static __always_inline __u8 eg_dns_in_udp(struct __sk_buff *skb, const struct eg_sock *sock,
					  const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_scratch *s = eg_scratch_claim();
	__u8 reason;

	if (!s)
		return EG_REASON_DNS_SHORTAGE;
	s->text_len = 0;
	s->addr_count = 0;
	if (eg_msg_load(skb, view->payload, skb->len - view->payload, &s->msg)) {
		reason = (__u8)eg_dns_learn(skb, s, sock, ruleset, view);
	} else {
		reason = EG_REASON_DNS_MALFORMED;
		eg_dns_tell(sock, ruleset, view, s, 0, reason, EG_DIR_INGRESS, false);
	}
	eg_scratch_release(s);
	return reason;
}

#endif

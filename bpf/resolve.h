/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * resolve.h - what passes between an app and its resolvers
 *
 * Theory of operation. On its way out a query is read: only names and types that the policy
 * allows leave the host, and what is asked (id, name, type, resolver) is kept with the socket.
 * On its way in an answer is matched with what this socket asked; its addresses become grants
 * before the app can read them. Without room for one the answer is dropped, and the client
 * asks again: nothing passes without its grant.
 *
 * A datagram is one message. On TCP (RFC 1035, 4.2.2) a query has to come whole in one packet,
 * as every resolver library writes it; an answer may come in pieces, which are put together in
 * storage of the socket. Pieces in order pass at once, the last one only when its grants are made;
 * a piece out of order is dropped, and comes again.
 *
 * A resolver on loopback can sit behind a DNAT in the app's namespace (as Docker's): then a
 * query is seen with another port than the answer. And whoever answers there must not be an
 * app itself, which would grant itself what it likes.
 */
#ifndef EG_BPF_RESOLVE_H
#define EG_BPF_RESOLVE_H

#include "dns.h"
#include "flow.h"
#include "grant.h"
#include "meters.h"
#include "self.h"
#include "tag.h"

#define EG_PORT_DNS         53
#define EG_DNS_PATIENCE_NS  (60ull * 1000 * 1000 * 1000) /* how late an answer may be */
#define EG_DNS_TCP_QUERIES  4 /* queries in one packet */
#define EG_DNS_PIECES       96 /* pieces of one packet that are read */
#define EG_DNS_PIECE        2048
#define EG_LOOPBACK_IFINDEX 1

/* A TCP connection to a resolver, as far as answers came. */
struct eg_dns_stream {
	__u32 next_seq; /* of the next byte */
	__u32 known; /* 1: next_seq is valid */
	__u32 have; /* bytes of the message, in s.msg */
	__u32 head; /* bytes of its length, in len */
	__u8 len[4];
	struct eg_scratch s;
};

/* Writer and reader: kernel. No memory for one: the packet is dropped, and comes again. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_dns_stream);
} dns_streams __weak SEC(".maps");

/* ---- Telling ---------------------------------------------------------------------------------- */

/* reason NONE: addresses were granted. Counts nothing. */
EG_GLOBAL int eg_tell_dns(const struct eg_who *who, const struct eg_view *view, const struct eg_denial *d,
			  struct eg_scratch *s, __u32 qtype)
{
	enum eg_loss_cause cause;
	struct eg_event_named *named;
	__u32 count;

	if (!who || !view || !d || !s)
		return 0;
	named = eg_event_begin_named(who, false, d->dir == EG_DIR_INGRESS && d->reason != EG_REASON_NONE, &cause);
	if (!named) {
		eg_denial_lost(who, view, d, cause);
		return 0;
	}
	eg_denial_describe(&named->e, view, d);
	named->e.type = EG_EVENT_DNS;
	if (s->text_len)
		__builtin_memcpy(named->name, s->key.text, sizeof(named->name));
	count = s->addr_count;
	named->dns.qtype = (__u16)qtype;
	if (d->dir == EG_DIR_INGRESS && count <= EG_ANSWER_ADDRS) {
		named->dns.addr_count = (__u16)count;
		named->dns.ttl_s = s->ttl_s[0];
		for (__u32 i = 0; i < EG_EVENT_ADDRS; i++) {
			if (i >= count)
				break;
			named->dns.addr[i] = s->addr[i];
			if (s->ttl_s[i] < named->dns.ttl_s)
				named->dns.ttl_s = s->ttl_s[i];
		}
	}
	bpf_ringbuf_submit(named, 0);
	return 0;
}

static __always_inline void eg_dns_tell(const struct eg_sock *sock, const struct eg_ruleset *ruleset,
					const struct eg_view *view, struct eg_scratch *s, __u32 qtype, __u8 reason,
					__u32 dir, bool audited)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_PACKET,
		.dir = (__u8)dir,
		.audited = audited,
		.rule = EG_RULE_DNS,
		.uid = ruleset->uid,
	};

	eg_tell_dns(&sock->who, view, &denial, s, qtype);
}

/* ---- Asking ----------------------------------------------------------------------------------- */

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
static __always_inline __u8 eg_dns_may_ask(const struct eg_sock *sock, const struct eg_ruleset *ruleset,
					   struct eg_scratch *s, __u32 qtype)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_clock clock;

	if (!host)
		return EG_REASON_INTERNAL;
	if (!eg_name_rules_of(s, ruleset->uid))
		return EG_REASON_DNS_NAME;
	if (!(eg_dns_type_bit(qtype) & ruleset->dns_types))
		return EG_REASON_DNS_TYPE;
	if (!ruleset->meters_dns)
		return EG_REASON_NONE;
	eg_clock_coarse(host, &clock);
	return (__u8)eg_meters_take(&sock->who, ruleset, ruleset->meters_dns, 0, &clock);
}

/* The socket that listens there is no app's: it can't be the one that asks, in another guise. */
static __always_inline bool eg_dns_resolver_is_foreign(struct __sk_buff *skb, const struct eg_host_ctl *host,
						       const struct eg_view *view)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *other;
	struct eg_tag tag;
	__u32 size = eg_self_tuple(&tuple, view, EG_DIR_EGRESS);

	if (view->proto == IPPROTO_TCP)
		other = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		other = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!other)
		return false;
	eg_tag_find(host, other, &tag);
	bpf_sk_release(other);
	return !tag.gen && !tag.managed;
}

struct eg_asked_look {
	struct eg_asked *asked;
	__u64 name_hash;
	__u64 now_ns;
	const struct eg_view *view;
	__u32 id;
	__u32 type;
	__u32 found; /* 1 + index */
	__u32 bare;
};

/* The same question again (a retransmission) keeps its place. */
static long eg_asked_again(__u32 i, struct eg_asked_look *look)
{
	const struct eg_asked_one *q = &look->asked->q[EG_MASKED(i, 31)];

	if (q->id != look->id || q->type != look->type || q->name_hash != look->name_hash ||
	    !eg_addr_equal(&q->resolver, &look->view->dst))
		return 0;
	look->found = i + 1;
	return 1;
}

_Static_assert(EG_ASKED_MAX == 32, "the masks");

static __always_inline __u8 eg_dns_remember(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_view *view,
					    const struct eg_dns_head *head)
{
	struct eg_asked_look look = {.view = view, .id = head->id, .type = head->qtype, .name_hash = s->name_hash};
	struct bpf_sock *sk = skb->sk;
	struct eg_asked_one *q;
	struct eg_asked *mine;
	__u32 index;

	if (!sk)
		return EG_REASON_INTERNAL;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return EG_REASON_INTERNAL;
	mine = bpf_sk_storage_get(&asked, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!mine)
		return EG_REASON_DNS_SHORTAGE;
	look.asked = mine;
	bpf_loop(EG_ASKED_MAX, eg_asked_again, &look, 0);
	index = look.found ? look.found - 1 : __sync_fetch_and_add(&mine->next, 1);
	q = &mine->q[EG_MASKED(index, 31)];
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
EG_GLOBAL int eg_dns_ask(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
			 const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_app *app;
	struct eg_dns_head head = {0};
	bool audited;
	__u8 reason, remembered;

	if (!s || !sock || !ruleset || !view || !host)
		return EG_REASON_INTERNAL;
	app = eg_app_at(sock->who.app);
	if (!app)
		return EG_REASON_INTERNAL;
	s->addr_count = 0;
	reason = (__u8)eg_dns_query(s, &head);
	if (reason == EG_REASON_NONE)
		reason = eg_dns_may_ask(sock, ruleset, s, head.qtype);
	if (reason == EG_REASON_NONE && eg_addr_is_loopback(&view->dst) &&
	    !eg_dns_resolver_is_foreign(skb, host, view))
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

static __always_inline bool eg_msg_load(struct __sk_buff *skb, __u32 offset, __u32 len, struct eg_msg *msg)
{
	if (!len || len > EG_MSG_MAX)
		return false;
	msg->len = len;
	asm volatile("" : "+r"(len)); /* what follows is for the verifier, not for clang to drop */
	if (!len || len > EG_MSG_MAX)
		return false;
	return !bpf_skb_load_bytes(skb, offset, msg->b, len);
}

/* Queries on TCP: whole messages, each behind its length. */
struct eg_dns_batch {
	struct __sk_buff *skb;
	struct eg_scratch *s;
	const struct eg_sock *sock;
	const struct eg_ruleset *ruleset;
	const struct eg_view *view;
	__u32 at;
	__u32 reason;
};

static long eg_dns_batch_one(__u32 i, struct eg_dns_batch *b)
{
	__u16 len_be = 0;
	__u32 len;

	(void)i;
	if (b->at == b->skb->len)
		return 1;
	b->reason = EG_REASON_DNS_MALFORMED;
	if (bpf_skb_load_bytes(b->skb, b->at, &len_be, sizeof(len_be)))
		return 1;
	len = bpf_ntohs(len_be);
	if (len > EG_DNS_QUERY_MAX || !eg_msg_load(b->skb, b->at + 2, len, &b->s->msg))
		return 1;
	b->at += 2 + len;
	b->reason = (__u32)eg_dns_ask(b->skb, b->s, b->sock, b->ruleset, b->view);
	return b->reason != EG_REASON_NONE;
}

static __always_inline __u8 eg_dns_out_tcp(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
					   const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct eg_dns_batch batch = {
		.skb = skb,
		.s = s,
		.sock = sock,
		.ruleset = ruleset,
		.view = view,
		.at = view->payload,
	};

	bpf_loop(EG_DNS_TCP_QUERIES, eg_dns_batch_one, &batch, 0);
	if (batch.reason == EG_REASON_NONE && batch.at != skb->len)
		return EG_REASON_DNS_MALFORMED;
	return (__u8)batch.reason;
}

/* A packet to a resolver: the reason to refuse it, or NONE. */
EG_GLOBAL int eg_dns_out(struct __sk_buff *skb, const struct eg_sock *sock, const struct eg_ruleset *ruleset,
			 const struct eg_view *view)
{
	__u32 len, at;
	struct eg_scratch *s;
	__u8 reason;

	if (!sock || !ruleset || !view)
		return EG_REASON_INTERNAL;
	at = view->payload;
	len = skb->len - at;
	if (!at || at > skb->len)
		return EG_REASON_UNPARSABLE;
	if (!len && view->proto == IPPROTO_TCP)
		return EG_REASON_NONE;
	s = eg_scratch_claim();
	if (!s)
		return EG_REASON_DNS_SHORTAGE;
	s->text_len = 0;
	s->addr_count = 0;
	if (view->proto == IPPROTO_TCP) {
		reason = eg_dns_out_tcp(skb, s, sock, ruleset, view);
	} else if (len > EG_DNS_QUERY_MAX || !eg_msg_load(skb, at, len, &s->msg)) {
		reason = EG_REASON_DNS_MALFORMED;
		eg_dns_tell(sock, ruleset, view, s, 0, reason, EG_DIR_EGRESS, false);
	} else {
		reason = (__u8)eg_dns_ask(skb, s, sock, ruleset, view);
	}
	eg_scratch_release(s);
	return reason;
}

/* ---- Learning ----------------------------------------------------------------------------------- */

static long eg_asked_match(__u32 i, struct eg_asked_look *look)
{
	const struct eg_asked_one *q = &look->asked->q[EG_MASKED(i, 31)];
	__u16 port = look->view->src_port;

	if (!q->name_hash || q->id != look->id || !eg_addr_equal(&q->resolver, &look->view->src) ||
	    look->now_ns > q->asked_ns + EG_DNS_PATIENCE_NS)
		return 0;
	if (q->port != port && !(port == EG_PORT_DNS && eg_addr_is_loopback(&look->view->src)))
		return 0;
	if (!look->bare && (q->type != look->type || q->name_hash != look->name_hash))
		return 0;
	look->found = 1;
	return 1;
}

static __always_inline bool eg_dns_was_asked(struct __sk_buff *skb, const struct eg_scratch *s,
					     const struct eg_view *view, const struct eg_dns_head *head)
{
	struct eg_asked_look look = {
		.view = view,
		.id = head->id,
		.type = head->qtype,
		.bare = head->bare,
		.name_hash = s->name_hash,
		.now_ns = bpf_ktime_get_boot_ns(),
	};
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	look.asked = bpf_sk_storage_get(&asked, sk, 0, 0);
	if (!look.asked)
		return false;
	bpf_loop(EG_ASKED_MAX, eg_asked_match, &look, 0);
	return look.found;
}

struct eg_dns_harvest {
	struct eg_scratch *s;
	__u32 slot;
	__u32 uid;
	__u32 granted; /* that were not before */
	__u32 private; /* not public, and on no list */
	__u32 shortage;
	__u32 private_ok; /* the name has rules with a list */
};

static long eg_dns_harvest_one(__u32 i, struct eg_dns_harvest *h)
{
	struct eg_scratch *s = h->s;
	const struct eg_rule_span *span;
	enum eg_scope scope;
	__u32 at;
	int granted;

	if (i >= s->addr_count)
		return 1;
	at = EG_MASKED(i, 63);
	scope = eg_scope_of(&s->addr[at]);
	if (scope != EG_SCOPE_PUBLIC) {
		span = scope == EG_SCOPE_PRIVATE && h->private_ok ? eg_private_span_of(h->uid, &s->addr[at]) : NULL;
		if (!span || !span->count) {
			h->private++;
			return 0;
		}
	}
	s->grant_key.addr = s->addr[at];
	granted = eg_grant_add(s, h->slot, s->ttl_s[at]);
	if (granted == EG_GRANTED_NOT) {
		h->shortage = 1;
		return 1;
	}
	h->granted += granted == EG_GRANTED_NEW;
	return 0;
}

_Static_assert(EG_ANSWER_ADDRS == 64, "the masks");

/* Grants what s->addr holds for the name in s->key. */
static __always_inline __u8 eg_dns_harvest(struct eg_scratch *s, const struct eg_sock *sock,
					   const struct eg_ruleset *ruleset, const struct eg_view *view, __u32 qtype)
{
	const struct eg_name_rules *rules = eg_name_rules_of(s, ruleset->uid);
	struct eg_dns_harvest h = {.s = s, .slot = sock->who.app, .uid = ruleset->uid};
	struct eg_app *app;

	if (!rules || !rules->span.count)
		return EG_REASON_NONE; /* asked under an earlier policy, or only to be asked */
	h.private_ok = rules->private_span.count > 0;
	s->grant_key.app = sock->who.app;
	s->grant_key.gen = sock->who.gen;
	s->grant_key.pad = 0;
	bpf_loop(EG_ANSWER_ADDRS, eg_dns_harvest_one, &h, 0);
	if (h.shortage)
		return EG_REASON_DNS_SHORTAGE;
	if (h.private)
		eg_dns_tell(sock, ruleset, view, s, qtype, EG_REASON_DNS_PRIVATE, EG_DIR_INGRESS, true);
	if (!h.granted)
		return EG_REASON_NONE;
	eg_dns_tell(sock, ruleset, view, s, qtype, EG_REASON_NONE, EG_DIR_INGRESS, false);
	app = eg_app_at(sock->who.app);
	if (app)
		eg_add(&app->state.dns_learned, 1);
	return EG_REASON_NONE;
}

/* s->msg is one answer. Returns the reason to drop it, or NONE: its addresses are granted. */
EG_GLOBAL int eg_dns_learn(struct __sk_buff *skb, struct eg_scratch *s, const struct eg_sock *sock,
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
	if (reason == EG_REASON_NONE && !head.bare)
		reason = eg_dns_harvest(s, sock, ruleset, view, head.qtype);
	if (reason != EG_REASON_NONE)
		eg_dns_tell(sock, ruleset, view, s, head.qtype, reason, EG_DIR_INGRESS, false);
	return reason;
}

/* Answers on TCP, piece by piece. */
struct eg_dns_pieces {
	struct __sk_buff *skb;
	struct eg_dns_stream *stream;
	const struct eg_sock *sock;
	const struct eg_ruleset *ruleset;
	const struct eg_view *view;
	__u32 at;
	__u32 reason;
};

static __always_inline __u32 eg_min(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* The length's two bytes, then what is still missing of the message. */
static long eg_dns_piece(__u32 i, struct eg_dns_pieces *p)
{
	struct eg_dns_stream *stream = p->stream;
	__u32 left = p->skb->len - p->at;
	__u32 want, take;

	(void)i;
	if (p->at >= p->skb->len)
		return 1;
	if (stream->head < 2) {
		if (bpf_skb_load_bytes(p->skb, p->at, &stream->len[stream->head & 1], 1))
			goto bad;
		stream->head++;
		p->at++;
		return 0;
	}
	want = (__u32)stream->len[0] << 8 | stream->len[1];
	if (!want || want > EG_MSG_MAX || stream->have >= want)
		goto bad;
	take = eg_min(eg_min(left, want - stream->have), EG_DNS_PIECE);
	asm volatile("" : "+r"(take));
	if (!take || take > EG_DNS_PIECE ||
	    bpf_skb_load_bytes(p->skb, p->at, &stream->s.msg.b[EG_MASKED(stream->have, 8191)], take))
		goto bad;
	stream->have += take;
	p->at += take;
	if (stream->have < want)
		return 0;
	stream->s.msg.len = want;
	stream->head = 0;
	stream->have = 0;
	p->reason = (__u32)eg_dns_learn(p->skb, &stream->s, p->sock, p->ruleset, p->view);
	if (p->reason == EG_REASON_NONE)
		return 0;
	return 1;
bad:
	p->reason = EG_REASON_DNS_MALFORMED;
	return 1;
}

static __always_inline __u8 eg_dns_stream_read(struct __sk_buff *skb, struct eg_dns_stream *stream,
					       const struct eg_sock *sock, const struct eg_ruleset *ruleset,
					       const struct eg_view *view)
{
	struct eg_dns_pieces p = {
		.skb = skb,
		.stream = stream,
		.sock = sock,
		.ruleset = ruleset,
		.view = view,
		.at = view->payload,
	};
	__u32 have = stream->have, head = stream->head;
	__s32 ahead;

	if (!stream->known) {
		stream->next_seq = view->seq;
		stream->known = 1;
	}
	ahead = (__s32)(view->seq - stream->next_seq);
	if (ahead > 0)
		return EG_REASON_DNS_SHORTAGE; /* what is before it has not come yet */
	if ((__u32)-ahead >= skb->len - p.at)
		return EG_REASON_NONE; /* read before */
	p.at += (__u32)-ahead;
	bpf_loop(EG_DNS_PIECES, eg_dns_piece, &p, 0);
	if (p.reason == EG_REASON_NONE && p.at != skb->len)
		p.reason = EG_REASON_DNS_MALFORMED;
	if (p.reason != EG_REASON_NONE) { /* it comes again, and is read again from its start */
		stream->have = have;
		stream->head = head;
		return (__u8)p.reason;
	}
	stream->next_seq = view->seq + (skb->len - view->payload);
	return EG_REASON_NONE;
}

static __always_inline __u8 eg_dns_in_tcp(struct __sk_buff *skb, const struct eg_sock *sock,
					  const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	struct bpf_sock *sk = skb->sk;
	struct eg_dns_stream *stream;
	__u8 reason;

	if (!sk)
		return EG_REASON_INTERNAL;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return EG_REASON_INTERNAL;
	stream = bpf_sk_storage_get(&dns_streams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!stream || __sync_lock_test_and_set(&stream->s.busy, 1))
		return EG_REASON_DNS_SHORTAGE; /* another CPU has a packet of the same connection */
	reason = eg_dns_stream_read(skb, stream, sock, ruleset, view);
	eg_scratch_release(&stream->s);
	return reason;
}

/* A packet from a resolver: the reason to drop it, or NONE. */
EG_GLOBAL int eg_dns_in(struct __sk_buff *skb, const struct eg_sock *sock, const struct eg_ruleset *ruleset,
			const struct eg_view *view)
{
	struct eg_scratch *s;
	__u32 len, at;
	__u8 reason;

	if (!sock || !ruleset || !view)
		return EG_REASON_INTERNAL;
	at = view->payload;
	len = skb->len - at;
	if (!at || at > skb->len)
		return EG_REASON_UNPARSABLE;
	if (view->proto == IPPROTO_TCP)
		return len ? eg_dns_in_tcp(skb, sock, ruleset, view) : EG_REASON_NONE;
	s = eg_scratch_claim();
	if (!s)
		return EG_REASON_DNS_SHORTAGE;
	s->text_len = 0;
	s->addr_count = 0;
	if (eg_msg_load(skb, at, len, &s->msg)) {
		reason = (__u8)eg_dns_learn(skb, s, sock, ruleset, view);
	} else {
		reason = EG_REASON_DNS_MALFORMED;
		eg_dns_tell(sock, ruleset, view, s, 0, reason, EG_DIR_INGRESS, false);
	}
	eg_scratch_release(s);
	return reason;
}

#endif

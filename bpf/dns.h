/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dns.h - reads DNS messages (RFC 1035, 9460): one question out, its answer in
 *
 * Pure: a message in the scratch's `msg` becomes a name (name.h) and, of an answer, a list of
 * addresses. Whether the question may be asked is ask.h's, and what the answer grants learn.h's.
 *
 * The question's name is read byte by byte; it is never compressed. Owners of records are
 * only skipped: the resolver is the policy's, and only the asked name has to match, the names
 * that it is an alias of need not. Loops are bpf_loop callbacks with a bound of their own; where
 * they are is kept in the scratch (see struct eg_walk).
 */
#ifndef EG_BPF_DNS_H
#define EG_BPF_DNS_H

#include "name.h"
#include "parse.h"

#define EG_DNS_HEADER    12
#define EG_DNS_QUERY_MAX 512 /* bytes: a name, and EDNS */
#define EG_DNS_CLASS_IN  1
#define EG_DNS_LABELS    128
#define EG_DNS_RECORDS   256
#define EG_DNS_PARAMS    32
#define EG_DNS_HINTS     16

#define EG_DNS_A     1
#define EG_DNS_AAAA  28
#define EG_DNS_SVCB  64
#define EG_DNS_HTTPS 65

/* RFC 9460, 14.3.2 */
#define EG_SVC_IPV4HINT 4
#define EG_SVC_IPV6HINT 6

struct eg_dns_head {
	__u16 id;
	__u16 qtype;
	__u16 rcode;
	__u16 bare; /* 1: an answer without a question section (an error) */
};

/* eg_walk.result */
enum eg_dns_state { EG_DNS_GOING, EG_DNS_DONE, EG_DNS_BAD, EG_DNS_NO_HOST };

static __always_inline void eg_walk_begin(struct eg_walk *w, __u32 at, __u32 left)
{
	w->at = at;
	w->left = left;
	w->result = EG_DNS_GOING;
}

static __always_inline long eg_walk_end(struct eg_walk *w, enum eg_dns_state state)
{
	w->result = state;
	return 1;
}

/* ---- The question ------------------------------------------------------------------------ */

static long eg_dns_name_byte(__u32 i, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	struct eg_walk *w = &s->walk;
	__u8 c;

	(void)i;
	if (w->at >= s->msg.len)
		return eg_walk_end(w, EG_DNS_BAD);
	c = eg_msg_u8(&s->msg, w->at);
	w->at++;
	if (w->left) {
		w->left--;
		return eg_name_put(s, c) ? 0 : eg_walk_end(w, EG_DNS_NO_HOST);
	}
	if (!c)
		return eg_walk_end(w, EG_DNS_DONE);
	if (c > 63)
		return eg_walk_end(w, EG_DNS_BAD);
	w->left = c;
	return !s->text_len || eg_name_put_dot(s) ? 0 : eg_walk_end(w, EG_DNS_NO_HOST);
}

/* The name, type and class behind the header; s->walk.at is then what follows. */
static __always_inline enum eg_reason eg_dns_question(struct eg_scratch *s, struct eg_dns_head *ret)
{
	struct eg_on_scratch on = {.s = s};
	struct eg_walk *w = &s->walk;

	eg_name_begin(s);
	eg_walk_begin(w, EG_DNS_HEADER, 0);
	bpf_loop(EG_TEXT_MASK + 1, eg_dns_name_byte, &on, 0);
	if (w->result == EG_DNS_NO_HOST)
		return EG_REASON_DNS_NAME;
	if (w->result != EG_DNS_DONE || w->at + 4 > s->msg.len)
		return EG_REASON_DNS_MALFORMED;
	ret->qtype = eg_msg_u16(&s->msg, w->at);
	if (eg_msg_u16(&s->msg, w->at + 2) != EG_DNS_CLASS_IN)
		return EG_REASON_DNS_MALFORMED;
	w->at += 4;
	return eg_name_finish(s) ? EG_REASON_NONE : EG_REASON_DNS_NAME;
}

/*
 * One standard query (opcode 0) with one question. DNS_NAME: no host has such a name (or it is
 * the root's, or too long). Records behind the question (EDNS) go to the resolver alone.
 */
EG_GLOBAL int eg_dns_query(struct eg_scratch *s, struct eg_dns_head *ret)
{
	if (!s || !ret)
		return EG_REASON_INTERNAL;
	s->text_len = 0;
	s->name_hash = 0;
	if (s->msg.len < EG_DNS_HEADER + 5 || s->msg.len > EG_DNS_QUERY_MAX)
		return EG_REASON_DNS_MALFORMED;
	ret->id = eg_msg_u16(&s->msg, 0);
	ret->rcode = 0;
	ret->bare = 0;
	/* an answer, or another opcode; one question; no answers, no authorities */
	if (eg_msg_u16(&s->msg, 2) & 0xf800 || eg_msg_u16(&s->msg, 4) != 1 || eg_msg_u32(&s->msg, 6) != 0 ||
	    eg_msg_u16(&s->msg, 10) > 2)
		return EG_REASON_DNS_MALFORMED;
	return eg_dns_question(s, ret);
}

/* ---- The answer -------------------------------------------------------------------------- */

/* One label of the name at w->at; where a pointer leads does not matter. */
static __always_inline long eg_dns_skip_one(const struct eg_scratch *s, struct eg_walk *w)
{
	__u8 c;

	if (w->at >= s->msg.len)
		return eg_walk_end(w, EG_DNS_BAD);
	c = eg_msg_u8(&s->msg, w->at);
	w->at += c + 1u;
	if (!c)
		return eg_walk_end(w, EG_DNS_DONE);
	if (c < 64)
		return 0;
	w->at -= c - 1u; /* a pointer has two bytes */
	return eg_walk_end(w, c >= 0xc0 ? EG_DNS_DONE : EG_DNS_BAD);
}

static long eg_dns_skip_owner(__u32 i, struct eg_on_scratch *on)
{
	(void)i;
	return eg_dns_skip_one(on->s, &on->s->walk);
}

static long eg_dns_skip_target(__u32 i, struct eg_on_scratch *on)
{
	(void)i;
	return eg_dns_skip_one(on->s, &on->s->hint);
}

/* The address of 4 or 16 bytes at `at`. False: more than an answer may have. */
static __always_inline bool eg_dns_add(struct eg_scratch *s, __u32 at, __u32 size, __u32 ttl_s)
{
	__u32 n = s->addr_count;
	struct eg_addr *to;

	if (n >= EG_ANSWER_ADDRS)
		return false;
	n = EG_MASKED(n, 63);
	to = &s->addr[n];
	if (size == 4) {
		eg_addr_v4(to, bpf_htonl(eg_msg_u32(&s->msg, at)));
	} else {
		to->w_be[0] = bpf_htonl(eg_msg_u32(&s->msg, at));
		to->w_be[1] = bpf_htonl(eg_msg_u32(&s->msg, at + 4));
		to->w_be[2] = bpf_htonl(eg_msg_u32(&s->msg, at + 8));
		to->w_be[3] = bpf_htonl(eg_msg_u32(&s->msg, at + 12));
	}
	s->ttl_s[n] = ttl_s;
	s->addr_count = n + 1;
	return true;
}

static long eg_dns_hint(__u32 i, struct eg_on_scratch *on)
{
	struct eg_walk *w = &on->s->hint;

	(void)i;
	if (w->left < w->size)
		return 1;
	if (!eg_dns_add(on->s, w->at, w->size, w->ttl_s))
		return eg_walk_end(w, EG_DNS_BAD);
	w->at += w->size;
	w->left -= w->size;
	return 0;
}

/* One SvcParam: key, length, value; s->hint goes through them up to .end, and .left is of one's value. */
static long eg_dns_param(__u32 i, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	struct eg_walk *w = &s->hint;
	__u32 key, len;

	(void)i;
	if (w->at >= w->end)
		return 1;
	if (w->end - w->at < 4)
		return eg_walk_end(w, EG_DNS_BAD);
	key = eg_msg_u16(&s->msg, w->at);
	len = eg_msg_u16(&s->msg, w->at + 2);
	w->at += 4;
	if (len > w->end - w->at)
		return eg_walk_end(w, EG_DNS_BAD);
	if (key != EG_SVC_IPV4HINT && key != EG_SVC_IPV6HINT) {
		w->at += len;
		return 0;
	}
	w->left = len;
	w->size = key == EG_SVC_IPV4HINT ? 4 : 16;
	bpf_loop(EG_DNS_HINTS, eg_dns_hint, on, 0);
	return w->left ? eg_walk_end(w, EG_DNS_BAD) : w->result != EG_DNS_GOING;
}

/* SvcPriority, TargetName, SvcParams (RFC 9460, 2.2), in rdata of `len` bytes at `at`. */
static __always_inline bool eg_dns_service(struct eg_on_scratch *on, __u32 at, __u32 len)
{
	struct eg_walk *w = &on->s->hint;

	eg_walk_begin(w, at + 2, 0);
	w->end = at + len;
	if (len < 3)
		return false;
	bpf_loop(EG_DNS_LABELS, eg_dns_skip_target, on, 0);
	if (w->result != EG_DNS_DONE || w->at > w->end)
		return false;
	w->result = EG_DNS_GOING;
	bpf_loop(EG_DNS_PARAMS, eg_dns_param, on, 0);
	return w->result == EG_DNS_GOING && w->at == w->end;
}

/* s->hint.ttl_s holds the record's. */
static __always_inline bool eg_dns_rdata(struct eg_on_scratch *on, __u32 at, __u32 type, __u32 len)
{
	switch (type) {
	case EG_DNS_A:
		return len == 4 && eg_dns_add(on->s, at, 4, on->s->hint.ttl_s);
	case EG_DNS_AAAA:
		return len == 16 && eg_dns_add(on->s, at, 16, on->s->hint.ttl_s);
	case EG_DNS_SVCB:
	case EG_DNS_HTTPS:
		return eg_dns_service(on, at, len);
	default:
		return true;
	}
}

static long eg_dns_record(__u32 i, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	struct eg_walk *w = &s->walk;
	__u32 type, class, ttl_s, len;

	if (i >= w->left)
		return 1;
	bpf_loop(EG_DNS_LABELS, eg_dns_skip_owner, on, 0);
	if (w->result != EG_DNS_DONE || w->at + 10 > s->msg.len)
		return eg_walk_end(w, EG_DNS_BAD);
	w->result = EG_DNS_GOING;
	type = eg_msg_u16(&s->msg, w->at);
	class = eg_msg_u16(&s->msg, w->at + 2);
	ttl_s = eg_msg_u32(&s->msg, w->at + 4);
	len = eg_msg_u16(&s->msg, w->at + 8);
	w->at += 10;
	s->hint.ttl_s = ttl_s >> 31 ? 0 : ttl_s; /* RFC 2181, 8 */
	if (w->at + len > s->msg.len || (class == EG_DNS_CLASS_IN && !eg_dns_rdata(on, w->at, type, len)))
		return eg_walk_end(w, EG_DNS_BAD);
	w->at += len;
	return 0;
}

/*
 * A response with the question it answers: the name, and the addresses of the answer section.
 * DNS_MALFORMED: not whole, more than EG_ANSWER_ADDRS addresses, or a record that lies.
 */
EG_GLOBAL int eg_dns_answer(struct eg_scratch *s, struct eg_dns_head *ret)
{
	struct eg_on_scratch on = {.s = s};
	__u16 flags;
	int reason;

	if (!s || !ret)
		return EG_REASON_INTERNAL;
	s->text_len = 0;
	s->name_hash = 0;
	s->addr_count = 0;
	if (s->msg.len < EG_DNS_HEADER || s->msg.len > EG_MSG_MAX)
		return EG_REASON_DNS_MALFORMED;
	ret->id = eg_msg_u16(&s->msg, 0);
	flags = eg_msg_u16(&s->msg, 2);
	ret->rcode = flags & 0xf;
	ret->qtype = 0;
	ret->bare = eg_msg_u16(&s->msg, 4) == 0;
	if ((flags & 0xf800) != 0x8000) /* a query, or another opcode */
		return EG_REASON_DNS_MALFORMED;
	if (ret->bare) /* FORMERR and the like grant nothing */
		return ret->rcode && !eg_msg_u16(&s->msg, 6) ? EG_REASON_NONE : EG_REASON_DNS_MALFORMED;
	if (eg_msg_u16(&s->msg, 4) != 1)
		return EG_REASON_DNS_MALFORMED;
	reason = eg_dns_question(s, ret);
	if (reason != EG_REASON_NONE)
		return reason;
	eg_walk_begin(&s->walk, s->walk.at, eg_msg_u16(&s->msg, 6));
	if (s->walk.left > EG_DNS_RECORDS)
		return EG_REASON_DNS_MALFORMED;
	bpf_loop(EG_DNS_RECORDS, eg_dns_record, &on, 0);
	return s->walk.result == EG_DNS_GOING ? EG_REASON_NONE : EG_REASON_DNS_MALFORMED;
}

#endif

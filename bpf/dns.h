/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dns.h - reads DNS messages (RFC 1035, 9460): one question out, its answer in
 *
 * Pure: a message in the scratch's `msg` becomes a name (name.h) and, of an answer, a list of
 * addresses. Whether the question may be asked, and what the answer grants, is grant.h's.
 *
 * The question's name is read byte by byte; it is never compressed. Owners of records are
 * only skipped: the resolver is the policy's, and only the asked name has to match, the names
 * that it is an alias of need not. Loops are bpf_loop callbacks with a bound of their own.
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

struct eg_dns_at {
	struct eg_scratch *s;
	__u32 at; /* offset in the message */
	__u32 left; /* bytes left of the label, or of the parameters */
	__u32 state; /* enum eg_dns_state */
	__u32 ttl_s;
	__u32 size; /* of the addresses in a hint */
};

enum eg_dns_state { EG_DNS_GOING, EG_DNS_DONE, EG_DNS_BAD, EG_DNS_NO_HOST };

/* ---- The question ------------------------------------------------------------------------ */

static long eg_dns_name_byte(__u32 i, struct eg_dns_at *r)
{
	struct eg_scratch *s = r->s;
	__u8 c;

	(void)i;
	if (r->at >= s->msg.len) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	c = eg_msg_u8(&s->msg, r->at);
	r->at++;
	if (r->left) {
		r->left--;
		if (eg_name_put(s, c))
			return 0;
		r->state = EG_DNS_NO_HOST;
		return 1;
	}
	if (!c) {
		r->state = EG_DNS_DONE;
		return 1;
	}
	if (c > 63) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	r->left = c;
	if (!s->text_len || eg_name_put_dot(s))
		return 0;
	r->state = EG_DNS_NO_HOST;
	return 1;
}

/* The name, type and class behind the header; *ret_at is what follows. */
static __always_inline enum eg_reason eg_dns_question(struct eg_scratch *s, struct eg_dns_head *ret, __u32 *ret_at)
{
	struct eg_dns_at r = {.s = s, .at = eg_unknown(s, EG_DNS_HEADER), .left = eg_unknown(s, 0)};

	eg_name_begin(s);
	bpf_loop(EG_TEXT_MASK + 1, eg_dns_name_byte, &r, 0);
	if (r.state == EG_DNS_NO_HOST)
		return EG_REASON_DNS_NAME;
	if (r.state != EG_DNS_DONE || r.at + 4 > s->msg.len)
		return EG_REASON_DNS_MALFORMED;
	ret->qtype = eg_msg_u16(&s->msg, r.at);
	if (eg_msg_u16(&s->msg, r.at + 2) != EG_DNS_CLASS_IN)
		return EG_REASON_DNS_MALFORMED;
	*ret_at = r.at + 4;
	return eg_name_finish(s) ? EG_REASON_NONE : EG_REASON_DNS_NAME;
}

/*
 * One standard query (opcode 0) with one question. DNS_NAME: no host has such a name (or it is
 * the root's, or too long). Records behind the question (EDNS) go to the resolver alone.
 */
EG_GLOBAL int eg_dns_query(struct eg_scratch *s, struct eg_dns_head *ret)
{
	__u32 at;

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
	return eg_dns_question(s, ret, &at);
}

/* ---- The answer -------------------------------------------------------------------------- */

static long eg_dns_skip_label(__u32 i, struct eg_dns_at *r)
{
	struct eg_scratch *s = r->s;
	__u8 c;

	(void)i;
	if (r->at >= s->msg.len) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	c = eg_msg_u8(&s->msg, r->at);
	if (!c) {
		r->at += 1;
		r->state = EG_DNS_DONE;
		return 1;
	}
	if ((c & 0xc0) == 0xc0) { /* where it points to does not matter */
		r->at += 2;
		r->state = EG_DNS_DONE;
		return 1;
	}
	if (c & 0xc0) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	r->at += c + 1u;
	return 0;
}

static __always_inline bool eg_dns_skip_name(struct eg_dns_at *r)
{
	r->state = EG_DNS_GOING;
	bpf_loop(EG_DNS_LABELS, eg_dns_skip_label, r, 0);
	if (r->state != EG_DNS_DONE)
		return false;
	r->state = EG_DNS_GOING;
	return true;
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

static long eg_dns_hint(__u32 i, struct eg_dns_at *r)
{
	(void)i;
	if (r->left < r->size)
		return 1;
	if (!eg_dns_add(r->s, r->at, r->size, r->ttl_s)) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	r->at += r->size;
	r->left -= r->size;
	return 0;
}

/* One SvcParam: key, length, value. */
static long eg_dns_param(__u32 i, struct eg_dns_at *r)
{
	struct eg_dns_at hint = {.s = r->s, .ttl_s = r->ttl_s};
	__u32 key, len;

	(void)i;
	if (!r->left)
		return 1;
	if (r->left < 4) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	key = eg_msg_u16(&r->s->msg, r->at);
	len = eg_msg_u16(&r->s->msg, r->at + 2);
	if (len > r->left - 4) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	hint.at = r->at + 4;
	hint.left = len;
	hint.size = key == EG_SVC_IPV4HINT ? 4 : 16;
	r->at += 4 + len;
	r->left -= 4 + len;
	if (key != EG_SVC_IPV4HINT && key != EG_SVC_IPV6HINT)
		return 0;
	bpf_loop(EG_DNS_HINTS, eg_dns_hint, &hint, 0);
	if (hint.left || hint.state != EG_DNS_GOING) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	return 0;
}

/* SvcPriority, TargetName, SvcParams (RFC 9460, 2.2), in rdata of `len` bytes at `at`. */
static __always_inline bool eg_dns_service(struct eg_scratch *s, __u32 at, __u32 len, __u32 ttl_s)
{
	struct eg_dns_at r = {.s = s, .at = at + 2, .ttl_s = ttl_s};
	__u32 end = at + len;

	if (len < 3 || !eg_dns_skip_name(&r) || r.at > end)
		return false;
	r.left = end - r.at;
	bpf_loop(EG_DNS_PARAMS, eg_dns_param, &r, 0);
	return r.state == EG_DNS_GOING && !r.left;
}

static __always_inline bool eg_dns_rdata(struct eg_scratch *s, __u32 at, __u32 type, __u32 len, __u32 ttl_s)
{
	switch (type) {
	case EG_DNS_A:
		return len == 4 && eg_dns_add(s, at, 4, ttl_s);
	case EG_DNS_AAAA:
		return len == 16 && eg_dns_add(s, at, 16, ttl_s);
	case EG_DNS_SVCB:
	case EG_DNS_HTTPS:
		return eg_dns_service(s, at, len, ttl_s);
	default:
		return true;
	}
}

static long eg_dns_record(__u32 i, struct eg_dns_at *r)
{
	struct eg_scratch *s = r->s;
	__u32 type, class, ttl_s, len;

	if (i >= r->left)
		return 1;
	if (!eg_dns_skip_name(r) || r->at + 10 > s->msg.len) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	type = eg_msg_u16(&s->msg, r->at);
	class = eg_msg_u16(&s->msg, r->at + 2);
	ttl_s = eg_msg_u32(&s->msg, r->at + 4);
	len = eg_msg_u16(&s->msg, r->at + 8);
	r->at += 10;
	if (ttl_s >> 31) /* RFC 2181, 8 */
		ttl_s = 0;
	if (r->at + len > s->msg.len || (class == EG_DNS_CLASS_IN && !eg_dns_rdata(s, r->at, type, len, ttl_s))) {
		r->state = EG_DNS_BAD;
		return 1;
	}
	r->at += len;
	return 0;
}

/*
 * A response with the question it answers: the name, and the addresses of the answer section.
 * DNS_MALFORMED: not whole, more than EG_ANSWER_ADDRS addresses, or a record that lies.
 */
EG_GLOBAL int eg_dns_answer(struct eg_scratch *s, struct eg_dns_head *ret)
{
	struct eg_dns_at r = {.s = s};
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
	reason = eg_dns_question(s, ret, &r.at);
	if (reason != EG_REASON_NONE)
		return reason;
	r.left = eg_msg_u16(&s->msg, 6);
	if (r.left > EG_DNS_RECORDS)
		return EG_REASON_DNS_MALFORMED;
	bpf_loop(EG_DNS_RECORDS, eg_dns_record, &r, 0);
	return r.state == EG_DNS_GOING ? EG_REASON_NONE : EG_REASON_DNS_MALFORMED;
}

#endif

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

#define EG_DNS_PATIENCE_NS  (60ull * 1000 * 1000 * 1000) /* how late an answer may be */
#define EG_DNS_TCP_QUERIES  4 /* queries in one packet */
#define EG_DNS_PIECES       96 /* pieces of one packet that are read */
#define EG_LOOPBACK_IFINDEX 1

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
	named = eg_event_begin_named(who, false,
				     d->dir == EG_DIR_INGRESS && d->reason != EG_REASON_NONE ? EG_BUDGET_NOISE :
											       EG_BUDGET_OWN,
				     &cause);
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

/* ---- What both sides have in hand ------------------------------------------------------------- */

/* A question of the socket, and s->question to compare it with. */
struct eg_asked_look {
	struct eg_scratch *s;
	struct eg_asked *asked;
};

/* A packet with messages, and what it is judged by; where it is read is s->hint.at. */
struct eg_dns_packet {
	struct __sk_buff *skb;
	struct eg_scratch *s;
	const struct eg_sock *sock;
	const struct eg_ruleset *ruleset;
	const struct eg_view *view;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow.h - flows: where they are kept, how they are counted, how they end
 *
 * Theory of operation. A TCP socket has one flow, in its storage; sockops tells its end. Any
 * other socket keeps its first peer in its storage (ends when the socket is released) and
 * each further peer in map `peers` (peer.h). A listening socket counts the handshakes of all
 * its peers in `others`.
 *
 * Every counter is added to atomically: the two directions, and on UDP any number of
 * senders, run on several CPUs at once. `seen` is what
 * events say; `told` is what the last one that was delivered said.
 */
#ifndef EG_BPF_FLOW_H
#define EG_BPF_FLOW_H

#include "events.h"
#include "maps.h"
#include "verdict.h"

#define EG_FLOW_ID_SHIFT 40
#define EG_FLOW_CLAIMED  (1ull << 63) /* as id: one CPU begins it, others may count on it already */

static __always_inline const struct eg_addr *eg_view_remote(const struct eg_view *view, __u32 dir)
{
	return dir == EG_DIR_EGRESS ? &view->dst : &view->src;
}

static __always_inline __u16 eg_view_remote_port(const struct eg_view *view, __u32 dir)
{
	return dir == EG_DIR_EGRESS ? view->dst_port : view->src_port;
}

static __always_inline __u16 eg_view_local_port(const struct eg_view *view, __u32 dir)
{
	return dir == EG_DIR_EGRESS ? view->src_port : view->dst_port;
}

/* The packet's socket, if it is a whole one. (By asm: clang likes to move the pointer to the context first.) */
static __always_inline struct bpf_sock *eg_full_sock(struct __sk_buff *skb)
{
	struct bpf_sock *sk;

#ifdef __bpf__
	asm volatile("%0 = *(u64 *)(%1 + %2)"
		     : "=r"(sk)
		     : "r"(skb), "i"(offsetof(struct __sk_buff, sk)));
#else /* a test's build for its own machine */
	sk = skb->sk;
#endif
	return sk ? bpf_sk_fullsock(sk) : NULL;
}

/* The names that are kept with the socket, for the flow that is kept there. */
static __always_inline struct eg_sock_names *eg_names_of(struct bpf_sock *sk, const struct eg_flow *flow)
{
	return flow->flags & (EG_FLOW_NAMED | EG_FLOW_SNI) ? bpf_sk_storage_get(&sock_names, sk, 0, 0) : NULL;
}

/*
 * A flow begins by a grant: it takes the grant's name. with_socket: the flow that is kept with the
 * socket, which then keeps the name as well, so that it outlives the grant.
 */
EG_GLOBAL int eg_names_keep(struct __sk_buff *skb, const struct eg_who *who, struct eg_flow *flow, __u32 with_socket)
{
	struct bpf_sock *sk = eg_full_sock(skb);
	struct eg_grant_key key = {0};
	struct eg_sock_names *named;
	const struct eg_grant *grant;

	if (!sk || !who || !flow)
		return 0;
	key.app = who->app;
	key.gen = who->gen;
	key.addr = flow->peer;
	key.way = flow->grant_way - 1;
	grant = bpf_map_lookup_elem(&grants, &key);
	if (!grant)
		return 0;
	flow->name_hash = grant->name_hash;
	if (!with_socket)
		return 0;
	named = bpf_sk_storage_get(&sock_names, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (named)
		__builtin_memcpy(named->name, grant->text, sizeof(named->name));
	return 0;
}

static __always_inline bool eg_flow_is_with(const struct eg_flow *flow, const struct eg_view *view, __u32 dir)
{
	return flow->peer_port == eg_view_remote_port(view, dir) &&
	       flow->local_port == eg_view_local_port(view, dir) && flow->proto == view->proto &&
	       eg_addr_equal(&flow->peer, eg_view_remote(view, dir));
}

/* A fresh flow id of the app. */
static __always_inline __u64 eg_flow_number(const struct eg_who *who)
{
	struct eg_app *app = eg_app_at(who->app);

	if (!app)
		return 0;
	return (__u64)who->app << EG_FLOW_ID_SHIFT | (__sync_fetch_and_add(&app->state.flow_seq, 1) + 1);
}

/* Counts nothing yet. The flow must be the caller's alone: told in full, or just claimed. */
EG_GLOBAL int eg_flow_begin(const struct eg_who *who, struct eg_flow *flow, const struct eg_view *view, __u32 dir,
			    __u32 origin)
{
	struct eg_host_ctl *host = eg_host();
	__u64 now = bpf_ktime_get_boot_ns();
	struct eg_counters *count;
	__u32 slot;

	if (!who || !flow || !view)
		return 0;
	slot = who->app;
	count = bpf_map_lookup_elem(&counters, &slot);
	flow->peer = dir == EG_DIR_EGRESS ? view->dst : view->src;
	flow->local = dir == EG_DIR_EGRESS ? view->src : view->dst;
	flow->peer_port = eg_view_remote_port(view, dir);
	flow->local_port = eg_view_local_port(view, dir);
	flow->proto = view->proto;
	flow->origin = (__u8)origin;
	flow->reason = EG_REASON_NONE;
	flow->uid = 0;
	flow->rule = EG_RULE_NONE;
	flow->flags = eg_addr_is_loopback(&flow->peer) ? EG_FLOW_LOOPBACK : 0;
	if (view->proto == IPPROTO_TCP && origin == EG_DIR_EGRESS)
		flow->flags |= EG_FLOW_LOOK;
	flow->name_hash = 0;
	flow->grant_way = 0;
	flow->rtt_us = 0;
	flow->retransmits = 0;
	flow->start_boot_ns = now;
	flow->last_out_ns = 0;
	flow->last_in_ns = 0;
	flow->report_ns = host && host->update_ns ? now + host->update_ns : ~0ull;
	if (flow->id != EG_FLOW_CLAIMED) { /* else it was all zero when it was claimed */
		__builtin_memset(&flow->seen, 0, sizeof(flow->seen));
		__builtin_memset(&flow->told, 0, sizeof(flow->told));
	}
	flow->id = eg_flow_number(who);
	flow->state = EG_FLOW_OPEN;
	if (count)
		eg_add(&count->flows, 1);
	return 0;
}

#define EG_FLOW_DEMANDS (EG_FLOW_AUDITED | EG_FLOW_VERIFY | EG_FLOW_CONNECT)

/* What the verdict demands of the flow's data, and the name that it goes by. */
static __always_inline void eg_flow_demand(struct eg_flow *flow, const struct eg_verdict *verdict)
{
	__u16 flags = flow->flags & (__u16)~EG_FLOW_DEMANDS;

	if (verdict->flags & EG_MATCH_VERIFY)
		flags |= EG_FLOW_VERIFY;
	if (verdict->flags & EG_MATCH_CONNECT)
		flags |= EG_FLOW_CONNECT;
	if (verdict->rule == EG_RULE_DNS)
		flags |= EG_FLOW_LOOK;
	if (verdict->way) {
		flags |= EG_FLOW_NAMED;
		flow->grant_way = verdict->way;
	}
	flow->flags = flags;
}

/* In eg_flow.uid while one CPU puts a verdict there: of no ruleset, so others judge for themselves. */
#define EG_UID_CLAIMED (~0u)

/* All of the verdict but its uid, which publishes it. */
static __always_inline void eg_flow_judged(struct eg_flow *flow, const struct eg_verdict *verdict)
{
	flow->reason = verdict->reason;
	flow->rule = verdict->rule;
	flow->meters_out = verdict->meters_out;
	flow->meters_in = verdict->meters_in;
	eg_flow_demand(flow, verdict);
}

static __always_inline void eg_flow_publish(struct eg_flow *flow, const struct eg_verdict *verdict)
{
	*(volatile __u32 *)&flow->uid = verdict->uid;
}

/* Of a flow that is the caller's alone. */
static __always_inline void eg_flow_cache(struct eg_flow *flow, const struct eg_verdict *verdict)
{
	eg_flow_judged(flow, verdict);
	eg_flow_publish(flow, verdict);
}

/* The other side of a flow without TCP's state was heard of (or spoken to) lately. */
static __always_inline bool eg_flow_fresh(const struct eg_flow *flow, const struct eg_host_ctl *host, __u64 now)
{
	__u64 last = flow->origin == EG_DIR_EGRESS ? flow->last_out_ns : flow->last_in_ns;

	return last && now < last + host->udp_idle_ns;
}

static __always_inline void eg_flow_count(const struct eg_who *who, struct eg_flow *flow, const struct eg_view *view,
					  __u32 dir, __u64 now)
{
	struct eg_counters *count;
	__u32 slot = who->app;

	count = bpf_map_lookup_elem(&counters, &slot);
	if (dir == EG_DIR_EGRESS) {
		eg_add(&flow->seen.bytes_out, view->bytes);
		eg_add(&flow->seen.packets_out, view->packets);
		flow->last_out_ns = now;
		if (count) {
			eg_add(&count->bytes_out, view->bytes);
			eg_add(&count->packets_out, view->packets);
		}
	} else {
		eg_add(&flow->seen.bytes_in, view->bytes);
		eg_add(&flow->seen.packets_in, view->packets);
		flow->last_in_ns = now;
		if (count) {
			eg_add(&count->bytes_in, view->bytes);
			eg_add(&count->packets_in, view->packets);
		}
	}
}

/* A packet of the flow passes: counts it, and returns the enum eg_event_type that is due, or NONE. */
EG_GLOBAL int eg_flow_account(const struct eg_who *who, struct eg_flow *flow, const struct eg_view *view, __u32 dir,
			      __u64 now)
{
	if (!who || !flow || !view)
		return 0;
	eg_flow_count(who, flow, view, dir, now);
	if (!(flow->flags & EG_FLOW_STARTED)) {
		if (flow->state < EG_FLOW_OPEN) /* still being begun, by a CPU that tells of this packet, too */
			return 0;
		flow->flags |= EG_FLOW_STARTED;
		return EG_EVENT_FLOW_START;
	}
	if (flow->state == EG_FLOW_ENDED)
		return EG_EVENT_FLOW_END;
	if (now > flow->report_ns) {
		struct eg_host_ctl *host = eg_host();

		flow->report_ns = host && host->update_ns ? now + host->update_ns : ~0ull;
		return EG_EVENT_FLOW_UPDATE;
	}
	return EG_EVENT_NONE;
}

/* Whoever has the slot now, it is not the app that the flow belonged to: its end is nobody's. */
static __always_inline void eg_who_bereave(struct eg_who *who)
{
	const struct eg_app *app = eg_app_at(who->app);

	if (app && app->ctl.gen != who->gen) {
		who->app = EG_APP_UNKNOWN;
		who->gen = 0;
	}
}

/* kept: the names of the flow's socket, if it is the flow that is kept there; may be NULL. */
static __always_inline void eg_flow_end(const struct eg_who *who, struct eg_flow *flow,
					const struct eg_sock_names *kept)
{
	if (flow->state != EG_FLOW_OPEN) {
		flow->state = EG_FLOW_NONE;
		return;
	}
	flow->state = EG_FLOW_ENDED;
	eg_tell_flow(who, flow, kept, EG_EVENT_FLOW_END);
}

#endif

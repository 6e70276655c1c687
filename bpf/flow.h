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

static __always_inline void eg_flow_cache(struct eg_flow *flow, const struct eg_verdict *verdict, bool audited)
{
	flow->reason = verdict->reason;
	flow->rule = verdict->rule;
	flow->meters_out = verdict->meters_out;
	flow->meters_in = verdict->meters_in;
	if (audited)
		flow->flags |= EG_FLOW_AUDITED;
	else
		flow->flags &= (__u16)~EG_FLOW_AUDITED;
	flow->uid = verdict->uid;
}

/* A packet of the flow passes: count it, and tell what is due. */
EG_GLOBAL int eg_flow_account(const struct eg_who *who, struct eg_flow *flow, const struct eg_view *view, __u32 dir,
			      __u64 now)
{
	struct eg_counters *count;
	__u32 slot;

	if (!who || !flow || !view)
		return 0;
	slot = who->app;
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
	if (!(flow->flags & EG_FLOW_STARTED)) {
		if (flow->state < EG_FLOW_OPEN) /* still being begun, by a CPU that tells of this packet, too */
			return 0;
		flow->flags |= EG_FLOW_STARTED;
		eg_tell_flow(who, flow, EG_EVENT_FLOW_START, 0, 0);
	} else if (flow->state == EG_FLOW_ENDED) {
		eg_tell_flow(who, flow, EG_EVENT_FLOW_END, 0, 0);
	} else if (now > flow->report_ns) {
		struct eg_host_ctl *host = eg_host();

		flow->report_ns = host && host->update_ns ? now + host->update_ns : ~0ull;
		eg_tell_flow(who, flow, EG_EVENT_FLOW_UPDATE, 0, 0);
	}
	return 0;
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

static __always_inline void eg_flow_end(const struct eg_who *who, struct eg_flow *flow, __u32 rtt_us,
					__u32 retransmits)
{
	if (flow->state != EG_FLOW_OPEN) {
		flow->state = EG_FLOW_NONE;
		return;
	}
	flow->state = EG_FLOW_ENDED;
	eg_tell_flow(who, flow, EG_EVENT_FLOW_END, rtt_us, retransmits);
}

#endif

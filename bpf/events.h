/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * events.h - telling what happened, without any app crowding out another
 *
 * Theory of operation. An event first spends from its app's budget (a token bucket kept as
 * one "theoretical arrival time"); what outsiders cause at an app spends from a second
 * budget, so that a scan can't hide what the app does itself. Over budget: counted in
 * `losses` as suppressed. Notices (cap, rate, kill, expire) spend none: an app must not be
 * able to hide its own end behind denials, and each bounds itself (twice a window, once a
 * second, once a ruleset). Then it gets the app's next sequence number, and a place in a
 * ring buffer; no place: counted as lost, and the number stays missing. A loss carries the
 * sums that the event would have told, so that the log still adds up.
 */
#ifndef EG_BPF_EVENTS_H
#define EG_BPF_EVENTS_H

#include "maps.h"
#include "parse.h"

/* A decision against (or, audited, in spite of) something. */
struct eg_denial {
	__u8 reason; /* enum eg_reason */
	__u8 hook; /* enum eg_hook */
	__u8 dir; /* enum eg_dir */
	__u8 audited;
	__u16 rule;
	__u16 pad;
	__u32 uid; /* ruleset */
};

static __always_inline void eg_add(__u64 *word, __u64 n)
{
	__sync_fetch_and_add(word, n);
}

static __always_inline bool eg_budget_spend(const struct eg_host_ctl *host, __u64 *budget, __u64 now)
{
	__u64 seen = *(volatile __u64 *)budget;
	__u64 next = seen > now ? seen : now;

	next += host->event_ns;
	if (next - now > host->event_burst_ns)
		return false;
	/* Two CPUs that race here may spend one token for two events: a budget, not a cap. */
	*(volatile __u64 *)budget = next;
	return true;
}

static __always_inline struct eg_loss *eg_loss_at(__u32 slot, enum eg_loss_cause cause)
{
	struct eg_losses *all = bpf_map_lookup_elem(&losses, &slot);

	return all ? &all->by[cause] : NULL;
}

enum eg_budget {
	EG_BUDGET_OWN,
	EG_BUDGET_NOISE,
	EG_BUDGET_NONE, /* rare by itself: an app must not hide its cap or expiry behind denials that it causes */
};

/* Fills what every event has; NULL if it may not or can not be told, with *ret_cause set. */
static __always_inline struct eg_event *eg_event_begin(const struct eg_who *who, bool flow, enum eg_budget budget,
						       enum eg_loss_cause *ret_cause)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_app *app = eg_app_at(who->app);
	__u64 now = bpf_ktime_get_boot_ns();
	struct eg_event *event;
	__u64 seq;

	*ret_cause = EG_LOSS_SUPPRESSED;
	if (!host || !app)
		return NULL;
	if (budget != EG_BUDGET_NONE &&
	    !eg_budget_spend(host, budget == EG_BUDGET_NOISE ? &app->state.noise_ns : &app->state.budget_ns, now))
		return NULL;
	*ret_cause = EG_LOSS_RING_FULL;
	seq = __sync_fetch_and_add(&app->state.event_seq, 1) + 1;
	if (flow)
		event = bpf_ringbuf_reserve(&flow_events, sizeof(*event), 0);
	else
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->boot_ns = now;
	event->seq = seq;
	event->app = who->app;
	event->gen = who->gen;
	event->pid = who->pid;
	event->user = who->user;
	event->cgroup_id = who->cgroup_id;
	__builtin_memcpy(event->comm, who->comm, sizeof(event->comm));
	return event;
}

static __always_inline void eg_volume_load(struct eg_volume *ret, const struct eg_volume *from)
{
	ret->bytes_out = *(volatile const __u64 *)&from->bytes_out;
	ret->bytes_in = *(volatile const __u64 *)&from->bytes_in;
	ret->packets_out = *(volatile const __u64 *)&from->packets_out;
	ret->packets_in = *(volatile const __u64 *)&from->packets_in;
}

/*
 * An event carries the flow's sums so far, so what a lost start or update would have said, the
 * next one says. What a lost end would have said goes to `losses`, and out of the flow: should
 * more packets come, their event must not say it again.
 */
static __always_inline void eg_flow_lost(__u32 slot, enum eg_loss_cause cause, enum eg_event_type type,
					 const struct eg_volume *seen, struct eg_flow *flow)
{
	struct eg_loss *loss = eg_loss_at(slot, cause);
	struct eg_volume rest;

	if (!loss)
		return;
	eg_add(&loss->events, 1);
	eg_add(&loss->flow_events, 1);
	if (type != EG_EVENT_FLOW_END)
		return;
	rest.bytes_out = seen->bytes_out - flow->told.bytes_out;
	rest.bytes_in = seen->bytes_in - flow->told.bytes_in;
	rest.packets_out = seen->packets_out - flow->told.packets_out;
	rest.packets_in = seen->packets_in - flow->told.packets_in;
	eg_add(&loss->flow_ends, 1);
	eg_add(&loss->bytes_out, rest.bytes_out);
	eg_add(&loss->bytes_in, rest.bytes_in);
	eg_add(&loss->packets_out, rest.packets_out);
	eg_add(&loss->packets_in, rest.packets_in);
	eg_add(&flow->seen.bytes_out, -rest.bytes_out);
	eg_add(&flow->seen.bytes_in, -rest.bytes_in);
	eg_add(&flow->seen.packets_out, -rest.packets_out);
	eg_add(&flow->seen.packets_in, -rest.packets_in);
}

/* Start, update or end of a flow. TCP's rtt_us and retransmits come from sockops, else 0. */
EG_GLOBAL int eg_tell_flow(const struct eg_who *who, struct eg_flow *flow, __u32 type, __u32 rtt_us,
			   __u32 retransmits)
{
	enum eg_loss_cause cause;
	struct eg_volume seen;
	struct eg_event *event;

	if (!who || !flow)
		return 0;
	eg_volume_load(&seen, &flow->seen);
	event = eg_event_begin(who, true, EG_BUDGET_OWN, &cause);
	if (!event) {
		eg_flow_lost(who->app, cause, type, &seen, flow);
	} else {
		bool in = flow->origin == EG_DIR_INGRESS;

		event->type = (__u8)type;
		event->uid = flow->uid;
		event->reason = flow->reason;
		event->audited = flow->reason != EG_REASON_NONE;
		event->dir = flow->origin;
		event->proto = flow->proto;
		event->rule = flow->rule;
		event->flags = flow->flags;
		event->src = in ? flow->peer : flow->local;
		event->dst = in ? flow->local : flow->peer;
		event->src_port = in ? flow->peer_port : flow->local_port;
		event->dst_port = in ? flow->local_port : flow->peer_port;
		event->flow_id = flow->id;
		event->start_boot_ns = flow->start_boot_ns;
		event->seen = seen;
		event->rtt_us = rtt_us;
		event->retransmits = retransmits;
		bpf_ringbuf_submit(event, 0);
		flow->told = seen;
	}
	return 0;
}

static __always_inline bool eg_denied_same(const struct eg_denied *e, const struct eg_addr *peer, __u16 port,
					   __u8 proto, const struct eg_denial *d)
{
	return e->port == port && e->proto == proto && e->dir == d->dir && e->reason == d->reason &&
	       e->audited == d->audited && eg_addr_equal(&e->peer, peer);
}

/* The small table that `egret denied` reads. Races cost a count at worst, never another app's row. */
static __always_inline void eg_denied_note(const struct eg_who *who, const struct eg_view *view,
					   const struct eg_denial *d, __u64 now)
{
	bool out = d->dir == EG_DIR_EGRESS;
	const struct eg_addr *peer = out ? &view->dst : &view->src;
	__u16 port = view->dst_port ? view->dst_port : view->icmp_type;
	__u32 slot = who->app;
	struct eg_denied_tab *tab = bpf_map_lookup_elem(&denied, &slot);
	struct eg_denied *victim = NULL;
	__u64 oldest = ~0ull;
	__u32 hash;

	if (!tab)
		return;
	hash = peer->w_be[3] ^ peer->w_be[2] ^ peer->w_be[0] ^ (__u32)port * 2654435761u ^ view->proto ^
	       (__u32)d->reason << 8;
	hash ^= hash >> 16;
	hash ^= hash >> 8;
	for (__u32 i = 0; i < 8; i++) {
		struct eg_denied *e = &tab->e[(hash + i) & (EG_DENIED_SLOTS - 1)];

		if (e->count && eg_denied_same(e, peer, port, view->proto, d)) {
			eg_add(&e->count, 1);
			eg_add(&e->bytes, view->bytes);
			e->last_boot_ns = now;
			return;
		}
		if (e->last_boot_ns < oldest) {
			oldest = e->last_boot_ns;
			victim = e;
		}
	}
	if (!victim)
		return;
	victim->count = 0;
	victim->peer = *peer;
	victim->port = port;
	victim->proto = view->proto;
	victim->dir = d->dir;
	victim->reason = d->reason;
	victim->audited = d->audited;
	victim->pid = who->pid;
	victim->uid = who->user;
	__builtin_memcpy(victim->comm, who->comm, sizeof(victim->comm));
	victim->bytes = view->bytes;
	victim->first_boot_ns = now;
	victim->last_boot_ns = now;
	victim->count = 1;
}

static __always_inline void eg_denied_count(__u32 slot, const struct eg_view *view, const struct eg_denial *d)
{
	struct eg_reasons *all = bpf_map_lookup_elem(&reasons, &slot);
	struct eg_reason_count *count;

	if (!all)
		return;
	count = &all->by[d->dir & 1][d->reason & 31];
	if (d->audited) {
		eg_add(&count->audited, 1);
		return;
	}
	eg_add(&count->denied, 1);
	eg_add(&count->denied_bytes, view->bytes);
}

/*
 * Counts a denial and, unless `quiet` (a cap or rate that has its own event), tells it.
 * Outsiders' packets spend the noise budget.
 */
EG_GLOBAL int eg_tell_denial(const struct eg_who *who, const struct eg_view *view, const struct eg_denial *d,
			     __u32 quiet)
{
	enum eg_loss_cause cause;
	struct eg_event *event;
	struct eg_loss *loss;

	if (!who || !view || !d)
		return 0;
	eg_denied_count(who->app, view, d);
	eg_denied_note(who, view, d, bpf_ktime_get_boot_ns());
	if (quiet)
		return 0;
	event = eg_event_begin(who, false, d->dir == EG_DIR_INGRESS ? EG_BUDGET_NOISE : EG_BUDGET_OWN, &cause);
	if (!event) {
		loss = eg_loss_at(who->app, cause);
		if (loss) {
			eg_add(&loss->events, 1);
			eg_add(&loss->deny_events, 1);
			eg_add(&loss->denied_bytes, d->audited ? 0 : view->bytes);
		}
		return 0;
	}
	event->type = EG_EVENT_DENY;
	event->reason = d->reason;
	event->hook = d->hook;
	event->dir = d->dir;
	event->audited = d->audited;
	event->rule = d->rule;
	event->uid = d->uid;
	event->proto = view->proto;
	event->src = view->src;
	event->dst = view->dst;
	event->src_port = view->src_port;
	event->dst_port = view->dst_port;
	if (view->proto == IPPROTO_ICMP || view->proto == IPPROTO_ICMPV6)
		event->src_port = view->icmp_type;
	if (d->dir == EG_DIR_EGRESS) {
		event->seen.bytes_out = view->bytes;
		event->seen.packets_out = view->packets;
	} else {
		event->seen.bytes_in = view->bytes;
		event->seen.packets_in = view->packets;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* An event about the app's limits or life: cap, rate, kill, expire. */
struct eg_notice {
	__u8 type; /* enum eg_event_type */
	__u8 reason;
	__u8 dir;
	__u8 percent;
	__u16 rule;
	__u16 pad;
	__u32 uid;
	__u32 pad2;
	__u64 limit;
	__u64 used;
	__u64 window_ns;
	__u64 window_end_utc_ns;
};

EG_GLOBAL int eg_tell_notice(const struct eg_who *who, const struct eg_notice *n)
{
	enum eg_loss_cause cause;
	struct eg_event *event;

	if (!who || !n)
		return 0;
	event = eg_event_begin(who, false, EG_BUDGET_NONE, &cause);
	if (!event) {
		struct eg_loss *loss = eg_loss_at(who->app, cause);

		if (loss)
			eg_add(&loss->events, 1);
		return 0;
	}
	event->type = n->type;
	event->reason = n->reason;
	event->dir = n->dir;
	event->percent = n->percent;
	event->rule = n->rule;
	event->uid = n->uid;
	event->limit = n->limit;
	event->used = n->used;
	event->window_ns = n->window_ns;
	event->window_end_utc_ns = n->window_end_utc_ns;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif

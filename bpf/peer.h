/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * peer.h - the further peers of a socket that is not TCP
 *
 * Theory of operation. A peer beyond a socket's first gets an entry in map `peers`, which a
 * timer ends after udp_idle_ns of silence: no agent is needed to keep the table clean. The
 * timer and a packet can meet. The packet announces itself in `users` before it looks at
 * `dead` and at the identity of the entry; the timer sets `dead` first and waits for users
 * to leave before it tells the end and deletes. A packet that finds its entry dead is
 * counted in `others`, so no byte goes uncounted.
 *
 * The kernel may have no memory for a timer just then: since Linux 6.18 it takes it without waiting for any
 * lock (kmalloc_nolock), and no new page at all while some are not initialised yet. On a machine that leaves them
 * so it refused most of a thousand peers in a row. Nobody is denied anything for that. Such a peer stands in line
 * in `peers_untimed`; whoever looks at the head of the line ends it if it is idle, or sends it to the end. That
 * are the timers of other peers, some places each, and every few seconds eg_reap, which the agent runs.
 */
#ifndef EG_BPF_PEER_H
#define EG_BPF_PEER_H

#include "flow.h"

#define EG_PEER_RETRY_NS   (1000ull * 1000)
#define EG_UNTIMED_AT_ONCE 8

static __always_inline void eg_peer_delete(struct eg_peer_key *key, const struct eg_peer *peer)
{
	bool untimed = *(volatile const __u32 *)&peer->dead & EG_PEER_UNTIMED;
	struct eg_app *app = eg_app_at(peer->who.app);

	if (bpf_map_delete_elem(&peers, key) || !app)
		return;
	__sync_fetch_and_add(&app->state.peers, -1);
	if (untimed)
		__sync_fetch_and_add(&app->state.peers_untimed, -1);
}

/* When its silence has lasted long enough, in boot time. */
static __always_inline __u64 eg_peer_due_ns(const struct eg_peer *peer, __u64 idle_ns)
{
	__u64 last = peer->flow.last_out_ns > peer->flow.last_in_ns ? peer->flow.last_out_ns :
								       peer->flow.last_in_ns;

	return (last < peer->flow.start_boot_ns ? peer->flow.start_boot_ns : last) + idle_ns;
}

/* It is due, and no packet is being counted on it nor will be: its end is the caller's to tell. */
static __always_inline bool eg_peer_may_end(struct eg_peer *peer, __u64 now_ns, __u64 idle_ns)
{
	if (!(*(volatile __u32 *)&peer->dead & EG_PEER_DEAD) && now_ns < eg_peer_due_ns(peer, idle_ns))
		return false;
	__sync_fetch_and_or(&peer->dead, EG_PEER_DEAD);
	return *(volatile __s32 *)&peer->users <= 0;
}

struct eg_untimed_on {
	__u64 now_ns;
	__u64 idle_ns;
};

/* The head of the line. Ends it also if there is no place any more at the end. */
static long eg_untimed_look(__u32 i __attribute__((unused)), struct eg_untimed_on *on)
{
	struct eg_peer_key key;
	struct eg_peer *peer;

	if (bpf_map_pop_elem(&peers_untimed, &key))
		return 1;
	peer = bpf_map_lookup_elem(&peers, &key);
	if (!peer || !(*(volatile __u32 *)&peer->dead & EG_PEER_UNTIMED))
		return 0;
	if (!eg_peer_may_end(peer, on->now_ns, on->idle_ns) &&
	    (!bpf_map_push_elem(&peers_untimed, &key, 0) || !eg_peer_may_end(peer, on->now_ns, 0)))
		return 0;
	eg_flow_end(&peer->who, &peer->flow, NULL);
	eg_peer_delete(&key, peer);
	return 0;
}

static int eg_peer_timer(void *map __attribute__((unused)), struct eg_peer_key *key, struct eg_peer *peer)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_peer_key gone = *key;
	struct eg_untimed_on on = {
		.now_ns = bpf_ktime_get_boot_ns(),
		.idle_ns = host ? host->udp_idle_ns : 0,
	};
	__u64 due = eg_peer_due_ns(peer, on.idle_ns);

	if (!eg_peer_may_end(peer, on.now_ns, on.idle_ns)) {
		bpf_timer_start(&peer->timer, peer->dead & EG_PEER_DEAD ? EG_PEER_RETRY_NS : due - on.now_ns, 0);
		return 0;
	}
	eg_flow_end(&peer->who, &peer->flow, NULL);
	eg_peer_delete(&gone, peer);
	bpf_loop(EG_UNTIMED_AT_ONCE, eg_untimed_look, &on, 0);
	return 0;
}

static __always_inline bool eg_peer_enter(struct eg_peer *peer, const struct eg_view *view, __u32 dir,
					  const struct eg_who *who)
{
	__sync_fetch_and_add(&peer->users, 1);
	if (!(*(volatile __u32 *)&peer->dead & EG_PEER_DEAD) && peer->flow.id && peer->who.app == who->app &&
	    eg_flow_is_with(&peer->flow, view, dir))
		return true;
	__sync_fetch_and_add(&peer->users, -1);
	return false;
}

static __always_inline void eg_peer_leave(struct eg_peer *peer)
{
	__sync_fetch_and_add(&peer->users, -1);
}

static __always_inline void eg_peer_key_of(struct eg_peer_key *ret, __u64 cookie, const struct eg_view *view,
					   __u32 dir)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->cookie = cookie;
	ret->peer = *eg_view_remote(view, dir);
	ret->port = eg_view_remote_port(view, dir);
	ret->proto = view->proto;
}

/* All zero, and never written: what a new peer starts as (it is too large for the stack). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_peer_blank { __u8 b[sizeof(struct eg_peer)]; });
} peer_blank __weak SEC(".maps");

/*
 * A new entry, entered, with its flow begun. NULL and *ret_reason: FLOW_QUOTA when the app
 * has peers_max of them, NONE when another CPU made the same one just now.
 */
EG_LOCAL struct eg_peer *eg_peer_create(const struct eg_who *who, struct eg_peer_key *key,
						      const struct eg_view *view, __u32 dir, __u8 *ret_reason)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_app *app = eg_app_at(who->app);
	__u32 zero = 0;
	struct eg_peer_blank *blank = bpf_map_lookup_elem(&peer_blank, &zero);
	struct eg_peer *peer;
	long error;

	*ret_reason = EG_REASON_INTERNAL;
	if (!host || !app || !blank)
		return NULL;
	if (__sync_fetch_and_add(&app->state.peers, 1) >= host->peers_max) {
		__sync_fetch_and_add(&app->state.peers, -1);
		*ret_reason = EG_REASON_FLOW_QUOTA;
		return NULL;
	}
	error = bpf_map_update_elem(&peers, key, blank, BPF_NOEXIST);
	if (error) {
		__sync_fetch_and_add(&app->state.peers, -1);
		if (error == -17 /* EEXIST */)
			*ret_reason = EG_REASON_NONE;
		return NULL;
	}
	peer = bpf_map_lookup_elem(&peers, key);
	if (!peer)
		return NULL;
	__sync_fetch_and_add(&peer->users, 1);
	peer->who = *who;
	eg_flow_begin(who, &peer->flow, view, dir, dir);
	if (bpf_timer_init(&peer->timer, &peers, 1 /* CLOCK_MONOTONIC */) ||
	    bpf_timer_set_callback(&peer->timer, eg_peer_timer) ||
	    bpf_timer_start(&peer->timer, host->udp_idle_ns, 0)) {
		__sync_fetch_and_or(&peer->dead, EG_PEER_UNTIMED);
		__sync_fetch_and_add(&app->state.peers_untimed, 1);
		if (bpf_map_push_elem(&peers_untimed, key, 0)) {
			eg_peer_delete(key, peer);
			return NULL;
		}
	}
	return peer;
}

#endif

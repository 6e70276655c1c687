/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps.h - every map, with who writes it, who reads it and what a full one means
 *
 * The maps are weak, so that each object of the family carries the same definition and
 * the static linker keeps one. Sizes of 1 are set by the agent before loading.
 */
#ifndef EG_BPF_MAPS_H
#define EG_BPF_MAPS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include <egret/abi.h>

/* Writer: agent. Reader: every hook. Full: the agent refuses the policy; the old one stays. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct eg_rule_key);
	__type(value, struct eg_rule_span);
} rules __weak SEC(".maps");

/* Writer: agent. Reader: packet, connect, explain. Full: as `rules`. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct eg_name_key);
	__type(value, struct eg_name_rules);
} names __weak SEC(".maps");

/* Writer: agent, through its mapping. Reader: every hook. Full: as `rules`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_match);
} matches __weak SEC(".maps");

/* Writer: agent, through its mapping. Reader: every hook. Full: as `rules`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_ruleset);
} rulesets __weak SEC(".maps");

/*
 * Writer: agent for .ctl (its mapping, word by word), kernel for .state. Reader: both.
 * Full: the agent refuses the app; its cgroup stays unknown, so denied.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_app);
} apps __weak SEC(".maps");

/* Writer: agent. Reader: `egret kill --direct`, a restarted agent. Full: as `apps`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct eg_app_name);
	__type(value, struct eg_app_ref);
} app_names __weak SEC(".maps");

/* Writer: kernel (the agent seeds a meter that no live ruleset uses). Reader: both. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_meter);
} meters __weak SEC(".maps");

/* As `meters`, for what the guard sees behind the hooks. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_meter);
} guard_meters __weak SEC(".maps");

/* Writer: agent (kernel for .told_ns). Reader: the guard. Full: no guard, so the app is refused if it is an admin. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_guard);
} guards __weak SEC(".maps");

/* Writer: agent, word by word. Reader: every hook. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_host_ctl);
} host_ctl __weak SEC(".maps");

/* Writer: kernel. Reader: kernel. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_host_state);
} host_state __weak SEC(".maps");

/* Writer: agent. Reader: kernel. Full: the new cgroup stays unknown, and unknown ones are denied; the agent alarms. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct eg_cgroup);
} cgroups __weak SEC(".maps");

/* Writer: kernel. Reader: agent. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_counters);
} counters __weak SEC(".maps");

/* Writer: kernel. Reader: agent. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_reasons);
} reasons __weak SEC(".maps");

/* Writer: kernel. Reader: agent. Never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_losses);
} losses __weak SEC(".maps");

/* Writer: kernel. Reader: agent, `egret denied`. Full: an app's oldest denial makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_denied_tab);
} denied __weak SEC(".maps");

/*
 * Writer: kernel. Reader: kernel. No size of its own: one value a socket, and an app has
 * eg_host_ctl.sockets_max of them. No memory for one: the socket is refused, or the packet.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct eg_sock);
} socks __weak SEC(".maps");

/*
 * Writer: kernel. Reader: kernel. One value for each socket that asked a resolver. No memory
 * for one: the question is refused (`dns_shortage`).
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_asked);
} asked __weak SEC(".maps");

/*
 * Writer: kernel. Reader: kernel. One value for each socket whose flow has a name. No memory for
 * one: the flow is refused where a rule demands verification, else it is told without its name.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_sock_names);
} sock_names __weak SEC(".maps");

/*
 * Writer: kernel. Reader: kernel, agent. Holds max_apps * grants_max entries: an app that has
 * grants_max of them loses its oldest, and no other notices. No memory for one: the answer is
 * dropped (`dns_shortage`).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct eg_grant_key);
	__type(value, struct eg_grant);
} grants __weak SEC(".maps");

/* Writer: kernel. Reader: kernel. Each app's grants in the order in which they were made; never full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_grant_order);
} grant_order __weak SEC(".maps");

#define EG_PEER_DEAD	(1u << 0) /* set once, by who ends it, before the end is told */
#define EG_PEER_UNTIMED (1u << 1) /* it has no timer */

/* A further peer of a socket that is not TCP; see peer.h for its life. */
struct eg_peer {
	struct bpf_timer timer;
	struct eg_who who;
	__s32 users; /* packets being counted on it now */
	__u32 dead; /* EG_PEER_* */
	struct eg_flow flow;
};

/*
 * Writer: kernel. Reader: kernel, agent (occupancy). Holds max_apps * peers_max entries, so
 * an app over its own quota is refused (`flow_quota`) and no other notices.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct eg_peer_key);
	__type(value, struct eg_peer);
} peers __weak SEC(".maps");

/* Writer, reader: kernel. Keys of peers that have no timer; see peer.h. Full: one more such peer is denied. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, struct eg_peer_key);
} peers_untimed __weak SEC(".maps");

/* Writer: kernel. Reader: agent. Full: the event is counted in `losses`, with its sums. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events __weak SEC(".maps");

/* As `events`, apart from it, so that flows never crowd out a denial. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} flow_events __weak SEC(".maps");

/*
 * A function that the verifier checks once, by itself, instead of on every path that calls
 * it. Its pointers may be NULL for all it knows, and point to fully initialised memory.
 * Weak, because each object of the family has a copy and the static linker keeps one.
 */
#define EG_GLOBAL __weak __noinline

/*
 * A function with a stack frame of its own that keeps what its caller knows of its arguments: on
 * 6.1 a pointer that came through a global function can't be a map's key.
 */
#define EG_LOCAL static __noinline

static __always_inline struct eg_host_ctl *eg_host(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&host_ctl, &zero);
}

static __always_inline struct eg_app *eg_app_at(__u32 slot)
{
	return bpf_map_lookup_elem(&apps, &slot);
}

/* The ruleset that the app's word points at; NULL: none, or it has gone meanwhile. */
static __always_inline const struct eg_ruleset *eg_ruleset_of(const struct eg_app *app)
{
	__u64 word = *(volatile const __u64 *)&app->ctl.ruleset;
	const struct eg_ruleset *ruleset;
	__u32 index = (__u32)word;

	ruleset = bpf_map_lookup_elem(&rulesets, &index);
	return ruleset && ruleset->uid == word >> 32 ? ruleset : NULL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern.h - the kernel side as the agent holds it: programs, maps, links, pins
 *
 * Everything is pinned below the bpffs directory: maps/NAME, programs/BUILD/PROGRAM, and
 * links/CGROUPID/PROGRAM for each managed root. Opening adopts the pinned maps of the same ABI,
 * whatever process made them, so counters, holds and tags survive, and the programs, if they are
 * of the same build; attaching swaps the program of a live link in place if it is another, so
 * there is no moment without enforcement.
 *
 * Not thread-safe where it says "one caller"; the accessors are.
 */
#ifndef EG_CORE_KERN_H
#define EG_CORE_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/error.h"

#define EG_DEAD_UNTAGGED 64 /* cgroups without a tag whose names are remembered after their end */
#define EG_DEAD_CGROUPS 1024 /* so many keep their tag after their end (tags.c), beside those of live ones */

struct eg_kern;

struct eg_kern_sizes {
	uint32_t max_apps; /* 1 .. 100,000, without the slot for unknown cgroups */
	uint32_t max_rules; /* addresses in all policies; both revisions of a change fit beside it */
	uint32_t max_names; /* DNS names in all policies, counted as max_rules */
	uint32_t peers_per_app; /* further UDP peers */
	uint32_t grants_per_app; /* addresses learned from DNS */
	uint32_t ring_bytes; /* flow events; a power of two of pages */
	uint32_t priority_ring_bytes; /* deny, cap, kill */
	bool any_family; /* don't load the program that refuses sockets which no hook of a cgroup sees */
	bool early; /* fresh maps deny everything (EG_HOST_EARLY) until the caller ends that */
};

/* Makes the directory in a BPF filesystem and what it holds, so that it can be locked. 0 or *err. One caller. */
int eg_kern_prepare(const char *bpffs, struct eg_error *err);

/*
 * Loads the programs on new or adopted maps, or adopts them, too. bpffs: directory in a BPF filesystem, made if
 * missing. Adopted maps keep the sizes they were made with; *ret_adopted says which happened.
 * Errors are one sentence in *err; nothing is left pinned that was not before. One caller.
 */
int eg_kern_open(const char *bpffs, const struct eg_kern_sizes *sizes, struct eg_kern **ret, bool *ret_adopted,
		 struct eg_error *err);

/* Unmaps and closes; pins and attached programs stay in force. NULL is fine. */
void eg_kern_close(struct eg_kern *kern);

/*
 * Attaches every program to the cgroup, or takes over its links: a live link gets our
 * program in place; a dead one (cgroup id 0, or another id) is replaced. One caller.
 */
int eg_kern_attach(struct eg_kern *kern, const char *cgroup_path, uint64_t cgroup_id, struct eg_error *err);

/*
 * 0: sockets of families whose packets no hook of a cgroup sees are refused in every root. Else why not:
 * -EOPNOTSUPP: BPF LSM is off; -ECANCELED: any_family was asked for; another -errno: loading was refused.
 */
int eg_kern_families(const struct eg_kern *kern);
/* Data that is sent without a copy is told from other data on TCP (see bpf/pages.h). */
bool eg_kern_sees_pages(const struct eg_kern *kern);

/* True while every link of that root is pinned and alive on this cgroup. */
bool eg_kern_attached(struct eg_kern *kern, uint64_t cgroup_id);

/* Removes the links of a root that is no longer managed. One caller. */
int eg_kern_detach(struct eg_kern *kern, uint64_t cgroup_id);

/* Ids of the roots that have pinned links, at most max; returns how many there are. */
size_t eg_kern_roots(struct eg_kern *kern, uint64_t *ret_ids, size_t max);

/* Removes every link, pin and directory below bpffs: nothing is enforced any more. */
int eg_kern_detach_all(const char *bpffs, struct eg_error *err);

/* Sizes in force (of the maps, which may be older than the configuration). */
uint32_t eg_kern_slots(const struct eg_kern *kern); /* usable slots are 1 .. slots - 1 */
uint32_t eg_kern_ruleset_count(const struct eg_kern *kern);
uint32_t eg_kern_match_count(const struct eg_kern *kern);
uint32_t eg_kern_rule_count(const struct eg_kern *kern);

/* Shared memory with the kernel; valid until close. */
struct eg_host_ctl *eg_kern_host(struct eg_kern *kern);
bool eg_kern_all_killed(const struct eg_kern *kern);
struct eg_app *eg_kern_app(struct eg_kern *kern, uint32_t slot); /* NULL beyond the last */
struct eg_ruleset *eg_kern_ruleset(struct eg_kern *kern, uint32_t index);
struct eg_match *eg_kern_match(struct eg_kern *kern, uint32_t index);

enum eg_kern_map {
	EG_MAP_RULES,
	EG_MAP_NAMES,
	EG_MAP_MATCHES,
	EG_MAP_RULESETS,
	EG_MAP_APPS,
	EG_MAP_APP_NAMES,
	EG_MAP_METERS,
	EG_MAP_GUARD_METERS,
	EG_MAP_GUARDS,
	EG_MAP_HOST_CTL,
	EG_MAP_HOST_STATE,
	EG_MAP_CGROUPS,
	EG_MAP_COUNTERS,
	EG_MAP_REASONS,
	EG_MAP_LOSSES,
	EG_MAP_DENIED,
	EG_MAP_SOCKS,
	EG_MAP_ASKED,
	EG_MAP_DNS_STREAMS,
	EG_MAP_SOCK_NAMES,
	EG_MAP_GRANTS,
	EG_MAP_GRANT_ORDER,
	EG_MAP_PEERS,
	EG_MAP_PEERS_UNTIMED,
	EG_MAP_PEER_BLANK,
	EG_MAP_EVENTS,
	EG_MAP_FLOW_EVENTS,
	EG_MAP_COUNT_
};
int eg_kern_map_fd(const struct eg_kern *kern, enum eg_kern_map map);
const char *eg_kern_map_name(enum eg_kern_map map);
uint32_t eg_kern_map_max(const struct eg_kern *kern, enum eg_kern_map map);

/* fd of a loaded program ("eg_egress"), or -ENOENT. */
int eg_kern_program_fd(const struct eg_kern *kern, const char *name);

/* What passed, summed over CPUs. 0 or -errno. */
int eg_kern_counters(const struct eg_kern *kern, uint32_t slot, struct eg_counters *ret);

/* Asks the loaded program; fills the out fields of *question. 0 or -errno. */
int eg_kern_explain(struct eg_kern *kern, struct eg_question *question);

/*
 * Grants an address as an answer to the app's own question would; fills the out fields of *lesson. 0;
 * -EIO: the slot is another app's by now, or the kernel side had no room to work in; -errno.
 */
int eg_kern_learn(struct eg_kern *kern, struct eg_lesson *lesson);
/* Looks at so many UDP peers for which the kernel had no timer, and ends those that are idle. 0 or -errno. */
int eg_kern_reap(struct eg_kern *kern, uint32_t look);

/* Returns when every program that ran at the call has ended (an RCU grace period). */
void eg_kern_quiesce(void);

#endif

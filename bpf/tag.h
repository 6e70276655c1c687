/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tag.h - which app a socket belongs to
 *
 * Theory of operation. The cgroups above a socket are looked up from the top down; the
 * topmost one that carries a tag wins, so an app can't take another's name in a cgroup that
 * it makes itself; only a tag that root gave by hand overrides those above it. The answer is
 * kept with the socket. "Unknown" is never kept: a cgroup may be tagged a moment later. A kept
 * tag is looked up again when its slot's generation or the host's tag epoch has moved on. A tag
 * of another generation than its slot's is of an app that is gone: its sockets may outlive it,
 * and are denied, whoever has the slot now.
 */
#ifndef EG_BPF_TAG_H
#define EG_BPF_TAG_H

#include "maps.h"

struct eg_tag {
	__u32 app;
	__u32 gen; /* 0: of no app */
	__u32 unknown; /* enum eg_unknown, when gen is 0 */
	__u32 reason; /* UNKNOWN_CGROUP, AMBIGUOUS_CGROUP or POLICY_DELETED, when gen is 0 */
	__u64 cgroup_id; /* the innermost cgroup */
	__u32 managed; /* 1: a managed root was met */
	__u32 by_hand; /* 1: a tag that root gave was met; it holds for all below */
	__u32 epoch; /* eg_host_ctl.tag_epoch before the look-up: a tag that changes meanwhile is looked up again */
	__u32 reserved; /* zero */
};

/* sk NULL: the cgroup of the current task, which a socket made now will have. */
static __always_inline __u64 eg_tag_ancestor(struct bpf_sock *sk, int level)
{
	return sk ? bpf_sk_ancestor_cgroup_id(sk, level) : bpf_get_current_ancestor_cgroup_id(level);
}

/* Of an app that was deleted, and whose last cgroup died: denied, also where unknown cgroups pass. */
static __always_inline void eg_tag_orphan(struct eg_tag *tag)
{
	tag->gen = 0;
	tag->unknown = EG_UNKNOWN_DENY;
	tag->reason = EG_REASON_POLICY_DELETED;
}

/*
 * What the cgroup of that id adds to what those above it said. A function of its own, since inline
 * in the walk it made half of what the verifier has to go through in most programs.
 */
EG_GLOBAL int eg_tag_level(struct eg_tag *tag, __u64 id, bool early)
{
	const struct eg_cgroup *cgroup;

	if (!tag)
		return 0;
	tag->cgroup_id = id;
	cgroup = bpf_map_lookup_elem(&cgroups, &id);
	if (!cgroup || tag->by_hand)
		return 0;
	if (cgroup->flags & EG_CGROUP_EXPLICIT) {
		tag->by_hand = 1;
		tag->app = cgroup->app;
		tag->gen = cgroup->gen;
		return 0;
	}
	if (tag->gen || tag->reason == EG_REASON_AMBIGUOUS_CGROUP)
		return 0;
	if (cgroup->flags & EG_CGROUP_ROOT) {
		tag->managed = 1;
		tag->unknown = early ? EG_UNKNOWN_DENY : cgroup->unknown;
	} else if (cgroup->flags & EG_CGROUP_AMBIGUOUS) {
		tag->reason = EG_REASON_AMBIGUOUS_CGROUP;
		tag->unknown = EG_UNKNOWN_DENY;
	} else {
		tag->app = cgroup->app;
		tag->gen = cgroup->gen;
	}
	return 0;
}

static __always_inline void eg_tag_find(const struct eg_host_ctl *host, struct bpf_sock *sk, struct eg_tag *ret)
{
	const struct eg_app *app;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->reason = EG_REASON_UNKNOWN_CGROUP;
	ret->epoch = *(volatile const __u32 *)&host->tag_epoch;
	for (int level = 1; level <= EG_CGROUP_DEPTH; level++) {
		__u64 id = eg_tag_ancestor(sk, level);

		if (!id)
			break;
		eg_tag_level(ret, id, host->flags & EG_HOST_EARLY);
	}
	app = eg_app_at(ret->app);
	if (ret->gen && (!app || app->ctl.gen != ret->gen))
		eg_tag_orphan(ret);
}

static __always_inline bool eg_tag_valid(const struct eg_host_ctl *host, const struct eg_sock *sock,
					 const struct eg_app *app)
{
	return sock->who.gen && app && app->ctl.gen == sock->who.gen && sock->tag_epoch == host->tag_epoch;
}

/* The socket's storage, if there is a valid tag in it. */
static __always_inline struct eg_sock *eg_tag_sock(struct bpf_sock *sk, const struct eg_host_ctl *host,
						   struct eg_app **ret_app)
{
	struct eg_sock *sock = bpf_sk_storage_get(&socks, sk, 0, 0);

	if (!sock || !sock->who.gen)
		return NULL;
	*ret_app = eg_app_at(sock->who.app);
	return eg_tag_valid(host, sock, *ret_app) ? sock : NULL;
}

/* The socket stops counting for its app. `who` is read first, so that a new tag can't be charged. */
static __always_inline void eg_sock_uncount(struct eg_sock *sock)
{
	__u32 slot = *(volatile __u32 *)&sock->who.app, gen = *(volatile __u32 *)&sock->who.gen;
	struct eg_app *app = eg_app_at(slot);

	if (!(__sync_fetch_and_and(&sock->flags, ~EG_SOCK_COUNTED) & EG_SOCK_COUNTED))
		return;
	if (app && app->ctl.gen == gen)
		__sync_fetch_and_add(&app->state.sockets, -1);
}

/* Keeps tag with the socket. One that changes its app counts for neither: its release must not be the new one's. */
static __always_inline void eg_tag_keep(struct eg_sock *sock, const struct eg_tag *tag)
{
	if (sock->who.app != tag->app || sock->who.gen != tag->gen)
		eg_sock_uncount(sock);
	sock->flow.uid = 0;
	sock->others.uid = 0;
	sock->who.app = tag->app;
	sock->who.cgroup_id = tag->cgroup_id;
	sock->who.gen = tag->gen;
	sock->tag_epoch = tag->epoch;
}

/* Fills *ret with the current task. */
static __always_inline void eg_who_current(struct eg_who *ret)
{
	ret->pid = bpf_get_current_pid_tgid() >> 32;
	ret->user = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(ret->comm, sizeof(ret->comm));
}

/* The task that asks, as the app of its tag. */
static __always_inline void eg_who_tagged(const struct eg_tag *tag, struct eg_who *ret)
{
	eg_who_current(ret);
	ret->app = tag->app;
	ret->gen = tag->gen;
	ret->cgroup_id = tag->cgroup_id;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * nested.h - whether a network namespace may be the app's own making
 *
 * Theory of operation. Anybody can make a user namespace, and a network namespace in it, where it has
 * every capability: an app plays the resolver there within milliseconds, and is gone before anybody has
 * looked. What would be learned there would open addresses to the sockets that lead out. A namespace that
 * the host's root made is owned by the first user namespace, all others by one below it.
 */
#ifndef EG_BPF_NESTED_H
#define EG_BPF_NESTED_H

#include "maps.h"

#include <bpf/bpf_core_read.h>

struct user_namespace {
	int level;
} __attribute__((preserve_access_index));

struct net {
	struct user_namespace *user_ns;
} __attribute__((preserve_access_index));

struct nsproxy {
	struct net *net_ns;
} __attribute__((preserve_access_index));

struct task_struct {
	struct nsproxy *nsproxy;
} __attribute__((preserve_access_index));

/* Of the current task's, in which a socket that is made now will be. What can't be read is none of the host's. */
static __always_inline bool eg_netns_is_nested(void)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct nsproxy *spaces = task->nsproxy;
	const struct net *net = spaces ? spaces->net_ns : NULL;
	const struct user_namespace *owner = net ? net->user_ns : NULL;

	return !owner || owner->level;
}

#endif

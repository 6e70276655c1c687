/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern_guard.h - the guard's two tc programs on an interface of the calling thread's namespace
 *
 * They are filters of the interface's clsact, which others may use too: it is made if it is not
 * there, and stays. Filters need no pin and no agent; map `guards` says whose interface it is,
 * and, pinned, which ones have them.
 */
#ifndef EG_CORE_KERN_GUARD_H
#define EG_CORE_KERN_GUARD_H

#include "kern.h"

/* Gives the interface to the app, then attaches both programs, or puts ours in place of older ones. 0 or -errno. */
int eg_kern_guard_attach(struct eg_kern *kern, uint32_t ifindex, const struct eg_guard *guard);
/* True while the programs there are the ones that this agent has loaded. */
bool eg_kern_guard_attached(struct eg_kern *kern, uint32_t ifindex);
/* Takes off what is there of the guard, then forgets the interface; also one that is gone. 0 or -errno. */
int eg_kern_guard_detach(struct eg_kern *kern, uint32_t ifindex);
/* Interfaces in map `guards`, at most max. Returns how many were filled in. */
size_t eg_kern_guard_list(struct eg_kern *kern, uint32_t *ret_ifindexes, struct eg_guard *ret_guards, size_t max);
/* Takes off every guard that the pinned map below bpffs knows. 0 or -errno. */
int eg_kern_guard_detach_pinned(const char *bpffs);

#endif

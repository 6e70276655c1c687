/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgwatch.h - births and deaths of cgroups below the managed roots
 *
 * Not thread-safe: one thread owns it, polls eg_cgwatch_fd() and calls
 * eg_cgwatch_process(). Callbacks run inside that call (and inside add_root and rescan),
 * and must not call back into cgwatch.
 *
 * What it promises: every cgroup that lives long enough to be looked at is born exactly
 * once and dies exactly once, parent born before child, child dead before parent; a
 * name that is used again is reported with its new id, after the death of the old one.
 * A cgroup that came and went between two looks may not be reported at all: nothing can
 * have been tagged then, and untagged means denied.
 */
#ifndef EG_CORE_CGWATCH_H
#define EG_CORE_CGWATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroupfs.h"

struct eg_cgwatch;

/* path is relative to the cgroup2 mount; valid during the call. */
struct eg_cgwatch_ops {
	int (*born)(void *ctx, const char *path, uint64_t id); /* negative: not taken; it is born again at a next look */
	void (*died)(void *ctx, const char *path, uint64_t id);
	void *ctx;
};

struct eg_cgwatch_stats {
	size_t cgroups; /* known now, the roots included */
	size_t unwatched; /* of which without a watch (fs.inotify.max_user_watches): found by rescan only */
	uint64_t overflows; /* the kernel's queue overflowed, everything was read again */
	uint64_t rescans;
	int last_error; /* why the latest watch or look-up failed, 0 if none did */
};

/* fs must outlive the watch. */
int eg_cgwatch_new(const struct eg_cgroupfs *fs, const struct eg_cgwatch_ops *ops, struct eg_cgwatch **ret_watch);
void eg_cgwatch_free(struct eg_cgwatch *watch);
EG_DEFINE_CLEANUP(cgwatch, struct eg_cgwatch *, eg_cgwatch_free);

/* -1: no inotify instance was to be had; another value after a rescan that found one. */
int eg_cgwatch_fd(const struct eg_cgwatch *watch);

/*
 * Watches the tree below path; born is called for the root itself and for everything
 * there already. A root that is missing now is taken up by a later rescan.
 * -EEXIST: it is a root already. -EINVAL: above or below another one.
 */
int eg_cgwatch_add_root(struct eg_cgwatch *watch, const char *path);
/* Reports what the kernel has queued; never waits. -errno only if inotify itself fails. */
int eg_cgwatch_process(struct eg_cgwatch *watch);
/* Looks at the roots only: one stat each. A root made anew is died + born with all below. Call every second. */
void eg_cgwatch_check_roots(struct eg_cgwatch *watch);
/* Compares everything with the tree. Call now and then while stats say unwatched > 0. */
void eg_cgwatch_rescan(struct eg_cgwatch *watch);
void eg_cgwatch_stats(const struct eg_cgwatch *watch, struct eg_cgwatch_stats *ret_stats);

#endif

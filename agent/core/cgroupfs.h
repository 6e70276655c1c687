/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroupfs.h - the cgroup v2 tree: where it is, names and ids, making and removing
 *
 * A path here is relative to the cgroup2 mount, without a leading slash, without empty,
 * "." or ".." parts: "microapps.slice/app-a.scope". Every look-up goes through openat2
 * with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV, so that a path can't
 * leave the tree even if somebody mounts over a part of it.
 *
 * The id of a cgroup is the 64-bit inode number of its directory, the number that
 * bpf_skb_cgroup_id() and inet_diag give; it is never used twice within a boot.
 */
#ifndef EG_CORE_CGROUPFS_H
#define EG_CORE_CGROUPFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/cleanup.h"

struct eg_cgroupfs;

/*
 * Levels that a walk goes down. An app that may make cgroups below its own could nest them without end,
 * and each level costs the walker a file and a frame. The datapath looks no deeper than EG_CGROUP_DEPTH:
 * what is below that belongs to an ancestor's app.
 */
#define EG_CGROUPFS_DEPTH 64

/*
 * Opens the cgroup2 hierarchy. mount NULL: the one that /proc/self/mountinfo names
 * (beside v1 on a hybrid host); a bind mount of a part of the tree is passed over.
 * -ENODEV: there is none. -ENOTSUP: the inode number is not the cgroup id here.
 */
int eg_cgroupfs_open(const char *mount, struct eg_cgroupfs **ret_fs);
void eg_cgroupfs_close(struct eg_cgroupfs *fs);
EG_DEFINE_CLEANUP(cgroupfs, struct eg_cgroupfs *, eg_cgroupfs_close);

/* Where it is mounted, without a slash at the end. */
const char *eg_cgroupfs_mount(const struct eg_cgroupfs *fs);

/*
 * Makes a path of this module out of what a user gave: relative to the mount, or
 * absolute and below the mount. Pure: doesn't look whether it is there.
 * -EINVAL: empty, the mount itself, a ".." or control byte. -EXDEV: absolute, not below
 * the mount. -ENAMETOOLONG.
 */
int eg_cgroupfs_normalize(const struct eg_cgroupfs *fs, const char *input, char ret_path[PATH_MAX]);
/* Number of parts of a path: level of the cgroup below the mount; 0 for "". */
unsigned int eg_cgroupfs_level(const char *path);

/* Directory of a path ("": the mount itself), O_PATH or, if readable, O_RDONLY. fd or -errno. */
int eg_cgroupfs_open_dir(const struct eg_cgroupfs *fs, const char *path, bool readable);
/* The same from an open cgroup directory on. */
int eg_cgroupfs_open_at(int dir_fd, const char *path, bool readable);
/* Readable directory of an id; -ESTALE once it was removed. Needs CAP_DAC_READ_SEARCH. fd or -errno. */
int eg_cgroupfs_open_id(const struct eg_cgroupfs *fs, uint64_t id);
int eg_cgroupfs_id(const struct eg_cgroupfs *fs, const char *path, uint64_t *ret_id);
/* -ESTALE: no such cgroup (any more). */
int eg_cgroupfs_path(const struct eg_cgroupfs *fs, uint64_t id, char ret_path[PATH_MAX]);
/* Id of an open cgroup directory. */
int eg_cgroupfs_fd_id(int dir_fd, uint64_t *ret_id);

/* Makes the cgroup and what is missing above it. 0, also if it is there. */
int eg_cgroupfs_make(const struct eg_cgroupfs *fs, const char *path);
/* rmdir: -EBUSY while it has processes or children, -ENOENT. */
int eg_cgroupfs_remove(const struct eg_cgroupfs *fs, const char *path);

/*
 * Calls fn for the cgroup in dir_fd and all below, parents first. path is relative to
 * dir_fd ("" for itself), fd readable and the walk's own. fn: 0 go on, else stop and
 * return that. What vanishes meanwhile is passed over.
 */
typedef int (*eg_cgroupfs_walk_fn)(void *ctx, const char *path, int fd, uint64_t id);
int eg_cgroupfs_walk(int dir_fd, eg_cgroupfs_walk_fn fn, void *ctx);

/*
 * Processes (thread group leaders) of the cgroup in dir_fd and of all below it; threads
 * where the cgroup is a threaded one. Caller frees.
 */
int eg_cgroupfs_procs(int dir_fd, pid_t **ret_pids, size_t *ret_count);

/* Path of the process' cgroup. -ESRCH, -ENOENT (removed), -EXDEV (outside this mount's tree). */
int eg_cgroupfs_of_pid(pid_t pid, char ret_path[PATH_MAX]);

#endif

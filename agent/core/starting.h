/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starting.h - processes that are a container runtime's still, though they are in the app's cgroup
 *
 * When a runtime's hook tags a container's cgroup, the one process in it is the runtime's own, with
 * privileges that it gives up when it becomes the app's first process. Until then it runs the runtime's
 * executable: that is how it is known, so that there is no time in which an app's process passes for it.
 */
#ifndef EG_CORE_STARTING_H
#define EG_CORE_STARTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EG_STARTING_MAX 64 /* at once; of more the oldest is forgotten, and judged as any process */

struct eg_starting {
	struct {
		pid_t pid; /* 0: free */
		dev_t dev; /* of its executable */
		ino_t ino;
	} items[EG_STARTING_MAX];
	size_t next;
};

/* 0, or -errno (-ESRCH, -ENOENT: there is no such process). */
int eg_starting_add(struct eg_starting *starting, pid_t pid);

/* Whether the process was added and has become nothing else yet. */
bool eg_starting_has(struct eg_starting *starting, pid_t pid);

#endif

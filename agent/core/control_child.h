/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_child.h - how egretd starts egret-sync
 */
#ifndef EG_CORE_CONTROL_CHILD_H
#define EG_CORE_CONTROL_CHILD_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct eg_control_child {
	pid_t pid; /* 0: none runs */
	int pidfd;
	uid_t uid;
};

/*
 * Starts egret-sync, which lies beside this program, as this user, who must not be root. It gets
 * `setup` (see ../sync/setup.h) and state_dir/sync, which is made and given to the user. *ret_door is our
 * end of its door. 0; -EPERM: the user is root; -ESRCH: there is no such user; -ENOENT: no egret-sync; -errno.
 */
int eg_control_child_start(const char *user, const char *state_dir, const json_t *setup, struct eg_control_child *child,
			   int *ret_door);
/* True once, when it has ended; *ret_status as of wait(2). */
bool eg_control_child_ended(struct eg_control_child *child, int *ret_status);
/* SIGTERM, and SIGKILL a little later. Waits for the end. None is fine. */
void eg_control_child_stop(struct eg_control_child *child);

#endif

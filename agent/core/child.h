/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - how egretd starts, and ends, a program of its own that is not trusted
 *
 * egret-ship and egret-sync lie beside this program, so that all are of one version. A child gets descriptors
 * rather than paths (lib/child_setup.h): a socket to the agent, its setup, and the directories that are
 * for it. It becomes its user itself, once it has read what only root may. It finds nothing else of the
 * agent's: no other descriptor, no environment but the journal's stream.
 */
#ifndef EG_CORE_CHILD_H
#define EG_CORE_CHILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define EG_CHILD_DIRS_MAX 2

struct eg_child_user {
	uid_t uid;
	gid_t gid;
};
/* 0; -ESRCH: there is no such user; -EPERM: it is root's; -errno. */
int eg_child_user(const char *name, struct eg_child_user *ret);

/* parent_dir/name, made if missing, and the user's own. 0 or -errno; *ret_fd is the caller's. */
int eg_child_dir(const char *parent_dir, const char *name, const struct eg_child_user *user, int *ret_fd);

struct eg_child {
	pid_t pid; /* 0: none runs */
	int pidfd;
};

struct eg_child_start {
	const char *name; /* of the program */
	const struct eg_child_user *user;
	const json_t *setup;	    /* "uid" and "gid" are added to what it gets */
	int socket_flags;	    /* as SOCK_NONBLOCK, of both ends */
	int dirs[EG_CHILD_DIRS_MAX]; /* borrowed */
	size_t dir_count;
};
/* 0 and our end of its SOCK_SEQPACKET; -ENOENT: there is no such program; -errno. */
int eg_child_start(const struct eg_child_start *start, struct eg_child *ret, int *ret_socket);

/* True once, when it has ended; *ret_status as of wait(2). */
bool eg_child_ended(struct eg_child *child, int timeout_ms, int *ret_status);
/* SIGTERM, and SIGKILL when that does not do within term_ms. Waits for the end. None is fine. */
void eg_child_stop(struct eg_child *child, int term_ms, int *ret_status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - network namespaces: which ones an app uses, who rules them, what leads out
 *
 * A namespace is reached by an fd and known by the inode number of that fd. Each thread
 * may be in one of its own, so all threads are looked at, not processes. Nothing here
 * changes the caller's namespace.
 */
#ifndef EG_CORE_NETNS_H
#define EG_CORE_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/types.h>

#include "../lib/cleanup.h"

/* An app makes as many as it likes: of those found last, no fd is kept, but where to get one again. */
#define EG_NETNS_HELD 16

struct eg_netns {
	int fd; /* -1: not held */
	uint64_t inode;
	pid_t pid; /* where it was found: a thread that is in it, or has a socket that is */
	pid_t tid;
	int sock; /* that socket; -1: none */
};

/* Zero-initialise. Owns the fds; each namespace is in it once. */
struct eg_netns_set {
	struct eg_netns *items;
	size_t count;
	size_t room;
	size_t most; /* 0: any number */
};

void eg_netns_set_clear(struct eg_netns_set *set);
static inline void eg_cleanup_netns_set(struct eg_netns_set *set)
{
	eg_netns_set_clear(set);
}
/* Takes a copy of fd. 1 if it is new, 0 if it is there already, -errno. */
int eg_netns_set_add_fd(struct eg_netns_set *set, int fd);
/* An fd of its own for the caller, to close; -ESRCH: the thread has left it meanwhile. */
int eg_netns_open(const struct eg_netns *netns);
/* The namespaces of all threads of the process. 0, -ESRCH, -E2BIG (there are more than set->most) or -errno. */
int eg_netns_set_add_pid(struct eg_netns_set *set, pid_t pid);
/* Of all processes in the cgroup and below. Processes that vanish are passed over. */
int eg_netns_set_add_cgroup(struct eg_netns_set *set, int cgroup_fd);
/* Also where sockets of the process live that it has, though it is elsewhere. Costs a few µs per fd. */
int eg_netns_set_add_pid_sockets(struct eg_netns_set *set, pid_t pid);

/* The calling thread's own namespace. fd or -errno. */
int eg_netns_open_self(void);
int eg_netns_inode(int fd, uint64_t *ret_inode);
/* SO_NETNS_COOKIE of the calling thread's namespace. */
int eg_netns_cookie(uint64_t *ret_cookie);

/*
 * Runs fn in the namespace, on a thread made for that; fn's value is returned, or
 * -errno if the namespace couldn't be entered.
 */
int eg_netns_run(int fd, int (*fn)(void *ctx), void *ctx);

/*
 * What a process can do in its network namespaces: it has the capability over the user namespace that
 * owns one (as the kernel's cap_capable() decides), or gets it by execve because it is root there.
 */
#define EG_NETNS_ADMIN    (1u << 0) /* CAP_NET_ADMIN, in one that isn't the calling thread's */
#define EG_NETNS_RAW      (1u << 1) /* CAP_NET_RAW, in one that isn't the calling thread's */
#define EG_NETNS_RAW_HERE (1u << 2) /* CAP_NET_RAW in the calling thread's */
int eg_netns_rights(pid_t pid, unsigned int *ret_rights);

/* A way out of a namespace. */
struct eg_netns_uplink {
	__u32 ifindex; /* within the namespace */
	__u32 host_ifindex; /* of its peer in the calling thread's namespace; 0: no peer there */
	char name[16];
	char kind[16]; /* "veth", "macvlan", ...; "" for hardware */
	bool inner; /* leads nowhere but to other interfaces of the same namespace, as tunnels and bridges do */
};

/*
 * Every interface but loopback. Caller frees. A tc guard covers those of kind veth with a
 * host_ifindex, and with them what is inner.
 */
int eg_netns_uplinks(int fd, struct eg_netns_uplink **ret_links, size_t *ret_count);

#endif

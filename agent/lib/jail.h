/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail.h - what a process gives up before it reads a byte that others wrote
 */
#ifndef EG_LIB_JAIL_H
#define EG_LIB_JAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/*
 * Becomes this user, who must not be root, without groups but gid, without capabilities, and without a way
 * to any (no_new_privs, an empty bounding set); can't be traced by others of that user, leaves no core. A process
 * that is this user already stays it. 0, -EPERM, -errno: then it must not go on.
 */
int eg_jail_become(uint32_t uid, uint32_t gid);

/*
 * The parts of it, for who stays the user that it is. caps are bits by number. The first leaves to programs
 * that are executed later these capabilities at most, and needs CAP_SETPCAP; the second leaves them to this thread, and
 * to it and programs no way to more. 0, -errno: then it must not go on.
 */
int eg_jail_limit_children(uint64_t caps);
int eg_jail_keep(uint64_t caps);

struct eg_jail_limit {
	__rlimit_resource_t what;
	rlim_t max;
};
int eg_jail_limit(const struct eg_jail_limit *limits, size_t count);

/* A list of system calls, written in the words of jail_filter.h. */
struct sock_filter;
struct eg_jail_filter {
	const struct sock_filter *code;
	unsigned short count;
};

/*
 * For this thread and what it begets, for good; no_new_privs has to be set. What the list refuses is told in the kernel's
 * log (audit record 1326), so that a call that it lacks is noticed. 0 or -errno.
 */
int eg_jail_filter(struct eg_jail_filter filter);

/*
 * After it, for a list that refuses clone3 and allows seccomp: the C library tries clone3 for each thread that it
 * makes before it takes clone, and that is no news.
 */
int eg_jail_hush_clone3(void);

/*
 * jail_client.c: the list of a client of the network with threads, and these numbers more; others fail with EPERM. It
 * allows seccomp. For a process that is a user's, before its first thread. Holds until the next one is asked for.
 */
struct eg_jail_filter eg_jail_client_filter(const int *more, size_t count);

#endif

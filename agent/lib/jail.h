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

struct eg_jail_limit {
	__rlimit_resource_t what;
	rlim_t max;
};
int eg_jail_limit(const struct eg_jail_limit *limits, size_t count);

/*
 * jail_client.c: leaves the system calls of a client of the network with threads, and these numbers more; others fail
 * with EPERM. Once the process is a user's, before its first thread. 0 or -errno: then it must not go on.
 */
int eg_jail_client(const int *more, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inetdiag.h - the kernel's socket tables, one network namespace at a time
 *
 * Thin layer over NETLINK_SOCK_DIAG. The netlink socket belongs to the namespace that
 * the thread was in when it was opened. Which sockets, and why, is sockdiag's.
 */
#ifndef EG_CORE_INETDIAG_H
#define EG_CORE_INETDIAG_H

#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#include "sockdiag.h"

struct eg_inetdiag;

/* A sorted list of ids (cgroups, inodes, cookies). Zero-initialise. */
struct eg_idset {
	uint64_t *ids;
	size_t count;
	size_t room;
};

int eg_idset_add(struct eg_idset *set, uint64_t id);
/* Once, after the last add and before the first look-up. */
void eg_idset_sort(struct eg_idset *set);
bool eg_idset_has(const struct eg_idset *set, uint64_t id);
void eg_idset_clear(struct eg_idset *set);
static inline void eg_cleanup_idset(struct eg_idset *set)
{
	eg_idset_clear(set);
}

/* A socket to destroy, as the kernel wants to be told. */
struct eg_inetdiag_victim {
	struct inet_diag_req_v2 req;
	uint64_t cookie;
	uint8_t state;
};

/* Opens it in the calling thread's namespace. */
int eg_inetdiag_open(struct eg_inetdiag **ret_diag);
void eg_inetdiag_close(struct eg_inetdiag *diag);

/* 0: go on; else the dump is read to its end, without calls, and returns that. */
typedef int (*eg_inetdiag_fn)(void *ctx, const struct eg_sockdiag_sock *sock, const struct eg_inetdiag_victim *victim);

/*
 * Calls fn for each socket of the family and protocol, TIME_WAIT left out. With cgroups
 * (sorted) only for those: the kernel filters if they are few. -EOPNOTSUPP: this kernel
 * has no table for the protocol.
 */
int eg_inetdiag_dump(struct eg_inetdiag *diag, int family, int proto, const struct eg_idset *cgroups,
		     eg_inetdiag_fn fn, void *ctx);

/*
 * Destroys them all in few system calls. ret_errnos has one 0 or -errno for each
 * (-ENOENT: not found any more). -errno: netlink failed, and the rest is not known.
 */
int eg_inetdiag_destroy(struct eg_inetdiag *diag, const struct eg_inetdiag_victim *victims, size_t count,
			int *ret_errnos);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockdiag.h - cut live sockets by cgroup: inet_diag dump, then SOCK_DESTROY each
 *
 * The packet hook has stopped the traffic already; this makes the app see an error
 * (ECONNABORTED) instead of a hang, and the peer a reset. Thread-safe; the work is done
 * on threads of its own, the caller's network namespace never changes.
 *
 * Covered: TCP in every state but TIME_WAIT (which carries nothing), listeners with
 * their half-open and not yet accepted children, connecting sockets, UDP; raw sockets
 * where the kernel has raw_diag. IPv4 and IPv6. In the namespaces of all threads in the
 * cgroups, of sockets that they hold from other namespaces, the caller's own and the
 * ones given.
 * Not covered (the packet hook is what holds): ICMP datagram sockets (no diag in any
 * kernel), UDP sockets that share their port by SO_REUSEPORT (the kernel finds them by
 * address only: counted in missed), sockets in flight in SCM_RIGHTS in a namespace where
 * the app has neither thread nor socket.
 */
#ifndef EG_CORE_SOCKDIAG_H
#define EG_CORE_SOCKDIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "cgroupfs.h"

struct eg_sockdiag_sock {
	uint64_t cgroup_id;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t proto; /* IPPROTO_* */
	uint8_t state; /* TCP_ESTABLISHED ... (UDP: TCP_ESTABLISHED connected, TCP_CLOSE not) */
	uint16_t local_port; /* host byte order */
	uint16_t peer_port;
	struct eg_addr local;
	struct eg_addr peer; /* zero: none */
	uint64_t cookie;
	uint32_t inode; /* 0: not accepted yet */
};

/* True: cut it. Called on another thread than the caller's, while the caller waits. */
typedef bool (*eg_sockdiag_filter_fn)(void *ctx, const struct eg_sockdiag_sock *sock);

struct eg_cut_request {
	const uint64_t *cgroup_ids; /* with all that is nested in them; also of removed cgroups */
	size_t cgroup_count;
	const int *netns_fds; /* namespaces remembered from before; may be NULL */
	size_t netns_count;
	bool tcp_only;
	size_t at_most; /* 0: all; else how many there can be: the search ends when so many were cut */
	eg_sockdiag_filter_fn filter; /* NULL: all of them */
	void *filter_ctx;
};

struct eg_cut {
	uint32_t sockets; /* destroyed */
	uint32_t tcp; /* of which */
	uint32_t udp; /* of which */
	uint32_t flows; /* of which were connected: TCP past its handshake, connected UDP */
	uint32_t gone; /* closed by themselves meanwhile */
	uint32_t missed; /* still there: could not be destroyed */
	uint32_t namespaces; /* looked at */
	uint32_t errors;
	int first_errno; /* 0 or -errno of the first error */
	uint64_t took_ns;
};

/*
 * Cuts. Carries on after errors and counts them; *ret_cut is filled always. 0, or
 * -errno of the first error.
 */
int eg_sockdiag_cut(const struct eg_cgroupfs *fs, const struct eg_cut_request *request, struct eg_cut *ret_cut);

/*
 * Cuts sockets that tasks in the cgroups (and below) hold, but that were made under a
 * cgroup outside of them: before the task moved in, or passed to it. For use after
 * tagging. Same result.
 */
int eg_sockdiag_cut_foreign(const struct eg_cgroupfs *fs, const struct eg_cut_request *request,
			    struct eg_cut *ret_cut);

#endif

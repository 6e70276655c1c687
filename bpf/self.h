/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * self.h - whether a loopback peer is the app itself
 *
 * In a network namespace that is not the host's, loopback is the app's own. In the host's,
 * anybody may listen there, so the socket at the other end is looked up, and must carry the
 * same tag.
 */
#ifndef EG_BPF_SELF_H
#define EG_BPF_SELF_H

#include "flow.h"
#include "tag.h"

static __always_inline bool eg_self_same_app(const struct eg_sock *mine, struct bpf_sock *other)
{
	const struct eg_sock *theirs = bpf_sk_storage_get(&socks, other, 0, 0);

	return theirs && theirs->who.gen && theirs->who.app == mine->who.app && theirs->who.gen == mine->who.gen;
}

/* The packet as the far socket would receive it: (remote, local) are the tuple's (dst, src). */
static __always_inline __u32 eg_self_tuple(struct bpf_sock_tuple *ret, const struct eg_view *view, __u32 dir)
{
	const struct eg_addr *far = eg_view_remote(view, dir);
	const struct eg_addr *near = dir == EG_DIR_EGRESS ? &view->src : &view->dst;

	__builtin_memset(ret, 0, sizeof(*ret));
	if (eg_addr_is_v4(far)) {
		ret->ipv4.saddr = near->w_be[3];
		ret->ipv4.daddr = far->w_be[3];
		ret->ipv4.sport = bpf_htons(eg_view_local_port(view, dir));
		ret->ipv4.dport = bpf_htons(eg_view_remote_port(view, dir));
		return sizeof(ret->ipv4);
	}
	__builtin_memcpy(ret->ipv6.saddr, near, sizeof(*near));
	__builtin_memcpy(ret->ipv6.daddr, far, sizeof(*far));
	ret->ipv6.sport = bpf_htons(eg_view_local_port(view, dir));
	ret->ipv6.dport = bpf_htons(eg_view_remote_port(view, dir));
	return sizeof(ret->ipv6);
}

/* ctx: of a program that has bpf_sk_lookup_tcp and _udp (cgroup_skb, cgroup/connect). */
EG_LOCAL int eg_self_is_mine(void *ctx, const struct eg_sock *sock, const struct eg_view *view, __u32 dir)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *other;
	bool mine;
	__u32 size;

	if (sock->flags & EG_SOCK_NS_KNOWN && !(sock->flags & EG_SOCK_HOST_NS))
		return true;
	size = eg_self_tuple(&tuple, view, dir);
	if (view->proto == IPPROTO_TCP)
		other = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (view->proto == IPPROTO_UDP)
		other = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return false;
	if (!other)
		return false;
	mine = eg_self_same_app(sock, other);
	bpf_sk_release(other);
	return mine;
}

#endif

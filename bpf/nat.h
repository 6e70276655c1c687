/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * nat.h - packets that NAT in the app's own network namespace translates
 *
 * Theory of operation. The packet hook sees a translated packet on its way out, and an
 * untranslated one on its way in. The destination that is judged is the translated one, which
 * the packet goes to. What comes in to a connected socket is what the kernel found to be of its
 * connection, so it is read as coming from the peer that the flow was judged by.
 */
#ifndef EG_BPF_NAT_H
#define EG_BPF_NAT_H

#include "flow.h"
#include "self.h"

static __always_inline bool eg_sock_is_connected_to(struct bpf_sock *sk, const struct eg_addr *addr, __u16 port)
{
	struct eg_addr peer;

	if (bpf_ntohs(sk->dst_port) != port || !port)
		return false;
	if (sk->family == EG_AF_INET) {
		eg_addr_v4(&peer, sk->dst_ip4);
	} else {
		peer.w_be[0] = sk->dst_ip6[0];
		peer.w_be[1] = sk->dst_ip6[1];
		peer.w_be[2] = sk->dst_ip6[2];
		peer.w_be[3] = sk->dst_ip6[3];
	}
	return eg_addr_equal(&peer, addr);
}

/*
 * Undoes to a packet that is not with the socket's flow what NAT may have done to it: outwards to
 * the socket's own port; inwards to its peer, if the kernel tells that the packet is the flow's.
 * That is so for every packet of a TCP connection, and for UDP from the peer that connect() named,
 * if that is the only one it ever spoke to: then the flow is what its packets to that peer became.
 */
static __always_inline void eg_view_untranslate(struct eg_view *view, struct bpf_sock *sk, const struct eg_sock *sock,
						__u32 dir)
{
	const struct eg_flow *flow = &sock->flow;

	if (dir == EG_DIR_EGRESS) {
		if (sk->src_port)
			view->src_port = (__u16)sk->src_port;
		return;
	}
	if (flow->state != EG_FLOW_OPEN && (flow->state != EG_FLOW_ENDED || view->proto != IPPROTO_TCP))
		return;
	if (view->proto != IPPROTO_TCP &&
	    ((sock->flags & (EG_SOCK_NAMED | EG_SOCK_SEVERAL)) != EG_SOCK_NAMED ||
	     flow->origin != EG_DIR_EGRESS || !eg_sock_is_connected_to(sk, &view->src, view->src_port)))
		return;
	view->src = flow->peer;
	view->src_port = flow->peer_port;
	view->dst_port = flow->local_port;
}

#endif

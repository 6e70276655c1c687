// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sockops.bpf.c - what TCP itself knows of a flow: that it was accepted, and how it ended
 *
 * The state callback to TCP_CLOSE comes exactly once for every socket that asked for it, the
 * child that nobody accepts and the process that was killed included; the storage is still
 * there. A packet may follow it (a reset): the packet hook tells that at once.
 */
#include "flow.h"
#include "maps.h"

/* Most calls ask for TCP's parameters, and are over here: a connection makes eight. */
static __always_inline bool eg_sockops_matters(const struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		return true;
	case BPF_SOCK_OPS_STATE_CB:
		return ctx->args[1] == BPF_TCP_CLOSE;
	default:
		return false;
	}
}

static __always_inline struct eg_sock *eg_sockops_sock(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return NULL;
	/* an MPTCP subflow was never at sock_create: without storage nobody would tell its end */
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB || ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		return bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	return bpf_sk_storage_get(&socks, sk, 0, 0);
}

static __always_inline void eg_sockops_watch(struct bpf_sock_ops *ctx, struct eg_sock *sock)
{
	if (!bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG))
		sock->flags |= EG_SOCK_SOCKOPS;
}

/* A child begins with a copy of its listener's storage: the tag is right, the counts are not. */
static __always_inline void eg_sockops_accepted(struct bpf_sock_ops *ctx, struct eg_sock *sock)
{
	if (sock->flow.state == EG_FLOW_OPEN) /* a simultaneous open (RFC 9293, 3.5), or a socket connected to itself */
		return;
	__builtin_memset(&sock->flow, 0, sizeof(sock->flow));
	__builtin_memset(&sock->others, 0, sizeof(sock->others));
	sock->flags &= ~EG_SOCK_COUNTED;
	sock->flow.origin = EG_DIR_INGRESS;
	sock->flow.state = EG_FLOW_ADMITTED;
	eg_sockops_watch(ctx, sock);
}

static __always_inline void eg_sockops_closed(struct bpf_sock_ops *ctx, struct eg_sock *sock)
{
	struct bpf_sock *sk = ctx->sk;

	eg_who_bereave(&sock->who);
	if (ctx->args[0] == BPF_TCP_LISTEN) {
		eg_flow_end(&sock->who, &sock->others, NULL);
		return;
	}
	sock->flow.rtt_us = ctx->srtt_us >> 3;
	sock->flow.retransmits = ctx->total_retrans;
	eg_flow_end(&sock->who, &sock->flow, sk ? eg_names_of(sk, &sock->flow) : NULL);
}

SEC("sockops")
int eg_sockops(struct bpf_sock_ops *ctx)
{
	struct eg_sock *sock;

	if (!eg_sockops_matters(ctx))
		return 1;
	sock = eg_sockops_sock(ctx);
	if (!sock)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		eg_sockops_watch(ctx, sock);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		eg_sockops_accepted(ctx, sock);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		eg_sockops_closed(ctx, sock);
		break;
	}
	return 1;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

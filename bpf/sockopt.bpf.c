// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sockopt.bpf.c - an app sends as itself, and now
 *
 * The kernel doesn't come here for a task that asks by a 32-bit system call, as any may on a
 * 64-bit kernel; there lsm.bpf.c is all that stands in the way, or `egret doctor` says so.
 */
#include "option.h"

SEC("cgroup/setsockopt")
int eg_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	__u8 refused = eg_option_reason(ctx->level, ctx->optname, sk ? (int)sk->type : 0);
	int answer = refused != EG_REASON_NONE ? eg_option_judge(sk, refused) : 1;

	ctx->optlen = 0; /* the kernel takes the caller's value as it is, of whatever length */
	return answer & 1;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lsm.bpf.c - what no hook of a cgroup sees: odd sockets, and options set by 32-bit calls
 *
 * AF_PACKET and AF_XDP write frames, AF_VSOCK speaks to the hypervisor, RDS, TIPC and others send
 * from kernel threads: cgroup/sock_create is asked about none of them. So where BPF LSM is on, an
 * app gets sockets of the families below and of no other, also in audit, as no packet of the
 * others would be seen. Loaded only there (kern.c).
 */
#include "option.h"

/* The kernel's, as much of it as is read; where its members are is found at load. */
struct socket {
	short type;
} __attribute__((preserve_access_index));

static __always_inline bool eg_family_is_seen(__u32 family)
{
	return family == EG_AF_UNIX || family == EG_AF_INET || family == EG_AF_INET6 || family == EG_AF_NETLINK;
}

/* The hook's arguments: family, type, protocol, and whether the kernel makes the socket for itself. */
SEC("lsm_cgroup/socket_create")
int eg_lsm_create(__u64 *args)
{
	struct eg_denial denial = {
		.reason = EG_REASON_FAMILY,
		.hook = EG_HOOK_CREATE,
		.rule = EG_RULE_NONE,
	};
	struct eg_host_ctl *host = eg_host();
	struct eg_view view = {0};
	struct eg_who who = {0};
	struct eg_tag tag;

	if (eg_family_is_seen((__u32)args[0]) || (__u32)args[3])
		return 1;
	if (!host)
		return 0;
	eg_tag_find(host, NULL, &tag);
	if (!tag.gen && tag.unknown == EG_UNKNOWN_PASS)
		return 1;
	eg_who_tagged(&tag, &who);
	if (!tag.gen) {
		denial.reason = (__u8)tag.reason;
		denial.audited = tag.unknown == EG_UNKNOWN_AUDIT;
	}
	eg_tell_denial(&who, &view, &denial, false);
	return denial.audited & 1;
}

/*
 * Before the cgroup's hook, and by 32-bit calls instead of it. The hook's arguments: the socket, level
 * and name of the option. What audit lets through is told twice where the other hook is asked as well.
 */
SEC("lsm_cgroup/socket_setsockopt")
int eg_lsm_option(__u64 *args)
{
	const struct socket *socket = (const struct socket *)args[0];
	__u8 refused = eg_option_reason((int)args[1], (int)args[2], socket->type);

	return refused != EG_REASON_NONE ? eg_option_judge(NULL, refused) & 1 : 1;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * option.h - socket options by which an app would send with somebody else's address, or too late
 *
 * The rules look at where a packet goes. Who may write another sender's address on it needs no
 * more: a host that the rules allow answers to that address, and with an echo or an error the
 * app's data goes there as well. IP_TRANSPARENT (CAP_NET_RAW is enough) lets a plain socket be
 * bound to any address; so does IPV6_FREEBIND, to anybody, as IPv6 sends from an address that
 * isn't the host's. Both go with raw sockets, which can do it anyway: by policy.
 *
 * SO_TXTIME, and SO_MAX_PACING_RATE but on TCP, would have packets leave long after they were judged
 * (queue.h): a kill would not stop them. Both are refused whatever the policy.
 */
#ifndef EG_BPF_OPTION_H
#define EG_BPF_OPTION_H

#include "queue.h"
#include "tag.h"
#include "verdict.h"

#define EG_IP_FREEBIND        15
#define EG_IP_TRANSPARENT     19
#define EG_IPV6_TRANSPARENT   75
#define EG_IPV6_FREEBIND      78
#define EG_SOL_SOCKET         1
#define EG_SO_MAX_PACING_RATE 47
#define EG_SO_TXTIME          61

static __always_inline bool eg_option_forges(int level, int optname)
{
	if (level == IPPROTO_IP) /* of an IPv6 socket, too */
		return optname == EG_IP_FREEBIND || optname == EG_IP_TRANSPARENT;
	return level == IPPROTO_IPV6 && (optname == EG_IPV6_FREEBIND || optname == EG_IPV6_TRANSPARENT);
}

/* EG_REASON_NONE: no option that matters. */
static __always_inline __u8 eg_option_reason(int level, int optname, int type)
{
	if (eg_option_forges(level, optname))
		return EG_REASON_RAW_SOCKET;
	if (level != EG_SOL_SOCKET)
		return EG_REASON_NONE;
	if (optname == EG_SO_TXTIME || (optname == EG_SO_MAX_PACING_RATE && type != EG_TYPE_STREAM))
		return EG_REASON_SEND_LATER;
	return EG_REASON_NONE;
}

/* True: go on. */
static __always_inline int eg_option_tell(const struct eg_who *who, struct bpf_sock *sk, __u8 reason, __u32 uid,
					  bool audited)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_SETSOCKOPT,
		.audited = audited,
		.rule = EG_RULE_NONE,
		.uid = uid,
	};
	struct eg_view view = {0};

	if (sk)
		view.proto = (__u8)sk->protocol;
	eg_tell_denial(who, &view, &denial, false);
	return audited;
}

/* The app of the socket, whoever asks; one that has none yet is the task's. */
static __always_inline void eg_option_tag(const struct eg_host_ctl *host, struct bpf_sock *sk, struct eg_tag *ret)
{
	const struct eg_sock *sock;
	struct eg_app *app;

	eg_tag_find(host, NULL, ret);
	sock = sk ? eg_tag_sock(sk, host, &app) : NULL;
	if (!sock)
		return;
	ret->app = sock->who.app;
	ret->gen = sock->who.gen;
	ret->cgroup_id = sock->who.cgroup_id;
}

/* sk: NULL where the hook has none to show; then the task's app counts. */
static __always_inline int eg_option_judge(struct bpf_sock *sk, __u8 refused)
{
	struct eg_host_ctl *host = eg_host();
	const struct eg_ruleset *ruleset;
	__u8 reason = EG_REASON_INTERNAL;
	struct eg_who who = {0};
	struct eg_clock clock;
	struct eg_app *app;
	struct eg_tag tag;

	if (!host)
		return 0;
	eg_option_tag(host, sk, &tag);
	if (!tag.gen && tag.unknown == EG_UNKNOWN_PASS)
		return 1;
	eg_who_tagged(&tag, &who);
	if (!tag.gen)
		return eg_option_tell(&who, sk, (__u8)tag.reason, 0, tag.unknown == EG_UNKNOWN_AUDIT);
	app = eg_app_at(tag.app);
	if (!app)
		return 0;
	eg_clock_exact(host, &clock);
	ruleset = eg_standing(&who, host, app, &clock, &reason);
	if (!ruleset)
		return eg_option_tell(&who, sk, reason, 0, false);
	if (refused == EG_REASON_RAW_SOCKET && ruleset->flags & EG_RULESET_RAW)
		return 1;
	return eg_option_tell(&who, sk, refused, ruleset->uid, eg_relaxed(app, ruleset, &clock));
}

#endif

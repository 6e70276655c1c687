// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * socket.bpf.c - the birth and the release of a socket
 *
 * At birth the socket is tagged with its app, and remembers the task that made it: later
 * hooks may run in another task, or in none. Families and protocols that egress rules can't
 * name (SCTP, UDP-Lite, ...) and raw sockets are refused here; each packet is judged anyway.
 */
#include "flow.h"
#include "nested.h"
#include "tag.h"
#include "verdict.h"

static __always_inline __u8 eg_create_protocol(const struct bpf_sock *ctx)
{
	switch (ctx->type) {
	case EG_TYPE_STREAM:
		if (ctx->protocol == IPPROTO_TCP || ctx->protocol == EG_PROTO_MPTCP)
			return EG_REASON_NONE;
		return EG_REASON_PROTOCOL;
	case EG_TYPE_DGRAM:
		if (ctx->protocol == IPPROTO_UDP || ctx->protocol == IPPROTO_ICMP ||
		    ctx->protocol == IPPROTO_ICMPV6)
			return EG_REASON_NONE;
		return EG_REASON_PROTOCOL;
	case EG_TYPE_RAW:
		return EG_REASON_RAW_SOCKET;
	default:
		return EG_REASON_PROTOCOL;
	}
}

/* True: go on. Tells the refusal, or what audit let through. */
static __always_inline int eg_create_tell(const struct eg_who *who, const struct bpf_sock *ctx, __u8 reason,
					  __u32 uid, bool audited)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_CREATE,
		.audited = audited,
		.rule = EG_RULE_NONE,
		.uid = uid,
	};
	struct eg_view view = {.proto = ctx->protocol > 255 ? 0 : (__u8)ctx->protocol};

	eg_tell_denial(who, &view, &denial, false);
	return audited;
}

/* A raw socket is the policy's choice; no policy, no raw socket. */
static __always_inline int eg_create_raw(const struct eg_who *who, const struct eg_host_ctl *host,
					 const struct bpf_sock *ctx)
{
	struct eg_app *app = eg_app_at(who->app);
	const struct eg_ruleset *ruleset;
	struct eg_clock clock;
	__u8 reason = EG_REASON_INTERNAL;

	if (!app)
		return 0;
	eg_clock_exact(host, &clock);
	ruleset = eg_standing(who, host, app, &clock, &reason);
	if (!ruleset)
		return eg_create_tell(who, ctx, reason, 0, false);
	if (ruleset->flags & EG_RULESET_RAW)
		return 1;
	return eg_create_tell(who, ctx, EG_REASON_RAW_SOCKET, ruleset->uid, eg_relaxed(app, ruleset, &clock));
}

static __always_inline bool eg_create_counted(const struct eg_host_ctl *host, struct eg_app *app)
{
	if (__sync_fetch_and_add(&app->state.sockets, 1) < host->sockets_max)
		return true;
	__sync_fetch_and_add(&app->state.sockets, -1);
	return false;
}

SEC("cgroup/sock_create")
int eg_sock_create(struct bpf_sock *ctx)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_sock *sock;
	struct eg_app *app;
	struct eg_tag tag;
	__u8 reason;

	if (!host)
		return 0;
	eg_tag_find(host, NULL, &tag);
	/* but a raw socket is remembered as a task's, should its cgroup be tagged later */
	if (!tag.gen && tag.unknown == EG_UNKNOWN_PASS && ctx->type != EG_TYPE_RAW)
		return 1;
	sock = bpf_sk_storage_get(&socks, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!sock)
		return 0;
	eg_who_current(&sock->who);
	sock->who.cgroup_id = tag.cgroup_id;
	sock->flags = EG_SOCK_NS_KNOWN;
	if (bpf_get_netns_cookie(ctx) == host->host_netns_cookie)
		sock->flags |= EG_SOCK_HOST_NS;
	if (eg_netns_is_nested())
		sock->flags |= EG_SOCK_NESTED;
	reason = eg_create_protocol(ctx);
	if (!tag.gen) {
		if (reason == EG_REASON_NONE || tag.unknown == EG_UNKNOWN_PASS)
			return 1; /* it can reach nothing yet; connect and the packet hook say why */
		return eg_create_tell(&sock->who, ctx, tag.reason, 0, tag.unknown == EG_UNKNOWN_AUDIT);
	}
	eg_tag_keep(sock, &tag);
	if (reason == EG_REASON_RAW_SOCKET && !eg_create_raw(&sock->who, host, ctx))
		return 0;
	if (reason == EG_REASON_PROTOCOL)
		return eg_create_tell(&sock->who, ctx, reason, 0, false);
	app = eg_app_at(tag.app);
	if (!app)
		return 0;
	if (!eg_create_counted(host, app))
		return eg_create_tell(&sock->who, ctx, EG_REASON_SOCKET_QUOTA, 0, false);
	sock->flags |= EG_SOCK_COUNTED;
	if (host->so_mark)
		ctx->mark = host->so_mark;
	return 1;
}

SEC("cgroup/sock_release")
int eg_sock_release(struct bpf_sock *ctx)
{
	struct eg_sock *sock = bpf_sk_storage_get(&socks, ctx, 0, 0);

	if (!sock)
		return 1;
	eg_sock_uncount(sock);
	if (sock->flags & EG_SOCK_SOCKOPS)
		return 1;
	eg_who_bereave(&sock->who);
	eg_flow_end(&sock->who, &sock->flow, eg_names_of(ctx, &sock->flow));
	eg_flow_end(&sock->who, &sock->others, NULL);
	return 1;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bind.bpf.c - a TCP port is bound only where some ingress rule admits somebody to it
 *
 * Port 0 and UDP are free (the packet hook judges what arrives). Port 53 is refused: an app
 * that answers DNS could grant itself addresses. The app's own loopback needs no rule.
 */
#include "events.h"
#include "rules.h"
#include "tag.h"
#include "verdict.h"

static __always_inline int eg_bind_tell(const struct eg_who *who, const struct eg_view *view, __u8 reason,
					__u32 uid, bool audited)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_BIND,
		.dir = EG_DIR_INGRESS,
		.audited = audited,
		.rule = EG_RULE_NONE,
		.uid = uid,
	};

	eg_tell_denial(who, view, &denial, false);
	return audited;
}

static __always_inline __u8 eg_bind_judge(const struct eg_ruleset *ruleset, const struct eg_view *view)
{
	__u32 service = EG_SERVICE(IPPROTO_TCP, view->dst_port);
	struct eg_found found = {0};

	if (view->dst_port == EG_PORT_DNS)
		return EG_REASON_BIND_DNS;
	if (view->proto != IPPROTO_TCP)
		return EG_REASON_NONE;
	if (eg_addr_is_loopback(&view->dst) && ruleset->flags & EG_RULESET_SELF)
		return EG_REASON_NONE;
	if (eg_matches_search(ruleset->bind_first, ruleset->bind_count, service, service, &found))
		return EG_REASON_NONE;
	return EG_REASON_BIND_PORT;
}

static __always_inline int eg_bind(struct bpf_sock_addr *ctx, struct eg_view *view)
{
	struct eg_host_ctl *host = eg_host();
	struct bpf_sock *sk = ctx->sk;
	const struct eg_ruleset *ruleset;
	struct eg_clock clock;
	struct eg_sock *sock;
	struct eg_app *app;
	__u8 reason = EG_REASON_NONE;

	view->dst_port = bpf_ntohs((__u16)ctx->user_port);
	view->proto = eg_sock_addr_proto(ctx);
	if (!view->dst_port)
		return 1;
	sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	if (!host || !sock)
		return !!host;
	app = eg_app_at(sock->who.app);
	if (!eg_tag_valid(host, sock, app) || !app)
		return 1; /* of no app yet: what arrives is judged by the packet hook */
	eg_clock_exact(host, &clock);
	ruleset = eg_standing(&sock->who, host, app, &clock, &reason);
	if (!ruleset)
		return eg_bind_tell(&sock->who, view, reason, 0, false);
	reason = eg_bind_judge(ruleset, view);
	if (reason == EG_REASON_NONE)
		return 1;
	return eg_bind_tell(&sock->who, view, reason, ruleset->uid, eg_relaxed(app, ruleset, &clock));
}

SEC("cgroup/bind4")
int eg_bind4(struct bpf_sock_addr *ctx)
{
	struct eg_view view = {0};

	eg_addr_v4(&view.dst, ctx->user_ip4);
	return eg_bind(ctx, &view);
}

SEC("cgroup/bind6")
int eg_bind6(struct bpf_sock_addr *ctx)
{
	struct eg_view view = {0};

	eg_sock_addr_v6(&view.dst, ctx);
	return eg_bind(ctx, &view);
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

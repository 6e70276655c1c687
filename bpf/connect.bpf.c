// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * connect.bpf.c - the early answer: connect() and sendto() fail at once, with EPERM
 *
 * These hooks are for people: an immediate error instead of a hang, and an event that names
 * the task. They never allow anything, the packet hook judges every packet again; and where
 * NAT may change the destination afterwards (EG_HOST_LATE), they leave the rules to it.
 */
#include "flow.h"
#include "meters.h"
#include "self.h"
#include "tag.h"
#include "verdict.h"

struct eg_attempt {
	struct eg_view view;
	struct eg_who who;
	__u32 hook; /* enum eg_hook */
};

static __always_inline int eg_attempt_tell(const struct eg_attempt *a, __u8 reason, __u16 rule, __u32 uid,
					   bool audited)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = (__u8)a->hook,
		.audited = audited,
		.rule = rule,
		.uid = uid,
	};

	eg_tell_denial(&a->who, &a->view, &denial, false);
	return audited;
}

/*
 * The socket's storage with a valid tag. NULL: *ret_answer says whether to go on. The program
 * was chosen by the socket's cgroup, but only the current task's can be walked here; where
 * the two differ, the packet hook has the word.
 */
static __always_inline struct eg_sock *eg_attempt_sock(struct bpf_sock_addr *ctx, const struct eg_host_ctl *host,
						       struct eg_attempt *a, int *ret_answer)
{
	struct bpf_sock *sk = ctx->sk;
	struct eg_sock *sock = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : NULL;
	struct eg_tag tag;

	*ret_answer = 1;
	if (sock && eg_tag_valid(host, sock, eg_app_at(sock->who.app))) {
		a->who.app = sock->who.app;
		a->who.gen = sock->who.gen;
		a->who.cgroup_id = sock->who.cgroup_id;
		return sock;
	}
	eg_tag_find(host, NULL, &tag);
	if (!tag.managed && !tag.gen && tag.reason == EG_REASON_UNKNOWN_CGROUP)
		return NULL;
	if (tag.gen) {
		if (!sock || sock->who.cgroup_id != tag.cgroup_id)
			return NULL;
		eg_tag_keep(sock, &tag);
		a->who.app = tag.app;
		a->who.gen = tag.gen;
		a->who.cgroup_id = tag.cgroup_id;
		return sock;
	}
	a->who.app = EG_APP_UNKNOWN;
	a->who.cgroup_id = tag.cgroup_id;
	if (tag.unknown == EG_UNKNOWN_DENY) /* what audit lets through is told by the packet hook */
		*ret_answer = eg_attempt_tell(a, (__u8)tag.reason, EG_RULE_NONE, 0, false);
	return NULL;
}

/* A TCP connection that will be tried: its SYN is not counted as new again. */
static __always_inline void eg_attempt_admit(struct eg_sock *sock)
{
	eg_flow_end(&sock->who, &sock->flow, NULL);
	sock->flow.state = EG_FLOW_ADMITTED;
	sock->flow.origin = EG_DIR_EGRESS;
}

static __always_inline int eg_attempt_limits(struct eg_attempt *a, struct eg_sock *sock,
					     const struct eg_ruleset *ruleset, const struct eg_verdict *verdict,
					     const struct eg_clock *clock, bool relaxed)
{
	__u8 reason;

	if (a->view.proto != IPPROTO_TCP) /* the packet hook's EPERM reaches the sender at once */
		return 1;
	reason = (__u8)eg_meters_spent(&a->who, ruleset, verdict->meters_out, clock);
	if (reason == EG_REASON_NONE)
		reason = (__u8)eg_meters_spent(&a->who, ruleset, verdict->meters_in, clock);
	if (reason == EG_REASON_NONE && verdict->meters_flows)
		reason = (__u8)eg_meters_take(&a->who, ruleset, verdict->meters_flows, 0, clock);
	if (reason != EG_REASON_NONE && !eg_attempt_tell(a, reason, verdict->rule, ruleset->uid, relaxed))
		return 0;
	eg_attempt_admit(sock);
	return 1;
}

/* Whether a socket without a handshake has spoken to one peer only: see eg_view_untranslate. */
static __always_inline void eg_attempt_note(const struct eg_attempt *a, struct eg_sock *sock)
{
	__u32 flags = sock->flags;

	if (a->view.proto != IPPROTO_UDP || flags & EG_SOCK_SEVERAL)
		return;
	if (a->hook == EG_HOOK_CONNECT)
		flags = __sync_fetch_and_or(&sock->flags, EG_SOCK_NAMED);
	if (a->hook != EG_HOOK_CONNECT || flags & EG_SOCK_NAMED)
		__sync_fetch_and_or(&sock->flags, EG_SOCK_SEVERAL);
}

static __always_inline int eg_attempt(struct bpf_sock_addr *ctx, struct eg_attempt *a)
{
	struct eg_host_ctl *host = eg_host();
	struct eg_ask ask = {.origin = EG_DIR_EGRESS};
	const struct eg_ruleset *ruleset;
	struct eg_verdict verdict;
	struct eg_clock clock;
	struct eg_sock *sock;
	struct eg_app *app;
	__u8 reason = EG_REASON_NONE;
	bool relaxed;
	int answer;

	if (!host)
		return 0;
	eg_who_current(&a->who);
	sock = eg_attempt_sock(ctx, host, a, &answer);
	if (!sock)
		return answer;
	eg_attempt_note(a, sock);
	app = eg_app_at(a->who.app);
	if (!app)
		return 0;
	eg_clock_exact(host, &clock);
	ruleset = eg_standing(&a->who, host, app, &clock, &reason);
	if (!ruleset)
		return eg_attempt_tell(a, reason, EG_RULE_NONE, 0, false);
	if (host->flags & EG_HOST_LATE)
		return 1;
	/* a ping socket's type is known with its packet */
	if (a->view.proto != IPPROTO_TCP && a->view.proto != IPPROTO_UDP)
		return 1;
	ask.app = a->who.app;
	ask.gen = a->who.gen;
	ask.now_ns = clock.boot_ns;
	ask.remote = a->view.dst;
	ask.service = EG_SERVICE(a->view.proto, a->view.dst_port);
	if (eg_addr_is_loopback(&ask.remote)) {
		ask.loopback = 1;
		ask.self = eg_self_is_mine(ctx, sock, &a->view, EG_DIR_EGRESS);
	}
	eg_verdict_rules(ruleset, &ask, &verdict);
	relaxed = eg_relaxed(app, ruleset, &clock);
	if (verdict.reason != EG_REASON_NONE) {
		if (eg_lets_through(verdict.reason, relaxed))
			return 1; /* told by the packet, which is what is let through */
		/* getaddrinfo() does so with every address of a name, to sort them (RFC 6724), and sends nothing */
		if (verdict.flags & EG_VERDICT_GRANTED && a->view.proto == IPPROTO_UDP && a->hook == EG_HOOK_CONNECT)
			return 1;
		return eg_attempt_tell(a, verdict.reason, verdict.rule, verdict.uid, false);
	}
	return eg_attempt_limits(a, sock, ruleset, &verdict, &clock, relaxed);
}

static __always_inline int eg_attempt4(struct bpf_sock_addr *ctx, __u32 hook)
{
	struct eg_attempt a = {.hook = hook};

	eg_addr_v4(&a.view.dst, ctx->user_ip4);
	a.view.dst_port = bpf_ntohs((__u16)ctx->user_port);
	a.view.proto = eg_sock_addr_proto(ctx);
	return eg_attempt(ctx, &a);
}

static __always_inline int eg_attempt6(struct bpf_sock_addr *ctx, __u32 hook)
{
	struct eg_attempt a = {.hook = hook};

	eg_sock_addr_v6(&a.view.dst, ctx);
	a.view.dst_port = bpf_ntohs((__u16)ctx->user_port);
	a.view.proto = eg_sock_addr_proto(ctx);
	return eg_attempt(ctx, &a);
}

SEC("cgroup/connect4")
int eg_connect4(struct bpf_sock_addr *ctx)
{
	return eg_attempt4(ctx, EG_HOOK_CONNECT);
}

SEC("cgroup/connect6")
int eg_connect6(struct bpf_sock_addr *ctx)
{
	return eg_attempt6(ctx, EG_HOOK_CONNECT);
}

SEC("cgroup/sendmsg4")
int eg_sendmsg4(struct bpf_sock_addr *ctx)
{
	return eg_attempt4(ctx, EG_HOOK_SENDMSG);
}

SEC("cgroup/sendmsg6")
int eg_sendmsg6(struct bpf_sock_addr *ctx)
{
	return eg_attempt6(ctx, EG_HOOK_SENDMSG);
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

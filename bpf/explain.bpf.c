// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * explain.bpf.c - answers the agent's questions with the very tables and code that judge
 *
 * Never attached: the agent runs it by BPF_PROG_TEST_RUN with a struct eg_question behind an
 * Ethernet header and reads the answer in the same place. (A `syscall` program would need no
 * header, but may not read a trie on older kernels.)
 */
#include "self.h"
#include "verdict.h"

/* The agent asks from the host's network namespace, so the look-up is the one that a packet there would get. */
static __always_inline bool eg_explain_self(struct __sk_buff *skb, const struct eg_question *q, __u32 gen)
{
	struct eg_who who = {.app = q->app, .gen = gen};
	struct eg_view view = {.proto = q->proto};

	if (!q->host_netns)
		return true;
	if (q->dir != EG_DIR_EGRESS) /* whose port it comes from isn't said */
		return false;
	view.src = q->peer;
	view.dst = q->peer;
	view.dst_port = q->port;
	return eg_self_lookup(skb, &who, &view, EG_DIR_EGRESS);
}

SEC("tc")
int eg_explain(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct eg_question *q = data + sizeof(struct ethhdr);
	struct eg_host_ctl *host = eg_host();
	const struct eg_ruleset *ruleset;
	struct eg_verdict verdict;
	struct eg_who who = {0};
	struct eg_ask ask = {0};
	struct eg_clock clock;
	struct eg_app *app;
	__u8 reason = EG_REASON_INTERNAL;

	if ((void *)(q + 1) > end || !host)
		return 2;
	who.app = q->app;
	app = eg_app_at(q->app);
	if (!app)
		return 2;
	eg_clock_exact(host, &clock);
	q->rule = EG_RULE_NONE;
	ruleset = eg_standing(&who, host, app, &clock, &reason);
	if (!ruleset) {
		q->reason = reason;
		return 0;
	}
	ask.remote = q->peer;
	ask.origin = q->dir;
	ask.service = EG_SERVICE(q->proto, q->port);
	ask.loopback = eg_addr_is_loopback(&ask.remote);
	ask.self = ask.loopback && eg_explain_self(skb, q, app->ctl.gen);
	eg_verdict_rules(ruleset, &ask, &verdict);
	q->reason = verdict.reason;
	q->rule = verdict.rule;
	q->uid = verdict.uid;
	q->prefix_seen = verdict.prefix_seen;
	q->audited = verdict.reason != EG_REASON_NONE && eg_relaxed(app, ruleset, &clock);
	return 0;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

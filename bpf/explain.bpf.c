// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * explain.bpf.c - answers the agent's questions with the very tables and code that judge
 *
 * Never attached: the agent runs it by BPF_PROG_TEST_RUN with a struct eg_question behind an
 * Ethernet header and reads the answer in the same place. (A `syscall` program would need no
 * header, but may not read a trie on older kernels.)
 */
#include "learn.h"
#include "verdict.h"

/* The same of a name: which rule allows the service to whatever it is an address of. */
static __always_inline void eg_explain_name(const struct eg_question *q, const struct eg_ruleset *ruleset,
					    __u32 service, struct eg_verdict *ret)
{
	const struct eg_name_rules *named;
	struct eg_scratch *s;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->uid = ruleset->uid;
	ret->rule = EG_RULE_NONE;
	ret->reason = EG_REASON_INTERNAL;
	s = eg_scratch_claim();
	if (!s)
		return;
	__builtin_memcpy(s->key.text, q->name, sizeof(s->key.text));
	named = eg_name_rules_of(s, ruleset->uid);
	ret->reason = named ? EG_REASON_NO_RULE_PORT : EG_REASON_DNS_NAME;
	__builtin_memset(&s->found, 0, sizeof(s->found));
	if (named && eg_matches_search(named->span.first, named->span.count, service, service, &s->found))
		eg_verdict_fill(ruleset, &s->found, ret);
	eg_scratch_release(s);
}

/* The ruleset in force; or that of a policy that is only planned, which nothing but its rules is asked about. */
static __always_inline const struct eg_ruleset *eg_explain_ruleset(const struct eg_question *q,
								   const struct eg_who *who,
								   const struct eg_host_ctl *host, struct eg_app *app,
								   const struct eg_clock *clock, __u8 *ret_reason)
{
	__u32 index = q->other - 1;

	return q->other ? bpf_map_lookup_elem(&rulesets, &index) : eg_standing(who, host, app, clock, ret_reason);
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
	who.gen = app->ctl.gen;
	eg_clock_exact(host, &clock);
	q->rule = EG_RULE_NONE;
	ruleset = eg_explain_ruleset(q, &who, host, app, &clock, &reason);
	if (!ruleset) {
		q->reason = reason;
		return 0;
	}
	ask.remote = q->peer;
	ask.origin = q->dir;
	ask.service = EG_SERVICE(q->proto, q->port);
	ask.loopback = eg_addr_is_loopback(&ask.remote);
	ask.self = ask.loopback;
	ask.app = q->app;
	ask.gen = app->ctl.gen;
	ask.now_ns = clock.boot_ns;
	if (q->by_name)
		eg_explain_name(q, ruleset, ask.service, &verdict);
	else
		eg_verdict_rules(ruleset, &ask, &verdict);
	q->reason = verdict.reason;
	q->rule = verdict.rule;
	q->uid = verdict.uid;
	q->flags = verdict.flags;
	q->way = verdict.way;
	q->prefix_seen = verdict.prefix_seen;
	q->audited = verdict.reason != EG_REASON_NONE && eg_lets_through(verdict.reason, eg_relaxed(app, ruleset, &clock));
	return 0;
}

/*
 * Grants an address as an answer would that the app's own socket got: for names that the agent
 * looks up beforehand (`prefetch`). Never attached; run as eg_explain is.
 */
SEC("tc")
int eg_learn(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct eg_lesson *lesson = data + sizeof(struct ethhdr);
	const struct eg_ruleset *ruleset;
	struct eg_scratch *s;
	struct eg_app *app;

	if ((void *)(lesson + 1) > end)
		return 2;
	app = eg_app_at(lesson->app);
	if (!app || app->ctl.gen != lesson->gen)
		return 2;
	ruleset = eg_ruleset_of(app);
	s = ruleset ? eg_scratch_claim() : NULL;
	if (!s)
		return 2;
	__builtin_memcpy(s->key.text, lesson->name, sizeof(s->key.text));
	s->name_hash = lesson->name_hash;
	s->addr[0] = lesson->addr;
	s->ttl_s[0] = lesson->ttl_s;
	s->addr_count = 1;
	eg_dns_harvest(s, lesson->app, lesson->gen, ruleset->uid);
	lesson->result = s->harvest.shortage ? EG_REASON_DNS_SHORTAGE :
			 s->harvest.private  ? EG_REASON_DNS_PRIVATE :
					       EG_REASON_NONE;
	lesson->granted = s->harvest.granted;
	eg_scratch_release(s);
	return 0;
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * guard.bpf.c - the second look: packets on the host end of an app's veth
 *
 * Theory of operation. Who administers a network namespace can change, copy and make packets
 * behind the packet hook: by nft, tc, a tunnel. So both directions are judged again where the
 * app has no hand, by the same tables. There is no socket and no flow here; a packet is judged by
 * itself. It passes if the rules let it begin a flow, or if it may be the answer in a flow that
 * they let the other side begin. A SYN is never an answer. Nothing is counted as traffic: the
 * hook has done that. Caps have meters of their own, as honest traffic stays below the hook's
 * and only copies go beyond.
 *
 * Fragments are seen here, since the app's kernel makes them after the hook. The first one has
 * the ports; a later one passes if some rule has its protocol and peer. The receiver of a later
 * one can thus only be a host that the policy names, and an honest one drops it without a first.
 *
 * What leaves against the rules has the reason `netns_guard`, whatever is wrong with it: honest
 * traffic was judged before and doesn't get here, so somebody tampered. What comes in keeps the
 * rules' own reason; it may be any outsider's.
 *
 * ARP, neighbour discovery and multicast membership pass, or the link would die; they reach no
 * further than the link, but for probes of neighbours by a global address, which hold a few bytes.
 */
#include "flow.h"
#include "icmp.h"
#include "meters.h"

#define EG_TC_PASS (-1) /* TC_ACT_UNSPEC: other programs may look at it, too */
#define EG_TC_DROP 2    /* TC_ACT_SHOT */

#define EG_GUARD_HEADERS (ETH_HLEN + 60 + 60) /* IP and TCP with all their options */
#define EG_GUARD_TELL_NS (1000ull * 1000 * 1000)
#define EG_METERS_OF_APP 0xffffff /* of a list: all but the rule's own */

struct eg_guard_case {
	struct eg_guard *guard;
	struct eg_app *app;
	const struct eg_ruleset *ruleset;
	struct eg_who who;
	struct eg_clock clock;
};

static __always_inline bool eg_is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* The type of request that this ICMP type answers (RFC 792, RFC 4443); -1: none. */
static __always_inline int eg_icmp_request(__u8 proto, __u8 type)
{
	if (proto == IPPROTO_ICMPV6)
		return type == 129 ? 128 : -1;
	return type == 0 ? 8 : type == 14 ? 13 : -1;
}

/* What the rules say of a flow begun by `origin`, of which this packet goes `dir`. False: it can't be one. */
static __always_inline bool eg_guard_ask(const struct eg_guard_case *c, const struct eg_view *view, __u32 dir,
					 __u32 origin, bool later, struct eg_verdict *ret)
{
	struct eg_ask ask = {
		.origin = (__u8)origin,
		.any_port = later,
		.app = c->who.app,
		.gen = c->who.gen,
		.now_ns = c->clock.boot_ns,
	};
	__u32 port = origin == EG_DIR_EGRESS ? eg_view_remote_port(view, dir) : eg_view_local_port(view, dir);

	if (eg_is_icmp(view->proto) && !later) {
		int type = dir == origin ? view->icmp_type : eg_icmp_request(view->proto, view->icmp_type);

		if (type < 0)
			return false;
		port = (__u32)type;
	}
	if (dir != origin && view->proto == IPPROTO_TCP &&
	    (view->tcp_flags & (EG_TCP_SYN | EG_TCP_ACK)) == EG_TCP_SYN)
		return false;
	ask.remote = *eg_view_remote(view, dir);
	ask.service = EG_SERVICE(view->proto, port);
	eg_verdict_rules(c->ruleset, &ask, ret);
	return true;
}

/* As one that begins a flow or, if it can't be that, as an answer. *ret is the verdict that counts. */
static __always_inline void eg_guard_judge(const struct eg_guard_case *c, const struct eg_view *view, __u32 dir,
					   bool later, struct eg_verdict *ret)
{
	struct eg_verdict answer;

	eg_guard_ask(c, view, dir, dir, later, ret);
	if (ret->reason == EG_REASON_NONE)
		return;
	if (eg_guard_ask(c, view, dir, !dir, later, &answer) && answer.reason == EG_REASON_NONE)
		*ret = answer;
}

/*
 * The packet that an ICMP error quotes: its addresses, protocol, and ports or ICMP type. (What is
 * quoted may end after 8 bytes of TCP, so its flags stay 0.)
 */
static __always_inline bool eg_guard_quoted(struct __sk_buff *skb, struct eg_view *ret)
{
	__u32 at = ETH_HLEN;
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
	} ip;
	__u8 l4[4];

	__builtin_memset(ret, 0, sizeof(*ret));
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, at, &ip.v4, sizeof(ip.v4)))
			return false;
		at += ip.v4.ihl * 4u + 8;
		if (bpf_skb_load_bytes(skb, at, &ip.v4, sizeof(ip.v4)) || ip.v4.version != 4 || ip.v4.ihl < 5 ||
		    ip.v4.frag_off & bpf_htons(EG_IP_OFFSET_MASK))
			return false;
		eg_addr_v4(&ret->src, ip.v4.saddr);
		eg_addr_v4(&ret->dst, ip.v4.daddr);
		ret->proto = ip.v4.protocol;
		at += ip.v4.ihl * 4u;
	} else {
		at += sizeof(ip.v6) + 8;
		if (bpf_skb_load_bytes(skb, at, &ip.v6, sizeof(ip.v6)) || ip.v6.version != 6)
			return false;
		__builtin_memcpy(&ret->src, &ip.v6.saddr, sizeof(ret->src));
		__builtin_memcpy(&ret->dst, &ip.v6.daddr, sizeof(ret->dst));
		ret->proto = ip.v6.nexthdr;
		at += sizeof(ip.v6);
	}
	if (bpf_skb_load_bytes(skb, at, l4, sizeof(l4)))
		return false;
	if (eg_is_icmp(ret->proto)) {
		ret->icmp_type = l4[0];
		return true;
	}
	ret->src_port = (__u16)(l4[0] << 8 | l4[1]);
	ret->dst_port = (__u16)(l4[2] << 8 | l4[3]);
	return ret->proto == IPPROTO_TCP || ret->proto == IPPROTO_UDP;
}

/* An error is allowed to where the packet that it quotes came from, if that one was allowed. */
static __always_inline void eg_guard_judge_error(struct __sk_buff *skb, const struct eg_guard_case *c,
						 const struct eg_view *view, __u32 dir, struct eg_verdict *ret)
{
	struct eg_verdict verdict;
	struct eg_view quoted;

	if (!eg_guard_quoted(skb, &quoted) || !eg_addr_equal(&quoted.src, &view->dst))
		return;
	eg_guard_judge(c, &quoted, !dir, false, &verdict);
	if (verdict.reason == EG_REASON_NONE)
		*ret = verdict;
}

/* A packet that isn't allowed. `quiet`: counted, not told. */
static __always_inline int eg_guard_refuse(const struct eg_guard_case *c, const struct eg_view *view, __u8 reason,
					   __u16 rule, __u32 dir, bool quiet)
{
	struct eg_denial denial = {
		.reason = reason,
		.hook = EG_HOOK_GUARD,
		.dir = (__u8)dir,
		.rule = rule,
		.uid = c->ruleset ? c->ruleset->uid : 0,
	};

	eg_tell_denial(&c->who, view, &denial, quiet);
	return EG_TC_DROP;
}

/* What the rules or caps are against: refused, or let through by audit, which is told once a second. */
static __always_inline int eg_guard_against(const struct eg_guard_case *c, const struct eg_view *view, __u8 reason,
					    __u16 rule, __u32 dir)
{
	struct eg_denial denial = {
		.reason = dir == EG_DIR_EGRESS ? EG_REASON_NETNS_GUARD : reason,
		.hook = EG_HOOK_GUARD,
		.dir = (__u8)dir,
		.audited = 1,
		.rule = rule,
		.uid = c->ruleset->uid,
	};
	__u64 now = c->clock.boot_ns;
	bool quiet;

	if (!eg_lets_through(reason, eg_relaxed(c->app, c->ruleset, &c->clock)))
		return eg_guard_refuse(c, view, denial.reason, rule, dir, false);
	quiet = now < *(volatile __u64 *)&c->guard->told_ns + EG_GUARD_TELL_NS;
	if (!quiet)
		*(volatile __u64 *)&c->guard->told_ns = now;
	eg_tell_denial(&c->who, view, &denial, quiet);
	return EG_TC_PASS;
}

/* Loopback never is on a wire, whatever "self" or a rule says of the app's own. */
static __always_inline bool eg_guard_is_martian(const struct eg_view *view)
{
	return eg_addr_is_loopback(&view->src) || eg_addr_is_loopback(&view->dst);
}

static __always_inline int eg_guard_ip(struct __sk_buff *skb, const struct eg_guard_case *c,
				       const struct eg_view *view, __u8 malformed, __u32 dir)
{
	struct eg_verdict verdict = {.rule = EG_RULE_NONE, .reason = EG_REASON_NO_RULE};
	bool later = malformed == EG_REASON_FRAGMENT;
	__u32 meters;

	if (malformed != EG_REASON_NONE && !later)
		return eg_guard_against(c, view, malformed, EG_RULE_NONE, dir);
	if (eg_guard_is_martian(view))
		return eg_guard_against(c, view, EG_REASON_LOOPBACK, EG_RULE_NONE, dir);
	if (eg_view_is_icmp_error(view) && !later)
		eg_guard_judge_error(skb, c, view, dir, &verdict);
	if (verdict.reason != EG_REASON_NONE)
		eg_guard_judge(c, view, dir, later, &verdict);
	if (verdict.reason != EG_REASON_NONE)
		return eg_guard_against(c, view, verdict.reason, verdict.rule, dir);
	meters = later ? verdict.meters_out & EG_METERS_OF_APP : verdict.meters_out;
	if (dir == EG_DIR_EGRESS && meters &&
	    eg_meters_take_again(&c->who, c->ruleset, meters, view->bytes, &c->clock) != EG_REASON_NONE)
		return eg_guard_against(c, view, EG_REASON_NETNS_GUARD, verdict.rule, dir);
	return EG_TC_PASS;
}

/* The stack pulls headers of what it sends; a forwarded packet may have them elsewhere. */
static __always_inline void eg_guard_pull(struct __sk_buff *skb)
{
	__u32 want = skb->len < EG_GUARD_HEADERS ? skb->len : EG_GUARD_HEADERS;

	if ((void *)(long)skb->data + want > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, want);
}

/* What keeps the link alive: ARP, neighbour discovery, multicast membership. */
static __always_inline bool eg_guard_is_link(struct __sk_buff *skb, const struct eg_view *view, __u32 dir)
{
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return true;
	if (eg_view_is_mld_report(view) || eg_view_is_igmp(view))
		return true;
	if (eg_view_is_discovery(view))
		return dir == EG_DIR_INGRESS || eg_addr_is_on_link(&view->dst) || eg_is_probe(skb, view, ETH_HLEN);
	return dir == EG_DIR_INGRESS && view->proto == IPPROTO_ICMPV6 && view->icmp_type == 130 && view->hop_limit == 1;
}

static __always_inline int eg_guard(struct __sk_buff *skb, __u32 dir)
{
	struct eg_host_ctl *host = eg_host();
	__u32 ifindex = skb->ifindex;
	struct eg_guard_case c = {0};
	__u8 reason = EG_REASON_INTERNAL, malformed;
	struct eg_view view;
	bool link;

	c.guard = bpf_map_lookup_elem(&guards, &ifindex);
	if (!host || !c.guard)
		return EG_TC_DROP;
	c.who.app = c.guard->app;
	c.who.gen = c.guard->gen;
	c.app = eg_app_at(c.who.app);
	if (!c.app || c.app->ctl.gen != c.who.gen)
		return EG_TC_DROP;
	eg_clock_coarse(host, &c.clock);
	eg_guard_pull(skb);
	malformed = (__u8)eg_parse_at(skb, &view, ETH_HLEN, true);
	if (skb->vlan_present)
		malformed = EG_REASON_UNPARSABLE;
	link = !skb->vlan_present && eg_guard_is_link(skb, &view, dir);
	c.ruleset = eg_standing(&c.who, host, c.app, &c.clock, &reason);
	if (!c.ruleset)
		return eg_guard_refuse(&c, &view, reason, EG_RULE_NONE, dir, link);
	if (link)
		return EG_TC_PASS;
	return eg_guard_ip(skb, &c, &view, malformed, dir);
}

/* What comes from the app: ingress of the host end. */
SEC("tc")
int eg_guard_out(struct __sk_buff *skb)
{
	return eg_guard(skb, EG_DIR_EGRESS);
}

/* What goes to the app: egress of the host end. */
SEC("tc")
int eg_guard_in(struct __sk_buff *skb)
{
	return eg_guard(skb, EG_DIR_INGRESS);
}

char eg_license[] SEC("license") = "Dual BSD/GPL";

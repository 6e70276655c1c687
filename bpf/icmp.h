/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * icmp.h - the ICMP that no rule needs to name: neighbour discovery, and errors about what was sent
 */
#ifndef EG_BPF_ICMP_H
#define EG_BPF_ICMP_H

#include "maps.h"
#include "parse.h"

#define EG_NEIGHBOUR_MAX 96 /* bytes: IPv6 header, message, one link-layer address (RFC 4861, RFC 4391) */
#define EG_NEIGHBOUR_ETH 72 /* the same of Ethernet */

static __always_inline bool eg_addr_is_on_link(const struct eg_addr *a)
{
	return (a->b[0] == 0xff && (a->b[1] & 0x0f) == 2) || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

/*
 * A neighbour is asked about the address that this goes to, or answers about the one that it comes from; an
 * address that isn't bound to the link can be routed, whatever the hop limit. at: where the IP header begins,
 * behind Ethernet's if not 0.
 */
EG_GLOBAL int eg_is_probe(struct __sk_buff *skb, const struct eg_view *view, __u32 at)
{
	struct eg_addr target;

	if (!view || view->bytes > (at ? EG_NEIGHBOUR_ETH : EG_NEIGHBOUR_MAX) ||
	    bpf_skb_load_bytes(skb, at + sizeof(struct ipv6hdr) + 8, &target, sizeof(target)))
		return false;
	if (view->icmp_type != 135 && view->icmp_type != 136)
		return false;
	return eg_addr_equal(&target, view->icmp_type == 135 ? &view->dst : &view->src);
}

/*
 * Neighbour discovery (RFC 4861) and multicast listener reports (RFC 3810) of the app's own
 * namespace come from kernel sockets, which sock_create never saw. So could a raw socket that is
 * older than the programs: what is not bound to the link by its address must be the probe of a
 * neighbour or the answer to one.
 */
EG_GLOBAL int eg_is_neighbour(struct __sk_buff *skb, const struct eg_view *view)
{
	if (!view || view->proto != IPPROTO_ICMPV6)
		return false;
	switch (view->icmp_type) {
	case 131:
	case 132:
	case 143:
		return view->hop_limit == 1 && view->dst.b[0] == 0xff;
	case 133:
		return view->hop_limit == 255 && eg_addr_is_on_link(&view->dst);
	case 135:
	case 136:
		if (view->hop_limit != 255 || eg_addr_is_on_link(&view->dst))
			return view->hop_limit == 255;
		return eg_is_probe(skb, view, 0);
	default:
		return false;
	}
}

/* Whether the ICMP error quotes a packet that went to the flow's peer. */
EG_GLOBAL int eg_icmp_quotes(struct __sk_buff *skb, const struct eg_view *view, const struct eg_flow *flow)
{
	struct ipv6hdr inner6;
	struct iphdr inner;
	struct eg_addr to;
	__u8 first;

	if (!view || !flow)
		return false;
	if (view->proto == IPPROTO_ICMPV6) {
		if (bpf_skb_load_bytes(skb, sizeof(inner6) + 8, &inner6, sizeof(inner6)))
			return false;
		__builtin_memcpy(&to, &inner6.daddr, sizeof(to));
		return inner6.nexthdr == flow->proto && eg_addr_equal(&to, &flow->peer);
	}
	if (bpf_skb_load_bytes(skb, 0, &first, sizeof(first)) ||
	    bpf_skb_load_bytes(skb, (first & 0x0fu) * 4 + 8, &inner, sizeof(inner)))
		return false;
	eg_addr_v4(&to, inner.daddr);
	return inner.protocol == flow->proto && eg_addr_equal(&to, &flow->peer);
}

#endif

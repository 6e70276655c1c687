/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - a packet, from its IP header on, as one normal form
 *
 * IPv4 addresses become ::ffff:a.b.c.d here, so that nothing after this file knows two
 * families. What can't be parsed within bounds, or must never leave (a fragment made by
 * hand, a routing header, whose last hop is not the address we'd judge), gets a reason.
 * Only the linear part is read: the stack pulls TCP, UDP and ICMP headers before the hooks.
 *
 * `at` is where the IP header begins: 0 in a cgroup's hooks, ETH_HLEN at tc. Both are constants,
 * so each caller has code of its own. With `fragments`, the first one is read as if it were the
 * packet, and EG_REASON_FRAGMENT means a later one: without ports, but proto is set.
 */
#ifndef EG_BPF_PARSE_H
#define EG_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <egret/abi.h>

#define EG_EXT_HEADERS_MAX 6
#define EG_EXT_BYTES_MAX   512
#define EG_V4_OPTIONS_MAX  40
#define EG_IPOPT_LSRR      131
#define EG_IPOPT_SSRR      137

#define EG_IP_OFFSET_MASK  0x1fff
#define EG_IP6_OFFSET_MASK 0xfff8

#define EG_PORT_DNS 53

/* Of sockets: <linux/socket.h> and <linux/net.h> have these for the kernel alone, and <linux/in.h> a newer one. */
#define EG_AF_UNIX     1
#define EG_AF_INET     2
#define EG_AF_INET6    10
#define EG_AF_NETLINK  16
#define EG_TYPE_STREAM 1
#define EG_TYPE_DGRAM  2
#define EG_TYPE_RAW    3
#define EG_PROTO_MPTCP 262

#define EG_TCP_SYN 0x02
#define EG_TCP_ACK 0x10
#define EG_TCP_URG 0x20

/* One packet, or what a connect, sendmsg or bind names. */
struct eg_view {
	struct eg_addr src;
	struct eg_addr dst;
	__u16 src_port; /* host order; 0 for ICMP */
	__u16 dst_port;
	__u8 proto; /* IPPROTO_*; IPPROTO_ICMPV6 for IPv6 */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 hop_limit;
	__u16 payload; /* offset from the IP header; 0: ICMP, or not parsed */
	__u16 pad;
	__u32 seq; /* TCP */
	__u32 packets; /* on the wire */
	__u32 bytes; /* IP bytes on the wire, headers of each segment included */
};

static __always_inline void eg_addr_v4(struct eg_addr *ret, __u32 addr_be)
{
	ret->d_be[0] = 0;
	ret->w_be[2] = bpf_htonl(0xffff);
	ret->w_be[3] = addr_be;
}

static __always_inline bool eg_addr_equal(const struct eg_addr *a, const struct eg_addr *b)
{
	return a->d_be[0] == b->d_be[0] && a->d_be[1] == b->d_be[1];
}

static __always_inline bool eg_addr_is_v4(const struct eg_addr *a)
{
	return a->d_be[0] == 0 && a->w_be[2] == bpf_htonl(0xffff);
}

static __always_inline bool eg_addr_is_loopback(const struct eg_addr *a)
{
	if (a->d_be[0] != 0)
		return false;
	if (a->w_be[2] == bpf_htonl(0xffff))
		return (a->w_be[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return a->w_be[2] == 0 && a->w_be[3] == bpf_htonl(1);
}

/* Of a connect, sendmsg or bind. MPTCP is TCP on the wire, and its number is beyond a byte. */
static __always_inline __u8 eg_sock_addr_proto(const struct bpf_sock_addr *ctx)
{
	return ctx->protocol == EG_PROTO_MPTCP ? IPPROTO_TCP : (__u8)ctx->protocol;
}

/* Word by word, as the context may be read. */
static __always_inline void eg_sock_addr_v6(struct eg_addr *ret, const struct bpf_sock_addr *ctx)
{
	ret->w_be[0] = ctx->user_ip6[0];
	ret->w_be[1] = ctx->user_ip6[1];
	ret->w_be[2] = ctx->user_ip6[2];
	ret->w_be[3] = ctx->user_ip6[3];
}

/* What goes on the wire: each GSO segment has the headers again, each IP fragment its own. */
static __always_inline void eg_parse_volume(const struct __sk_buff *skb, struct eg_view *view, __u32 at,
					    __u32 headers, bool v6)
{
	__u32 len = skb->len - at;
	__u32 segments = skb->gso_segs;
	__u32 size = skb->gso_size;

	if (size && !segments && len > headers)
		segments = (len - headers + size - 1) / size;
	if (segments > 1) {
		view->packets = segments;
		view->bytes = len + (segments - 1) * headers;
		return;
	}
	view->packets = 1;
	view->bytes = len;
	/*
	 * A large datagram is judged before it is fragmented, and the hook can't see the path's
	 * MTU: count fragments of an Ethernet frame (RFC 894), so that the cap errs to its own side.
	 */
	if (len > 1500 && view->proto != IPPROTO_TCP && !eg_addr_is_loopback(&view->dst)) {
		__u32 payload = v6 ? 1448 : 1480;
		__u32 extra = v6 ? 48 : 20;

		view->packets = (len - (v6 ? 40 : 20) + payload - 1) / payload;
		view->bytes = len + (view->packets - 1) * extra + (v6 ? 8 : 0);
	}
}

static __always_inline enum eg_reason eg_parse_l4(const struct __sk_buff *skb, struct eg_view *view, void *l4,
						  void *end, __u32 at, __u32 offset, bool v6)
{
	__u32 headers = offset;

	switch (view->proto) {
	case IPPROTO_TCP: {
		const struct tcphdr *tcp = l4;

		if ((void *)(tcp + 1) > end || tcp->doff < 5)
			return EG_REASON_UNPARSABLE;
		view->src_port = bpf_ntohs(tcp->source);
		view->dst_port = bpf_ntohs(tcp->dest);
		view->tcp_flags = ((const __u8 *)tcp)[13];
		view->seq = bpf_ntohl(tcp->seq);
		headers += tcp->doff * 4u;
		view->payload = (__u16)headers;
		break;
	}
	case IPPROTO_UDP: {
		const struct udphdr *udp = l4;

		if ((void *)(udp + 1) > end)
			return EG_REASON_UNPARSABLE;
		view->src_port = bpf_ntohs(udp->source);
		view->dst_port = bpf_ntohs(udp->dest);
		headers += sizeof(*udp);
		view->payload = (__u16)headers;
		break;
	}
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		const __u8 *icmp = l4; /* type, code, checksum, 4 bytes more: RFC 792 and RFC 4443 */

		if ((void *)(icmp + 8) > end || (view->proto == IPPROTO_ICMPV6) != v6)
			return EG_REASON_UNPARSABLE;
		view->icmp_type = icmp[0];
		break;
	}
	default:
		return EG_REASON_PROTOCOL;
	}
	eg_parse_volume(skb, view, at, headers, v6);
	return EG_REASON_NONE;
}

/*
 * A source route (RFC 791) goes on to hops that the destination doesn't tell. Any byte that could be
 * one counts: who sends other options loses a few that look like it.
 */
static __always_inline bool eg_v4_source_route(const void *options, const void *l4, const void *end)
{
	const __u8 *byte = options;

	for (int i = 0; i < EG_V4_OPTIONS_MAX; i++, byte++) {
		if ((const void *)(byte + 1) > end || (const void *)byte >= l4)
			return false;
		if (*byte == EG_IPOPT_LSRR || *byte == EG_IPOPT_SSRR)
			return true;
	}
	return false;
}

static __always_inline enum eg_reason eg_parse_v4(const struct __sk_buff *skb, struct eg_view *view, __u32 at,
						  bool fragments)
{
	void *data = (void *)(long)skb->data + at;
	void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = data;
	__u32 offset;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return EG_REASON_UNPARSABLE;
	eg_addr_v4(&view->src, ip->saddr);
	eg_addr_v4(&view->dst, ip->daddr);
	view->proto = ip->protocol;
	view->hop_limit = ip->ttl;
	offset = ip->ihl * 4u;
	if (offset > sizeof(*ip) && eg_v4_source_route(ip + 1, data + offset, end))
		return EG_REASON_EXT_HEADER;
	if (ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset: RFC 791 */
		if (!fragments || ip->frag_off & bpf_htons(EG_IP_OFFSET_MASK))
			return EG_REASON_FRAGMENT;
	return eg_parse_l4(skb, view, data + offset, end, at, offset, false);
}

/* A fragment header (RFC 8200, 4.5): steps over it if what follows can be read. */
static __always_inline enum eg_reason eg_parse_fragment(struct __sk_buff *skb, struct eg_view *view, __u32 at,
							__u32 *offset)
{
	struct {
		__u8 next;
		__u8 reserved;
		__u16 offset_be;
		__u32 id;
	} header;

	if (bpf_skb_load_bytes(skb, at + *offset, &header, sizeof(header)))
		return EG_REASON_UNPARSABLE;
	view->proto = header.next;
	*offset += sizeof(header);
	return header.offset_be & bpf_htons(EG_IP6_OFFSET_MASK) ? EG_REASON_FRAGMENT : EG_REASON_NONE;
}

/* Walks the extension headers of RFC 8200; they are rare, so loads by call will do. */
static __always_inline enum eg_reason eg_parse_ext(struct __sk_buff *skb, struct eg_view *view, __u32 at,
						   bool fragments, __u32 *offset)
{
	enum eg_reason reason;

	for (int i = 0; i < EG_EXT_HEADERS_MAX; i++) {
		struct {
			__u8 next;
			__u8 len;
		} ext;

		switch (view->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
			break;
		case IPPROTO_FRAGMENT:
			if (!fragments)
				return EG_REASON_FRAGMENT;
			reason = eg_parse_fragment(skb, view, at, offset);
			if (reason != EG_REASON_NONE)
				return reason;
			continue;
		case IPPROTO_ROUTING:
			return EG_REASON_EXT_HEADER;
		default:
			return EG_REASON_NONE;
		}
		if (bpf_skb_load_bytes(skb, at + *offset, &ext, sizeof(ext)))
			return EG_REASON_UNPARSABLE;
		view->proto = ext.next;
		*offset += (ext.len + 1u) * 8;
		if (*offset > EG_EXT_BYTES_MAX)
			return EG_REASON_EXT_HEADER;
	}
	return EG_REASON_EXT_HEADER;
}

static __always_inline enum eg_reason eg_parse_v6(struct __sk_buff *skb, struct eg_view *view, __u32 at,
						  bool fragments)
{
	void *data = (void *)(long)skb->data + at;
	void *end = (void *)(long)skb->data_end;
	const struct ipv6hdr *ip = data;
	__u32 offset = sizeof(*ip);
	enum eg_reason reason;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return EG_REASON_UNPARSABLE;
	__builtin_memcpy(&view->src, &ip->saddr, sizeof(view->src));
	__builtin_memcpy(&view->dst, &ip->daddr, sizeof(view->dst));
	view->proto = ip->nexthdr;
	view->hop_limit = ip->hop_limit;
	if (view->proto != IPPROTO_TCP && view->proto != IPPROTO_UDP && view->proto != IPPROTO_ICMPV6) {
		reason = eg_parse_ext(skb, view, at, fragments, &offset);
		if (reason != EG_REASON_NONE)
			return reason;
		data = (void *)(long)skb->data + at;
		end = (void *)(long)skb->data_end;
		if (offset > EG_EXT_BYTES_MAX)
			return EG_REASON_EXT_HEADER;
	}
	return eg_parse_l4(skb, view, data + offset, end, at, offset, true);
}

/* view is zeroed and filled as far as the packet could be read, also when a reason is returned. */
static __always_inline enum eg_reason eg_parse_at(struct __sk_buff *skb, struct eg_view *view, __u32 at,
						  bool fragments)
{
	__builtin_memset(view, 0, sizeof(*view));
	view->packets = 1;
	view->bytes = skb->len - at;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return eg_parse_v4(skb, view, at, fragments);
	case bpf_htons(ETH_P_IPV6):
		return eg_parse_v6(skb, view, at, fragments);
	default:
		return EG_REASON_UNPARSABLE;
	}
}

static __always_inline enum eg_reason eg_parse(struct __sk_buff *skb, struct eg_view *view)
{
	return eg_parse_at(skb, view, 0, false);
}

/* Neighbour discovery (RFC 4861): never from beyond the link. */
static __always_inline bool eg_view_is_discovery(const struct eg_view *view)
{
	return view->proto == IPPROTO_ICMPV6 && view->icmp_type >= 133 && view->icmp_type <= 136 &&
	       view->hop_limit == 255;
}

/* A report to the link's multicast routers (RFC 3810). */
static __always_inline bool eg_view_is_mld_report(const struct eg_view *view)
{
	return view->proto == IPPROTO_ICMPV6 && view->hop_limit == 1 &&
	       (view->icmp_type == 131 || view->icmp_type == 132 || view->icmp_type == 143);
}

/* The same for IPv4 (RFC 3376); no other parser of ours reads IGMP. */
static __always_inline bool eg_view_is_igmp(const struct eg_view *view)
{
	return view->proto == IPPROTO_IGMP && view->hop_limit == 1 && eg_addr_is_v4(&view->dst) &&
	       (view->dst.w_be[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

/* Errors about live flows: destination unreachable, too big, time exceeded, parameter problem. */
static __always_inline bool eg_view_is_icmp_error(const struct eg_view *view)
{
	if (view->proto == IPPROTO_ICMP)
		return view->icmp_type == 3 || view->icmp_type == 11 || view->icmp_type == 12;
	return view->proto == IPPROTO_ICMPV6 && view->icmp_type >= 1 && view->icmp_type <= 4;
}

#endif

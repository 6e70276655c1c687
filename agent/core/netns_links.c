// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. An interface whose peer lives in another namespace is listed
 * with the peer's ifindex (IFLA_LINK) and a number for that other namespace
 * (IFLA_LINK_NETNSID), which means something only within the namespace that lists it.
 * So we list from inside, and ask there (RTM_GETNSID) which number is ours.
 *
 * A tunnel, bridge or the like is inner while the kernel names no other namespace for it: one that
 * was made elsewhere and moved in goes on sending there, and is listed with that namespace. Kinds
 * that don't tell (wireguard), and tun, whose other end is whoever holds its fd, never are inner.
 */
#include "netns.h"

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <string.h>

EG_DEFINE_CLEANUP(nl_sock, struct nl_sock *, nl_socket_free);
EG_DEFINE_CLEANUP(nl_msg, struct nl_msg *, nlmsg_free);
EG_DEFINE_CLEANUP(nl_cache, struct nl_cache *, nl_cache_free);

struct links {
	int host_fd; /* the namespace whose ifindexes are asked for */
	struct eg_netns_uplink *items;
	size_t count;
};

static int nl_errno(int r)
{
	switch (-r) {
	case 0:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	default:
		return -EIO;
	}
}

static int take_nsid(struct nl_msg *msg, void *arg)
{
	struct nlattr *attr = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct rtgenmsg), NETNSA_NSID);

	if (attr)
		*(int32_t *)arg = nla_get_s32(attr);
	return NL_OK;
}

/* The number of namespace fd as seen from here; NETNSA_NSID_NOT_ASSIGNED if it has none. */
static int nsid_of(struct nl_sock *sock, int fd, int32_t *ret_nsid)
{
	EG_CLEANUP(eg_cleanup_nl_msg) struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, NLM_F_REQUEST);
	struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	int32_t nsid = NETNSA_NSID_NOT_ASSIGNED;
	int r;

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) ||
	    nla_put_u32(msg, NETNSA_FD, (uint32_t)fd))
		return -ENOMEM;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_nsid, &nsid);
	r = nl_send_auto(sock, msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock); /* the answer */
	if (r >= 0)
		r = nl_wait_for_ack(sock);
	if (r < 0)
		return nl_errno(r);
	*ret_nsid = nsid;
	return 0;
}

static bool is_inner(const char *kind, bool elsewhere)
{
	static const char *const kinds[] = {"veth",   "bridge", "dummy",  "ifb",    "bond",   "vlan",  "vxlan",
					    "geneve", "ipip",   "sit",    "gre",    "gretap", "erspan", "ip6tnl",
					    "ip6gre", "vti",    "vti6",   "macvlan", "ipvlan", "vrf",   "ip6gretap"};

	for (size_t i = 0; !elsewhere && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

static void take_link(struct links *links, struct rtnl_link *link, int32_t host_nsid)
{
	struct eg_netns_uplink *item = &links->items[links->count];
	const char *kind = rtnl_link_get_type(link), *name = rtnl_link_get_name(link);
	bool elsewhere;
	int nsid;

	if (rtnl_link_get_flags(link) & IFF_LOOPBACK)
		return;
	item->ifindex = (__u32)rtnl_link_get_ifindex(link);
	snprintf(item->name, sizeof(item->name), "%s", name ? name : "");
	snprintf(item->kind, sizeof(item->kind), "%s", kind ? kind : "");
	elsewhere = rtnl_link_get_link_netnsid(link, &nsid) == 0;
	item->inner = is_inner(item->kind, elsewhere);
	if (host_nsid >= 0 && elsewhere && nsid == host_nsid)
		item->host_ifindex = (__u32)rtnl_link_get_link(link);
	links->count++;
}

static int list_links(void *ctx)
{
	EG_CLEANUP(eg_cleanup_nl_sock) struct nl_sock *sock = nl_socket_alloc();
	EG_CLEANUP(eg_cleanup_nl_cache) struct nl_cache *cache = NULL;
	struct links *links = ctx;
	struct nl_object *object;
	int32_t host_nsid = 0;
	int r;

	if (!sock)
		return -ENOMEM;
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r)
		return nl_errno(r);
	/* The list first: the kernel gives the other namespace a number while listing. */
	r = rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache);
	if (r)
		return nl_errno(r);
	r = nsid_of(sock, links->host_fd, &host_nsid);
	if (r)
		return r;
	links->items = calloc((size_t)nl_cache_nitems(cache) + 1, sizeof(*links->items));
	if (!links->items)
		return -ENOMEM;
	for (object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object))
		take_link(links, (struct rtnl_link *)object, host_nsid);
	return 0;
}

int eg_netns_uplinks(int fd, struct eg_netns_uplink **ret_links, size_t *ret_count)
{
	EG_CLOSE int self = eg_netns_open_self();
	struct links links = { .host_fd = self };
	int r;

	if (self < 0)
		return self;
	r = eg_netns_run(fd, list_links, &links);
	if (r) {
		free(links.items);
		return r;
	}
	*ret_links = links.items;
	*ret_count = links.count;
	return 0;
}

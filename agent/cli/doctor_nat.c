// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_nat.c - where addresses may be translated after an app has named them
 *
 * Chains of nftables are listed in this network namespace, which needs CAP_NET_ADMIN; where translation is a module of the
 * kernel, how often it is used says so for all namespaces together. iptables of the older kind has a file.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "doctor.h"

#define GET_CHAINS (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN)

EG_DEFINE_CLEANUP(nl_sock, struct nl_sock *, nl_socket_free);

static int take_chain(struct nl_msg *msg, void *ctx)
{
	const struct nlattr *type = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct nfgenmsg), NFTA_CHAIN_TYPE);
	unsigned *count = ctx;

	if (type && nla_strcmp(type, "nat") == 0)
		++*count;
	return NL_OK;
}

/* In this namespace. 0, or a negative error of libnl's: they can't be listed. */
static int nat_chains(unsigned *ret)
{
	EG_CLEANUP(eg_cleanup_nl_sock) struct nl_sock *sock = nl_socket_alloc();
	struct nfgenmsg family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	int r;

	*ret = 0;
	if (!sock)
		return -NLE_NOMEM;
	r = nl_connect(sock, NETLINK_NETFILTER);
	if (r >= 0)
		r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_chain, ret);
	if (r >= 0)
		r = nl_send_simple(sock, GET_CHAINS, NLM_F_DUMP, &family, sizeof(family));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	return r < 0 ? r : 0;
}

/* In every namespace together; 0 too where translation is built in. */
static unsigned nat_chains_anywhere(void)
{
	FILE *f = fopen("/sys/module/nft_chain_nat/refcnt", "re");
	unsigned count = 0;

	if (f && fscanf(f, "%u", &count) != 1)
		count = 0;
	if (f)
		fclose(f);
	return count;
}

/* A line of the file that begins with the word. */
static bool file_has(const char *path, const char *word)
{
	FILE *f = fopen(path, "re");
	size_t len = strlen(word);
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = strncmp(line, word, len) == 0 && (line[len] == '\n' || line[len] == ' ');
	if (f)
		fclose(f);
	return found;
}

void eg_doctor_nat(struct eg_doctor *doctor)
{
	static const char fix[] = "Rules match the address after translation; set connect_verdict to off if connect() "
				  "refuses what they allow";
	unsigned here, anywhere = nat_chains_anywhere();

	if (nat_chains(&here) == 0 && here)
		eg_doctor_warn(doctor, "nat", fix, "%u nftables chains translate addresses in this network namespace", here);
	if (anywhere > here)
		eg_doctor_warn(doctor, "nat", fix, "%u nftables chains translate addresses in other network namespaces",
			       anywhere - here);
	if (file_has("/proc/net/ip_tables_names", "nat") || file_has("/proc/net/ip6_tables_names", "nat"))
		eg_doctor_warn(doctor, "nat", fix, "iptables has a nat table in this network namespace");
}

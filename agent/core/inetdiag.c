// SPDX-License-Identifier: Apache-2.0
#include "inetdiag.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#define KERNEL_FILTER_MAX 64 /* cgroups; above, the kernel's linear filter is slower than ours */
#define DESTROY_BATCH     64
#define RECEIVE_BUFFER    (192 * 1024) /* below rmem_max; a batch of refusals takes about 80 KiB */
#define STATES_WANTED     (0x1ffeu & ~(1u << TCP_TIME_WAIT)) /* states 1 .. 12 */

struct eg_inetdiag {
	struct nl_sock *sock;
};

EG_DEFINE_CLEANUP(inetdiag, struct eg_inetdiag *, eg_inetdiag_close);
EG_DEFINE_CLEANUP(nl_msg, struct nl_msg *, nlmsg_free);

int eg_idset_add(struct eg_idset *set, uint64_t id)
{
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 16;
		uint64_t *ids = reallocarray(set->ids, room, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		set->ids = ids;
		set->room = room;
	}
	set->ids[set->count++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void eg_idset_sort(struct eg_idset *set)
{
	size_t kept = 0;

	if (set->count)
		qsort(set->ids, set->count, sizeof(*set->ids), compare_ids);
	for (size_t i = 0; i < set->count; i++)
		if (i == 0 || set->ids[i] != set->ids[kept - 1])
			set->ids[kept++] = set->ids[i];
	set->count = kept;
}

bool eg_idset_has(const struct eg_idset *set, uint64_t id)
{
	return set->count && bsearch(&id, set->ids, set->count, sizeof(id), compare_ids);
}

void eg_idset_clear(struct eg_idset *set)
{
	free(set->ids);
	*set = (struct eg_idset){ 0 };
}

static int nl_errno(int r)
{
	switch (r < 0 ? -r : 0) {
	case 0:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_OBJ_NOTFOUND: /* ENOENT: no module for the protocol */
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_DUMP_INTR:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

int eg_inetdiag_open(struct eg_inetdiag **ret_diag)
{
	EG_CLEANUP(eg_cleanup_inetdiag) struct eg_inetdiag *diag = calloc(1, sizeof(*diag));
	int r;

	if (!diag)
		return -ENOMEM;
	diag->sock = nl_socket_alloc();
	if (!diag->sock)
		return -ENOMEM;
	nl_socket_disable_seq_check(diag->sock);
	nl_socket_disable_auto_ack(diag->sock);
	r = nl_connect(diag->sock, NETLINK_SOCK_DIAG);
	if (r == 0)
		r = nl_socket_set_buffer_size(diag->sock, RECEIVE_BUFFER, 0);
	if (r == 0)
		r = nl_socket_set_msg_buf_size(diag->sock, 64 * 1024); /* the kernel packs what fits */
	if (r)
		return nl_errno(r);
	*ret_diag = EG_TAKE_PTR(diag);
	return 0;
}

void eg_inetdiag_close(struct eg_inetdiag *diag)
{
	if (!diag)
		return;
	if (diag->sock)
		nl_socket_free(diag->sock);
	free(diag);
}

/*
 * Bytecode of the kernel's filter, "one of these cgroups":
 *     each but the last:  COND id  yes: +12 (the JMP)  no: +16 (the next COND)
 *                         JMP      to the end, which accepts
 *     the last:           COND id  yes: +12 (the end)  no: +16 (beyond it, which rejects)
 */
static int put_cgroup_filter(struct nl_msg *msg, const struct eg_idset *cgroups)
{
	const unsigned short cond = sizeof(struct inet_diag_bc_op) + sizeof(uint64_t);
	const unsigned short step = cond + sizeof(struct inet_diag_bc_op);
	unsigned char code[KERNEL_FILTER_MAX * (sizeof(struct inet_diag_bc_op) * 2 + sizeof(uint64_t))];
	size_t end = cgroups->count * step - sizeof(struct inet_diag_bc_op), at = 0;

	for (size_t i = 0; i < cgroups->count; i++) {
		struct inet_diag_bc_op op = {
			.code = INET_DIAG_BC_CGROUP_COND,
			.yes = (unsigned char)cond,
			.no = step,
		};
		struct inet_diag_bc_op jump = { .code = INET_DIAG_BC_JMP, .yes = sizeof(jump) };

		memcpy(code + at, &op, sizeof(op));
		memcpy(code + at + sizeof(op), &cgroups->ids[i], sizeof(uint64_t));
		at += cond;
		if (i + 1 == cgroups->count)
			break;
		jump.no = (unsigned short)(end - at);
		memcpy(code + at, &jump, sizeof(jump));
		at += sizeof(jump);
	}
	return nla_put(msg, INET_DIAG_REQ_BYTECODE, (int)end, code);
}

struct dump {
	int proto;
	const struct eg_idset *cgroups;
	eg_inetdiag_fn fn;
	void *ctx;
	bool done;
	int r;
};

static struct eg_addr to_addr(int family, const __be32 *words)
{
	struct eg_addr addr = { 0 };

	if (family == AF_INET6) {
		memcpy(addr.b, words, sizeof(addr.b));
	} else if (words[0]) {
		addr.w_be[2] = htonl(0xffff);
		addr.w_be[3] = words[0];
	}
	return addr;
}

static int take_socket(struct nl_msg *nl_msg, void *arg)
{
	struct nlmsghdr *head = nlmsg_hdr(nl_msg);
	const struct inet_diag_msg *msg = nlmsg_data(head);
	struct eg_inetdiag_victim victim;
	struct eg_sockdiag_sock sock;
	struct dump *dump = arg;
	struct nlattr *cgroup;

	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || !nlmsg_valid_hdr(head, sizeof(*msg)) || dump->r)
		return NL_OK;
	cgroup = nlmsg_find_attr(head, sizeof(*msg), INET_DIAG_CGROUP_ID);
	sock = (struct eg_sockdiag_sock){
		.cgroup_id = cgroup ? nla_get_u64(cgroup) : 0,
		.family = msg->idiag_family,
		.proto = (uint8_t)dump->proto,
		.state = msg->idiag_state,
		.local_port = ntohs(msg->id.idiag_sport),
		.peer_port = ntohs(msg->id.idiag_dport),
		.local = to_addr(msg->idiag_family, msg->id.idiag_src),
		.peer = to_addr(msg->idiag_family, msg->id.idiag_dst),
		.cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0],
		.inode = msg->idiag_inode,
	};
	if (dump->cgroups && !eg_idset_has(dump->cgroups, sock.cgroup_id))
		return NL_OK;
	victim = (struct eg_inetdiag_victim){
		.req = { .sdiag_family = msg->idiag_family, .sdiag_protocol = (__u8)dump->proto, .id = msg->id },
		.cookie = sock.cookie,
		.state = sock.state,
	};
	if (dump->proto == IPPROTO_RAW) /* a raw socket's "port" is its protocol, which goes in this byte */
		victim.req.pad = (__u8)sock.local_port;
	dump->r = dump->fn(dump->ctx, &sock, &victim);
	return NL_OK;
}

static int take_done(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *head = nlmsg_hdr(msg);
	struct dump *dump = arg;
	int r = 0;

	/* The end carries the dump's own result: -ENOENT if no module has this table. */
	if (nlmsg_datalen(head) >= (int)sizeof(r))
		memcpy(&r, nlmsg_data(head), sizeof(r));
	if (r < 0 && dump->r == 0)
		dump->r = r == -ENOENT ? -EOPNOTSUPP : r;
	dump->done = true;
	return NL_STOP;
}

int eg_inetdiag_dump(struct eg_inetdiag *diag, int family, int proto, const struct eg_idset *cgroups,
		     eg_inetdiag_fn fn, void *ctx)
{
	EG_CLEANUP(eg_cleanup_nl_msg) struct nl_msg *msg = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	struct dump dump = { .proto = proto, .cgroups = cgroups, .fn = fn, .ctx = ctx };
	struct inet_diag_req_v2 req = {
		.sdiag_family = (__u8)family,
		.sdiag_protocol = (__u8)proto,
		.idiag_states = STATES_WANTED,
	};
	int r;

	if (cgroups && cgroups->count == 0)
		return 0;
	if (!msg || nlmsg_append(msg, &req, sizeof(req), NLMSG_ALIGNTO))
		return -ENOMEM;
	if (cgroups && cgroups->count <= KERNEL_FILTER_MAX && put_cgroup_filter(msg, cgroups))
		return -ENOMEM;
	nl_socket_modify_cb(diag->sock, NL_CB_VALID, NL_CB_CUSTOM, take_socket, &dump);
	nl_socket_modify_cb(diag->sock, NL_CB_FINISH, NL_CB_CUSTOM, take_done, &dump);
	r = nl_send_auto(diag->sock, msg);
	while (r >= 0 && !dump.done)
		r = nl_recvmsgs_default(diag->sock);
	return r < 0 ? nl_errno(r) : dump.r;
}

/* Sends victims[0 .. count) in one system call; the sequence number is the index. */
static int send_batch(struct eg_inetdiag *diag, const struct eg_inetdiag_victim *victims, size_t count)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 req;
	} batch[DESTROY_BATCH];

	memset(batch, 0, sizeof(batch));
	for (size_t i = 0; i < count; i++) {
		batch[i].head.nlmsg_len = sizeof(batch[i]);
		batch[i].head.nlmsg_type = SOCK_DESTROY;
		batch[i].head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		batch[i].head.nlmsg_seq = (__u32)i;
		batch[i].req = victims[i].req;
	}
	return nl_errno(nl_sendto(diag->sock, batch, count * sizeof(batch[0])));
}

/* Reads one acknowledgement for each; those that don't come leave ret_errnos at its start value. */
static int read_acks(struct eg_inetdiag *diag, size_t count, int *ret_errnos)
{
	for (size_t acks = 0; acks < count;) {
		EG_FREE unsigned char *buf = NULL;
		struct sockaddr_nl from;
		int len = nl_recv(diag->sock, &from, &buf, NULL);

		if (len <= 0)
			return len ? nl_errno(len) : -EIO;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
			const struct nlmsgerr *err = nlmsg_data(h);

			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq >= count)
				continue;
			ret_errnos[h->nlmsg_seq] = err->error;
			acks++;
		}
	}
	return 0;
}

int eg_inetdiag_destroy(struct eg_inetdiag *diag, const struct eg_inetdiag_victim *victims, size_t count,
			int *ret_errnos)
{
	for (size_t i = 0; i < count; i++)
		ret_errnos[i] = -EIO;
	for (size_t at = 0; at < count; at += DESTROY_BATCH) {
		size_t n = count - at < DESTROY_BATCH ? count - at : DESTROY_BATCH;
		int r = send_batch(diag, victims + at, n);

		if (r == 0)
			r = read_acks(diag, n, ret_errnos + at);
		if (r)
			return r;
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * loopback.c - whether a loopback address is the app's own, as the packet hook would find it
 *
 * In a network namespace that is not the host's, loopback is the app's own; in the host's, only
 * a port is that a socket of the app has (bpf/self.h). The program that explains has no socket
 * to look from, so the agent looks: at the namespaces of the app's tasks, and at its sockets.
 */
#include <string.h>

#include "agent_impl.h"
#include "netns.h"
#include "sockdiag.h"

bool eg_loopback_addr(const struct eg_addr *addr)
{
	static const struct eg_addr one = {.b = {[15] = 1}};

	return memcmp(addr, &one, sizeof(one)) == 0 || (eg_addr_v4mapped(addr) && addr->b[12] == 127);
}

/* Whether a task of the cgroups is in the namespace of the agent, which is the host's. */
static bool in_host_netns(struct eg_agent *agent, const uint64_t *ids, size_t count)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = {0};
	EG_CLOSE int own = eg_netns_open_self();
	uint64_t inode;

	for (size_t i = 0; i < count; i++) {
		EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, ids[i]);

		if (fd >= 0)
			eg_netns_set_add_cgroup(&set, fd);
	}
	if (own < 0 || eg_netns_inode(own, &inode) < 0)
		return true;
	for (size_t i = 0; i < set.count; i++) {
		if (set.items[i].inode == inode)
			return true;
	}
	return false;
}

struct port {
	uint8_t proto;
	uint16_t number;
	bool found;
};

static bool note_port(void *ctx, const struct eg_sockdiag_sock *sock)
{
	struct port *port = ctx;

	if (sock->proto == port->proto && sock->local_port == port->number)
		port->found = true;
	return false; /* nothing is cut */
}

bool eg_loopback_own(struct eg_agent *agent, const char *app, uint8_t proto, uint16_t number)
{
	struct port port = {.proto = proto, .number = number};
	struct eg_cut_request request = {.filter = note_port, .filter_ctx = &port};
	EG_FREE uint64_t *ids = NULL;
	const struct eg_entry *entry;
	struct eg_cut ignored;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry && eg_tags_ids(agent, entry->slot, true, &ids, &request.cgroup_count) < 0)
		request.cgroup_count = 0;
	pthread_mutex_unlock(&agent->lock);
	request.cgroup_ids = ids;
	if (!in_host_netns(agent, ids, request.cgroup_count))
		return true;
	eg_sockdiag_cut(agent->cgroupfs, &request, &ignored);
	return port.found;
}

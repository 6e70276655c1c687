// SPDX-License-Identifier: Apache-2.0
/*
 * cut.c - which sockets to reset when an app is killed, capped, or loses a rule
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "snapshot.h"

/* The app's cgroups; also those that died lately, whose sockets may live on. Caller frees. */
static size_t ids_of(struct eg_agent *agent, const char *name, uint64_t **ret_ids, uint32_t *ret_slot)
{
	const struct eg_entry *entry;
	size_t count = 0;

	*ret_ids = NULL;
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, name);
	if (entry) {
		*ret_slot = entry->slot;
		if (eg_tags_ids(agent, entry->slot, false, ret_ids, &count) < 0)
			count = 0;
	}
	pthread_mutex_unlock(&agent->lock);
	return count;
}

static void cut(struct eg_agent *agent, const struct eg_cut_request *request, const char *whose, struct eg_cut *ret)
{
	*ret = (struct eg_cut){0};
	if (!request->cgroup_count)
		return;
	eg_sockdiag_cut(agent->cgroupfs, request, ret);
	if (ret->errors)
		eg_log_warning("%s: %u of its sockets could not be looked at or reset (%s); their packets are dropped "
			       "all the same",
			       whose, ret->errors + ret->missed, strerror(-ret->first_errno));
}

void eg_cut_app(struct eg_agent *agent, const char *name, bool tcp_only, struct eg_cut *ret)
{
	EG_FREE uint64_t *ids = NULL;
	uint32_t slot = 0;
	struct eg_cut_request request = {.tcp_only = tcp_only};

	request.cgroup_count = ids_of(agent, name, &ids, &slot);
	request.cgroup_ids = ids;
	cut(agent, &request, name, ret);
}

void eg_cut_app_noting(struct eg_agent *agent, const char *name, struct eg_socket_notes *notes, struct eg_cut *ret)
{
	EG_FREE uint64_t *ids = NULL;
	uint32_t slot = 0;
	struct eg_cut_request request = {.filter = eg_socket_note, .filter_ctx = notes};

	request.cgroup_count = ids_of(agent, name, &ids, &slot);
	request.cgroup_ids = ids;
	cut(agent, &request, name, ret);
}

void eg_cut_all(struct eg_agent *agent, struct eg_socket_notes *notes, struct eg_cut *ret)
{
	uint64_t ids[EG_CONFIG_ROOTS_MAX];
	struct eg_cut_request request = {
		.cgroup_ids = ids, .filter = notes ? eg_socket_note : NULL, .filter_ctx = notes};

	pthread_mutex_lock(&agent->lock);
	request.cgroup_count = eg_roots_ids(agent, ids);
	pthread_mutex_unlock(&agent->lock);
	cut(agent, &request, "all apps", ret);
}

/* ---- By verdict ---------------------------------------------------------------------- */

struct judged {
	struct eg_agent *agent;
	uint32_t slot;
	uint32_t rule; /* EG_RULE_NONE: those that are denied; else those that this rule allows */
};

static bool ask(const struct judged *judged, const struct eg_sockdiag_sock *sock, enum eg_dir dir,
		struct eg_question *ret)
{
	*ret = (struct eg_question){
		.app = judged->slot,
		.dir = (uint8_t)dir,
		.proto = sock->proto,
		.port = dir == EG_DIR_EGRESS ? sock->peer_port : sock->local_port,
		.peer = sock->peer,
	};
	return eg_kern_explain(judged->agent->kern, ret) == 0;
}

/* inet_diag doesn't say who began a connection, so both questions are asked. Listeners have no peer. */
static bool judge(void *ctx, const struct eg_sockdiag_sock *sock)
{
	static const struct eg_addr nobody;
	const struct judged *judged = ctx;
	struct eg_question out, in;

	if (!sock->peer_port || memcmp(&sock->peer, &nobody, sizeof(nobody)) == 0 || eg_loopback_addr(&sock->peer) ||
	    !ask(judged, sock, EG_DIR_EGRESS, &out) || !ask(judged, sock, EG_DIR_INGRESS, &in))
		return false;
	if (judged->rule != EG_RULE_NONE)
		return (out.reason == EG_REASON_NONE && out.rule == judged->rule) ||
		       (in.reason == EG_REASON_NONE && in.rule == judged->rule);
	return out.reason != EG_REASON_NONE && !out.audited && in.reason != EG_REASON_NONE && !in.audited;
}

uint32_t eg_cut_rule(struct eg_agent *agent, const char *name, uint32_t rule)
{
	EG_FREE uint64_t *ids = NULL;
	struct judged judged = {.agent = agent, .rule = rule};
	struct eg_cut_request request = {.tcp_only = true, .filter = judge, .filter_ctx = &judged};
	struct eg_cut done;

	request.cgroup_count = ids_of(agent, name, &ids, &judged.slot);
	request.cgroup_ids = ids;
	cut(agent, &request, name, &done);
	return done.sockets;
}

static bool has_peer(void *ctx, const struct eg_sockdiag_sock *sock)
{
	(void)ctx;
	return sock->peer_port;
}

uint32_t eg_cut_live(struct eg_agent *agent, const char *name)
{
	EG_FREE uint64_t *ids = NULL;
	struct eg_cut_request request = {.tcp_only = true, .filter = has_peer};
	struct eg_cut done;
	uint32_t slot;

	request.cgroup_count = ids_of(agent, name, &ids, &slot);
	request.cgroup_ids = ids;
	cut(agent, &request, name, &done);
	return done.sockets;
}

/* Where addresses are translated after connect, a socket's peer is not what its packets are judged by. */
uint32_t eg_cut_denied(struct eg_agent *agent, const char *name)
{
	if (eg_agent_config(agent)->late)
		return 0;
	return eg_cut_rule(agent, name, EG_RULE_NONE);
}

uint32_t eg_cut_foreign(struct eg_agent *agent, uint64_t cgroup_id)
{
	struct eg_cut_request request = {.cgroup_ids = &cgroup_id, .cgroup_count = 1};
	struct eg_cut done = {0};

	eg_sockdiag_cut_foreign(agent->cgroupfs, &request, &done);
	return done.sockets;
}

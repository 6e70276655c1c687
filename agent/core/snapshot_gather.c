// SPDX-License-Identifier: Apache-2.0
/*
 * snapshot_gather.c - what a snapshot holds
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "snapshot.h"

#define EVENTS_BYTES_MAX (8u << 20)

/* ---- Sockets ---------------------------------------------------------------------------------------- */

bool eg_socket_note(void *ctx, const struct eg_sockdiag_sock *sock)
{
	struct eg_socket_notes *notes = ctx;

	if (notes->count == notes->room && notes->room < EG_SNAPSHOT_SOCKETS) {
		size_t room = notes->room ? notes->room * 2 : 64;
		struct eg_sockdiag_sock *items = reallocarray(notes->items, room, sizeof(*items));

		if (items) {
			notes->items = items;
			notes->room = room;
		}
	}
	if (notes->count < notes->room)
		notes->items[notes->count++] = *sock;
	else
		notes->left_out++;
	return true;
}

void eg_socket_notes_clear(struct eg_socket_notes *notes)
{
	free(notes->items);
	*notes = (struct eg_socket_notes){0};
}

/* To look at them only: none is cut. */
static bool note_and_spare(void *ctx, const struct eg_sockdiag_sock *sock)
{
	eg_socket_note(ctx, sock);
	return false;
}

static const char *state_name(const struct eg_sockdiag_sock *sock)
{
	static const char *const names[] = {"",		 "established", "syn_sent",   "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
					    "close",	 "close_wait",	"last_ack",   "listen",	  "closing",   "new_syn_recv"};

	return sock->state < sizeof(names) / sizeof(names[0]) ? names[sock->state] : "";
}

static json_t *socket_json(const struct eg_sockdiag_sock *sock)
{
	char local[EG_ADDR_TEXT], peer[EG_ADDR_TEXT];
	const char *proto = sock->proto == IPPROTO_TCP ? "tcp" : sock->proto == IPPROTO_UDP ? "udp" : "raw";

	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:i,s:I,s:I}", "proto", proto, "state", state_name(sock), "local",
			 eg_addr_to_text(&sock->local, local), "local_port", sock->local_port, "peer",
			 eg_addr_to_text(&sock->peer, peer), "peer_port", sock->peer_port, "inode",
			 (json_int_t)sock->inode, "cgroup_id", (json_int_t)sock->cgroup_id);
}

static bool is_one_of(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Of the app: notes of a kill of many hold those of all. */
static json_t *sockets_json(const struct eg_socket_notes *notes, const uint64_t *ids, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < notes->count; i++) {
		if (!notes->of_many || is_one_of(ids, count, notes->items[i].cgroup_id))
			json_array_append_new(list, socket_json(&notes->items[i]));
	}
	return list;
}

/* ---- Events ------------------------------------------------------------------------------------------- */

static json_t *lines_json(const char *text, size_t len)
{
	json_t *list = json_array();

	for (const char *line = text; line < text + len;) {
		const char *end = memchr(line, '\n', (size_t)(text + len - line));
		json_t *event;

		if (!end)
			break;
		event = json_loadb(line, (size_t)(end - line), 0, NULL);
		if (event)
			json_array_append_new(list, event);
		line = end + 1;
	}
	return list;
}

/* Flows and denials, refusals of names and all else that the log still has of it. */
static json_t *events_json(struct eg_agent *agent, const char *app)
{
	const struct eg_events_filter filter = {.app = app, .limit = EG_SNAPSHOT_EVENTS};
	struct eg_events_query *query = NULL;
	EG_FREE char *text = malloc(EVENTS_BYTES_MAX);
	size_t used = 0, len = 0;
	int r = text && agent->events ? eg_events_query_open(agent->events, &filter, &query) : -ENOMEM;

	while (!r && used < EVENTS_BYTES_MAX) {
		r = eg_events_query_read(query, text + used, EVENTS_BYTES_MAX - used, &len);
		used += len;
	}
	eg_events_query_close(query);
	return lines_json(text, text ? used : 0);
}

/* ---- The whole ------------------------------------------------------------------------------------------ */

static size_t ids_of(struct eg_agent *agent, const char *app, uint64_t **ret)
{
	const struct eg_entry *entry;
	size_t count = 0;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (!entry || eg_tags_ids(agent, entry->slot, false, ret, &count) < 0)
		count = 0;
	pthread_mutex_unlock(&agent->lock);
	return count;
}

static void add(json_t *snapshot, const char *key, json_t *value)
{
	json_object_set_new(snapshot, key, value ? value : json_null());
}

json_t *eg_snapshot_gather(struct eg_agent *agent, const char *app, const char *why, const char *actor,
			   const struct eg_socket_notes *notes)
{
	EG_CLEANUP(eg_socket_notes_clear) struct eg_socket_notes own = {0};
	EG_FREE uint64_t *ids = NULL;
	size_t count = ids_of(agent, app, &ids);
	struct eg_cut_request look = {
		.cgroup_ids = ids, .cgroup_count = count, .filter = note_and_spare, .filter_ctx = &own};
	struct eg_error err = {0};
	json_t *snapshot, *part = NULL;
	struct eg_cut ignored;

	if (!notes && count)
		eg_sockdiag_cut(agent->cgroupfs, &look, &ignored);
	if (eg_agent_app(agent, app, true, &part, &err) < 0) {
		eg_error_clear(&err);
		return NULL;
	}
	snapshot = json_pack("{s:i,s:s,s:s,s:o,s:s,s:s,s:s}", "snapshot", 1, "app", app, "host",
			     eg_agent_config(agent)->host, "taken", eg_time_json(eg_clock_utc_ns()), "why", why, "actor",
			     actor, "agent_version", EG_VERSION);
	add(snapshot, "state", part);
	add(snapshot, "policy", eg_agent_policy_get(agent, app, &part, &err) < 0 ? NULL : part);
	add(snapshot, "history", eg_agent_policy_history(agent, app, NULL, &part, &err) < 0 ? NULL : part);
	add(snapshot, "denied", eg_agent_denied(agent, app, 0, &part, &err) < 0 ? NULL : part);
	add(snapshot, "sockets", sockets_json(notes ? notes : &own, ids, count));
	add(snapshot, "sockets_left_out", json_integer((json_int_t)(notes ? notes : &own)->left_out));
	add(snapshot, "processes", eg_snapshot_tasks(agent->cgroupfs, ids, count));
	add(snapshot, "events", events_json(agent, app));
	eg_error_clear(&err);
	return snapshot;
}

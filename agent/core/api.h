/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the agent's socket: HTTP/1.1 and JSON for the command line, for control planes and curl
 *
 * Who calls is known by SO_PEERCRED and SO_PEERGROUPS, so everybody may connect: a caller
 * without a role gets a 403 and nothing of what he sends is read as HTTP. Callers that are
 * many, slow or gone cost only themselves; api_gate.c says how.
 */
#ifndef EG_CORE_API_H
#define EG_CORE_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/cleanup.h"
#include "../lib/error.h"
#include "agent.h"
#include "events.h"

struct eg_api;

/* What the routes call: agent.h's functions, with api_config.agent as the first argument. */
struct eg_api_ops {
	int (*status)(struct eg_agent *, json_t **ret, struct eg_error *);
	int (*apps)(struct eg_agent *, const char *labels, json_t **ret, struct eg_error *);
	int (*app)(struct eg_agent *, const char *app, bool with_grants, json_t **ret, struct eg_error *);
	int (*policy_get)(struct eg_agent *, const char *app, json_t **ret, struct eg_error *);
	int (*policy_put)(struct eg_agent *, const char *app, const struct eg_policy_put *, const struct eg_actor *,
			  json_t **ret, struct eg_error *);
	int (*policy_delete)(struct eg_agent *, const char *app, const char *if_match, bool take_over, const struct eg_actor *,
			     json_t **ret, struct eg_error *);
	int (*policy_check)(struct eg_agent *, const char *text, size_t len, json_t **ret, struct eg_error *);
	int (*policy_plan)(struct eg_agent *, const struct eg_plan_request *, json_t **ret, struct eg_error *);
	int (*policy_history)(struct eg_agent *, const char *app, const char *rev, json_t **ret, struct eg_error *);
	int (*policy_rollback)(struct eg_agent *, const char *app, const struct eg_policy_back *,
			       const struct eg_actor *, json_t **ret, struct eg_error *);
	int (*policy_renew)(struct eg_agent *, const char *app, const struct eg_policy_back *, const struct eg_actor *,
			    json_t **ret, struct eg_error *);
	int (*kill)(struct eg_agent *, const struct eg_kill_request *, const struct eg_actor *, json_t **ret,
		    struct eg_error *);
	int (*restore)(struct eg_agent *, const char *app, const char *reason, const struct eg_actor *, json_t **ret,
		       struct eg_error *);
	int (*override)(struct eg_agent *, const struct eg_override *, const struct eg_actor *, json_t **ret, struct eg_error *);
	int (*relax)(struct eg_agent *, const char *app, uint64_t for_ns, const char *reason, const struct eg_actor *,
		     json_t **ret, struct eg_error *);
	int (*snapshot)(struct eg_agent *, const char *app, const char *reason, const struct eg_actor *, json_t **ret,
			struct eg_error *);
	int (*tag)(struct eg_agent *, const char *cgroup, const char *app, pid_t init, const struct eg_actor *, json_t **ret,
		   struct eg_error *);
	int (*explain)(struct eg_agent *, const char *app, const char *dest, const char *proto, const char *dir,
		       json_t **ret, struct eg_error *);
	int (*denied)(struct eg_agent *, const char *app, uint64_t since_ns, json_t **ret, struct eg_error *);
	int (*control_view)(struct eg_agent *, bool with_policies, const struct eg_actor *, json_t **ret, struct eg_error *);
	int (*control_hold)(struct eg_agent *, const struct eg_control_hold *, const struct eg_actor *, json_t **ret,
			    struct eg_error *);
	int (*control_report)(struct eg_agent *, const json_t *report, const struct eg_actor *, json_t **ret,
			      struct eg_error *);
	int (*usage)(struct eg_agent *, const char *app, const char *labels, json_t **ret, struct eg_error *);
	int (*sinks)(struct eg_agent *, json_t **ret, struct eg_error *);
	int (*sink_test)(struct eg_agent *, const char *sink, json_t **ret, struct eg_error *);
	int (*metrics)(struct eg_agent *, char **ret, struct eg_error *);
};

/* Names of groups; NULL: no such group, so that only root has that role (or nobody has). */
struct eg_api_groups {
	const char *admin;
	const char *responder;
	const char *viewer;
};

struct eg_api_config {
	const char *socket; /* its directory is made if missing, 0755 */
	struct eg_api_groups groups;
	const char *metrics_listen; /* "127.0.0.1:9464", "[::1]:9464": loopback only; NULL: no port */
	const char *metrics_token_file; /* one line; required with metrics_listen */
	struct eg_agent *agent; /* borrowed until eg_api_stop, as are events and ops */
	struct eg_events *events;
	const struct eg_api_ops *ops; /* NULL: the functions of agent.h */
	unsigned request_ms; /* to send a whole request; 0: 10 s */
	unsigned reply_ms; /* to take a whole answer, streams apart; 0: 30 s */
};

/*
 * Listens and starts the threads; strings are copied. 0, or a negative errno with *err filled:
 * "socket_in_use" (another agent listens there), "bad_socket", "bad_metrics", "no_memory". A
 * group that doesn't exist is logged and gives nobody a role: an agent whose directory
 * service is down must still start.
 */
int eg_api_start(const struct eg_api_config *config, struct eg_api **ret, struct eg_error *err);

/*
 * Takes groups and metrics_token_file anew (the rest of config is not looked at) and reads the
 * token again; on failure nothing has changed. Roles of connections that are open stay.
 */
int eg_api_reload(struct eg_api *api, const struct eg_api_config *config, struct eg_error *err);

/*
 * A door for one child: a SOCK_SEQPACKET socket, taken, by which it sends ends of stream socketpairs (one
 * descriptor a message). Each is a connection whose caller is actor; nobody else can be it. The door
 * before it is shut; so is this one when the child's end is closed. 0 or -errno.
 */
int eg_api_door(struct eg_api *api, int fd, const struct eg_actor *actor);

/*
 * Takes no more connections, ends streams, lets requests that are being worked on finish, and
 * removes the socket. To be called before eg_events_stop. NULL is fine.
 */
void eg_api_stop(struct eg_api *api);

EG_DEFINE_CLEANUP(api, struct eg_api *, eg_api_stop);

#endif

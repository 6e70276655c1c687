/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - what egretd can be asked to do; the API is one caller, signals another
 *
 * Every function is thread-safe. Policy and tag changes are serialised among
 * themselves and may take long; kill, restore and the readers never wait for them,
 * nor for the log, a disk or a peer (kill waits at most 100 ms for its record).
 * Functions return 0, or a negative errno with *err filled (HTTP status, stable code,
 * sentence). ret_* are set on success only; JSON results are new references.
 */
#ifndef EG_CORE_AGENT_H
#define EG_CORE_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/error.h"

struct eg_agent;
struct eg_config;

/* CONTROL is egret-sync's alone: it reads as a viewer, and has routes that nobody else has. */
enum eg_role { EG_ROLE_NONE, EG_ROLE_VIEWER, EG_ROLE_RESPONDER, EG_ROLE_ADMIN, EG_ROLE_CONTROL };

/* Where a policy comes from. */
enum eg_source { EG_SOURCE_NONE, EG_SOURCE_DIRECTORY, EG_SOURCE_SOCKET, EG_SOURCE_ETCD, EG_SOURCE_HTTPS, EG_SOURCE_COUNT_ };

/* Who asks; ends up as "actor" in every event. */
struct eg_actor {
	enum eg_role role;
	uid_t uid;
	pid_t pid;
	char via[16]; /* "socket", "directory", "direct", "agent", "etcd", "https" */
	enum eg_source source; /* of CONTROL: what its policies come from */
};

/* Which apps: a name, or labels ("team=hr,env!=dev"), or all. Exactly one is set. */
struct eg_selector {
	const char *app;
	const char *labels;
	bool all;
};

struct eg_kill_request {
	struct eg_selector which;
	const char *reason; /* may be NULL */
	const char *ticket; /* may be NULL */
	bool dry_run;
	int64_t expect; /* -1, or the count the caller was shown: else 409 count_changed */
};

struct eg_policy_put {
	const char *text; /* not NUL-terminated */
	size_t len;
	const char *if_match; /* NULL, or the policy_rev the caller believes in: else 412 rev_changed */
	bool take_over; /* take the app from another source */
	uint64_t number; /* of the revision, for CONTROL; 0: the next one */
};

/* A hold of the control plane's, or its end. */
struct eg_control_hold {
	const char *app; /* or "*" */
	bool killed;
	uint64_t generation; /* of the layer; not above the last: 409 stale_generation */
	const char *reason; /* these may be NULL */
	const char *ticket;
	const char *by; /* who asked for it there */
};

/* GET /v1/status */
int eg_agent_status(struct eg_agent *agent, json_t **ret, struct eg_error *err);
/* GET /v1/apps; labels may be NULL */
int eg_agent_apps(struct eg_agent *agent, const char *labels, json_t **ret, struct eg_error *err);
/* GET /v1/apps/APP; with_grants: with the list of addresses that it learned from DNS */
int eg_agent_app(struct eg_agent *agent, const char *app, bool with_grants, json_t **ret, struct eg_error *err);
/* GET /v1/policies/APP: {"policy": {...}, "policy_rev": "...", "source": "..."} */
int eg_agent_policy_get(struct eg_agent *agent, const char *app, json_t **ret, struct eg_error *err);
/* PUT /v1/policies/APP */
int eg_agent_policy_put(struct eg_agent *agent, const char *app, const struct eg_policy_put *put,
			const struct eg_actor *actor, json_t **ret, struct eg_error *err);
/* DELETE /v1/policies/APP; if_match as in struct eg_policy_put */
int eg_agent_policy_delete(struct eg_agent *agent, const char *app, const char *if_match, bool take_over,
			   const struct eg_actor *actor, json_t **ret, struct eg_error *err);
/* POST /v1/policies:check: changes nothing; {"ok": bool, "diagnostics": [...]} */
int eg_agent_policy_check(struct eg_agent *agent, const char *text, size_t len, json_t **ret,
			  struct eg_error *err);
/* GET /v1/policies/APP/history: rev NULL: all, without their policies; or one, with it */
int eg_agent_policy_history(struct eg_agent *agent, const char *app, const char *rev, json_t **ret,
			    struct eg_error *err);
struct eg_policy_back {
	const char *rev; /* of a rollback; NULL: the last one with another text than what is in force */
	uint64_t for_ns; /* it expires so long from now; 0: as it says */
	const char *if_match; /* as in struct eg_policy_put */
	bool take_over;
};
/* POST /v1/policies/APP/rollback and .../renew: a new revision, which lifts no hold */
int eg_agent_policy_rollback(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			     const struct eg_actor *actor, json_t **ret, struct eg_error *err);
int eg_agent_policy_renew(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			  const struct eg_actor *actor, json_t **ret, struct eg_error *err);
struct eg_plan_request {
	const char *text; /* of the policy; not NUL-terminated */
	size_t len;
	uint64_t last_ns; /* events of the last ... ; 0: all that is kept */
	uint64_t limit; /* at most the newest ... */
};
/* POST /v1/policies:plan: changes nothing; what was seen of the app that the policy would newly deny or allow */
int eg_agent_policy_plan(struct eg_agent *agent, const struct eg_plan_request *request, json_t **ret,
			 struct eg_error *err);
/* POST /v1/apps/APP/kill and /v1/kill */
int eg_agent_kill(struct eg_agent *agent, const struct eg_kill_request *req, const struct eg_actor *actor,
		  json_t **ret, struct eg_error *err);
/* POST /v1/apps/APP/restore (and /v1/restore for the hold on all apps: app NULL) */
int eg_agent_restore(struct eg_agent *agent, const char *app, const char *reason,
		     const struct eg_actor *actor, json_t **ret, struct eg_error *err);
/* POST /v1/apps/APP/override: passes over the control plane's kill for a time, 1 min .. 24 h; 0 ends it */
struct eg_override {
	const char *app;
	uint64_t for_ns;
	const char *reason;
};
int eg_agent_override(struct eg_agent *agent, const struct eg_override *wanted, const struct eg_actor *actor, json_t **ret,
		      struct eg_error *err);
/* POST /v1/apps/APP/relax: audit for for_ns, 1 min .. 24 h; 0 ends it */
int eg_agent_relax(struct eg_agent *agent, const char *app, uint64_t for_ns, const char *reason,
		   const struct eg_actor *actor, json_t **ret, struct eg_error *err);
/* POST /v1/apps/APP/snapshot: everything known of the app, also kept in a file ("file") */
int eg_agent_snapshot(struct eg_agent *agent, const char *app, const char *reason, const struct eg_actor *actor,
		      json_t **ret, struct eg_error *err);
/*
 * POST /v1/tags: path below the cgroup2 mount, or absolute. When it returns, enforcement is on. init: 0, or
 * the process in there that is a container runtime's until it becomes the app's first
 */
int eg_agent_tag(struct eg_agent *agent, const char *cgroup, const char *app, pid_t init, const struct eg_actor *actor,
		 json_t **ret, struct eg_error *err);
/*
 * GET /v1/explain: dest is ADDR, ADDR:PORT, [ADDR]:PORT, NAME, NAME:PORT; proto "tcp" "udp" "icmp";
 * dir "egress" "ingress"
 */
int eg_agent_explain(struct eg_agent *agent, const char *app, const char *dest, const char *proto,
		     const char *dir, json_t **ret, struct eg_error *err);
/* GET /v1/denied: app may be NULL (all); since_ns 0: everything kept */
int eg_agent_denied(struct eg_agent *agent, const char *app, uint64_t since_ns, json_t **ret,
		    struct eg_error *err);
/* GET /v1/control: whose the policies are (unless left out), and the last word on each hold of the layer control */
int eg_agent_control_view(struct eg_agent *agent, bool with_policies, const struct eg_actor *actor, json_t **ret,
			  struct eg_error *err);
/* POST /v1/control/apps/APP/kill and restore, /v1/control/kill and restore: the layer control alone */
int eg_agent_control_hold(struct eg_agent *agent, const struct eg_control_hold *asked, const struct eg_actor *actor,
			  json_t **ret, struct eg_error *err);
/* POST /v1/control/report: how the control plane's side stands; status, alarms and events come from it */
int eg_agent_control_report(struct eg_agent *agent, const json_t *report, const struct eg_actor *actor, json_t **ret,
			    struct eg_error *err);
/* GET /v1/usage: app and labels may be NULL */
int eg_agent_usage(struct eg_agent *agent, const char *app, const char *labels, json_t **ret, struct eg_error *err);
/* GET /v1/sinks */
int eg_agent_sinks(struct eg_agent *agent, json_t **ret, struct eg_error *err);
/* POST /v1/sinks/NAME/test: waits for what comes back, as long as the sink's time-out is */
int eg_agent_sink_test(struct eg_agent *agent, const char *sink, json_t **ret, struct eg_error *err);
/* GET /metrics: Prometheus text exposition format 0.0.4; caller frees */
int eg_agent_metrics(struct eg_agent *agent, char **ret, struct eg_error *err);

#endif

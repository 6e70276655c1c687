// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <string.h>

#include "../lib/policy.h"

static const struct eg_api_route routes[] = {
	{"GET", "/v1/status", EG_ROLE_VIEWER, eg_api_get_status, NULL, EG_API_BODY_MAX},
	{"GET", "/v1/apps", EG_ROLE_VIEWER, eg_api_get_apps, "labels", EG_API_BODY_MAX},
	{"GET", "/v1/apps/{app}", EG_ROLE_VIEWER, eg_api_get_app, "grants", EG_API_BODY_MAX},
	{"POST", "/v1/apps/{app}/kill", EG_ROLE_RESPONDER, eg_api_post_kill, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/apps/{app}/restore", EG_ROLE_RESPONDER, eg_api_post_restore, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/apps/{app}/override", EG_ROLE_ADMIN, eg_api_post_override, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/apps/{app}/relax", EG_ROLE_ADMIN, eg_api_post_relax, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/apps/{app}/snapshot", EG_ROLE_RESPONDER, eg_api_post_snapshot, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/kill", EG_ROLE_RESPONDER, eg_api_post_kill, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/restore", EG_ROLE_RESPONDER, eg_api_post_restore, NULL, EG_API_BODY_MAX},
	{"GET", "/v1/policies/{app}", EG_ROLE_VIEWER, eg_api_get_policy, NULL, EG_API_BODY_MAX},
	{"PUT", "/v1/policies/{app}", EG_ROLE_ADMIN, eg_api_put_policy, "take_over", EG_POLICY_BYTES_MAX},
	{"DELETE", "/v1/policies/{app}", EG_ROLE_ADMIN, eg_api_delete_policy, "take_over", EG_API_BODY_MAX},
	{"POST", "/v1/policies:check", EG_ROLE_ADMIN, eg_api_post_check, NULL, EG_POLICY_BYTES_MAX},
	{"POST", "/v1/policies:plan", EG_ROLE_ADMIN, eg_api_post_plan, "last,limit", EG_POLICY_BYTES_MAX},
	{"GET", "/v1/policies/{app}/history", EG_ROLE_VIEWER, eg_api_get_history, "rev", EG_API_BODY_MAX},
	{"POST", "/v1/policies/{app}/rollback", EG_ROLE_ADMIN, eg_api_post_rollback, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/policies/{app}/renew", EG_ROLE_ADMIN, eg_api_post_renew, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/tags", EG_ROLE_ADMIN, eg_api_post_tags, NULL, EG_API_BODY_MAX},
	{"GET", "/v1/explain", EG_ROLE_VIEWER, eg_api_get_explain, "app,dest,proto,direction", EG_API_BODY_MAX},
	{"GET", "/v1/denied", EG_ROLE_VIEWER, eg_api_get_denied, "app,last", EG_API_BODY_MAX},
	{"GET", "/v1/usage", EG_ROLE_VIEWER, eg_api_get_usage, "app,labels", EG_API_BODY_MAX},
	{"GET", "/v1/events", EG_ROLE_VIEWER, eg_api_get_events, "follow,app,labels,type,last,limit", EG_API_BODY_MAX},
	{"GET", "/v1/control", EG_ROLE_CONTROL, eg_api_get_control, "policies", EG_API_BODY_MAX},
	{"PUT", "/v1/control/policies/{app}", EG_ROLE_CONTROL, eg_api_put_control, "number,take_over", EG_POLICY_BYTES_MAX},
	{"DELETE", "/v1/control/policies/{app}", EG_ROLE_CONTROL, eg_api_delete_policy, "take_over", EG_API_BODY_MAX},
	{"POST", "/v1/control/apps/{app}/kill", EG_ROLE_CONTROL, eg_api_post_control_kill, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/control/apps/{app}/restore", EG_ROLE_CONTROL, eg_api_post_control_restore, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/control/kill", EG_ROLE_CONTROL, eg_api_post_control_kill, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/control/restore", EG_ROLE_CONTROL, eg_api_post_control_restore, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/control/report", EG_ROLE_CONTROL, eg_api_post_control_report, NULL, 1u << 20},
	{"GET", "/v1/sinks", EG_ROLE_VIEWER, eg_api_get_sinks, NULL, EG_API_BODY_MAX},
	{"POST", "/v1/sinks/{app}/test", EG_ROLE_ADMIN, eg_api_post_sink_test, NULL, EG_API_BODY_MAX},
	{"GET", "/metrics", EG_ROLE_VIEWER, eg_api_get_metrics, NULL, EG_API_BODY_MAX},
};

/* Whether path has the form; *ret_app is where the app's part begins, *ret_len its length. */
static bool matches(const char *pattern, const char *path, const char **ret_app, size_t *ret_len)
{
	const char *hole = strstr(pattern, "{app}");
	size_t before = hole ? (size_t)(hole - pattern) : 0;

	*ret_len = 0;
	if (!hole)
		return !strcmp(pattern, path);
	if (strncmp(pattern, path, before))
		return false;
	*ret_app = path + before;
	*ret_len = strcspn(*ret_app, "/");
	return *ret_len && !strcmp(*ret_app + *ret_len, hole + strlen("{app}"));
}

static void allow(struct eg_api_reply *refusal, const char *method)
{
	size_t used = strlen(refusal->allow);

	snprintf(refusal->allow + used, sizeof(refusal->allow) - used, "%s%s%s", used ? ", " : "", method,
		 strcmp(method, "GET") ? "" : ", HEAD");
}

static int look_up(struct eg_api_request *rq, const char *method, const char *path, const char **ret_app,
		   size_t *ret_len)
{
	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const char *app = NULL;
		size_t len;

		if (!matches(routes[i].pattern, path, &app, &len))
			continue;
		if (!strcmp(routes[i].method, method)) {
			rq->route = &routes[i];
			rq->refusal.allow[0] = '\0';
			*ret_app = app;
			*ret_len = len;
			return 0;
		}
		allow(&rq->refusal, routes[i].method);
	}
	if (rq->refusal.allow[0])
		return eg_error_set(&rq->err, 405, "method_not_allowed", "%.64s can't be asked with %.16s, but with %s.", path,
				    method, rq->refusal.allow);
	return eg_error_set(&rq->err, 404, "not_found", "There is no %.200s here.", path);
}

static const char *role_name(enum eg_role role)
{
	static const char *const names[] = {"no role", "viewer", "responder", "admin", "control plane"};

	return names[role];
}

/* The control plane's routes are its own, also against root; of the others it may read. */
static bool may(enum eg_role caller, enum eg_role needed)
{
	if (caller == EG_ROLE_CONTROL || needed == EG_ROLE_CONTROL)
		return caller == EG_ROLE_CONTROL && (needed == EG_ROLE_CONTROL || needed == EG_ROLE_VIEWER);
	return caller >= needed;
}

bool eg_api_route_kills(const struct eg_api_route *route)
{
	return route->handle == eg_api_post_kill || route->handle == eg_api_post_control_kill;
}

int eg_api_route_find(struct eg_api_request *rq, const char *method, const char *path)
{
	char name[EG_APP_NAME_LEN + 20]; /* room to show what is wrong with a longer one */
	const char *app = NULL;
	size_t len = 0;

	/* A token opens the metrics and nothing else. */
	if (rq->conn->way == EG_API_BY_TCP && strcmp(path, "/metrics"))
		return eg_error_set(&rq->err, 404, "not_found", "This port has only /metrics.");
	if (look_up(rq, method, path, &app, &len) < 0)
		return -EINVAL;
	if (!may(rq->actor.role, rq->route->role))
		return eg_error_set(&rq->err, 403, "forbidden", "This needs the role %s; you are %s.",
				    role_name(rq->route->role), role_name(rq->actor.role));
	if (app) {
		snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name)), app);
		if (eg_api_name_check(rq, name) < 0)
			return -EINVAL;
		snprintf(rq->app, sizeof(rq->app), "%.*s", (int)sizeof(rq->app) - 1, name);
	}
	return eg_api_query_check(rq, rq->route->query);
}

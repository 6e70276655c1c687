// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <string.h>

#include "../lib/hold.h"
#include "../lib/units.h"

static void decref(json_t **json)
{
	json_decref(*json);
}

static const char *text(const json_t *body, const char *key)
{
	return json_string_value(json_object_get(body, key));
}

static int bad_value(struct eg_api_request *rq, const char *what)
{
	return eg_error_set(&rq->err, 400, "bad_value", "%s", what);
}

/* What a hold's record can't keep whole is refused, rather than cut. */
static int check_words(struct eg_api_request *rq, const json_t *body)
{
	static const struct eg_hold *const hold;
	const char *reason = text(body, "reason"), *ticket = text(body, "ticket");

	if (reason && strlen(reason) >= sizeof(hold->reason))
		return eg_error_set(&rq->err, 400, "bad_value", "\"reason\" may have %zu bytes.", sizeof(hold->reason) - 1);
	if (ticket && strlen(ticket) >= sizeof(hold->ticket))
		return eg_error_set(&rq->err, 400, "bad_value", "\"ticket\" may have %zu bytes.", sizeof(hold->ticket) - 1);
	return 0;
}

/* Which apps POST /v1/kill is about; the path has said it for /v1/apps/APP/kill. */
static int select_apps(struct eg_api_request *rq, const json_t *body, struct eg_selector *ret)
{
	const json_t *all = json_object_get(body, "all");
	const char *labels = text(body, "labels");

	if (rq->app[0]) {
		ret->app = rq->app;
		return 0;
	}
	if (labels && !*labels)
		return bad_value(rq, "\"labels\" is empty; to kill all apps, say \"all\": true.");
	if (json_is_true(all) == !!labels)
		return bad_value(rq, "Give either \"labels\" or \"all\": true.");
	ret->labels = labels;
	ret->all = !labels;
	return 0;
}

int eg_api_post_kill(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key of_one[] = {{"reason", 's'}, {"ticket", 's'}, {"dry_run", 'b'}, {NULL, 0}};
	static const struct eg_api_key of_many[] = {{"reason", 's'}, {"ticket", 's'}, {"dry_run", 'b'}, {"labels", 's'},
						    {"all", 'b'},    {"expect", 'i'}, {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;
	struct eg_kill_request kill = {.expect = -1};

	if (eg_api_body(rq, rq->app[0] ? of_one : of_many, &body) < 0 || check_words(rq, body) < 0 ||
	    select_apps(rq, body, &kill.which) < 0)
		return -EINVAL;
	kill.reason = text(body, "reason");
	kill.ticket = text(body, "ticket");
	kill.dry_run = json_is_true(json_object_get(body, "dry_run"));
	if (json_object_get(body, "expect"))
		kill.expect = json_integer_value(json_object_get(body, "expect"));
	return rq->api->ops->kill(rq->api->agent, &kill, &rq->actor, &reply->json, &rq->err);
}

int eg_api_post_restore(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {{"reason", 's'}, {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;

	if (eg_api_body(rq, keys, &body) < 0 || check_words(rq, body) < 0)
		return -EINVAL;
	return rq->api->ops->restore(rq->api->agent, rq->app[0] ? rq->app : NULL, text(body, "reason"), &rq->actor,
				     &reply->json, &rq->err);
}

int eg_api_post_snapshot(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {{"reason", 's'}, {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;

	if (eg_api_body(rq, keys, &body) < 0 || check_words(rq, body) < 0)
		return -EINVAL;
	return rq->api->ops->snapshot(rq->api->agent, rq->app, text(body, "reason"), &rq->actor, &reply->json, &rq->err);
}

/* {"for", "reason"} of what an admin lets pass for a time. */
static int exception(struct eg_api_request *rq, json_t **ret_body, uint64_t *ret_ns)
{
	static const struct eg_api_key keys[] = {{"for", 's'}, {"reason", 's'}, {NULL, 0}};
	const char *span, *reason;

	*ret_ns = 0;
	if (eg_api_body(rq, keys, ret_body) < 0 || check_words(rq, *ret_body) < 0)
		return -EINVAL;
	span = text(*ret_body, "for");
	reason = text(*ret_body, "reason");
	if (!span || (strcmp(span, "0") && eg_units_span(span, ret_ns) < 0))
		return bad_value(rq, "\"for\" must be a span of time, such as \"15m\", or \"0\" to end it.");
	if (!reason || !reason[strspn(reason, " \t\r\n")])
		return eg_error_set(&rq->err, 400, "reason_required", "Say in \"reason\" why %s is let through.", rq->app);
	return 0;
}

int eg_api_post_override(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	EG_CLEANUP(decref) json_t *body = NULL;
	struct eg_override wanted = {.app = rq->app};

	if (exception(rq, &body, &wanted.for_ns) < 0)
		return -EINVAL;
	wanted.reason = text(body, "reason");
	return rq->api->ops->override(rq->api->agent, &wanted, &rq->actor, &reply->json, &rq->err);
}

int eg_api_post_relax(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	EG_CLEANUP(decref) json_t *body = NULL;
	uint64_t ns;

	if (exception(rq, &body, &ns) < 0)
		return -EINVAL;
	return rq->api->ops->relax(rq->api->agent, rq->app, ns, text(body, "reason"), &rq->actor, &reply->json, &rq->err);
}

int eg_api_post_tags(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {{"cgroup", 's'}, {"app", 's'}, {"init", 'i'}, {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;
	const char *cgroup, *app;
	json_int_t init;

	if (eg_api_body(rq, keys, &body) < 0)
		return -EINVAL;
	cgroup = text(body, "cgroup");
	app = text(body, "app");
	init = json_integer_value(json_object_get(body, "init"));
	if (init < 0 || init > INT32_MAX)
		return bad_value(rq, "\"init\" must be the number of a process.");
	if (!cgroup || !*cgroup || !app)
		return bad_value(rq, "\"cgroup\" and \"app\" are required.");
	if (eg_api_name_check(rq, app) < 0)
		return -EINVAL;
	return rq->api->ops->tag(rq->api->agent, cgroup, app, (pid_t)init, &rq->actor, &reply->json, &rq->err);
}

/* The name in the path has the form of an app's, which has room for that of any sink. */
int eg_api_post_sink_test(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key none[] = {{NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;

	if (eg_api_body(rq, none, &body) < 0)
		return -EINVAL;
	return rq->api->ops->sink_test(rq->api->agent, rq->app, &reply->json, &rq->err);
}

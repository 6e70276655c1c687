// SPDX-License-Identifier: Apache-2.0
/*
 * api_control.c - what the control plane asks for, by egret-sync: routes that nobody else has
 *
 * Policies put here belong to the source that the child serves, holds to the layer control, and each
 * brings the control plane's own number: what is not newer than the last word is refused.
 */
#include "api_impl.h"

#include <string.h>

#include "../lib/hold.h"

static void decref(json_t **json)
{
	json_decref(*json);
}

int eg_api_get_control(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	bool with_policies = true;

	if (eg_api_query_bool(rq, "policies", &with_policies) < 0)
		return -EINVAL;
	return rq->api->ops->control_view(rq->api->agent, with_policies, &rq->actor, &reply->json, &rq->err);
}

int eg_api_put_control(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	struct eg_policy_put put = {.text = rq->body ? rq->body : "", .len = rq->body_len};

	if (eg_api_query_bool(rq, "take_over", &put.take_over) < 0 ||
	    eg_api_query_number(rq, "number", &put.number) < 0)
		return -EINVAL;
	return rq->api->ops->policy_put(rq->api->agent, rq->app, &put, &rq->actor, &reply->json, &rq->err);
}

static int post_hold(struct eg_api_request *rq, bool killed, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {
		{"generation", 'i'}, {"reason", 's'}, {"ticket", 's'}, {"by", 's'}, {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;
	struct eg_control_hold hold = {.app = rq->app[0] ? rq->app : EG_HOLD_ALL_APPS, .killed = killed};

	if (eg_api_body(rq, keys, &body) < 0)
		return -EINVAL;
	hold.generation = (uint64_t)json_integer_value(json_object_get(body, "generation"));
	hold.reason = json_string_value(json_object_get(body, "reason"));
	hold.ticket = json_string_value(json_object_get(body, "ticket"));
	hold.by = json_string_value(json_object_get(body, "by"));
	if (!hold.generation)
		return eg_error_set(&rq->err, 400, "bad_value", "\"generation\" is required: a number of 1 or more.");
	return rq->api->ops->control_hold(rq->api->agent, &hold, &rq->actor, &reply->json, &rq->err);
}

int eg_api_post_control_kill(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return post_hold(rq, true, reply);
}

int eg_api_post_control_restore(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return post_hold(rq, false, reply);
}

int eg_api_post_control_report(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {{"connected", 'b'}, {"endpoint", 's'}, {"message", 's'},
						 {"revision", 'i'},  {"policies", 'i'}, {"paused", 's'},
						 {"errors", 0},	     {NULL, 0}};
	EG_CLEANUP(decref) json_t *body = NULL;

	if (eg_api_body(rq, keys, &body) < 0)
		return -EINVAL;
	return rq->api->ops->control_report(rq->api->agent, body, &rq->actor, &reply->json, &rq->err);
}

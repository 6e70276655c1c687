// SPDX-License-Identifier: Apache-2.0
/*
 * Policies and their revision: the ETag of a GET is its policy_rev, and If-Match on a PUT or
 * DELETE lets the change through only if that is still the revision.
 */
#include "api_impl.h"

#include <string.h>

#include "../lib/units.h"

#define PLAN_EVENTS 100000 /* the newest that a plan looks at, unless it is asked for more: seconds */

int eg_api_get_policy(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	int r = rq->api->ops->policy_get(rq->api->agent, rq->app, &reply->json, &rq->err);
	const char *rev;

	if (r < 0)
		return r;
	rev = json_string_value(json_object_get(reply->json, "policy_rev"));
	snprintf(reply->etag, sizeof(reply->etag), "%s", rev ? rev : "");
	return 0;
}

/* The revision that If-Match asks for in ret, without its quotes; "" without the header. */
static int if_match(struct eg_api_request *rq, char *ret, size_t size)
{
	const char *value = MHD_lookup_connection_value(rq->http, MHD_HEADER_KIND, "If-Match");
	size_t len = value ? strlen(value) : 0;

	ret[0] = '\0';
	if (!value)
		return 0;
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value++;
		len -= 2;
	}
	if (!len || len >= size || memchr(value, '"', len) || memchr(value, ',', len))
		return eg_error_set(&rq->err, 400, "bad_header",
				    "If-Match must be * or one revision, as in the ETag of GET /v1/policies/%s.", rq->app);
	snprintf(ret, size, "%.*s", (int)len, value);
	return 0;
}

int eg_api_put_policy(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	struct eg_policy_put put = {.text = rq->body ? rq->body : "", .len = rq->body_len};
	char rev[sizeof(reply->etag)];

	if (eg_api_query_bool(rq, "take_over", &put.take_over) < 0 || if_match(rq, rev, sizeof(rev)) < 0)
		return -EINVAL;
	put.if_match = rev[0] ? rev : NULL;
	return rq->api->ops->policy_put(rq->api->agent, rq->app, &put, &rq->actor, &reply->json, &rq->err);
}

int eg_api_delete_policy(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	char rev[sizeof(reply->etag)];
	bool take_over = false;

	if (eg_api_query_bool(rq, "take_over", &take_over) < 0 || if_match(rq, rev, sizeof(rev)) < 0)
		return -EINVAL;
	return rq->api->ops->policy_delete(rq->api->agent, rq->app, rev[0] ? rev : NULL, take_over, &rq->actor,
					   &reply->json, &rq->err);
}

int eg_api_post_check(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->policy_check(rq->api->agent, rq->body ? rq->body : "", rq->body_len, &reply->json, &rq->err);
}

int eg_api_post_plan(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	struct eg_plan_request plan = {
		.text = rq->body ? rq->body : "",
		.len = rq->body_len,
		.last_ns = 24 * 3600 * 1000000000ull,
		.limit = PLAN_EVENTS,
	};

	if (eg_api_query_span(rq, "last", &plan.last_ns) < 0 || eg_api_query_number(rq, "limit", &plan.limit) < 0)
		return -EINVAL;
	return rq->api->ops->policy_plan(rq->api->agent, &plan, &reply->json, &rq->err);
}

int eg_api_get_history(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->policy_history(rq->api->agent, rq->app, eg_api_query(rq, "rev"), &reply->json, &rq->err);
}

/* {"rev", "for", "if_match", "take_over"}; strings are the body's. */
static int read_back(struct eg_api_request *rq, const struct eg_api_key *keys, json_t **ret_body,
		     struct eg_policy_back *ret)
{
	const char *span;

	if (eg_api_body(rq, keys, ret_body) < 0)
		return -EINVAL;
	*ret = (struct eg_policy_back){
		.rev = json_string_value(json_object_get(*ret_body, "rev")),
		.if_match = json_string_value(json_object_get(*ret_body, "if_match")),
		.take_over = json_is_true(json_object_get(*ret_body, "take_over")),
	};
	span = json_string_value(json_object_get(*ret_body, "for"));
	if (!span || eg_units_span(span, &ret->for_ns) == 0)
		return 0;
	return eg_error_set(&rq->err, 400, "bad_value", "\"for\" must be a span of time, such as \"30d\".");
}

int eg_api_post_rollback(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {
		{"rev", 's'}, {"for", 's'}, {"if_match", 's'}, {"take_over", 'b'}, {NULL, 0}};
	struct eg_policy_back back;
	json_t *body = NULL;
	int r = read_back(rq, keys, &body, &back);

	if (!r)
		r = rq->api->ops->policy_rollback(rq->api->agent, rq->app, &back, &rq->actor, &reply->json, &rq->err);
	json_decref(body);
	return r;
}

int eg_api_post_renew(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const struct eg_api_key keys[] = {{"for", 's'}, {"if_match", 's'}, {"take_over", 'b'}, {NULL, 0}};
	struct eg_policy_back back;
	json_t *body = NULL;
	int r = read_back(rq, keys, &body, &back);

	if (!r && !back.for_ns)
		r = eg_error_set(&rq->err, 400, "bad_value", "Say in \"for\" how long from now it is to be in force.");
	if (!r)
		r = rq->api->ops->policy_renew(rq->api->agent, rq->app, &back, &rq->actor, &reply->json, &rq->err);
	json_decref(body);
	return r;
}

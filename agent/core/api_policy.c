// SPDX-License-Identifier: Apache-2.0
/*
 * Policies and their revision: the ETag of a GET is its policy_rev, and If-Match on a PUT or
 * DELETE lets the change through only if that is still the revision.
 */
#include "api_impl.h"

#include <string.h>

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

// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <errno.h>
#include <string.h>

int eg_api_get_status(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->status(rq->api->agent, &reply->json, &rq->err);
}

int eg_api_get_apps(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->apps(rq->api->agent, eg_api_query(rq, "labels"), &reply->json, &rq->err);
}

int eg_api_get_app(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	bool grants = false;

	if (eg_api_query_bool(rq, "grants", &grants) < 0)
		return -EINVAL;
	return rq->api->ops->app(rq->api->agent, rq->app, grants, &reply->json, &rq->err);
}

static int one_of(struct eg_api_request *rq, const char *name, const char *const *words, const char **value)
{
	*value = eg_api_query(rq, name);
	if (!*value)
		*value = words[0];
	for (size_t i = 0; words[i]; i++)
		if (!strcmp(*value, words[i]))
			return 0;
	return eg_error_set(&rq->err, 400, "bad_query", "Query parameter \"%s\" must be %s%s%s%s%s.", name, words[0],
			    words[2] ? ", " : " or ", words[1], words[2] ? " or " : "", words[2] ? words[2] : "");
}

int eg_api_get_explain(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	static const char *const protos[] = {"tcp", "udp", "icmp", NULL};
	static const char *const directions[] = {"egress", "ingress", NULL};
	const char *app, *dest = eg_api_query(rq, "dest"), *proto, *direction;

	if (eg_api_query_app(rq, &app) < 0 || one_of(rq, "proto", protos, &proto) < 0 ||
	    one_of(rq, "direction", directions, &direction) < 0)
		return -EINVAL;
	if (!app || !dest || !*dest)
		return eg_error_set(&rq->err, 400, "bad_query", "Query parameter \"%s\" is required.", app ? "dest" : "app");
	return rq->api->ops->explain(rq->api->agent, app, dest, proto, direction, &reply->json, &rq->err);
}

int eg_api_get_denied(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	uint64_t last_ns = 0;
	const char *app;

	if (eg_api_query_app(rq, &app) < 0 || eg_api_query_span(rq, "last", &last_ns) < 0)
		return -EINVAL;
	return rq->api->ops->denied(rq->api->agent, app, last_ns, &reply->json, &rq->err);
}

int eg_api_get_usage(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	const char *app;

	if (eg_api_query_app(rq, &app) < 0)
		return -EINVAL;
	return rq->api->ops->usage(rq->api->agent, app, eg_api_query(rq, "labels"), &reply->json, &rq->err);
}

int eg_api_get_sinks(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->sinks(rq->api->agent, &reply->json, &rq->err);
}

int eg_api_get_metrics(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	return rq->api->ops->metrics(rq->api->agent, &reply->text, &rq->err);
}

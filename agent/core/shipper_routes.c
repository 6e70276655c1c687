// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_routes.c - alerts handed to egret-ship, and routes as people and programs see them
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "agent_impl.h"
#include "shipper_impl.h"

bool eg_shipper_hand_over(struct eg_shipper *s)
{
	size_t len;

	s->blocked = false;
	while ((len = eg_routes_next(s->agent->routes, s->message, sizeof(s->message)))) {
		if (send(s->child.control_fd, s->message, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len) {
			eg_routes_given(s->agent->routes);
			continue;
		}
		s->blocked = errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
		return s->blocked;
	}
	return true;
}

void eg_shipper_settle(struct eg_shipper *s)
{
	for (size_t i = 0; i < s->told.route_count; i++) /* the thread that calls this alone changes them */
		eg_routes_settled(s->agent->routes, s->told.routes[i].name, s->told.routes[i].numbers[EG_TOLD_ROUTE_DONE]);
}

static const char *state_of(const struct eg_shipper *s, const struct eg_told_route *route)
{
	return s->child.control_fd >= 0 && route->state[0] ? route->state : "not running";
}

static json_t *text_or_null(const char *text)
{
	json_t *json = text[0] ? json_string(text) : NULL;

	return json ? json : json_null();
}

static json_t *route_json(struct eg_shipper *s, const struct eg_told_route *route)
{
	struct eg_route_stats stats;
	const uint64_t *n = route->numbers;

	eg_routes_stats(s->agent->routes, route->name, &stats);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name", route->name, "type",
			 route->type, "state", state_of(s, route), "alerts", (json_int_t)stats.alerts, "queued",
			 (json_int_t)stats.queued, "dropped", (json_int_t)stats.dropped, "delivered",
			 (json_int_t)n[EG_TOLD_ROUTE_DELIVERED], "filtered", (json_int_t)n[EG_TOLD_ROUTE_FILTERED],
			 "refused", (json_int_t)n[EG_TOLD_ROUTE_REFUSED], "requests",
			 (json_int_t)n[EG_TOLD_ROUTE_REQUESTS], "retries", (json_int_t)n[EG_TOLD_ROUTE_RETRIES],
			 "last_success", text_or_null(route->last_success), "last_error_at",
			 text_or_null(route->last_error_at), "last_error", text_or_null(route->last_error));
}

json_t *eg_shipper_routes_json(struct eg_shipper *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->told.route_count; i++)
		json_array_append_new(list, route_json(s, &s->told.routes[i]));
	return list;
}

static void line(FILE *out, const char *metric, const char *route, uint64_t value)
{
	fprintf(out, "%s{route=\"%s\"} %" PRIu64 "\n", metric, route, value);
}

static void head(FILE *out, const char *metric, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

void eg_shipper_routes_metrics(struct eg_shipper *s, FILE *out)
{
	static const struct {
		const char *metric, *help;
		enum eg_told_route_number number;
	} told[] = {
		{"egret_route_delivered_total", "Alerts delivered since egret-ship began.", EG_TOLD_ROUTE_DELIVERED},
		{"egret_route_filtered_total", "Alerts that are not for this route.", EG_TOLD_ROUTE_FILTERED},
		{"egret_route_refused_total", "Alerts that the receiver refused for what they are.", EG_TOLD_ROUTE_REFUSED},
		{"egret_route_retries_total", "Requests that have to be made again.", EG_TOLD_ROUTE_RETRIES},
	};
	struct eg_route_stats stats[EG_ROUTES_MAX];
	size_t count = s->told.route_count;

	for (size_t i = 0; i < count; i++)
		eg_routes_stats(s->agent->routes, s->told.routes[i].name, &stats[i]);
	head(out, "egret_route_ok", "gauge", "1 while the route works, as far as it is known.");
	for (size_t i = 0; i < count; i++)
		line(out, "egret_route_ok", s->told.routes[i].name, strcmp(state_of(s, &s->told.routes[i]), "ok") == 0);
	head(out, "egret_route_alerts_total", "counter", "Alerts that were for the route, by their type.");
	for (size_t i = 0; i < count; i++)
		line(out, "egret_route_alerts_total", s->told.routes[i].name, stats[i].alerts);
	head(out, "egret_route_queued", "gauge", "Alerts that wait for the route.");
	for (size_t i = 0; i < count; i++)
		line(out, "egret_route_queued", s->told.routes[i].name, stats[i].queued);
	head(out, "egret_route_dropped_total", "counter", "Alerts that found no room in the route's queue.");
	for (size_t i = 0; i < count; i++)
		line(out, "egret_route_dropped_total", s->told.routes[i].name, stats[i].dropped);
	for (size_t j = 0; j < sizeof(told) / sizeof(told[0]); j++) {
		head(out, told[j].metric, "counter", told[j].help);
		for (size_t i = 0; i < count; i++)
			line(out, told[j].metric, s->told.routes[i].name, s->told.routes[i].numbers[told[j].number]);
	}
}

void eg_shipper_routes_alarms(struct eg_shipper *s, json_t *list)
{
	for (size_t i = 0; i < s->told.route_count; i++) {
		const struct eg_told_route *route = &s->told.routes[i];
		const char *state = state_of(s, route);
		struct eg_route_stats stats;

		eg_routes_stats(s->agent->routes, route->name, &stats);
		if (stats.dropped)
			json_array_append_new(list, json_sprintf("route %s: %" PRIu64 " alerts were dropped: they are in the log only",
								 route->name, stats.dropped));
		if (strcmp(state, "retrying") == 0 || strcmp(state, "paused") == 0)
			json_array_append_new(list, json_sprintf("route %s is %s, %" PRIu64 " alerts wait: %.300s", route->name,
								 state, stats.queued, route->last_error));
	}
}

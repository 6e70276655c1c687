// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_told.c - what egret-ship says, checked member by member
 *
 * The child reads what the network sends, so its words may be an attacker's. They end up in answers of the
 * API, in events and in metrics: they are of known names, in known bounds, or not there at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shipper.h"

const char *const eg_told_names[EG_TOLD_NUMBERS_] = {
	[EG_TOLD_PRODUCED] = "produced",	   [EG_TOLD_DELIVERED] = "delivered", [EG_TOLD_FILTERED] = "filtered",
	[EG_TOLD_SPOOLED] = "spooled",		   [EG_TOLD_DEAD_LETTERED] = "dead_lettered",
	[EG_TOLD_EVICTED] = "evicted",		   [EG_TOLD_LOST] = "lost",	      [EG_TOLD_HELD] = "held",
	[EG_TOLD_LAG_EVENTS] = "lag_events",	   [EG_TOLD_LAG_BYTES] = "lag_bytes", [EG_TOLD_LAG_MS] = "lag_ms",
	[EG_TOLD_ETA_MS] = "eta_ms",		   [EG_TOLD_REQUESTS] = "requests",   [EG_TOLD_RETRIES] = "retries",
	[EG_TOLD_DAMAGED_BYTES] = "damaged_bytes",
};

static const char *const states[] = {"starting", "ok", "retrying", "paused", "failing", NULL};
static const char *const backlogs[] = {"none", "measuring", "shrinking", "not_shrinking", NULL};

const char *const eg_told_route_names[EG_TOLD_ROUTE_NUMBERS_] = {
	[EG_TOLD_ROUTE_DONE] = "done",	       [EG_TOLD_ROUTE_DELIVERED] = "delivered",
	[EG_TOLD_ROUTE_FILTERED] = "filtered", [EG_TOLD_ROUTE_REFUSED] = "refused",
	[EG_TOLD_ROUTE_WAITING] = "waiting",   [EG_TOLD_ROUTE_REQUESTS] = "requests",
	[EG_TOLD_ROUTE_RETRIES] = "retries",
};

void eg_told_free(struct eg_told *told)
{
	free(told->sinks);
	free(told->routes);
	*told = (struct eg_told){0};
}

static void name_it(const json_t *object, char name[EG_SINK_NAME_LEN], char type[16])
{
	snprintf(name, EG_SINK_NAME_LEN, "%s", json_string_value(json_object_get(object, "name")));
	snprintf(type, 16, "%s", json_string_value(json_object_get(object, "type")));
}

int eg_told_begin(struct eg_told *told, const json_t *sinks, const json_t *routes)
{
	struct eg_told fresh = {.count = json_array_size(sinks), .route_count = json_array_size(routes)};

	fresh.sinks = calloc(fresh.count + 1, sizeof(*fresh.sinks));
	fresh.routes = calloc(fresh.route_count + 1, sizeof(*fresh.routes));
	if (!fresh.sinks || !fresh.routes) {
		eg_told_free(&fresh);
		return -ENOMEM;
	}
	for (size_t i = 0; i < fresh.count; i++)
		name_it(json_array_get(sinks, i), fresh.sinks[i].name, fresh.sinks[i].type);
	for (size_t i = 0; i < fresh.route_count; i++)
		name_it(json_array_get(routes, i), fresh.routes[i].name, fresh.routes[i].type);
	eg_told_free(told);
	*told = fresh;
	return 0;
}

/* Text or null; control characters, which could draw on a terminal, become '?'. */
static bool take_text(const json_t *object, const char *key, char *ret, size_t size)
{
	const json_t *value = json_object_get(object, key);
	size_t len = json_string_length(value);

	ret[0] = '\0';
	if (json_is_null(value))
		return true;
	if (!json_is_string(value) || len >= size)
		return false;
	memcpy(ret, json_string_value(value), len + 1);
	for (char *c = ret; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return true;
}

static bool is_moment(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	if (!text[0])
		return true;
	for (size_t i = 0; i < sizeof(form); i++) {
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	}
	return true;
}

static bool is_one_of(const char *const *words, const char *text)
{
	while (*words && strcmp(*words, text) != 0)
		words++;
	return *words != NULL;
}

static bool has_name(const json_t *object, const char *wanted)
{
	const char *name = json_string_value(json_object_get(object, "name"));

	return name && strcmp(name, wanted) == 0;
}

static bool take_numbers(const json_t *object, const char *const *names, size_t count, uint64_t *ret)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_object_get(object, names[i]);

		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return false;
		ret[i] = (uint64_t)json_integer_value(value);
	}
	return true;
}

/* sink: a copy whose name and type are known already. */
static bool take_sink(const json_t *object, struct eg_told_sink *sink)
{
	const uint64_t *n = sink->numbers;

	if (!has_name(object, sink->name) || !take_numbers(object, eg_told_names, EG_TOLD_NUMBERS_, sink->numbers))
		return false;
	if (n[EG_TOLD_PRODUCED] != n[EG_TOLD_DELIVERED] + n[EG_TOLD_FILTERED] + n[EG_TOLD_SPOOLED] + n[EG_TOLD_DEAD_LETTERED] +
					   n[EG_TOLD_EVICTED])
		return false;
	return take_text(object, "state", sink->state, sizeof(sink->state)) && is_one_of(states, sink->state) &&
	       take_text(object, "backlog", sink->backlog, sizeof(sink->backlog)) && is_one_of(backlogs, sink->backlog) &&
	       take_text(object, "last_success", sink->last_success, sizeof(sink->last_success)) &&
	       is_moment(sink->last_success) &&
	       take_text(object, "last_error_at", sink->last_error_at, sizeof(sink->last_error_at)) &&
	       is_moment(sink->last_error_at) && take_text(object, "last_error", sink->last_error, sizeof(sink->last_error)) &&
	       take_text(object, "note", sink->note, sizeof(sink->note));
}

static int take_sinks(const json_t *list, struct eg_told_sink *sinks, size_t count)
{
	struct eg_told_sink *fresh = malloc((count ? count : 1) * sizeof(*fresh));
	int r = json_array_size(list) == count ? EG_TOLD_SINKS : -EPROTO;

	if (!fresh)
		return -ENOMEM;
	memcpy(fresh, sinks, count * sizeof(*fresh));
	for (size_t i = 0; !r && i < count; i++)
		r = take_sink(json_array_get(list, i), &fresh[i]) ? 0 : -EPROTO;
	if (!r)
		memcpy(sinks, fresh, count * sizeof(*fresh));
	free(fresh);
	return r;
}

static bool take_route(const json_t *object, struct eg_told_route *route)
{
	return has_name(object, route->name) &&
	       take_numbers(object, eg_told_route_names, EG_TOLD_ROUTE_NUMBERS_, route->numbers) &&
	       take_text(object, "state", route->state, sizeof(route->state)) && is_one_of(states, route->state) &&
	       take_text(object, "last_success", route->last_success, sizeof(route->last_success)) &&
	       is_moment(route->last_success) &&
	       take_text(object, "last_error_at", route->last_error_at, sizeof(route->last_error_at)) &&
	       is_moment(route->last_error_at) && take_text(object, "last_error", route->last_error, sizeof(route->last_error));
}

static int take_routes(const json_t *list, struct eg_told_route *routes, size_t count)
{
	struct eg_told_route fresh[EG_ROUTES_MAX];

	if (!json_is_array(list) || json_array_size(list) != count || count > EG_ROUTES_MAX)
		return -EPROTO;
	memcpy(fresh, routes, count * sizeof(*fresh));
	for (size_t i = 0; i < count; i++) {
		if (!take_route(json_array_get(list, i), &fresh[i]))
			return -EPROTO;
	}
	memcpy(routes, fresh, count * sizeof(*fresh));
	return EG_TOLD_ROUTES;
}

/* The answer is made anew from what was understood of it. */
static int take_test(const json_t *object, struct eg_told_test *ret)
{
	const json_t *id = json_object_get(object, "id"), *status = json_object_get(object, "status");
	const json_t *took = json_object_get(object, "took_ms"), *ok = json_object_get(object, "ok");
	char name[EG_SINK_NAME_LEN], outcome[64], answer[512];

	if (!json_is_integer(id) || !json_is_integer(status) || !json_is_integer(took) || !json_is_boolean(ok) ||
	    json_integer_value(status) < 0 || json_integer_value(status) > 999 || json_integer_value(took) < 0 ||
	    !take_text(object, "name", name, sizeof(name)) || !take_text(object, "outcome", outcome, sizeof(outcome)) ||
	    !take_text(object, "answer", answer, sizeof(answer)))
		return -EPROTO;
	ret->id = (uint64_t)json_integer_value(id);
	ret->answer = json_pack("{s:s, s:b, s:s, s:I, s:I, s:s}", "sink", name, "ok", json_is_true(ok), "outcome", outcome,
				"status", json_integer_value(status), "took_ms", json_integer_value(took), "answer", answer);
	return ret->answer ? EG_TOLD_TEST : -ENOMEM;
}

int eg_told_read(const char *text, size_t len, struct eg_told *told, struct eg_told_test *ret_test)
{
	json_t *message = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *part;
	int r = -EPROTO;

	if ((part = json_object_get(message, "sinks")))
		r = take_sinks(part, told->sinks, told->count);
	else if ((part = json_object_get(message, "routes")))
		r = take_routes(part, told->routes, told->route_count);
	else if ((part = json_object_get(message, "tested")))
		r = take_test(part, ret_test);
	json_decref(message);
	return r;
}

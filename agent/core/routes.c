// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "../lib/ship_setup.h"
#include "event_json.h"

_Static_assert(EG_EVENT_LINE_MAX + EG_ROUTES_MAX * (EG_SINK_NAME_LEN + 3) + 64 < EG_SHIP_MESSAGE_MAX,
	       "an alert fits into a message");
_Static_assert(EG_ROUTES_MAX <= 32, "routes fit into a mask");

struct alert {
	uint64_t number;
	uint32_t to; /* routes, by bit, that have not settled it */
	uint32_t given; /* those of them that were handed it */
	struct alert *next;
	size_t len;
	char text[]; /* one JSON object */
};

struct route {
	struct eg_route_stats stats;
	size_t in_flight; /* given, not settled */
	bool full; /* and that was said */
};

struct eg_routes {
	int wake_fd;

	pthread_mutex_t lock; /* of what follows; held for microseconds, and no other is taken within */
	struct eg_event_stamp stamp;
	struct eg_sinks_config config;
	struct route routes[EG_ROUTES_MAX]; /* as in config */
	struct alert *first;
	struct alert **end;
	size_t count;
	size_t bytes;
	struct alert *offered; /* by eg_routes_next, and to whom */
	uint32_t offered_to;
};

/* ---- Which -------------------------------------------------------------------------------------------- */

static uint32_t routes_of(const struct eg_routes *routes, const char *type)
{
	uint32_t to = 0;

	for (size_t i = 0; i < routes->config.count; i++) {
		for (char *const *one = routes->config.sinks[i].types; *one; one++) {
			if (strcmp(*one, type) == 0)
				to |= 1u << i;
		}
	}
	return to;
}

static int index_of(const struct eg_sinks_config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++) {
		if (strcmp(config->sinks[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

bool eg_routes_want(struct eg_routes *routes, const char *type)
{
	bool want;

	if (!routes)
		return false;
	pthread_mutex_lock(&routes->lock);
	want = routes_of(routes, type) != 0;
	pthread_mutex_unlock(&routes->lock);
	return want;
}

/* ---- In ------------------------------------------------------------------------------------------------- */

static void drop(struct eg_routes *routes, uint32_t to)
{
	for (size_t i = 0; i < routes->config.count; i++) {
		if (!(to & 1u << i))
			continue;
		routes->routes[i].stats.dropped++;
		if (!routes->routes[i].full)
			eg_log_err("route %s: too many alerts wait for it: further ones are dropped, and are in the log only",
				   routes->config.sinks[i].name);
		routes->routes[i].full = true;
	}
}

/* Of those routes, the ones that have room; the others are told of the loss. */
static uint32_t with_room(struct eg_routes *routes, uint32_t to, size_t len)
{
	uint32_t full = 0;

	for (size_t i = 0; i < routes->config.count; i++) {
		if (!(to & 1u << i))
			continue;
		routes->routes[i].stats.alerts++;
		if (routes->routes[i].stats.queued >= EG_ROUTES_QUEUE || routes->bytes + len > EG_ROUTES_BYTES)
			full |= 1u << i;
	}
	drop(routes, full);
	return to & ~full;
}

/* Under the lock: text is one line. */
static void append(struct eg_routes *routes, uint64_t number, uint32_t to, const char *text, size_t len)
{
	struct alert *alert;

	to = with_room(routes, to, len);
	if (!to)
		return;
	alert = malloc(sizeof(*alert) + len + 1);
	if (!alert) {
		drop(routes, to);
		return;
	}
	*alert = (struct alert){.number = number, .to = to, .len = len};
	memcpy(alert->text, text, len);
	alert->text[len] = '\0';
	*routes->end = alert;
	routes->end = &alert->next;
	routes->bytes += len;
	routes->count++;
	for (size_t i = 0; i < routes->config.count; i++)
		routes->routes[i].stats.queued += to >> i & 1;
	eventfd_write(routes->wake_fd, 1);
}

void eg_routes_post(struct eg_routes *routes, uint64_t utc_ns, const char *type, const char *members, size_t len)
{
	EG_FREE char *line = NULL;
	uint64_t number;
	uint32_t to;

	if (!routes)
		return;
	pthread_mutex_lock(&routes->lock);
	to = routes_of(routes, type);
	number = routes->stamp.n;
	line = to ? malloc(EG_EVENT_FIXED_MAX + len) : NULL;
	if (line) {
		const char *end = eg_event_json_members(line, &routes->stamp, utc_ns, type, members, len);

		append(routes, number, to, line, (size_t)(end - line) - 1); /* without the newline */
	} else {
		drop(routes, to);
	}
	pthread_mutex_unlock(&routes->lock);
}

void eg_routes_kernel(struct eg_routes *routes, int64_t utc_offset_ns, const struct eg_networks *networks,
		      const char *type, const struct eg_event *e, const struct eg_event_meta *meta)
{
	EG_FREE char *text = malloc(EG_EVENT_META_MAX), *line = malloc(EG_EVENT_META_MAX + EG_EVENT_FIXED_MAX);
	uint64_t number;
	uint32_t to;

	pthread_mutex_lock(&routes->lock);
	to = routes_of(routes, type);
	number = routes->stamp.n;
	routes->stamp.utc_offset_ns = utc_offset_ns;
	routes->stamp.networks = networks;
	if (to && text && line) {
		size_t len = (size_t)(eg_event_meta_json(text, meta) - text);
		const char *end = eg_event_json(line, &routes->stamp, e, NULL, text, len);

		append(routes, number, to, line, (size_t)(end - line) - 1);
	} else {
		drop(routes, to);
	}
	pthread_mutex_unlock(&routes->lock);
}

/* ---- Out --------------------------------------------------------------------------------------------------- */

int eg_routes_fd(const struct eg_routes *routes)
{
	return routes->wake_fd;
}

/* Routes that were not given all that waits for them, and may be given more. */
static uint32_t with_window(const struct eg_routes *routes)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < routes->config.count; i++) {
		const struct route *route = &routes->routes[i];

		if (route->in_flight < EG_SHIP_ALERTS_AT_ONCE && route->in_flight < route->stats.queued)
			mask |= 1u << i;
	}
	return mask;
}

static size_t write_message(const struct eg_routes *routes, const struct alert *alert, uint32_t to, char *ret, size_t size)
{
	int at = snprintf(ret, size, "{\"alert\":%" PRIu64 ",\"to\":[", alert->number);
	bool first = true;

	for (size_t i = 0; i < routes->config.count; i++) {
		if (!(to & 1u << i))
			continue;
		at += snprintf(ret + at, size - (size_t)at, "%s\"%s\"", first ? "" : ",", routes->config.sinks[i].name);
		first = false;
	}
	at += snprintf(ret + at, size - (size_t)at, "],\"event\":%s}", alert->text);
	return (size_t)at;
}

size_t eg_routes_next(struct eg_routes *routes, char *ret, size_t size)
{
	size_t len = 0;
	uint32_t any;

	pthread_mutex_lock(&routes->lock);
	any = with_window(routes);
	routes->offered = NULL;
	for (struct alert *alert = any ? routes->first : NULL; alert; alert = alert->next) {
		uint32_t to = alert->to & ~alert->given & any;

		if (!to)
			continue;
		len = write_message(routes, alert, to, ret, size);
		routes->offered = alert;
		routes->offered_to = to;
		break;
	}
	pthread_mutex_unlock(&routes->lock);
	return len;
}

void eg_routes_given(struct eg_routes *routes)
{
	pthread_mutex_lock(&routes->lock);
	if (routes->offered)
		routes->offered->given |= routes->offered_to;
	for (size_t i = 0; routes->offered && i < routes->config.count; i++)
		routes->routes[i].in_flight += routes->offered_to >> i & 1;
	routes->offered = NULL;
	pthread_mutex_unlock(&routes->lock);
}

/* Takes out what no route waits for. */
static void forget_settled(struct eg_routes *routes)
{
	struct alert **at = &routes->first;

	while (*at) {
		struct alert *alert = *at;

		if (alert->to) {
			at = &alert->next;
			continue;
		}
		*at = alert->next;
		routes->bytes -= alert->len;
		routes->count--;
		free(alert);
	}
	routes->end = at;
	routes->offered = NULL;
}

void eg_routes_settled(struct eg_routes *routes, const char *name, uint64_t done)
{
	struct route *route;
	uint32_t bit;
	int i;

	pthread_mutex_lock(&routes->lock);
	i = index_of(&routes->config, name);
	bit = i < 0 ? 0 : 1u << i;
	for (struct alert *alert = routes->first; alert && bit; alert = alert->next) {
		if (alert->number > done || !(alert->to & alert->given & bit))
			continue;
		route = &routes->routes[i];
		alert->to &= ~bit;
		route->in_flight--;
		route->stats.queued--;
		route->full = false;
	}
	forget_settled(routes);
	pthread_mutex_unlock(&routes->lock);
}

static void take_back(struct eg_routes *routes)
{
	for (struct alert *alert = routes->first; alert; alert = alert->next)
		alert->given = 0;
	for (size_t i = 0; i < routes->config.count; i++)
		routes->routes[i].in_flight = 0;
	routes->offered = NULL;
	eventfd_write(routes->wake_fd, 1);
}

void eg_routes_again(struct eg_routes *routes)
{
	pthread_mutex_lock(&routes->lock);
	take_back(routes);
	pthread_mutex_unlock(&routes->lock);
}

size_t eg_routes_pending(struct eg_routes *routes)
{
	size_t count;

	pthread_mutex_lock(&routes->lock);
	count = routes->count;
	pthread_mutex_unlock(&routes->lock);
	return count;
}

void eg_routes_stats(struct eg_routes *routes, const char *name, struct eg_route_stats *ret)
{
	int i;

	*ret = (struct eg_route_stats){0};
	pthread_mutex_lock(&routes->lock);
	i = index_of(&routes->config, name);
	if (i >= 0)
		*ret = routes->routes[i].stats;
	pthread_mutex_unlock(&routes->lock);
}

/* ---- Life ----------------------------------------------------------------------------------------------------- */

/* What waits goes on to the routes of the same names; what was counted stays with them. */
static void move_over(struct eg_routes *routes, const struct eg_sinks_config *config)
{
	struct route moved[EG_ROUTES_MAX] = {0};
	int places[EG_ROUTES_MAX];

	for (size_t i = 0; i < routes->config.count; i++) {
		places[i] = index_of(config, routes->config.sinks[i].name);
		if (places[i] >= 0)
			moved[places[i]] = routes->routes[i];
	}
	for (struct alert *alert = routes->first; alert; alert = alert->next) {
		uint32_t to = 0;

		for (size_t i = 0; i < routes->config.count; i++) {
			if (alert->to & 1u << i && places[i] >= 0)
				to |= 1u << places[i];
		}
		alert->to = to;
	}
	memcpy(routes->routes, moved, sizeof(moved));
}

int eg_routes_configure(struct eg_routes *routes, const json_t *list)
{
	struct eg_error err = {0};
	struct eg_sinks_config config;
	int r = eg_routes_config_parse("routes", list, &config, &err);

	eg_error_clear(&err);
	if (r)
		return r;
	pthread_mutex_lock(&routes->lock);
	move_over(routes, &config);
	eg_sinks_config_free(&routes->config);
	routes->config = config;
	forget_settled(routes);
	take_back(routes);
	pthread_mutex_unlock(&routes->lock);
	return 0;
}

int eg_routes_new(const char *host, uint64_t start_utc_ns, struct eg_routes **ret)
{
	struct eg_routes *routes = calloc(1, sizeof(*routes));
	int len;

	if (!routes)
		return -ENOMEM;
	routes->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (routes->wake_fd < 0) {
		int r = -errno;

		free(routes);
		return r;
	}
	pthread_mutex_init(&routes->lock, NULL);
	routes->end = &routes->first;
	eg_event_stamp_init(&routes->stamp, host);
	len = snprintf(routes->stamp.ids, sizeof(routes->stamp.ids), "\",\"event_id\":\"%s-%" PRIu64 "-a",
		       routes->stamp.host, start_utc_ns);
	routes->stamp.ids_len = (size_t)len;
	*ret = routes;
	return 0;
}

void eg_routes_free(struct eg_routes *routes)
{
	if (!routes)
		return;
	for (struct alert *alert = routes->first, *next; alert; alert = next) {
		next = alert->next;
		free(alert);
	}
	eg_sinks_config_free(&routes->config);
	close(routes->wake_fd);
	pthread_mutex_destroy(&routes->lock);
	free(routes);
}

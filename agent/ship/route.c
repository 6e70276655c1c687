// SPDX-License-Identifier: Apache-2.0
#include "route.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../lib/ship_setup.h"
#include "filter.h"
#include "sink_impl.h"
#include "url.h"

#define PAUSE_NS (10 * EG_NS_PER_S) /* between tries of what somebody has to mend: an alert is worth them */

struct alert {
	uint64_t number;
	json_t *event;
};

struct eg_route {
	const struct eg_sink_place *place;
	const struct eg_sink_config *config;
	const struct eg_protocol *protocol;
	void *link; /* the protocol's; NULL: not open */
	struct eg_hash_key key;
	struct eg_backoff backoff;
	atomic_bool stopping;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct alert alerts[EG_SHIP_ALERTS_AT_ONCE]; /* a ring: `waiting` of them from `first` on */
	size_t first;
	struct eg_route_report report;
	uint64_t test_id;
	bool test_wanted;
	bool ended;
};

/* ---- What it reports ----------------------------------------------------------------------------- */

static void set_state(struct eg_route *route, enum eg_sink_state state)
{
	bool changed;

	pthread_mutex_lock(&route->lock);
	changed = route->report.state != state;
	route->report.state = state;
	pthread_mutex_unlock(&route->lock);
	if (changed)
		route->place->changed(route->place->ctx);
}

static void complain(struct eg_route *route, enum eg_sink_state state, const char *words)
{
	pthread_mutex_lock(&route->lock);
	snprintf(route->report.last_error, sizeof(route->report.last_error), "%s", words);
	route->report.last_error_ns = eg_ship_utc_ns();
	pthread_mutex_unlock(&route->lock);
	set_state(route, state);
}

void eg_route_report(struct eg_route *route, struct eg_route_report *ret)
{
	pthread_mutex_lock(&route->lock);
	*ret = route->report;
	pthread_mutex_unlock(&route->lock);
}

const char *eg_route_name(const struct eg_route *route)
{
	return route->config->name;
}

/* ---- In ---------------------------------------------------------------------------------------------- */

bool eg_route_give(struct eg_route *route, uint64_t number, json_t *event)
{
	bool room;

	pthread_mutex_lock(&route->lock);
	room = route->report.waiting < EG_SHIP_ALERTS_AT_ONCE;
	if (room) {
		size_t at = (route->first + route->report.waiting++) % EG_SHIP_ALERTS_AT_ONCE;

		route->alerts[at] = (struct alert){number, json_incref(event)};
		pthread_cond_broadcast(&route->wake);
	}
	pthread_mutex_unlock(&route->lock);
	return room;
}

/* Of one alert, the first. */
static void settle(struct eg_route *route, uint64_t *count)
{
	struct alert *alert = &route->alerts[route->first];

	pthread_mutex_lock(&route->lock);
	route->report.done = alert->number;
	route->report.waiting--;
	(*count)++;
	json_decref(alert->event);
	*alert = (struct alert){0};
	route->first = (route->first + 1) % EG_SHIP_ALERTS_AT_ONCE;
	pthread_mutex_unlock(&route->lock);
	route->place->changed(route->place->ctx);
}

static bool has(const json_t *event, const char *key)
{
	return json_string_length(json_object_get(event, key)) > 0;
}

bool eg_route_wants(const struct eg_sink_config *config, const json_t *event)
{
	if (eg_filter(config, event) != EG_WAY_NOW)
		return false;
	if (config->selector && !eg_labels_match(config->selector, json_object_get(event, "labels")))
		return false;
	return (has(event, "app") || !eg_url_asks(config->url, EG_URL_APP)) &&
	       (has(event, "owner") || !eg_url_asks(config->url, EG_URL_OWNER));
}

/* ---- Out --------------------------------------------------------------------------------------------- */

/* Files that it needs may come later. */
static bool open_link(struct eg_route *route)
{
	struct eg_error err = {0};
	int r;

	if (route->link)
		return true;
	r = eg_hash_key_read(route->config, &route->key, &err);
	if (!r)
		r = route->protocol->open(route->config, &route->stopping, &route->link, &err);
	if (!r)
		return true;
	route->link = NULL;
	complain(route, EG_SINK_PAUSED, err.message[0] ? err.message : strerror(-r));
	eg_error_clear(&err);
	return false;
}

/* One try. item is left as it is. */
static void try(struct eg_route *route, const struct eg_item *item, struct eg_result *result)
{
	enum eg_outcome outcome = EG_OUTCOME_RETRY;

	*result = (struct eg_result){.items = &outcome, .outcome = EG_OUTCOME_PAUSE};
	if (!open_link(route))
		return;
	result->outcome = EG_OUTCOME_DELIVERED;
	route->protocol->send(route->link, item, 1, result);
	if (result->has_items)
		result->outcome = outcome;
	result->items = NULL;
	pthread_mutex_lock(&route->lock);
	route->report.requests++;
	pthread_mutex_unlock(&route->lock);
}

/* An event of egret-ship's own, that no alert stands behind. */
static void run_test(struct eg_route *route)
{
	struct eg_sink_tested tested = {.name = route->config->name};
	uint64_t begun = eg_ship_mono_ns();
	struct eg_item item = {0};

	if (eg_sink_test_item(route->place->host, route->config, &route->key, &item) == 0)
		try(route, &item, &tested.result);
	else
		tested.result.outcome = EG_OUTCOME_RETRY;
	eg_item_clear(&item);
	tested.took_ns = eg_ship_mono_ns() - begun;
	pthread_mutex_lock(&route->lock);
	if (!route->link)
		memcpy(tested.result.error, route->report.last_error, sizeof(tested.result.error));
	tested.id = route->test_id;
	route->test_wanted = false;
	pthread_mutex_unlock(&route->lock);
	route->place->tested(route->place->ctx, &tested);
}

/* Sleeps up to ns (idle: or until there is an alert), runs a test if one is asked for. False: stop. */
static bool nap(struct eg_route *route, uint64_t ns, bool idle)
{
	uint64_t until = eg_ship_mono_ns() + ns;
	struct timespec deadline = {(time_t)(until / EG_NS_PER_S), (long)(until % EG_NS_PER_S)};
	bool test;

	pthread_mutex_lock(&route->lock);
	while (!atomic_load(&route->stopping) && !route->test_wanted && (!idle || !route->report.waiting) &&
	       pthread_cond_clockwait(&route->wake, &route->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	test = route->test_wanted;
	pthread_mutex_unlock(&route->lock);
	if (test && !atomic_load(&route->stopping))
		run_test(route);
	return !atomic_load(&route->stopping);
}

/* What is tried again, and when. False: stop. */
static bool hold_back(struct eg_route *route, const struct eg_result *result)
{
	bool pause = result->outcome == EG_OUTCOME_PAUSE;
	uint64_t random = eg_ship_mono_ns();

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = eg_ship_mono_ns(); /* it is jitter, no secret */
	pthread_mutex_lock(&route->lock);
	route->report.retries++;
	pthread_mutex_unlock(&route->lock);
	if (route->link)
		complain(route, pause ? EG_SINK_PAUSED : EG_SINK_RETRYING,
			 result->error[0] ? result->error : "no answer that says delivered");
	return nap(route, pause ? PAUSE_NS : eg_backoff_next(&route->backoff, result->retry_after_ns, random), false);
}

static void settle_delivered(struct eg_route *route)
{
	eg_backoff_reset(&route->backoff);
	pthread_mutex_lock(&route->lock);
	route->report.last_success_ns = eg_ship_utc_ns();
	pthread_mutex_unlock(&route->lock);
	set_state(route, EG_SINK_OK);
	settle(route, &route->report.delivered);
}

static void settle_refused(struct eg_route *route, const char *id, const char *why)
{
	char words[512];

	snprintf(words, sizeof(words), "alert %.100s was refused: %.300s", id, why[0] ? why : "no reason was given");
	complain(route, EG_SINK_OK, words);
	settle(route, &route->report.refused);
}

/* Until it is settled. False: stop. */
static bool deliver(struct eg_route *route, const struct eg_item *item)
{
	for (;;) {
		struct eg_result result;

		try(route, item, &result);
		if (result.outcome == EG_OUTCOME_DELIVERED) {
			settle_delivered(route);
			return true;
		}
		if (result.outcome == EG_OUTCOME_SPLIT) {
			settle_refused(route, item->id, result.error);
			return true;
		}
		if (!hold_back(route, &result))
			return false;
	}
}

/* The first alert. False: stop. */
static bool send_first(struct eg_route *route)
{
	const struct eg_spool_pos nowhere = {0};
	json_t *event = route->alerts[route->first].event; /* ours until it is settled */
	struct eg_item item = {0};
	json_t *copy;
	bool go_on;
	int r;

	if (!eg_route_wants(route->config, event)) {
		settle(route, &route->report.filtered);
		return true;
	}
	open_link(route); /* the key that members are hashed with comes with it */
	copy = json_deep_copy(event);
	r = copy ? eg_render(route->config, &route->key, copy, &nowhere, &item) : -ENOMEM;
	json_decref(copy);
	if (r == -ENOMEM)
		return nap(route, EG_NS_PER_S, false);
	if (!route->link) { /* or it would be sent with hashes of no key */
		eg_item_clear(&item);
		return hold_back(route, &(struct eg_result){.outcome = EG_OUTCOME_PAUSE});
	}
	if (r) {
		settle_refused(route, item.id, "this is no event that can be said in the route's schema");
		go_on = true;
	} else {
		go_on = deliver(route, &item);
	}
	eg_item_clear(&item);
	return go_on;
}

static bool has_alert(struct eg_route *route)
{
	bool has;

	pthread_mutex_lock(&route->lock);
	has = route->report.waiting > 0;
	pthread_mutex_unlock(&route->lock);
	return has;
}

static void *run(void *ctx)
{
	struct eg_route *route = ctx;
	bool go_on = true;

	pthread_setname_np(pthread_self(), "egret-route");
	while (go_on) {
		if (!route->link && open_link(route)) /* so that what is wrong is known before there is an alert */
			set_state(route, EG_SINK_OK);
		go_on = nap(route, PAUSE_NS, true);
		while (go_on && has_alert(route))
			go_on = send_first(route);
	}
	if (route->link)
		route->protocol->close(route->link);
	pthread_mutex_lock(&route->lock);
	route->ended = true;
	pthread_cond_broadcast(&route->wake);
	pthread_mutex_unlock(&route->lock);
	return NULL;
}

/* ---- From outside ------------------------------------------------------------------------------------ */

int eg_route_test(struct eg_route *route, uint64_t id)
{
	int r = -EBUSY;

	pthread_mutex_lock(&route->lock);
	if (!route->test_wanted) {
		route->test_wanted = true;
		route->test_id = id;
		pthread_cond_broadcast(&route->wake);
		r = 0;
	}
	pthread_mutex_unlock(&route->lock);
	return r;
}

int eg_route_start(const struct eg_sink_place *place, const struct eg_sink_config *config,
		   const struct eg_protocol *protocol, struct eg_route **ret)
{
	struct eg_route *route = calloc(1, sizeof(*route));
	int r;

	if (!route)
		return -ENOMEM;
	route->place = place;
	route->config = config;
	route->protocol = protocol;
	pthread_mutex_init(&route->lock, NULL);
	pthread_cond_init(&route->wake, NULL);
	r = -pthread_create(&route->thread, NULL, run, route);
	if (r) {
		eg_route_free(route);
		return r;
	}
	*ret = route;
	return 0;
}

void eg_route_ask_to_stop(struct eg_route *route)
{
	pthread_mutex_lock(&route->lock);
	atomic_store(&route->stopping, true);
	pthread_cond_broadcast(&route->wake);
	pthread_mutex_unlock(&route->lock);
}

bool eg_route_join(struct eg_route *route, uint64_t wait_ns)
{
	uint64_t until = eg_ship_mono_ns() + wait_ns;
	struct timespec deadline = {(time_t)(until / EG_NS_PER_S), (long)(until % EG_NS_PER_S)};
	bool ended;

	pthread_mutex_lock(&route->lock);
	while (!route->ended &&
	       pthread_cond_clockwait(&route->wake, &route->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	ended = route->ended;
	pthread_mutex_unlock(&route->lock);
	if (ended)
		pthread_join(route->thread, NULL);
	return ended;
}

void eg_route_free(struct eg_route *route)
{
	if (!route)
		return;
	for (size_t i = 0; i < EG_SHIP_ALERTS_AT_ONCE; i++)
		json_decref(route->alerts[i].event);
	pthread_mutex_destroy(&route->lock);
	pthread_cond_destroy(&route->wake);
	explicit_bzero(&route->key, sizeof(route->key));
	free(route);
}

// SPDX-License-Identifier: Apache-2.0
#include "ears.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/ship_setup.h"
#include "route.h"
#include "ship.h"
#include "sink_impl.h"

#define REPORT_EVERY_MS 1000
#define REPORT_LEAST_NS (5 * EG_NS_PER_S / 1000) /* however fast alerts are settled */

struct eg_ears {
	const struct eg_ears_config *config;
	struct eg_sink_place place;
	struct eg_route *routes[EG_ROUTES_MAX];
	size_t count;
	int wake_fd;
	atomic_bool stopping;
	pthread_t thread;
	uint64_t reported_ns;
	char text[EG_SHIP_MESSAGE_MAX];
};

static void changed(void *ctx)
{
	struct eg_ears *ears = ctx;

	eventfd_write(ears->wake_fd, 1);
}

static void tested(void *ctx, const struct eg_sink_tested *what)
{
	struct eg_ears *ears = ctx;

	ears->config->tell(ears->config->ctx, eg_ship_tested(what));
}

/* Also as the answer to each alert: what egretd may forget of them. */
static void report(struct eg_ears *ears)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ears->count; i++) {
		struct eg_route_report now;

		eg_route_report(ears->routes[i], &now);
		json_array_append_new(list, eg_ship_route_status(&ears->config->routes->sinks[i], &now));
	}
	ears->config->tell(ears->config->ctx, json_pack("{s:o}", "routes", list));
	ears->reported_ns = eg_ship_mono_ns();
}

static struct eg_route *find(const struct eg_ears *ears, const char *name)
{
	for (size_t i = 0; name && i < ears->count; i++) {
		if (strcmp(eg_route_name(ears->routes[i]), name) == 0)
			return ears->routes[i];
	}
	return NULL;
}

static void start_test(struct eg_ears *ears, const char *name, uint64_t id)
{
	struct eg_sink_tested answer = {.id = id, .name = name, .result = {.outcome = EG_OUTCOME_RETRY}};
	struct eg_route *route = find(ears, name);
	int r = route ? eg_route_test(route, id) : ears->config->test_sink(ears->config->ctx, name, id);

	if (!r)
		return;
	snprintf(answer.result.error, sizeof(answer.result.error), "%s",
		 r == -EBUSY ? "a test of it is under way" : "there is no such sink or route");
	tested(ears, &answer);
}

static void take_alert(struct eg_ears *ears, uint64_t number, const json_t *to, json_t *event)
{
	const json_t *name;
	size_t i;

	json_array_foreach(to, i, name) {
		struct eg_route *route = find(ears, json_string_value(name));

		if (route && !eg_route_give(route, number, event)) /* egretd never hands over more than there is room for */
			eg_log_err("egret-ship: route %s: no room for alert %llu", eg_route_name(route),
				   (unsigned long long)number);
	}
}

/* False: egretd is gone. */
static bool hear(struct eg_ears *ears)
{
	ssize_t len = recv(ears->config->control_fd, ears->text, sizeof(ears->text), MSG_DONTWAIT);
	json_t *message, *event;
	const char *name;

	if (len < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!len)
		return false;
	message = json_loadb(ears->text, (size_t)len, 0, NULL);
	name = json_string_value(json_object_get(message, "test"));
	event = json_object_get(message, "event");
	if (name)
		start_test(ears, name, (uint64_t)json_integer_value(json_object_get(message, "id")));
	else if (json_is_object(event))
		take_alert(ears, (uint64_t)json_integer_value(json_object_get(message, "alert")),
			   json_object_get(message, "to"), event);
	json_decref(message);
	return true;
}

static void *run(void *ctx)
{
	struct eg_ears *ears = ctx;
	struct pollfd fds[] = {{.fd = ears->config->control_fd, .events = POLLIN}, {.fd = ears->wake_fd, .events = POLLIN}};
	uint64_t wakes;

	pthread_setname_np(pthread_self(), "egret-ears");
	while (!atomic_load(&ears->stopping)) {
		report(ears);
		if (poll(fds, 2, REPORT_EVERY_MS) < 0 && errno != EINTR)
			break;
		while (fds[0].revents && !atomic_load(&ears->stopping)) { /* all that is there, before anything is said */
			if (!hear(ears)) {
				ears->config->gone(ears->config->ctx);
				return NULL;
			}
			if (poll(fds, 1, 0) <= 0)
				break;
		}
		if (fds[1].revents && eventfd_read(ears->wake_fd, &wakes) == 0 &&
		    eg_ship_mono_ns() - ears->reported_ns < REPORT_LEAST_NS)
			usleep(REPORT_LEAST_NS / 1000);
	}
	return NULL;
}

static int start_routes(struct eg_ears *ears)
{
	const struct eg_sinks_config *routes = ears->config->routes;
	int r = 0;

	for (; !r && ears->count < routes->count; ears->count += !r) {
		const struct eg_sink_config *route = &routes->sinks[ears->count];

		if (eg_sink_config_exposed(route))
			eg_log_warning("route %s: credentials go to %s in plain text: use https://", route->name, route->url);
		r = eg_route_start(&ears->place, route, eg_ship_protocol(route->type), &ears->routes[ears->count]);
	}
	return r;
}

int eg_ears_start(const struct eg_ears_config *config, struct eg_ears **ret)
{
	struct eg_ears *ears = calloc(1, sizeof(*ears));
	int r;

	if (!ears)
		return -ENOMEM;
	ears->config = config;
	ears->place = (struct eg_sink_place){
		.cursor_fd = -1, .host = config->host, .changed = changed, .tested = tested, .ctx = ears};
	ears->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = ears->wake_fd < 0 ? -errno : start_routes(ears);
	if (!r)
		r = -pthread_create(&ears->thread, NULL, run, ears);
	if (!r)
		*ret = ears;
	return r; /* on failure the process ends: routes that run are not waited for */
}

bool eg_ears_stop(struct eg_ears *ears, uint64_t wait_ns)
{
	uint64_t until = eg_ship_mono_ns() + wait_ns;
	bool all = true;

	if (!ears)
		return true;
	atomic_store(&ears->stopping, true);
	eventfd_write(ears->wake_fd, 1);
	for (size_t i = 0; i < ears->count; i++)
		eg_route_ask_to_stop(ears->routes[i]);
	pthread_join(ears->thread, NULL);
	for (size_t i = 0; i < ears->count; i++) {
		uint64_t now = eg_ship_mono_ns();

		if (eg_route_join(ears->routes[i], until > now ? until - now : 0))
			eg_route_free(ears->routes[i]);
		else
			all = false;
	}
	if (!all)
		return false;
	close(ears->wake_fd);
	free(ears);
	return true;
}

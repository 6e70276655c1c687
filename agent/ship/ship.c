// SPDX-License-Identifier: Apache-2.0
#include "ship.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "../lib/ship_setup.h"
#include "ears.h"
#include "sink_impl.h"

#define REPORT_EVERY_MS 1000
#define REPORT_LEAST_NS (EG_NS_PER_S / 20) /* however often states change */

struct ship {
	const struct eg_ship_config *config;
	struct eg_sink_place place;
	struct eg_sink *sinks[EG_SINKS_MAX];
	size_t count;
	pthread_mutex_t starting; /* of the two below */
	bool ready; /* all sinks are started */
	uint64_t early[EG_SINKS_MAX]; /* a test that was asked for before that; 0: none */
	atomic_bool alone; /* egretd is gone */
	struct eg_ears_config ears_config;
	struct eg_ears *ears; /* NULL without egretd */
	int wake_fd;
	struct eg_spool_reader *lag; /* how much is in the spool */
	uint64_t reported_ns;
	struct eg_pace paces[EG_SINKS_MAX];
	enum eg_sink_state logged[EG_SINKS_MAX];
	pthread_mutex_t sending;
};

static void changed(void *ctx)
{
	struct ship *ship = ctx;

	eventfd_write(ship->wake_fd, 1);
}

/* ---- To egretd ------------------------------------------------------------------------------- */

/* Never waits: what egretd has no room for comes again in a second. Takes the reference. */
static void tell(void *ctx, json_t *message)
{
	struct ship *ship = ctx;
	EG_FREE char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	json_decref(message);
	if (!len || len > EG_SHIP_MESSAGE_MAX || ship->config->control_fd < 0)
		return;
	pthread_mutex_lock(&ship->sending);
	send(ship->config->control_fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_mutex_unlock(&ship->sending);
}

static void tested(void *ctx, const struct eg_sink_tested *what)
{
	tell(ctx, eg_ship_tested(what));
}

static void log_change(struct ship *ship, size_t i, const struct eg_sink_report *report)
{
	if (ship->config->control_fd >= 0 || ship->logged[i] == report->state)
		return;
	ship->logged[i] = report->state;
	eg_log(report->state == EG_SINK_OK ? EG_LOG_NOTICE : EG_LOG_WARNING, "sink %s: %s%s%s",
	       eg_sink_name(ship->sinks[i]), eg_sink_state_name(report->state), report->state == EG_SINK_OK ? "" : ": ",
	       report->state == EG_SINK_OK ? "" : report->last_error);
}

static void report(struct ship *ship)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ship->count; i++) {
		uint64_t events = 0, bytes = 0;
		struct eg_sink_report now;

		eg_sink_report(ship->sinks[i], &now);
		if (ship->lag)
			eg_spool_reader_lag(ship->lag, &now.read, &events, &bytes);
		log_change(ship, i, &now);
		json_array_append_new(list, eg_ship_status(&ship->config->sinks->sinks[i], &now, events, bytes, &ship->paces[i]));
	}
	tell(ship, json_pack("{s:o}", "sinks", list));
	ship->reported_ns = eg_ship_mono_ns();
}

/* ---- From egretd, on another thread ---------------------------------------------------------------- */

static int test_sink(void *ctx, const char *name, uint64_t id)
{
	struct ship *ship = ctx;
	const struct eg_sinks_config *sinks = ship->config->sinks;
	size_t i = 0;
	int r = 0;

	while (i < sinks->count && strcmp(sinks->sinks[i].name, name) != 0)
		i++;
	if (i == sinks->count)
		return -ENOENT;
	pthread_mutex_lock(&ship->starting);
	if (ship->ready)
		r = eg_sink_test(ship->sinks[i], id);
	else if (ship->early[i])
		r = -EBUSY;
	else
		ship->early[i] = id;
	pthread_mutex_unlock(&ship->starting);
	return r;
}

static void gone(void *ctx)
{
	struct ship *ship = ctx;

	atomic_store(&ship->alone, true);
	changed(ship);
}

/* ---- From start to end -------------------------------------------------------------------------------- */

static void serve(struct ship *ship)
{
	struct pollfd fds[] = {{.fd = ship->config->signal_fd, .events = POLLIN},
			       {.fd = ship->wake_fd, .events = POLLIN}};
	uint64_t wakes;

	while (!atomic_load(&ship->alone)) {
		report(ship);
		if (poll(fds, 2, REPORT_EVERY_MS) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		if (fds[1].revents && eventfd_read(ship->wake_fd, &wakes) == 0 &&
		    eg_ship_mono_ns() - ship->reported_ns < REPORT_LEAST_NS)
			usleep(REPORT_LEAST_NS / 1000);
	}
}

static int start_sinks(struct ship *ship)
{
	const struct eg_sinks_config *sinks = ship->config->sinks;
	int r = 0;

	for (; !r && ship->count < sinks->count; ship->count += !r) {
		const struct eg_sink_config *sink = &sinks->sinks[ship->count];

		if (eg_sink_config_exposed(sink))
			eg_log_warning("sink %s: credentials go to %s in plain text: use https://", sink->name, sink->url);
		r = eg_sink_start(&ship->place, sink, eg_ship_protocol(sink->type), &ship->sinks[ship->count]);
	}
	pthread_mutex_lock(&ship->starting);
	ship->ready = !r;
	for (size_t i = 0; !r && i < ship->count; i++) {
		if (ship->early[i])
			eg_sink_test(ship->sinks[i], ship->early[i]);
	}
	pthread_mutex_unlock(&ship->starting);
	return r;
}

static int start_ears(struct ship *ship)
{
	const struct eg_ship_config *config = ship->config;

	if (config->control_fd < 0) {
		if (config->routes->count)
			eg_log_warning("routes are for alerts that egretd hands over: without it they have nothing to do");
		return 0;
	}
	ship->ears_config = (struct eg_ears_config){
		.control_fd = config->control_fd, .host = config->host, .routes = config->routes, .ctx = ship, .tell = tell,
		.test_sink = test_sink, .gone = gone,
	};
	return eg_ears_start(&ship->ears_config, &ship->ears);
}

/* True: all of them ended. One that is stuck in the kernel (a stalled disk) is not waited for. */
static bool stop_sinks(struct ship *ship)
{
	uint64_t until = eg_ship_mono_ns() + EG_SHIP_STOP_NS;
	bool all;

	for (size_t i = 0; i < ship->count; i++)
		eg_sink_ask_to_stop(ship->sinks[i]);
	all = eg_ears_stop(ship->ears, EG_SHIP_STOP_NS);
	for (size_t i = 0; i < ship->count; i++) {
		uint64_t now = eg_ship_mono_ns();

		if (eg_sink_join(ship->sinks[i], until > now ? until - now : 0))
			eg_sink_free(ship->sinks[i]);
		else
			all = false;
	}
	return all;
}

/* Two would send everything twice. Held until the end of the process. */
static int lock_cursors(int cursor_fd)
{
	EG_CLOSE int fd = openat(cursor_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EALREADY : -errno;
	(void)EG_TAKE_FD(fd);
	return 0;
}

int eg_ship_run(const struct eg_ship_config *config)
{
	static struct ship ship; /* threads that are not waited for may still look at it */
	int r = lock_cursors(config->cursor_fd);

	ship = (struct ship){
		.config = config,
		.place = {.spool_dir = config->spool_dir, .cursor_fd = config->cursor_fd, .host = config->host,
			  .changed = changed, .tested = tested, .ctx = &ship},
	};
	pthread_mutex_init(&ship.sending, NULL);
	pthread_mutex_init(&ship.starting, NULL);
	ship.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r && ship.wake_fd < 0)
		r = -errno;
	if (!r)
		r = start_ears(&ship); /* first: they need nothing of the disk */
	if (!r)
		r = eg_spool_reader_new(config->spool_dir, NULL, &ship.lag);
	if (!r)
		r = start_sinks(&ship);
	if (!r)
		serve(&ship);
	if (!stop_sinks(&ship))
		_exit(0);
	eg_spool_reader_free(ship.lag);
	close(ship.wake_fd);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "shipper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "shipper_impl.h"

#define NAP_MS		1000
#define RESTART_MIN_NS	EG_NS_PER_S
#define RESTART_MAX_NS	(60 * EG_NS_PER_S)
#define HANGS_AFTER_NS	EG_SHIPPER_SILENT_NS
#define MESSAGES_AT_ONCE 64
#define LAST_WAIT_NS	(2 * EG_NS_PER_S)
#define LAST_NAP_MS	20

/* ---- The child's life ------------------------------------------------------------------------- */

static bool wants_child(const struct eg_shipper *s)
{
	const struct eg_config *config = eg_agent_config(s->agent);

	return json_array_size(config->sinks) + json_array_size(config->routes) > 0;
}

static void set_problem(struct eg_shipper *s, const char *problem)
{
	pthread_mutex_lock(&s->lock);
	snprintf(s->problem, sizeof(s->problem), "%s", problem);
	pthread_mutex_unlock(&s->lock);
}

/* Nobody is left to answer. Under the lock. */
static void drop_tests(struct eg_shipper *s)
{
	for (size_t i = 0; i < EG_SHIPPER_TESTS; i++)
		s->tests[i].dropped = s->tests[i].id && !s->tests[i].answer;
	pthread_cond_broadcast(&s->answered);
}

void eg_shipper_end_tests(struct eg_shipper *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->no_tests = true;
	drop_tests(s);
	pthread_mutex_unlock(&s->lock);
}

static void end_child(struct eg_shipper *s, char *ret_how, size_t size)
{
	struct eg_ship_child child;

	pthread_mutex_lock(&s->lock);
	child = s->child;
	s->child = (struct eg_ship_child){.control_fd = -1, .process.pidfd = -1};
	drop_tests(s);
	pthread_mutex_unlock(&s->lock);
	eg_ship_child_stop(&child, ret_how, size);
}

static void child_lost(struct eg_shipper *s, const char *why)
{
	uint64_t now = eg_clock_mono_ns();
	char how[64] = "", problem[256];

	end_child(s, how, sizeof(how));
	if (now - s->started_ns > RESTART_MAX_NS)
		s->pause_ns = 0;
	s->pause_ns = s->pause_ns ? s->pause_ns * 2 : RESTART_MIN_NS;
	if (s->pause_ns > RESTART_MAX_NS)
		s->pause_ns = RESTART_MAX_NS;
	s->start_ns = now + s->pause_ns;
	snprintf(problem, sizeof(problem), "egret-ship %s (%s): it is started again in %llu s", why, how,
		 (unsigned long long)(s->pause_ns / EG_NS_PER_S));
	set_problem(s, problem);
	eg_log_warning("%s", problem);
}

static void start_child(struct eg_shipper *s)
{
	struct eg_ship_child child = {.control_fd = -1, .process.pidfd = -1};
	struct eg_error err = {0};
	uint64_t now = eg_clock_mono_ns();

	if (eg_ship_child_start(&child, s->agent, &err)) {
		if (strcmp(s->problem, err.message) != 0)
			eg_log_err("%s; events stay in the spool", err.message);
		set_problem(s, err.message);
		eg_error_clear(&err);
		s->start_ns = now + RESTART_MAX_NS / 10;
		return;
	}
	eg_routes_again(s->agent->routes);
	s->blocked = false;
	s->started_ns = now;
	s->heard_ns = now;
	pthread_mutex_lock(&s->lock);
	s->child = child;
	s->sinks_heard_ns = now;
	s->starts++;
	s->problem[0] = '\0';
	pthread_mutex_unlock(&s->lock);
}

/* The sinks and routes of the configuration as it is now, with nothing told of them. */
static void read_config(struct eg_shipper *s)
{
	const struct eg_config *config = eg_agent_config(s->agent);
	int r = eg_routes_configure(s->agent->routes, config->routes);

	pthread_mutex_lock(&s->lock);
	if (!r)
		r = eg_told_begin(&s->told, config->sinks, config->routes);
	pthread_mutex_unlock(&s->lock);
	if (r)
		eg_log_err("sinks and routes can't be taken over: %s", strerror(-r));
	eg_shipper_alerts_reset(s);
}

static void keep_child(struct eg_shipper *s)
{
	char how[64];

	if (__atomic_exchange_n(&s->reload, false, __ATOMIC_ACQ_REL)) {
		end_child(s, how, sizeof(how));
		read_config(s);
		set_problem(s, "");
		s->start_ns = 0;
	}
	if (s->child.control_fd >= 0 && eg_clock_mono_ns() - s->heard_ns > HANGS_AFTER_NS)
		child_lost(s, "hangs");
	if (s->child.control_fd < 0 && wants_child(s) && eg_clock_mono_ns() >= s->start_ns)
		start_child(s);
}

/* ---- What it says ---------------------------------------------------------------------------------- */

static void take_answer(struct eg_shipper *s, struct eg_told_test *test)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < EG_SHIPPER_TESTS; i++) {
		if (s->tests[i].id == test->id && !s->tests[i].answer)
			s->tests[i].answer = EG_TAKE_PTR(test->answer);
	}
	pthread_cond_broadcast(&s->answered);
	pthread_mutex_unlock(&s->lock);
	json_decref(test->answer);
}

/* Said by a thread that no disk can hold up: where it is silent, starting the child again helps. */
static void heard_of_routes(struct eg_shipper *s)
{
	s->heard_ns = eg_clock_mono_ns();
	eg_shipper_settle(s);
}

/* A disk that hangs silences this one, and would silence the next: that is an alarm, and alerts go on. */
static void heard_of_sinks(struct eg_shipper *s)
{
	pthread_mutex_lock(&s->lock);
	s->sinks_heard_ns = eg_clock_mono_ns();
	pthread_mutex_unlock(&s->lock);
	eg_shipper_alerts(s);
}

static void listen_to(struct eg_shipper *s)
{
	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		struct eg_told_test test = {0};
		ssize_t len = recv(s->child.control_fd, s->message, sizeof(s->message), MSG_DONTWAIT | MSG_TRUNC);
		int r;

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (len <= 0 || (size_t)len > sizeof(s->message)) {
			child_lost(s, len > 0 ? "said too much" : "has ended");
			return;
		}
		pthread_mutex_lock(&s->lock);
		r = eg_told_read(s->message, (size_t)len, &s->told, &test);
		pthread_mutex_unlock(&s->lock);
		if (r == -EPROTO) {
			child_lost(s, "said what no egret-ship says");
			return;
		}
		if (r == EG_TOLD_TEST)
			take_answer(s, &test);
		else if (r == EG_TOLD_ROUTES)
			heard_of_routes(s);
		else if (r == EG_TOLD_SINKS)
			heard_of_sinks(s);
	}
}

/* ---- The thread ---------------------------------------------------------------------------------------- */

/* Alerts that wait get a moment of their own at the end. */
static bool goes_on(struct eg_shipper *s)
{
	if (!__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE))
		return true;
	if (!s->stop_ns)
		s->stop_ns = eg_clock_mono_ns() + LAST_WAIT_NS;
	return s->child.control_fd >= 0 && eg_routes_pending(s->agent->routes) && eg_clock_mono_ns() < s->stop_ns;
}

static void *run(void *ctx)
{
	struct eg_shipper *s = ctx;

	read_config(s);
	while (goes_on(s)) {
		struct pollfd fds[] = {{.fd = s->wake_fd, .events = POLLIN},
				       {.events = POLLIN},
				       {.events = POLLIN},
				       {.fd = eg_routes_fd(s->agent->routes), .events = POLLIN}};
		eventfd_t wakes;

		keep_child(s);
		if (s->child.control_fd >= 0 && !eg_shipper_hand_over(s))
			child_lost(s, "can't be spoken to");
		fds[1].fd = s->child.control_fd;
		fds[1].events |= s->blocked ? POLLOUT : 0;
		fds[2].fd = s->child.process.pidfd;
		if (poll(fds, 4, s->stop_ns ? LAST_NAP_MS : NAP_MS) <= 0)
			continue;
		if (fds[0].revents)
			eventfd_read(s->wake_fd, &wakes);
		if (fds[3].revents)
			eventfd_read(fds[3].fd, &wakes);
		if (fds[1].revents)
			listen_to(s);
		else if (fds[2].revents)
			child_lost(s, "has ended");
	}
	return NULL;
}

void eg_shipper_reload(struct eg_shipper *s)
{
	if (!s)
		return;
	__atomic_store_n(&s->reload, true, __ATOMIC_RELEASE);
	eventfd_write(s->wake_fd, 1);
}

static void shipper_free(struct eg_shipper *s)
{
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->answered);
	eg_told_free(&s->told);
	free(s);
}

int eg_shipper_start(struct eg_agent *agent, struct eg_shipper **ret)
{
	struct eg_shipper *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->agent = agent;
	s->child = (struct eg_ship_child){.control_fd = -1, .process.pidfd = -1};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->answered, NULL);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->wake_fd < 0 ? -errno : -pthread_create(&s->thread, NULL, run, s);
	if (r) {
		shipper_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void eg_shipper_stop(struct eg_shipper *s)
{
	char how[64];

	if (!s)
		return;
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	eventfd_write(s->wake_fd, 1);
	pthread_join(s->thread, NULL);
	end_child(s, how, sizeof(how));
	shipper_free(s);
}

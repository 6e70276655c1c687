// SPDX-License-Identifier: Apache-2.0
/*
 * agent_loop.c - the main thread: signals, births and deaths, and what is looked at every second
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "agent_run.h"
#include "clock.h"
#include "sdnotify.h"
#include "shipper.h"

enum source { ON_SIGNAL, ON_TICK, ON_CLOCK, ON_CGROUPS, ON_POLICIES, ON_DIRECT, SOURCES };

struct loop {
	struct eg_agent *agent;
	eg_agent_reload_fn reload;
	void *ctx;
	struct pollfd fds[SOURCES];
	uint64_t watchdog_ns; /* monotonic time of the last */
	unsigned unwatched_ticks;
	bool stopping;
};

/* ---- Every second ------------------------------------------------------------------------- */

static void publish_clock(struct eg_agent *agent)
{
	__atomic_store_n(&eg_kern_host(agent->kern)->utc_offset_ns, eg_clock_utc_offset_ns(), __ATOMIC_RELAXED);
}

static void say_unwatched(struct eg_agent *agent, const struct eg_cgwatch_stats *stats)
{
	bool any = agent->cgroups_unwatched; /* this thread alone changes it */

	pthread_mutex_lock(&agent->lock);
	agent->cgroups_unwatched = stats->unwatched;
	pthread_mutex_unlock(&agent->lock);
	if (any == (stats->unwatched > 0))
		return;
	if (stats->unwatched)
		eg_log_warning("%zu cgroups can't be watched (%s): new ones below are denied until they are looked for",
			       stats->unwatched, strerror(-stats->last_error));
	else
		eg_log_notice("all cgroups are watched again");
}

/*
 * Cgroups that inotify can't watch are found by looking at everything, every few seconds; each second where it watches
 * nothing at all.
 */
static void look_at_unwatched(struct loop *loop)
{
	struct eg_cgwatch *watch = loop->agent->cgwatch;
	struct eg_cgwatch_stats stats;

	eg_cgwatch_stats(watch, &stats);
	if (eg_cgwatch_fd(watch) < 0 || (stats.unwatched && ++loop->unwatched_ticks % 5 == 0)) {
		eg_cgwatch_rescan(watch);
		eg_cgwatch_stats(watch, &stats);
		loop->fds[ON_CGROUPS].fd = eg_cgwatch_fd(watch);
	}
	say_unwatched(loop->agent, &stats);
}

static void ping_watchdog(struct loop *loop)
{
	uint64_t interval = eg_sdnotify_watchdog_interval_ns(), now = eg_clock_mono_ns();

	if (!interval || now - loop->watchdog_ns < interval - EG_NS_PER_S / 2)
		return;
	eg_sdnotify_watchdog();
	loop->watchdog_ns = now;
}

static void tick(struct loop *loop)
{
	struct eg_agent *agent = loop->agent;

	publish_clock(agent);
	eg_agent_merge_direct(agent);
	eg_reaper_check(agent->reaper);
	pthread_mutex_lock(&agent->apply);
	eg_ends_check(agent);
	eg_expiry_check(agent->expiry);
	eg_roots_check(agent);
	eg_cgwatch_check_roots(agent->cgwatch);
	look_at_unwatched(loop);
	eg_tags_tell_again(agent);
	eg_tags_make_up(agent);
	eg_polidir_scan(agent->polidir);
	loop->fds[ON_POLICIES].fd = eg_polidir_fd(agent->polidir); /* it may have had none before */
	eg_host_resolvers_check(agent);
	eg_tables_collect(agent);
	eg_registry_sweep(agent);
	eg_sweep(agent);
	eg_history_sweep(agent);
	pthread_mutex_unlock(&agent->apply);
	eg_fills_check(agent);
	eg_control_check(agent);
	ping_watchdog(loop);
}

/* ---- SIGHUP ------------------------------------------------------------------------------------ */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* The first key that can't change while the agent runs, or NULL. */
static const char *needs_restart(const struct eg_config *a, const struct eg_config *b)
{
	const struct {
		const char *key;
		bool same;
	} keys[] = {
		{"policy_dir", same(a->policy_dir, b->policy_dir)},
		{"socket", same(a->socket, b->socket)},
		{"bpffs", same(a->bpffs, b->bpffs)},
		{"state_dir", same(a->state_dir, b->state_dir)},
		{"log_dir", same(a->log_dir, b->log_dir)},
		{"host", same(a->host, b->host)},
		{"ship_user", same(a->ship_user, b->ship_user)},
		{"metrics_listen", same(a->metrics_listen, b->metrics_listen)},
		{"cgroup_root", a->root_count == b->root_count},
		{"event_quota", a->event_quota_bytes == b->event_quota_bytes},
		{"event_segment", a->event_segment_bytes == b->event_segment_bytes},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!keys[i].same)
			return keys[i].key;
	}
	for (size_t i = 0; i < a->root_count; i++) {
		if (!same(a->roots[i].path, b->roots[i].path))
			return "cgroup_root";
	}
	return NULL;
}

static bool same_guardrails(const struct eg_guardrails *a, const struct eg_guardrails *b)
{
	return a == b || (a && b && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0);
}

/* Every policy has them in it. One that can't have the new ones keeps those it had. */
static void put_guardrails(struct eg_agent *agent)
{
	size_t done = 0, failed = 0;

	for (size_t i = 0; i < agent->count; i++) {
		const struct eg_entry *entry = agent->by_name[i];

		if (!entry->now || entry->deleted)
			continue;
		if (eg_policies_write_again(agent, entry))
			failed++;
		else
			done++;
	}
	eg_log_notice("the guardrails have changed: %zu policies were compiled again, %zu could not be", done, failed);
}

static void reload_config(struct loop *loop)
{
	struct eg_agent *agent = loop->agent;
	const struct eg_config *config = loop->reload ? loop->reload(loop->ctx) : NULL;
	struct eg_api_config api;
	struct eg_error err = {0};
	const char *key;
	bool others;

	if (!config)
		return;
	key = needs_restart(eg_agent_config(agent), config);
	if (key) {
		eg_log_err("%s can't change while egretd runs: nothing of the configuration was taken over, restart egretd",
			   key);
		return;
	}
	others = !same_guardrails(eg_agent_config(agent)->guardrails, config->guardrails);
	__atomic_store_n(&agent->config, config, __ATOMIC_RELEASE);
	if (others)
		put_guardrails(agent);
	eg_log_set_level(config->log_level);
	eg_agent_set_host(agent);
	eg_roots_reconfigure(agent);
	eg_agent_api_config(agent, &api);
	if (eg_api_reload(agent->api, &api, &err) < 0)
		eg_log_err("%s", err.message);
	eg_error_clear(&err);
	eg_shipper_reload(agent->shipper);
	eg_log_notice("the configuration was read again");
}

static void on_hup(struct loop *loop)
{
	eg_sdnotify_reloading();
	pthread_mutex_lock(&loop->agent->apply);
	reload_config(loop);
	eg_polidir_scan_all(loop->agent->polidir);
	pthread_mutex_unlock(&loop->agent->apply);
	eg_control_reload(loop->agent);
	eg_notice(loop->agent, "agent", NULL, NULL, json_pack("{s:s}", "action", "reload"));
	eg_sdnotify_ready(NULL);
}

/* ---- The loop -------------------------------------------------------------------------------------- */

static void on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->fds[ON_SIGNAL].fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_hup(loop);
		else
			loop->stopping = true;
	}
}

static void on_tick(struct loop *loop)
{
	uint64_t expirations;

	if (read(loop->fds[ON_TICK].fd, &expirations, sizeof(expirations)) > 0)
		tick(loop);
}

static void dispatch(struct loop *loop, enum source source)
{
	struct eg_agent *agent = loop->agent;

	switch (source) {
	case ON_SIGNAL:
		on_signal(loop);
		break;
	case ON_TICK:
		on_tick(loop);
		break;
	case ON_CLOCK:
		publish_clock(agent);
		eg_clock_watch_again(loop->fds[ON_CLOCK].fd);
		break;
	case ON_CGROUPS:
		pthread_mutex_lock(&agent->apply);
		eg_cgwatch_process(agent->cgwatch);
		pthread_mutex_unlock(&agent->apply);
		eg_events_meta_changed(agent->events);
		break;
	case ON_POLICIES:
		pthread_mutex_lock(&agent->apply);
		eg_polidir_notice(agent->polidir);
		eg_polidir_scan(agent->polidir);
		pthread_mutex_unlock(&agent->apply);
		break;
	case ON_DIRECT:
		eg_agent_merge_direct(agent);
		break;
	case SOURCES:
		break;
	}
}

static void our_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
}

void eg_agent_block_signals(void)
{
	sigset_t set;

	our_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	our_signals(&set);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int open_ticks(void)
{
	const struct itimerspec every = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL))
		return -errno;
	return fd;
}

static int loop_open(struct loop *loop)
{
	struct eg_agent *agent = loop->agent;
	const int fds[SOURCES] = {
		[ON_SIGNAL] = open_signals(),
		[ON_TICK] = open_ticks(),
		[ON_CLOCK] = eg_clock_watch(),
		[ON_CGROUPS] = eg_cgwatch_fd(agent->cgwatch),
		[ON_POLICIES] = eg_polidir_fd(agent->polidir),
		[ON_DIRECT] = eg_holds_direct_fd(agent->holds),
	};

	for (int i = 0; i < SOURCES; i++)
		loop->fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	return fds[ON_SIGNAL] < 0 ? fds[ON_SIGNAL] : fds[ON_TICK] < 0 ? fds[ON_TICK] : 0;
}

int eg_agent_run(struct eg_agent *agent, eg_agent_reload_fn reload, void *ctx)
{
	struct loop loop = {.agent = agent, .reload = reload, .ctx = ctx};
	int r = loop_open(&loop);

	if (!r)
		eg_sdnotify_ready("enforcement is on");
	while (!r && !loop.stopping) {
		int n = poll(loop.fds, SOURCES, -1);

		if (n < 0 && errno != EINTR)
			r = -errno;
		for (int i = 0; n > 0 && i < SOURCES; i++) {
			if (loop.fds[i].revents)
				dispatch(&loop, (enum source)i);
		}
	}
	eg_sdnotify_stopping("enforcement stays in force");
	for (int i = 0; i <= ON_CLOCK; i++) {
		if (loop.fds[i].fd >= 0)
			close(loop.fds[i].fd);
	}
	return r;
}

void eg_agent_api_config(struct eg_agent *agent, struct eg_api_config *ret)
{
	const struct eg_config *config = eg_agent_config(agent);

	*ret = (struct eg_api_config){
		.socket = config->socket,
		.groups = {config->group_admin, config->group_responder, config->group_viewer},
		.metrics_listen = config->metrics_listen,
		.metrics_token_file = config->metrics_token_file,
		.agent = agent,
		.events = agent->events,
	};
}

// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "../lib/log.h"
#include "urgent.h"

#define REQUEST_MS  10000u
#define REPLY_MS    30000u
#define STOP_WAIT_S 5

static int out_of(struct eg_error *err, int r)
{
	eg_error_set(err, 500, r == -ENOMEM ? "no_memory" : "internal", "The API can't be started: %s.", strerror(-r));
	return r;
}

static int open_metrics(struct eg_api *api, const struct eg_api_config *config, struct eg_error *err)
{
	int r;

	if (!config->metrics_listen)
		return 0;
	if (!config->metrics_token_file)
		return eg_error_set(err, 500, "bad_metrics",
				    "metrics_listen needs metrics_token_file: names of apps can be read on that port.");
	r = eg_api_token_read(config->metrics_token_file, api->token, err);
	return r < 0 ? r : eg_api_listen_tcp(config->metrics_listen, &api->tcp_fd, err);
}

static int start_threads(struct eg_api *api)
{
	int r = eg_api_http_start(api);

	if (r < 0)
		return r;
	r = -pthread_create(&api->gate, NULL, eg_api_gate, api);
	api->gate_runs = !r;
	return r;
}

static int open_all(struct eg_api *api, const struct eg_api_config *config, struct eg_error *err)
{
	sigset_t all, before;
	int r;

	api->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	api->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (api->epoll_fd < 0 || api->stop_fd < 0)
		return out_of(err, -errno);
	eg_api_groups_resolve(&config->groups, api->groups);
	r = open_metrics(api, config, err);
	if (r < 0)
		return r;
	r = eg_api_listen_unix(api, config->socket, err);
	if (r < 0)
		return r;
	/* Signals are the main thread's: ours inherit a mask that blocks them all. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = eg_urgent_enter();
	if (r < 0)
		eg_log_notice("kills may have to wait for a CPU: real-time scheduling is refused (%s)", strerror(-r));
	r = start_threads(api);
	eg_urgent_leave();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? out_of(err, r) : 0;
}

int eg_api_start(const struct eg_api_config *config, struct eg_api **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_api) struct eg_api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return out_of(err, -ENOMEM);
	api->agent = config->agent;
	api->events = config->events;
	api->ops = config->ops ? config->ops : &eg_api_ops_agent;
	api->request_ns = (config->request_ms ? config->request_ms : REQUEST_MS) * 1000000ull;
	api->reply_ns = (config->reply_ms ? config->reply_ms : REPLY_MS) * 1000000ull;
	api->unix_fd = api->tcp_fd = api->epoll_fd = api->stop_fd = api->door_fd = -1;
	eg_urgent_mutex_init(&api->lock);
	pthread_cond_init(&api->idle, NULL);
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		api->conns[i].fd = -1;
	r = open_all(api, config, err);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(api);
	return 0;
}

int eg_api_reload(struct eg_api *api, const struct eg_api_config *config, struct eg_error *err)
{
	gid_t groups[EG_ROLE_ADMIN + 1];
	char token[EG_API_TOKEN_MAX + 1] = "";
	int r;

	if (api->tcp_fd >= 0) {
		if (!config->metrics_token_file)
			return eg_error_set(err, 500, "bad_metrics", "metrics_listen needs metrics_token_file.");
		r = eg_api_token_read(config->metrics_token_file, token, err);
		if (r < 0)
			return r;
	}
	/* Directory services may be slow, so before the lock. */
	eg_api_groups_resolve(&config->groups, groups);
	r = eg_api_access(api->socket, groups);
	if (r < 0)
		return eg_error_set(err, 500, "bad_socket", "Socket %s: its access list can't be set: %s.", api->socket,
				    strerror(-r));
	pthread_mutex_lock(&api->lock);
	memcpy(api->groups, groups, sizeof(groups));
	memcpy(api->token, token, sizeof(token));
	pthread_mutex_unlock(&api->lock);
	return 0;
}

static bool any_in(const struct eg_api *api, enum eg_api_phase phase)
{
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		if (api->conns[i].phase == phase)
			return true;
	return false;
}

/*
 * Work that was begun is told about; streams end by themselves. Whoever is slow to send or to
 * read is cut off by the library afterwards.
 */
static void wait_for_answers(struct eg_api *api)
{
	struct timespec until;
	int waited = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	pthread_mutex_lock(&api->lock);
	while (any_in(api, EG_API_WORK) || (!waited && any_in(api, EG_API_REPLY))) {
		if (waited++ == STOP_WAIT_S)
			break;
		until.tv_sec++;
		while ((any_in(api, EG_API_WORK) || any_in(api, EG_API_REPLY)) &&
		       !pthread_cond_clockwait(&api->idle, &api->lock, CLOCK_MONOTONIC, &until))
			;
	}
	pthread_mutex_unlock(&api->lock);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void eg_api_stop(struct eg_api *api)
{
	const uint64_t one = 1;

	if (!api)
		return;
	if (api->gate_runs && write(api->stop_fd, &one, sizeof(one)) == sizeof(one)) {
		pthread_join(api->gate, NULL);
		eg_api_unlisten_unix(api);
		wait_for_answers(api);
	}
	if (api->http)
		MHD_stop_daemon(api->http);
	eg_api_unlisten_unix(api);
	close_fd(api->tcp_fd);
	close_fd(api->door_fd);
	close_fd(api->epoll_fd);
	close_fd(api->stop_fd);
	pthread_cond_destroy(&api->idle);
	pthread_mutex_destroy(&api->lock);
	free(api->socket);
	free(api);
}

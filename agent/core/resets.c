// SPDX-License-Identifier: Apache-2.0
/*
 * resets.c - a connection whose first data is refused for good is reset
 *
 * Theory of operation. The kernel drops the data, which to TCP is a loss: the app would wait
 * until TCP gives up. So the socket that the denial's event names by its cookie is destroyed,
 * wherever it lives in its cgroup. Looking for it costs more than an app's connection does, and
 * apps can ask for it as often as they like: the list is short, one cgroup has a part of it
 * only, all that one cgroup has in it goes in one search, and the thread, which is of no use to
 * anybody else, rests after each. What is left out only waits: TCP sends again, the denial of
 * that is told as well, and the socket is on the list once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "agent_impl.h"
#include "clock.h"
#include "inetdiag.h"
#include "sockdiag.h"

#define RESETS_MAX      1024
#define RESETS_EACH     128 /* of one cgroup */
#define RESTS_PER_CUT   4 /* as long as the search took: a fifth of a CPU at most */
#define REST_LEAST_NS   (EG_NS_PER_S / 200)
#define REST_LONGEST_NS EG_NS_PER_S

struct reset {
	uint64_t cgroup_id;
	uint64_t cookie;
};

struct eg_resets {
	struct eg_agent *agent;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct reset list[RESETS_MAX]; /* oldest first */
	size_t count;
	bool stopping;
};

/* Under the lock. */
static bool has_room(const struct eg_resets *resets, const struct reset *reset)
{
	size_t same = 0;

	for (size_t i = 0; i < resets->count; i++) {
		if (resets->list[i].cgroup_id != reset->cgroup_id)
			continue;
		if (resets->list[i].cookie == reset->cookie)
			return false;
		same++;
	}
	return resets->count < RESETS_MAX && same < RESETS_EACH;
}

static bool is_refused_for_good(const struct eg_event *e)
{
	return e->type == EG_EVENT_DENY && !e->audited && e->hook == EG_HOOK_PACKET && e->used &&
	       (e->reason == EG_REASON_HELLO_MISSING || e->reason == EG_REASON_SNI_MISSING ||
		e->reason == EG_REASON_SNI_DENIED);
}

void eg_resets_observe(struct eg_resets *resets, const struct eg_event *e)
{
	struct reset reset = {.cgroup_id = e->cgroup_id, .cookie = e->used};

	if (!resets || !is_refused_for_good(e))
		return;
	pthread_mutex_lock(&resets->lock);
	if (has_room(resets, &reset)) {
		resets->list[resets->count++] = reset;
		pthread_cond_signal(&resets->more);
	}
	pthread_mutex_unlock(&resets->lock);
}

/* Takes all of the cgroup that has waited longest. Caller clears ret_cookies. False: the agent stops. */
static bool take(struct eg_resets *resets, uint64_t *ret_cgroup_id, struct eg_idset *ret_cookies)
{
	size_t kept = 0;
	bool go_on;

	pthread_mutex_lock(&resets->lock);
	while (!resets->count && !resets->stopping)
		pthread_cond_wait(&resets->more, &resets->lock);
	go_on = !resets->stopping;
	if (go_on)
		*ret_cgroup_id = resets->list[0].cgroup_id;
	for (size_t i = 0; go_on && i < resets->count; i++) {
		/* without memory it is left out */
		if (resets->list[i].cgroup_id == *ret_cgroup_id)
			(void)eg_idset_add(ret_cookies, resets->list[i].cookie);
		else
			resets->list[kept++] = resets->list[i];
	}
	resets->count = kept;
	pthread_mutex_unlock(&resets->lock);
	eg_idset_sort(ret_cookies);
	return go_on;
}

static bool is_one_of(void *ctx, const struct eg_sockdiag_sock *sock)
{
	return eg_idset_has(ctx, sock->cookie);
}

static void rest(struct eg_resets *resets, uint64_t took_ns)
{
	uint64_t rest_ns = took_ns * RESTS_PER_CUT;
	struct timespec until;

	if (rest_ns < REST_LEAST_NS)
		rest_ns = REST_LEAST_NS;
	if (rest_ns > REST_LONGEST_NS)
		rest_ns = REST_LONGEST_NS;
	clock_gettime(CLOCK_MONOTONIC, &until);
	rest_ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(rest_ns / EG_NS_PER_S);
	until.tv_nsec = (long)(rest_ns % EG_NS_PER_S);
	pthread_mutex_lock(&resets->lock);
	while (!resets->stopping && pthread_cond_timedwait(&resets->more, &resets->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&resets->lock);
}

static void *run(void *ctx)
{
	struct eg_resets *resets = ctx;
	bool go_on = true;

	while (go_on) {
		EG_CLEANUP(eg_cleanup_idset) struct eg_idset cookies = {0};
		uint64_t cgroup_id;
		struct eg_cut_request request = {
			.cgroup_ids = &cgroup_id,
			.cgroup_count = 1,
			.tcp_only = true,
			.filter = is_one_of,
			.filter_ctx = &cookies,
		};
		struct eg_cut done;

		go_on = take(resets, &cgroup_id, &cookies);
		if (!cookies.count)
			continue;
		request.at_most = cookies.count;
		/* one that is not found has closed itself; one that can't be reset comes again */
		eg_sockdiag_cut(resets->agent->cgroupfs, &request, &done);
		rest(resets, done.took_ns);
	}
	return NULL;
}

int eg_resets_start(struct eg_agent *agent, struct eg_resets **ret)
{
	struct eg_resets *resets = calloc(1, sizeof(*resets));
	pthread_condattr_t attr;
	int r;

	if (!resets)
		return -ENOMEM;
	resets->agent = agent;
	pthread_mutex_init(&resets->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&resets->more, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&resets->thread, NULL, run, resets);
	if (r) {
		free(resets);
		return -r;
	}
	*ret = resets;
	return 0;
}

void eg_resets_stop(struct eg_resets *resets)
{
	if (!resets)
		return;
	pthread_mutex_lock(&resets->lock);
	resets->stopping = true;
	pthread_cond_signal(&resets->more);
	pthread_mutex_unlock(&resets->lock);
	pthread_join(resets->thread, NULL);
	pthread_cond_destroy(&resets->more);
	pthread_mutex_destroy(&resets->lock);
	free(resets);
}

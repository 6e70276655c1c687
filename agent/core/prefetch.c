// SPDX-License-Identifier: Apache-2.0
/*
 * prefetch.c - looks up the names of rules with `prefetch`, and grants what they are addresses of
 *
 * Theory of operation. Some look-ups never pass a socket of the app: nscd and nss-resolve answer by
 * a Unix socket, /etc/hosts by a file, a runtime from its memory. For these the agent looks up the
 * exact names of such rules itself, at the policy's resolvers, and grants the addresses as an answer
 * to the app would. The bytes of the network are read by a helper without privileges (lookup.h); what
 * it tells is granted by the kernel's own code (eg_learn), under the rules as they are then.
 *
 * One thread of its own does it all, and holds no lock while it waits. A round goes through the
 * policies after each change of one, and every ROUND_S. A name is looked up anew before half of the
 * time is over for which its addresses were granted; after a failure with growing pauses. Nothing
 * depends on it: without helper or resolver the grants go on to their end, as learned ones do.
 *
 * A helper that dies, or says what it must not, fails what it was asked, and is started again, with
 * growing pauses as well.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "prefetch_impl.h"

#define ROUND_S           60
#define ROUND_MIN_MS      200 /* between two */
#define NAP_MAX_MS        1000
#define RESTART_MIN_MS    100
#define RESTART_MAX_MS    60000
#define TOLD_AT_ONCE      64
#define HELPER_PATIENCE_S (2 * EG_LOOKUP_GIVE_UP_S) /* then it hangs */

static uint64_t now_ms(void)
{
	return eg_clock_boot_ns() / 1000000;
}

static uint32_t draw(void)
{
	uint32_t value = 0;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = (uint32_t)eg_clock_mono_ns();
	return value;
}

/* ---- What is wanted ---------------------------------------------------------------------------------- */

struct round {
	struct eg_prefetch *p;
	uint64_t now_utc_ns;
	bool failed;
};

/* Under lock. More names than an app can have grants would push out each other's. */
static void want_names(void *ctx, struct eg_entry *entry)
{
	struct round *round = ctx;
	const struct eg_applied *now = entry->now;
	const struct eg_prefetch_sub sub = {.slot = entry->slot, .gen = entry->gen, .uid = now ? now->uid : 0,
					    .round = round->p->list.round};
	size_t max = eg_agent_app_limits(round->p->agent).grants;

	if (!now || entry->deleted || now->expires_utc_ns <= round->now_utc_ns || !now->resolver_count)
		return;
	for (size_t i = 0; i < now->prefetch_count && i < max; i++) {
		if (eg_prefetch_list_want(&round->p->list, now->prefetch[i], now->resolvers, now->resolver_count, &sub))
			round->failed = true;
	}
}

static void gone(void *ctx, struct eg_prefetch_job *job)
{
	struct eg_prefetch *p = ctx;

	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (p->out[i].job == job)
			p->out[i].job = NULL; /* its answer is thrown away */
	}
}

static void go_round(struct eg_prefetch *p)
{
	struct round round = {.p = p, .now_utc_ns = eg_clock_utc_ns()};
	uint64_t now = now_ms();

	if (now < p->round_ms + ROUND_MIN_MS)
		return;
	if (!__atomic_exchange_n(&p->changed, false, __ATOMIC_ACQ_REL) && now < p->round_ms + ROUND_S * 1000)
		return;
	p->round_ms = now;
	eg_prefetch_list_begin(&p->list);
	eg_apps_each(p->agent, want_names, &round);
	eg_prefetch_list_end(&p->list, gone, p);
	if (round.failed)
		eg_prefetch_complain(p, "there is no memory for all names");
}

/* ---- The helper ------------------------------------------------------------------------------------------ */

static void helper_lost(struct eg_prefetch *p, const char *why)
{
	uint64_t now = now_ms();

	eg_lookup_stop(&p->lookup);
	if (now > p->helper_ms + RESTART_MAX_MS)
		p->pause_ms = 0;
	p->pause_ms = p->pause_ms ? p->pause_ms * 2 : RESTART_MIN_MS;
	if (p->pause_ms > RESTART_MAX_MS)
		p->pause_ms = RESTART_MAX_MS;
	p->restart_ms = now + p->pause_ms;
	eg_prefetch_complain(p, "the look-up helper %s", why);
	eg_log_warning("the look-up helper %s: it is started again in %llu ms", why, (unsigned long long)p->pause_ms);
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (p->out[i].id)
			eg_prefetch_failed(p, &p->out[i], "the look-up helper %s", why);
	}
}

static void start_helper(struct eg_prefetch *p)
{
	const char *user = eg_agent_config(p->agent)->helper_user;
	int r;

	if (p->lookup.fd >= 0 || !p->list.count || now_ms() < p->restart_ms)
		return;
	r = eg_lookup_start(&p->lookup, user);
	if (r == 0) {
		p->helper_ms = now_ms();
		p->starts++;
		return;
	}
	p->restart_ms = now_ms() + RESTART_MAX_MS / 10;
	eg_prefetch_complain(p, "the look-up helper can't be started as user %s: %s", user,
			     r == -ESRCH ? "there is no such user" : r == -EPERM ? "it is of root's" : strerror(-r));
}

static bool hangs(const struct eg_prefetch *p)
{
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (p->out[i].id && now_ms() > p->out[i].sent_ms + HELPER_PATIENCE_S * 1000)
			return true;
	}
	return false;
}

static void check_helper(struct eg_prefetch *p)
{
	if (p->lookup.fd < 0)
		return;
	if (hangs(p)) {
		helper_lost(p, "hangs");
	} else if (!p->list.count) {
		eg_lookup_stop(&p->lookup);
		memset(p->out, 0, sizeof(p->out));
	}
}

/* ---- Asking ------------------------------------------------------------------------------------------------ */

static struct eg_prefetch_out *find_free(struct eg_prefetch *p)
{
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (!p->out[i].id)
			return &p->out[i];
	}
	return NULL;
}

static size_t count_free(const struct eg_prefetch *p)
{
	size_t count = 0;

	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++)
		count += !p->out[i].id;
	return count;
}

static int ask(struct eg_prefetch *p, struct eg_prefetch_job *job, uint16_t type)
{
	struct eg_prefetch_out *out = find_free(p);
	struct eg_lookup_ask message = {.id = ++p->next_id, .type = type};
	size_t count = job->resolver_count < EG_LOOKUP_RESOLVERS ? job->resolver_count : EG_LOOKUP_RESOLVERS;

	snprintf(message.name, sizeof(message.name), "%s", job->name);
	message.resolver_count = (uint16_t)count;
	memcpy(message.resolvers, job->resolvers, count * sizeof(message.resolvers[0]));
	*out = (struct eg_prefetch_out){.id = message.id, .job = job, .type = type, .sent_ms = now_ms()};
	job->out++;
	return eg_lookup_send(&p->lookup, &message);
}

/* Both families of each name in the queue, as far as the helper takes them. */
static void send_asks(struct eg_prefetch *p)
{
	while (p->lookup.fd >= 0 && count_free(p) >= 2) {
		struct eg_prefetch_job *job = eg_prefetch_list_pop(&p->list);

		if (!job)
			return;
		if (ask(p, job, EG_DNS_A) || ask(p, job, EG_DNS_AAAA))
			helper_lost(p, "takes nothing more");
	}
}

static struct eg_prefetch_out *find_out(struct eg_prefetch *p, uint64_t id)
{
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (id && p->out[i].id == id)
			return &p->out[i];
	}
	return NULL;
}

static void receive(struct eg_prefetch *p)
{
	for (int i = 0; p->lookup.fd >= 0 && i < TOLD_AT_ONCE; i++) {
		struct eg_lookup_told told;
		struct eg_prefetch_out *out;
		int r = eg_lookup_receive(&p->lookup, &told);

		if (r == -EAGAIN)
			return;
		out = r ? NULL : find_out(p, told.id);
		if (out)
			eg_prefetch_take(p, out, &told);
		else
			helper_lost(p, r && r != -EPROTO ? "has ended" : "said what nobody asked");
	}
}

uint64_t eg_prefetch_schedule(const struct eg_prefetch *p, const struct eg_prefetch_job *job)
{
	const struct eg_config *config = eg_agent_config(p->agent);
	uint64_t life = (uint64_t)job->ttl_s * EG_NS_PER_S, renewal, backoff;

	if (life < config->grant_floor_ns)
		life = config->grant_floor_ns;
	if (life > config->grant_ceiling_ns)
		life = config->grant_ceiling_ns;
	renewal = eg_prefetch_renewal_ms(life, draw());
	if (!job->failures)
		return renewal;
	backoff = eg_prefetch_backoff_ms(job->failures, draw());
	return job->addresses && renewal < backoff ? renewal : backoff;
}

/* ---- The thread ---------------------------------------------------------------------------------------------- */

static void publish(struct eg_prefetch *p)
{
	pthread_mutex_lock(&p->lock);
	p->stats.names = p->list.count;
	p->stats.failing = p->list.failing;
	p->stats.restarts = p->starts ? p->starts - 1 : 0;
	p->stats.helper_pid = p->lookup.pid;
	pthread_mutex_unlock(&p->lock);
}

static int nap_ms(const struct eg_prefetch *p, uint64_t soonest_ms)
{
	uint64_t now = now_ms(), left = soonest_ms > now ? soonest_ms - now : 0;

	if (p->list.queue && p->lookup.fd < 0 && p->restart_ms > now && p->restart_ms - now < left)
		left = p->restart_ms - now;
	if (__atomic_load_n(&p->changed, __ATOMIC_ACQUIRE) && left > ROUND_MIN_MS)
		left = ROUND_MIN_MS;
	return left > NAP_MAX_MS ? NAP_MAX_MS : (int)left + 1;
}

static void *run(void *ctx)
{
	struct eg_prefetch *p = ctx;

	while (!__atomic_load_n(&p->stopping, __ATOMIC_ACQUIRE)) {
		struct pollfd fds[] = {{.fd = p->wake_fd, .events = POLLIN}, {.events = POLLIN}};
		uint64_t soonest, wakes;

		go_round(p);
		check_helper(p);
		start_helper(p);
		soonest = eg_prefetch_list_ripen(&p->list, now_ms());
		send_asks(p);
		publish(p);
		fds[1].fd = p->lookup.fd;
		if (poll(fds, 2, nap_ms(p, soonest)) <= 0)
			continue;
		if (fds[0].revents && read(p->wake_fd, &wakes, sizeof(wakes)) < 0 && errno != EAGAIN)
			break;
		if (fds[1].revents)
			receive(p);
	}
	return NULL;
}

void eg_prefetch_changed(struct eg_prefetch *p)
{
	if (!p)
		return;
	__atomic_store_n(&p->changed, true, __ATOMIC_RELEASE);
	eventfd_write(p->wake_fd, 1);
}

void eg_prefetch_stats(struct eg_prefetch *p, struct eg_prefetch_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	*ret = p->stats;
	pthread_mutex_unlock(&p->lock);
}

int eg_prefetch_start(struct eg_agent *agent, struct eg_prefetch **ret)
{
	struct eg_prefetch *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->agent = agent;
	p->changed = true;
	p->lookup = (struct eg_lookup){.fd = -1, .pidfd = -1};
	eg_prefetch_list_init(&p->list);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&p->lock, NULL);
	r = p->wake_fd < 0 ? errno : pthread_create(&p->thread, NULL, run, p);
	if (r) {
		if (p->wake_fd >= 0)
			close(p->wake_fd);
		free(p);
		return -r;
	}
	*ret = p;
	return 0;
}

void eg_prefetch_stop(struct eg_prefetch *p)
{
	if (!p)
		return;
	__atomic_store_n(&p->stopping, true, __ATOMIC_RELEASE);
	eventfd_write(p->wake_fd, 1);
	pthread_join(p->thread, NULL);
	eg_lookup_stop(&p->lookup);
	eg_prefetch_list_clear(&p->list);
	close(p->wake_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

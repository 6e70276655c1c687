// SPDX-License-Identifier: Apache-2.0
#include "event_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "event_batch.h"
#include "event_mark.h"

#define MS            1000000ull
#define SECOND        (1000 * MS)
#define BATCH_BYTES   (64u << 10)
#define BATCH_NS      (50 * MS)
#define NAP_MS        5u
#define TICK_NS       SECOND
#define RETRY_NS      SECOND
#define STOP_NS       (2 * SECOND)
#define TAKE_ITEMS    128u

struct eg_writer {
	struct eg_writer_config config;
	pthread_t thread;
	bool started;
	atomic_bool stopping;
	int epoll_fd;
	struct eg_event_ring *flows; /* NULL: no flow events */
	struct eg_event_batch batch;
	struct eg_log_mark own_mark; /* where none was given */
	uint64_t written_before; /* records of `events` up to this place are in the log since an agent before us */
	bool opened;
	uint64_t next_tick_ns;
	uint64_t retry_ns; /* failing: when to try again */
	uint64_t failing_since_ns;
	uint64_t sync_errors; /* told */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t progress;
	struct eg_writer_stats stats;
};

EG_DEFINE_CLEANUP(writer, struct eg_writer *, eg_writer_free);

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* And what kernel times are rendered with from here on. */
static uint64_t utc_now(struct eg_writer *w)
{
	w->batch.stamp.utc_offset_ns = w->config.utc_offset_ns(w->config.ctx);
	w->batch.stamp.networks = w->config.networks ? w->config.networks(w->config.ctx) : NULL;
	return clock_ns(CLOCK_BOOTTIME) + (uint64_t)w->batch.stamp.utc_offset_ns;
}

static const char *error_text(int r)
{
	switch (r) {
	case -EBUSY:
		return "another process writes to this directory";
	case -ETIME:
		return "the disk has not taken what was written for a second";
	default:
		return strerrordesc_np(-r);
	}
}

/* The reason is said once in the agent's log, and stays in stats. */
static void failed(struct eg_writer *w, int r)
{
	bool first;

	pthread_mutex_lock(&w->lock);
	first = !w->stats.failing;
	w->stats.failing = true;
	w->stats.write_errors++;
	snprintf(w->stats.last_error, sizeof(w->stats.last_error), "%s", error_text(r));
	pthread_mutex_unlock(&w->lock);
	w->retry_ns = clock_ns(CLOCK_MONOTONIC) + RETRY_NS;
	if (!first)
		return;
	w->failing_since_ns = clock_ns(CLOCK_MONOTONIC);
	eg_log_err("events can't be written to %s: %s; they wait, and are counted when they can't wait",
		   w->config.log_dir, w->stats.last_error);
}

static void recovered(struct eg_writer *w)
{
	uint64_t ms = (clock_ns(CLOCK_MONOTONIC) - w->failing_since_ns) / MS;

	pthread_mutex_lock(&w->lock);
	w->stats.failing = false;
	pthread_mutex_unlock(&w->lock);
	eg_log_notice("events are written to %s again, after %llu ms", w->config.log_dir, (unsigned long long)ms);
	eg_event_batch_add_recovered(&w->batch, utc_now(w), w->stats.last_error, ms);
}

/* A directory that was never seen, or was made anew: what was told of losses is kept there, too. */
static void open_ledger(struct eg_writer *w)
{
	int r = eg_losses_restore(w->config.losses, w->config.log_dir);

	if (r < 0)
		eg_log_warning("%s/losses: %s: what was told of losses may be told again after a restart",
			       w->config.log_dir, strerrordesc_np(-r));
}

/* The log is open, and what waits is numbered for it. */
static int open_log(struct eg_writer *w, uint64_t utc_ns)
{
	struct eg_spool_pos number;
	int r;

	/* What can't be written for a while may be so because it is gone. */
	if (w->stats.failing)
		eg_evlog_check(w->config.log);
	r = eg_evlog_open(w->config.log, utc_ns);
	if (r < 0)
		return r;
	number = eg_evlog_number(w->config.log);
	if (!w->opened)
		w->written_before = eg_mark_pass(w->config.mark, &number, w->config.events, w->flows);
	w->opened = true;
	if (number.epoch == w->batch.stamp.epoch)
		return 0;
	r = eg_event_batch_renumber(&w->batch, &number);
	if (r == 0)
		open_ledger(w);
	return r;
}

/* All that was taken is written. */
static void release(struct eg_writer *w)
{
	if (w->config.events)
		eg_event_ring_release(w->config.events, w->batch.ring_end);
	if (w->flows)
		eg_event_ring_release(w->flows, eg_event_ring_at(w->flows));
}

static int append(struct eg_writer *w, uint64_t utc_ns)
{
	struct eg_evlog_batch batch = {.frames = w->batch.text, .len = w->batch.used};
	const struct eg_spool_pos after = {w->batch.stamp.epoch, w->batch.stamp.n};

	eg_mark_set(w->config.mark, &after, w->batch.ring_end, w->flows ? eg_event_ring_at(w->flows) : 0);
	memcpy(batch.records, w->batch.records, sizeof(batch.records));
	return eg_evlog_append(w->config.log, &batch, utc_ns);
}

/* True: the log is open and no batch waits that could not be written. */
static bool flush(struct eg_writer *w)
{
	uint64_t utc_ns = utc_now(w);
	struct eg_evlog *log = w->config.log;
	struct eg_event_batch *b = &w->batch;
	struct eg_spool_pos number;
	int r;

	r = open_log(w, utc_ns);
	if (r == 0 && b->lines)
		r = append(w, utc_ns);
	if (r < 0) {
		failed(w, r);
		return false;
	}
	release(w);
	pthread_mutex_lock(&w->lock);
	w->stats.written += b->lines;
	w->stats.written_bytes += b->used;
	w->stats.taken += b->items;
	w->stats.unresolved = eg_meta_cache_unresolved(w->config.meta);
	pthread_cond_broadcast(&w->progress);
	pthread_mutex_unlock(&w->lock);
	if (b->lines)
		w->config.notify(w->config.notify_ctx);
	number = eg_evlog_number(log);
	eg_event_batch_clear(b, &number);
	if (w->stats.failing)
		recovered(w);
	return true;
}

/* ---- Sources -------------------------------------------------------------------- */

static bool take_queue(struct eg_writer *w)
{
	struct eg_queue_item item;
	uint32_t n = 0;

	while (n < TAKE_ITEMS && !eg_event_batch_full(&w->batch) && eg_queue_take(w->config.queue, &item)) {
		if (item.ring_end && item.ring_end <= w->written_before)
			eg_event_batch_pass_item(&w->batch, &item);
		else
			eg_event_batch_add_item(&w->batch, &item);
		n++;
	}
	return n > 0;
}

static bool on_flow(void *ctx, const void *data, size_t size, uint64_t end)
{
	const struct eg_event *e = data; /* whole, at a multiple of 8 */
	struct eg_writer *w = ctx;

	(void)end;
	if (size < sizeof(*e))
		return true; /* of an older ABI: can't be, within one major */
	eg_event_batch_add(&w->batch, e, eg_event_named_of(e, size));
	return w->batch.used < BATCH_BYTES;
}

static bool take_flows(struct eg_writer *w)
{
	uint64_t before = w->batch.lines;

	if (w->flows && w->batch.used < BATCH_BYTES)
		eg_event_ring_read(w->flows, on_flow, w);
	if (!w->batch.lines)
		release(w); /* else whoever waits for the ring would find it readable */
	return w->batch.lines != before;
}

static bool tell_loss(void *ctx, uint32_t slot, enum eg_losses_cause cause, const struct eg_loss *sum)
{
	struct eg_writer *w = ctx;

	if (eg_event_batch_full(&w->batch) && !flush(w))
		return false;
	eg_event_batch_add_loss(&w->batch, utc_now(w), slot, cause, sum);
	pthread_mutex_lock(&w->lock);
	if (cause == EG_LOSSES_SUPPRESSED)
		w->stats.suppressed += sum->events;
	else
		w->stats.lost += sum->events;
	pthread_mutex_unlock(&w->lock);
	return true;
}

static void tell_gap(struct eg_writer *w)
{
	struct eg_evlog_gap gap;

	if (!eg_evlog_take_gap(w->config.log, &gap))
		return;
	eg_log_notice("event_quota: of %u segments in %s went %llu allowed flows, %llu vital events, %llu others, "
		      "%llu bytes", gap.segments, w->config.log_dir, (unsigned long long)gap.events[EG_SPOOL_FLOW],
		      (unsigned long long)gap.events[EG_SPOOL_VITAL],
		      (unsigned long long)(gap.events[EG_SPOOL_OTHER] + gap.others), (unsigned long long)gap.bytes);
	eg_event_batch_add_gap(&w->batch, utc_now(w), &gap);
}

static void tell_damage(struct eg_writer *w)
{
	struct eg_evlog_damage damage;

	if (!eg_evlog_take_damage(w->config.log, &damage))
		return;
	eg_log_warning("%s: %llu bytes at the end and %llu elsewhere were no events; %llu events are missing there",
		       w->config.log_dir, (unsigned long long)damage.torn_bytes, (unsigned long long)damage.bytes,
		       (unsigned long long)damage.events);
	eg_event_batch_add_damage(&w->batch, utc_now(w), &damage);
}

static void tell_sync_errors(struct eg_writer *w)
{
	struct eg_evlog_stats stats;

	eg_evlog_stats(w->config.log, &stats);
	if (stats.sync_errors == w->sync_errors)
		return;
	eg_log_err("%s: the disk failed to take events; they were written again", w->config.log_dir);
	eg_event_batch_add_sync_errors(&w->batch, utc_now(w), stats.sync_errors - w->sync_errors);
	w->sync_errors = stats.sync_errors;
}

/* Once a second, with the batch empty and the log writable. */
static void tick(struct eg_writer *w)
{
	int r;

	r = eg_evlog_check(w->config.log);
	if (r < 0)
		eg_log_warning("%s was removed or replaced: the log begins anew", w->config.log_dir);
	if (!flush(w))
		return;
	tell_gap(w);
	tell_damage(w);
	tell_sync_errors(w);
	r = eg_losses_collect(w->config.losses, w->config.slots_used(w->config.ctx), tell_loss, w);
	if (r < 0)
		eg_log_debug("losses: %s", strerrordesc_np(-r));
	/* Told is what is on disk; a batch that fails now is kept, and told then. */
	if (flush(w))
		eg_losses_commit(w->config.losses);
}

/* ---- The thread ------------------------------------------------------------------ */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Until there is work, at most `ms`. Flows come in crowds, and the kernel wakes a reader that has taken
 * everything for each single one, at the app's expense: so where lines are waiting for their batch
 * anyhow, the ring is left alone for a moment. The queue is not.
 */
static void wait_for_sources(struct eg_writer *w, uint64_t ms)
{
	struct pollfd queue = {.fd = eg_queue_fd(w->config.queue), .events = POLLIN};
	struct epoll_event event = {0};
	uint64_t ignored;

	if (w->batch.lines)
		event.data.u32 = poll(&queue, 1, (int)min_u64(ms, NAP_MS)) > 0;
	else if (epoll_wait(w->epoll_fd, &event, 1, (int)ms) <= 0)
		return;
	if (event.data.u32 && read(queue.fd, &ignored, sizeof(ignored)) < 0)
		return; /* somebody woke us for nothing: what is there is taken anyway */
}

static void wait_for_work(struct eg_writer *w, bool failing)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), until = failing ? w->retry_ns : w->next_tick_ns;

	if (!failing && w->batch.lines)
		until = min_u64(until, w->batch.begun_ns + BATCH_NS);
	if (until <= now)
		return;
	if (failing) {
		/* Work is there, but can't be done: only the time or the end matter. */
		struct timespec ts = {0, (long)min_u64(until - now, 100 * MS)};

		nanosleep(&ts, NULL);
		return;
	}
	wait_for_sources(w, (until - now + MS - 1) / MS);
}

/* One round: true if there may be more to do at once. */
static bool work(struct eg_writer *w)
{
	uint64_t now;
	bool urgent, more;

	utc_now(w);
	urgent = take_queue(w);
	more = take_flows(w) || urgent;
	now = clock_ns(CLOCK_MONOTONIC);
	if (w->batch.lines && (urgent || w->batch.used >= BATCH_BYTES || now - w->batch.begun_ns >= BATCH_NS))
		if (!flush(w))
			return false;
	if (now >= w->next_tick_ns) {
		w->next_tick_ns = now + TICK_NS;
		tick(w);
	}
	return more;
}

static void *writer_main(void *arg)
{
	struct eg_writer *w = arg;
	uint64_t deadline = 0;

	pthread_setname_np(pthread_self(), "egret-log");
	flush(w);
	for (;;) {
		bool stop = atomic_load(&w->stopping), more = false;

		if (stop && !deadline)
			deadline = clock_ns(CLOCK_MONOTONIC) + STOP_NS;
		if (!w->stats.failing || clock_ns(CLOCK_MONOTONIC) >= w->retry_ns || stop)
			if (!w->stats.failing || flush(w))
				more = work(w);
		if (stop && (!more || clock_ns(CLOCK_MONOTONIC) >= deadline))
			break;
		if (!more)
			wait_for_work(w, w->stats.failing);
	}
	if (!w->stats.failing) {
		eg_evlog_hold(w->config.log, STOP_NS / MS);
		tick(w);
	}
	return NULL;
}

static int start_ring(struct eg_writer *w)
{
	struct epoll_event queue = {.events = EPOLLIN, .data.u32 = 1}, ring = {.events = EPOLLIN};

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, eg_queue_fd(w->config.queue), &queue) < 0)
		return -errno;
	if (w->config.flow_events_fd < 0)
		return 0;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->config.flow_events_fd, &ring) < 0)
		return -errno;
	return eg_event_ring_new(w->config.flow_events_fd, &w->flows);
}

int eg_writer_new(const struct eg_writer_config *config, struct eg_writer **ret)
{
	EG_CLEANUP(eg_cleanup_writer) struct eg_writer *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int r;

	if (!w)
		return -ENOMEM;
	w->config = *config;
	if (!w->config.mark)
		w->config.mark = &w->own_mark;
	w->epoll_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->progress, &attr);
	pthread_condattr_destroy(&attr);
	r = eg_event_batch_init(&w->batch, config->host, config->meta);
	if (r < 0)
		return r;
	r = start_ring(w);
	if (r < 0)
		return r;
	r = -pthread_create(&w->thread, NULL, writer_main, w);
	if (r < 0)
		return r;
	w->started = true;
	*ret = EG_TAKE_PTR(w);
	return 0;
}

void eg_writer_free(struct eg_writer *w)
{
	uint32_t left;

	if (!w)
		return;
	if (w->started) {
		atomic_store(&w->stopping, true);
		eg_queue_wake(w->config.queue);
		pthread_join(w->thread, NULL);
		left = eg_queue_count(w->config.queue);
		if (left || w->batch.lines)
			eg_log_err("%llu events were not written before the end",
				   (unsigned long long)(left + w->batch.lines));
	}
	eg_event_ring_free(w->flows);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	pthread_cond_destroy(&w->progress);
	pthread_mutex_destroy(&w->lock);
	eg_event_batch_destroy(&w->batch);
	free(w);
}

void eg_writer_stats(struct eg_writer *w, struct eg_writer_stats *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->stats;
	pthread_mutex_unlock(&w->lock);
}

int eg_writer_wait(struct eg_writer *w, uint64_t target, unsigned timeout_ms)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + timeout_ms * MS;
	struct timespec until = {(time_t)(until_ns / SECOND), (long)(until_ns % SECOND)};
	int r = 0;

	pthread_mutex_lock(&w->lock);
	while (w->stats.taken < target && r == 0)
		r = -pthread_cond_timedwait(&w->progress, &w->lock, &until);
	if (w->stats.taken >= target)
		r = 0;
	pthread_mutex_unlock(&w->lock);
	return r;
}

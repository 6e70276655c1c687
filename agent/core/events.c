// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. Three threads. The drainer reads ring `events` as soon as there is
 * something, shows each record to the observer and puts it into the queue; it never waits for
 * anything else, so the observer sees a kill also while the disk stands still. The ring keeps the
 * records until they are written (event_ring.h), or until half of it is kept: then what is to come
 * needs the room, and what waits in the queue would be lost with the agent. The writer
 * (event_writer.h) takes from the queue, from ring `flow_events` and from the losses, and writes. The
 * disk's (evlog_sync.h) alone waits for what was written to be on the disk, and makes room there.
 * Queries (event_query.h) read the segments in their callers' threads.
 */
#include "events.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "event_json.h"
#include "event_query.h"
#include "event_queue.h"
#include "event_ring.h"
#include "event_writer.h"
#include "evlog.h"
#include "losses.h"
#include "meta_cache.h"

#define QUEUE_EVENTS 32768u
#define QUERIES_MAX  64u
#define HOLD_NAP_MS  1

struct eg_events {
	struct eg_events_config config;
	char *log_dir;
	char host[EG_EVENT_HOST_LEN];
	struct eg_evlog *log;
	struct eg_queue *queue;
	struct eg_meta_cache *meta;
	struct eg_loss_ledger *losses;
	struct eg_writer *writer;

	struct eg_event_ring *ring; /* `events`; NULL: none */
	int epoll_fd;
	int stop_fd;
	pthread_t drainer;
	bool draining;

	pthread_mutex_t lock; /* of what follows */
	struct eg_events_query *queries[QUERIES_MAX];
	uint32_t query_count;
	bool quiet; /* eg_events_quiesce was called */
	uint64_t posts_dropped;
};

EG_DEFINE_CLEANUP(events, struct eg_events *, eg_events_stop);

/* ---- In ---------------------------------------------------------------------------- */

static int queue_record(struct eg_events *ev, const struct eg_event *e, const struct eg_event_named *named,
			uint64_t ring_end)
{
	struct eg_queue_item item = {.event = *e, .ring_end = ring_end};
	int r;

	if (named) {
		item.named = malloc(sizeof(*named));
		if (!item.named)
			return -ENOMEM;
		*item.named = *named;
	}
	r = eg_queue_push(ev->queue, eg_queue_class_of(e), &item);
	if (r < 0)
		free(item.named);
	return r;
}

static void take(struct eg_events *ev, const struct eg_event *e, size_t size, uint64_t ring_end)
{
	if (ev->config.observe)
		ev->config.observe(ev->config.ctx, e);
	if (queue_record(ev, e, eg_event_named_of(e, size), ring_end) < 0)
		eg_losses_drop(ev->losses, e);
}

void eg_events_feed(struct eg_events *ev, const struct eg_event *e, size_t size)
{
	take(ev, e, size, 0);
}

static bool on_record(void *ctx, const void *data, size_t size, uint64_t end)
{
	if (size >= sizeof(struct eg_event)) /* less can't be within one ABI major */
		take(ctx, data, size, end);
	return true;
}

/* Until there may be records, or the end: true. */
static bool wait_for_records(struct eg_events *ev)
{
	struct pollfd stop = {.fd = ev->stop_fd, .events = POLLIN};
	struct epoll_event event = {0};

	if (eg_event_ring_holds(ev->ring))
		return poll(&stop, 1, HOLD_NAP_MS) > 0;
	return epoll_wait(ev->epoll_fd, &event, 1, -1) > 0 && event.data.u32;
}

static void *drainer_main(void *arg)
{
	struct eg_events *ev = arg;

	pthread_setname_np(pthread_self(), "egret-drain");
	for (;;) {
		bool stop = wait_for_records(ev);

		/* Also before the end: what the kernel told until then is taken. */
		eg_event_ring_read(ev->ring, on_record, ev);
		if (eg_event_ring_holds_much(ev->ring))
			eg_event_ring_release(ev->ring, eg_event_ring_at(ev->ring));
		if (stop)
			return NULL;
	}
}

/* Type, NUL, and the members as text with a comma before them. */
static int post_text(const char *type, const char *app, const json_t *fields, struct eg_queue_item *ret)
{
	size_t type_len = strlen(type), app_len = app ? strlen(app) : 0, used;
	EG_FREE char *members = json_dumps(fields, JSON_COMPACT);
	EG_FREE char *text = NULL;
	char *p;

	if (!members)
		return -ENOMEM;
	used = strlen(members);
	if (app_len >= EG_APP_NAME_LEN || type_len >= EG_EVENT_TYPE_LEN)
		return -EINVAL;
	if (used + EG_OUT_ESCAPE_MAX * EG_APP_NAME_LEN + 16 > EG_EVENT_POST_MAX)
		return -E2BIG;
	text = malloc(type_len + 1 + EG_OUT_ESCAPE_MAX * app_len + 16 + used);
	if (!text)
		return -ENOMEM;
	p = eg_out_bytes(text, type, type_len + 1);
	if (app_len) {
		p = eg_out_lit(p, ",\"app\":\"");
		p = eg_out_escaped(p, app, app_len);
		*p++ = '"';
	}
	if (used > 2) { /* more than {} */
		*p++ = ',';
		p = eg_out_bytes(p, members + 1, used - 2);
	}
	ret->members_len = (size_t)(p - text) - type_len - 1;
	ret->post = EG_TAKE_PTR(text);
	return 0;
}

static int post(struct eg_events *ev, const char *type, const char *app, const json_t *fields)
{
	struct eg_queue_item item = {0};
	struct timespec now;
	int r;

	if (!json_is_object(fields))
		return -EINVAL;
	r = post_text(type, app, fields, &item);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_BOOTTIME, &now);
	item.utc_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
		      (uint64_t)ev->config.utc_offset_ns(ev->config.ctx);
	if (ev->config.told)
		ev->config.told(ev->config.ctx, item.utc_ns, type, item.post + strlen(type) + 1, item.members_len);
	r = eg_queue_push(ev->queue, EG_QUEUE_POST, &item);
	if (r < 0)
		free(item.post);
	return r;
}

int eg_events_post(struct eg_events *ev, const char *type, const char *app, json_t *fields)
{
	int r = post(ev, type, app, fields);

	json_decref(fields);
	if (r == -ENOBUFS)
		eg_losses_drop(ev->losses, &(struct eg_event){.app = EG_APP_UNKNOWN});
	if (r < 0) {
		pthread_mutex_lock(&ev->lock);
		ev->posts_dropped++;
		pthread_mutex_unlock(&ev->lock);
	}
	return r;
}

void eg_events_meta_changed(struct eg_events *ev)
{
	eg_meta_cache_outdate(ev->meta);
}

int eg_events_sync(struct eg_events *ev, unsigned timeout_ms)
{
	return eg_writer_wait(ev->writer, eg_queue_pushed(ev->queue), timeout_ms);
}

/* ---- Out --------------------------------------------------------------------------- */

static void on_written(void *ctx)
{
	struct eg_events *ev = ctx;

	pthread_mutex_lock(&ev->lock);
	for (uint32_t i = 0; i < ev->query_count; i++)
		eg_query_notify(ev->queries[i]);
	pthread_mutex_unlock(&ev->lock);
}

int eg_events_query_open(struct eg_events *ev, const struct eg_events_filter *filter, struct eg_events_query **ret)
{
	struct eg_events_query *q;
	struct timespec now;
	uint64_t utc_ns;
	int r;

	clock_gettime(CLOCK_BOOTTIME, &now);
	utc_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
		 (uint64_t)ev->config.utc_offset_ns(ev->config.ctx);
	pthread_mutex_lock(&ev->lock);
	r = ev->query_count < QUERIES_MAX ? 0 : -EMFILE;
	if (r == 0)
		r = eg_query_new(ev->log, ev, ev->host, filter, utc_ns, &q);
	if (r == 0) {
		ev->queries[ev->query_count++] = q;
		if (ev->quiet)
			eg_query_end(q);
		*ret = q;
	}
	pthread_mutex_unlock(&ev->lock);
	return r;
}

int eg_events_query_read(struct eg_events_query *query, char *buf, size_t size, size_t *ret_len)
{
	return eg_query_read(query, buf, size, ret_len);
}

int eg_events_query_fd(const struct eg_events_query *query)
{
	return eg_query_fd(query);
}

void eg_events_query_close(struct eg_events_query *query)
{
	struct eg_events *ev;

	if (!query)
		return;
	ev = eg_query_owner(query);
	pthread_mutex_lock(&ev->lock);
	for (uint32_t i = 0; i < ev->query_count; i++)
		if (ev->queries[i] == query) {
			ev->queries[i] = ev->queries[--ev->query_count];
			break;
		}
	pthread_mutex_unlock(&ev->lock);
	eg_query_free(query);
}

void eg_events_quiesce(struct eg_events *ev)
{
	pthread_mutex_lock(&ev->lock);
	ev->quiet = true;
	for (uint32_t i = 0; i < ev->query_count; i++)
		eg_query_end(ev->queries[i]);
	pthread_mutex_unlock(&ev->lock);
}

void eg_events_stats(struct eg_events *ev, struct eg_events_stats *ret)
{
	struct eg_writer_stats w;
	struct eg_evlog_stats l;

	eg_writer_stats(ev->writer, &w);
	eg_evlog_stats(ev->log, &l);
	*ret = (struct eg_events_stats){
		.written = w.written,
		.written_bytes = w.written_bytes,
		.lost = w.lost,
		.suppressed = w.suppressed,
		.unresolved = w.unresolved,
		.dropped_by_quota = l.evicted[EG_SPOOL_FLOW] + l.evicted[EG_SPOOL_OTHER] + l.evicted[EG_SPOOL_VITAL] +
				    l.evicted_others,
		.dropped_vital = l.evicted[EG_SPOOL_VITAL],
		.dropped_by_quota_bytes = l.evicted_bytes,
		.write_errors = w.write_errors,
		.log_bytes = l.bytes,
		.segments = l.segments,
		.damaged_bytes = l.damaged_bytes + l.torn_bytes,
		.sync_errors = l.sync_errors,
		.unsynced_bytes = l.unsynced_bytes,
		.queue = eg_queue_count(ev->queue),
		.failing = w.failing,
	};
	memcpy(ret->last_error, w.last_error, sizeof(ret->last_error));
	strncpy(ret->log_dir, ev->log_dir, sizeof(ret->log_dir) - 1);
	pthread_mutex_lock(&ev->lock);
	ret->posts_dropped = ev->posts_dropped;
	ret->queries = ev->query_count;
	pthread_mutex_unlock(&ev->lock);
}

/* ---- Life -------------------------------------------------------------------------- */

static int start_losses(struct eg_events *ev)
{
	struct eg_losses_config config = {.slots = 1, .ctx = &ev->config.losses_fd};
	int r;

	if (ev->config.losses_fd >= 0) {
		r = eg_losses_config_map(ev->config.losses_fd, &config);
		if (r < 0)
			return r;
	}
	return eg_losses_new(&config, &ev->losses);
}

static int start_writer(struct eg_events *ev)
{
	struct eg_writer_config config = {
		.host = ev->host,
		.log_dir = ev->log_dir,
		.log = ev->log,
		.queue = ev->queue,
		.meta = ev->meta,
		.losses = ev->losses,
		.events = ev->ring,
		.flow_events_fd = ev->config.flow_events_fd,
		.mark = ev->config.log_mark,
		.ctx = ev->config.ctx,
		.utc_offset_ns = ev->config.utc_offset_ns,
		.networks = ev->config.networks,
		.slots_used = ev->config.slots_used,
		.notify_ctx = ev,
		.notify = on_written,
	};

	return eg_writer_new(&config, &ev->writer);
}

static int start_drainer(struct eg_events *ev)
{
	struct epoll_event stop = {.events = EPOLLIN, .data.u32 = 1}, ring = {.events = EPOLLIN};
	int r;

	if (!ev->ring)
		return 0;
	ev->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ev->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->epoll_fd < 0 || ev->stop_fd < 0)
		return -errno;
	if (epoll_ctl(ev->epoll_fd, EPOLL_CTL_ADD, ev->stop_fd, &stop) < 0 ||
	    epoll_ctl(ev->epoll_fd, EPOLL_CTL_ADD, ev->config.events_fd, &ring) < 0)
		return -errno;
	r = -pthread_create(&ev->drainer, NULL, drainer_main, ev);
	ev->draining = r == 0;
	return r;
}

static int start(struct eg_events *ev)
{
	const struct eg_events_config *config = &ev->config;
	struct eg_evlog_config log = {
		.quota_bytes = config->quota_bytes,
		.segment_bytes = config->segment_bytes,
		.gid = config->log_shared ? config->log_gid : (gid_t)-1,
		.io = config->log_io,
	};
	struct eg_event_stamp stamp;
	int r;

	eg_event_stamp_init(&stamp, config->host);
	memcpy(ev->host, stamp.host, sizeof(ev->host));
	ev->log_dir = strdup(config->log_dir);
	if (!ev->log_dir)
		return -ENOMEM;
	log.dir = ev->log_dir;
	r = eg_evlog_new(&log, &ev->log);
	if (r < 0)
		return r;
	r = eg_queue_new(config->queue_events ? config->queue_events : QUEUE_EVENTS, &ev->queue);
	if (r < 0)
		return r;
	r = eg_meta_cache_new(config->resolve, config->ctx, &ev->meta);
	if (r < 0)
		return r;
	r = start_losses(ev);
	if (r < 0)
		return r;
	if (config->events_fd >= 0)
		r = eg_event_ring_new(config->events_fd, &ev->ring);
	if (r < 0)
		return r;
	r = start_writer(ev);
	if (r < 0)
		return r;
	return start_drainer(ev);
}

int eg_events_start(const struct eg_events_config *config, struct eg_events **ret)
{
	EG_CLEANUP(eg_cleanup_events) struct eg_events *ev = NULL;
	sigset_t all, before;
	int r;

	if (!config->log_dir || !config->utc_offset_ns || !config->slots_used || !config->resolve)
		return -EINVAL;
	ev = calloc(1, sizeof(*ev));
	if (!ev)
		return -ENOMEM;
	pthread_mutex_init(&ev->lock, NULL);
	ev->epoll_fd = ev->stop_fd = -1;
	ev->config = *config;
	/* Signals are the main thread's: ours inherit a mask that blocks them all. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = start(ev);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(ev);
	return 0;
}

static void stop_drainer(struct eg_events *ev)
{
	uint64_t one = 1;

	if (ev->draining && write(ev->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(ev->drainer, NULL);
	if (ev->epoll_fd >= 0)
		close(ev->epoll_fd);
	if (ev->stop_fd >= 0)
		close(ev->stop_fd);
}

void eg_events_stop(struct eg_events *ev)
{
	if (!ev)
		return;
	eg_events_quiesce(ev);
	/* In the direction that events take, so that each stage gets what the one before it had. */
	stop_drainer(ev);
	eg_writer_free(ev->writer);
	eg_event_ring_free(ev->ring);
	eg_evlog_free(ev->log);
	eg_losses_free(ev->losses);
	eg_meta_cache_free(ev->meta);
	eg_queue_free(ev->queue);
	pthread_mutex_destroy(&ev->lock);
	free(ev->log_dir);
	free(ev);
}

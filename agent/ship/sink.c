// SPDX-License-Identifier: Apache-2.0
#include "sink.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "sink_impl.h"

#define FILES_LOOK_NS EG_NS_PER_S

static const char *const state_names[EG_SINK_STATE_COUNT_] = {
	[EG_SINK_STARTING] = "starting", [EG_SINK_OK] = "ok",		[EG_SINK_RETRYING] = "retrying",
	[EG_SINK_PAUSED] = "paused",	 [EG_SINK_FAILING] = "failing",
};

const char *eg_sink_state_name(enum eg_sink_state state)
{
	return state_names[state];
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * EG_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t eg_ship_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t eg_ship_utc_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* ---- What it reports ------------------------------------------------------------------------- */

/* Between two batches of a backlog nothing is open, and yet what is in the spool waits. */
static uint64_t oldest_ns(const struct eg_sink *sink)
{
	const struct eg_ship_batch *batch = &sink->batch;

	if (sink->next_ts_ns)
		return sink->next_ts_ns;
	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->settled[i])
			return batch->items[i].ts_ns;
	}
	return batch->count && sink->more ? batch->items[batch->count - 1].ts_ns : 0;
}

void eg_sink_publish(struct eg_sink *sink, enum eg_sink_state state)
{
	struct eg_sink_report *report = &sink->report;
	bool changed;

	pthread_mutex_lock(&sink->lock);
	changed = report->state != state || report->tally.dead_lettered != sink->cursor.tally.dead_lettered;
	report->state = state;
	report->tally = sink->cursor.tally;
	report->held = sink->cursor.held;
	report->lost = report->tally.dead_lettered + report->tally.evicted - sink->lost_before;
	report->waiting = sink->rolling ? 0 : sink->batch.open;
	report->oldest_ns = oldest_ns(sink);
	if (sink->reader) {
		eg_spool_reader_tell(sink->reader, &report->read);
		report->damaged_bytes = eg_spool_reader_damaged(sink->reader);
	}
	pthread_mutex_unlock(&sink->lock);
	if (changed)
		sink->place->changed(sink->place->ctx);
}

void eg_sink_complain(struct eg_sink *sink, enum eg_sink_state state, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&sink->lock);
	va_start(args, format);
	vsnprintf(sink->report.last_error, sizeof(sink->report.last_error), format, args);
	va_end(args);
	sink->report.last_error_ns = eg_ship_utc_ns();
	pthread_mutex_unlock(&sink->lock);
	eg_sink_publish(sink, state);
}

void eg_sink_report(struct eg_sink *sink, struct eg_sink_report *ret)
{
	pthread_mutex_lock(&sink->lock);
	*ret = sink->report;
	pthread_mutex_unlock(&sink->lock);
}

const char *eg_sink_name(const struct eg_sink *sink)
{
	return sink->config->name;
}

/* ---- Tests -------------------------------------------------------------------------------------- */

int eg_sink_test(struct eg_sink *sink, uint64_t id)
{
	int r = -EBUSY;

	pthread_mutex_lock(&sink->lock);
	if (!sink->test_wanted) {
		sink->test_wanted = true;
		sink->test_id = id;
		pthread_cond_signal(&sink->wake);
		r = 0;
	}
	pthread_mutex_unlock(&sink->lock);
	return r;
}

int eg_sink_test_item(const char *host, const struct eg_sink_config *config, const struct eg_hash_key *key,
		      struct eg_item *ret)
{
	uint64_t utc_ns = eg_ship_utc_ns();
	const struct eg_spool_pos nowhere = {0};
	struct tm tm;
	time_t seconds = (time_t)(utc_ns / EG_NS_PER_S);
	char ts[64], day[32];
	json_t *event;
	int r;

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ts, sizeof(ts), "%s.%09lluZ", day, (unsigned long long)(utc_ns % EG_NS_PER_S));
	event = json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:s}", "schema", 1, "ts", ts, "type", "agent", "event_id",
			  json_sprintf("%s-test-%llu", host, (unsigned long long)utc_ns), "host", host, "action",
			  "sink_test", config->route ? "route" : "sink", config->name);
	if (!event)
		return -ENOMEM;
	r = eg_render(config, key, event, &nowhere, ret);
	json_decref(event);
	return r;
}

/* On the sink's own thread, so that a protocol never serves two at once. It counts in no tally. */
static void run_test(struct eg_sink *sink)
{
	struct eg_sink_tested tested = {.name = sink->config->name};
	enum eg_outcome outcome = EG_OUTCOME_RETRY;
	uint64_t begun = eg_ship_mono_ns();
	struct eg_item item = {0};

	tested.result.items = &outcome;
	pthread_mutex_lock(&sink->lock);
	tested.id = sink->test_id;
	if (!sink->link) {
		tested.result.outcome = EG_OUTCOME_PAUSE;
		snprintf(tested.result.error, sizeof(tested.result.error), "%s", sink->report.last_error);
	}
	pthread_mutex_unlock(&sink->lock);
	if (sink->link && eg_sink_test_item(sink->place->host, sink->config, &sink->key, &item) == 0)
		sink->protocol->send(sink->link, &item, 1, &tested.result);
	if (tested.result.has_items)
		tested.result.outcome = outcome;
	tested.result.items = NULL;
	eg_item_clear(&item);
	tested.took_ns = eg_ship_mono_ns() - begun;
	pthread_mutex_lock(&sink->lock);
	sink->test_wanted = false;
	pthread_mutex_unlock(&sink->lock);
	sink->place->tested(sink->place->ctx, &tested);
}

/* ---- Waiting ------------------------------------------------------------------------------------- */

static struct timespec deadline_of(uint64_t mono_ns)
{
	return (struct timespec){.tv_sec = (time_t)(mono_ns / EG_NS_PER_S), .tv_nsec = (long)(mono_ns % EG_NS_PER_S)};
}

bool eg_sink_wait(struct eg_sink *sink, uint64_t ns)
{
	uint64_t until = eg_ship_mono_ns() + ns;
	struct timespec deadline = deadline_of(until);
	bool test;

	do {
		pthread_mutex_lock(&sink->lock);
		while (!atomic_load(&sink->stopping) && !sink->test_wanted &&
		       pthread_cond_clockwait(&sink->wake, &sink->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
			;
		test = sink->test_wanted;
		pthread_mutex_unlock(&sink->lock);
		if (atomic_load(&sink->stopping))
			return false;
		if (test)
			run_test(sink);
	} while (eg_ship_mono_ns() < until);
	return true;
}

/* The files that are named in the configuration; NULL where it names none. */
static void files_of(const struct eg_sink_config *config, const char *ret[EG_SINK_FILES_MAX])
{
	const char *const paths[EG_SINK_FILES_MAX] = {
		config->ca_file,    config->cert_file,	   config->key_file,
		config->token_file, config->password_file, config->hash_key_file,
	};

	memcpy(ret, paths, sizeof(paths));
}

void eg_sink_note_files(struct eg_sink *sink)
{
	const char *paths[EG_SINK_FILES_MAX];

	files_of(sink->config, paths);
	for (size_t i = 0; i < EG_SINK_FILES_MAX; i++) {
		if (paths[i])
			eg_filestamp_take(paths[i], &sink->files[i]);
	}
}

static bool files_changed(const struct eg_sink *sink)
{
	const char *paths[EG_SINK_FILES_MAX];

	files_of(sink->config, paths);
	for (size_t i = 0; i < EG_SINK_FILES_MAX; i++) {
		if (paths[i] && eg_filestamp_differs(&sink->files[i], paths[i]))
			return true;
	}
	return false;
}

bool eg_sink_pause(struct eg_sink *sink)
{
	uint64_t until = eg_ship_mono_ns() + EG_SINK_PAUSE_NS;

	while (eg_ship_mono_ns() < until) {
		if (!eg_sink_wait(sink, FILES_LOOK_NS))
			return false;
		if (files_changed(sink))
			return true;
	}
	return true;
}

bool eg_sink_store(struct eg_sink *sink)
{
	struct eg_backoff backoff = {0};
	int r;

	while ((r = eg_cursor_store(sink->place->cursor_fd, sink->config->name, &sink->cursor))) {
		eg_sink_complain(sink, EG_SINK_FAILING, "the cursor can't be written: %s", strerror(-r));
		if (!eg_sink_wait(sink, eg_backoff_next(&backoff, EG_NS_PER_S, 0)))
			return false;
	}
	return true;
}

/* ---- Its thread ------------------------------------------------------------------------------------- */

static void find_place(struct eg_sink *sink, const struct eg_spool_pos **ret_from)
{
	int r = eg_cursor_load(sink->place->cursor_fd, sink->config->name, &sink->cursor);

	*ret_from = r ? NULL : &sink->cursor.at;
	if (r == -ENOENT)
		snprintf(sink->report.note, sizeof(sink->report.note),
			 "there was no cursor: it began at the oldest event in the spool");
	else if (r)
		snprintf(sink->report.note, sizeof(sink->report.note),
			 "the cursor could not be read (%s): it began again at the oldest event in the spool",
			 r == -EBADMSG ? "damaged" : strerror(-r));
	if (r)
		sink->cursor = (struct eg_cursor){0};
	sink->lost_before = sink->cursor.tally.dead_lettered + sink->cursor.tally.evicted;
	if (sink->cursor.held)
		sink->window_due_ns = eg_ship_mono_ns() + sink->config->rollup_ns + EG_NS_PER_S;
}

/* False: stop. */
static bool open_spool(struct eg_sink *sink)
{
	const struct eg_spool_pos *from;
	int r;

	find_place(sink, &from);
	while ((r = eg_spool_reader_new(sink->place->spool_dir, from, &sink->reader))) {
		eg_sink_complain(sink, EG_SINK_FAILING, "the spool can't be opened: %s", strerror(-r));
		if (!eg_sink_wait(sink, EG_NS_PER_S))
			return false;
	}
	return true;
}

/* Files that it needs may come later. False: stop. */
static bool open_link(struct eg_sink *sink)
{
	for (;;) {
		struct eg_error err = {0};
		int r;

		eg_sink_note_files(sink);
		r = eg_hash_key_read(sink->config, &sink->key, &err);
		if (!r)
			r = sink->protocol->open(sink->config, &sink->stopping, &sink->link, &err);
		if (!r) {
			sink->next_ts_ns = 0;
			return true;
		}
		sink->link = NULL;
		eg_sink_peek(sink);
		eg_sink_complain(sink, EG_SINK_PAUSED, "%s", err.message[0] ? err.message : strerror(-r));
		eg_error_clear(&err);
		if (!eg_sink_pause(sink))
			return false;
	}
}

static bool step(struct eg_sink *sink)
{
	switch (eg_sink_fill(sink)) {
	case EG_FILL_SEND:
		return eg_sink_deliver(sink) && eg_sink_commit(sink, true);
	case EG_FILL_CLOSE:
		if (sink->batch.count && !eg_sink_deliver(sink))
			return false;
		return eg_sink_close_window(sink) && eg_sink_roll(sink);
	case EG_FILL_FAILED:
		return eg_sink_wait(sink, EG_NS_PER_S);
	case EG_FILL_WAIT:
		break;
	}
	if (!sink->batch.count && !eg_sink_commit(sink, false))
		return false;
	eg_sink_publish(sink, EG_SINK_OK);
	return eg_sink_wait(sink, EG_SINK_POLL_NS);
}

static void *run(void *ctx)
{
	struct eg_sink *sink = ctx;
	bool go_on = open_spool(sink) && open_link(sink) && eg_sink_roll(sink);

	/* Flows are no longer rolled up: what is held still is, before one goes in full, which must not be in both. */
	if (go_on && sink->config->flows_full && sink->cursor.held)
		go_on = eg_sink_close_window(sink) && eg_sink_roll(sink);

	while (go_on)
		go_on = step(sink);
	if (sink->link)
		sink->protocol->close(sink->link);
	pthread_mutex_lock(&sink->lock);
	sink->ended = true;
	pthread_cond_broadcast(&sink->wake);
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

/* ---- From outside -------------------------------------------------------------------------------------- */

int eg_sink_start(const struct eg_sink_place *place, const struct eg_sink_config *config,
		  const struct eg_protocol *protocol, struct eg_sink **ret)
{
	struct eg_sink *sink = calloc(1, sizeof(*sink));
	int r;

	if (!sink)
		return -ENOMEM;
	sink->place = place;
	sink->config = config;
	sink->protocol = protocol;
	sink->bytes_limit = config->batch_bytes;
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->wake, NULL);
	r = eg_ship_batch_init(&sink->batch, config->batch_events);
	if (!r)
		r = -pthread_create(&sink->thread, NULL, run, sink);
	if (r) {
		eg_sink_free(sink);
		return r;
	}
	*ret = sink;
	return 0;
}

void eg_sink_ask_to_stop(struct eg_sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	atomic_store(&sink->stopping, true);
	pthread_cond_broadcast(&sink->wake);
	pthread_mutex_unlock(&sink->lock);
}

bool eg_sink_join(struct eg_sink *sink, uint64_t wait_ns)
{
	struct timespec deadline = deadline_of(eg_ship_mono_ns() + wait_ns);
	bool ended;

	pthread_mutex_lock(&sink->lock);
	while (!sink->ended &&
	       pthread_cond_clockwait(&sink->wake, &sink->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	ended = sink->ended;
	pthread_mutex_unlock(&sink->lock);
	if (ended)
		pthread_join(sink->thread, NULL);
	return ended;
}

void eg_sink_free(struct eg_sink *sink)
{
	if (!sink)
		return;
	eg_spool_reader_free(sink->reader);
	eg_rollup_free(sink->rollup);
	eg_ship_batch_free(&sink->batch);
	pthread_mutex_destroy(&sink->lock);
	pthread_cond_destroy(&sink->wake);
	explicit_bzero(&sink->key, sizeof(sink->key));
	free(sink);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * sink_read.c - from the spool into the batch
 */
#include <errno.h>
#include <string.h>

#include "../lib/units.h"
#include "filter.h"
#include "sink_impl.h"

#define STORE_EVERY_NS EG_NS_PER_S /* while nothing is sent: what was passed over */

/* ---- Windows ------------------------------------------------------------------------------------ */

static uint64_t ts_of(const json_t *event)
{
	const char *ts = json_string_value(json_object_get(event, "ts"));
	uint64_t ns;

	return ts && !eg_units_moment(ts, &ns) ? ns : 0;
}

/*
 * Windows are aligned to UTC, so that those of several hosts match. A record before the window, by
 * more than what the order of rings explains, means that the clock was set back: a window of its own.
 */
static bool is_beyond(const struct eg_sink *sink, uint64_t ts_ns)
{
	uint64_t length = sink->config->rollup_ns, start = sink->cursor.window_ts_ns;

	return ts_ns >= start - start % length + length || ts_ns + length < start;
}

static void hold(struct eg_sink *sink, const struct eg_spool_record *record, uint64_t ts_ns)
{
	if (!sink->cursor.held) {
		sink->cursor.window = record->pos;
		sink->cursor.window_ts_ns = ts_ns;
		sink->window_due_ns = eg_ship_mono_ns() + sink->config->rollup_ns + EG_NS_PER_S;
	}
	sink->cursor.held++;
}

/* ---- One record ------------------------------------------------------------------------------------ */

/* One that is no event of ours goes to the dead letters when its turn comes: `error` says so there. */
static int take_now(struct eg_sink *sink, const struct eg_spool_record *record, json_t *event)
{
	struct eg_item item = {0};
	int r = event ? eg_render(sink->config, &sink->key, event, &record->pos, &item)
		      : eg_render_broken(record->text, record->len, &record->pos, &item);

	if (r && r != -EINVAL)
		return r;
	if (r == -EINVAL || !event)
		item.ts_ns = 0;
	eg_ship_batch_add(&sink->batch, &item, 1, eg_ship_mono_ns());
	return 0;
}

/* 0; 1: the window ends before it; -ENOMEM. */
static int take(struct eg_sink *sink, const struct eg_spool_record *record)
{
	json_t *event = json_loadb(record->text, record->len, JSON_ALLOW_NUL, NULL);
	enum eg_way way = json_is_object(event) ? eg_filter(sink->config, event) : EG_WAY_NOW;
	uint64_t ts_ns = ts_of(event);
	int r = 0;

	if (way == EG_WAY_ROLLUP && sink->cursor.held && is_beyond(sink, ts_ns)) {
		sink->cursor.tally.evicted += record->missed; /* when it comes again, nothing is missed before it */
		json_decref(event);
		return 1;
	}
	if (way == EG_WAY_NOW)
		r = take_now(sink, record, json_is_object(event) ? event : NULL);
	if (!r) {
		sink->cursor.tally.evicted += record->missed;
		sink->cursor.tally.filtered += way == EG_WAY_OUT;
		if (way == EG_WAY_ROLLUP)
			hold(sink, record, ts_ns);
	}
	json_decref(event);
	return r;
}

/* ---- Filling ------------------------------------------------------------------------------------------ */

static bool is_full(const struct eg_sink *sink)
{
	return sink->batch.count == sink->batch.room || sink->batch.bytes >= sink->bytes_limit;
}

static enum eg_fill at_end(struct eg_sink *sink)
{
	uint64_t now = eg_ship_mono_ns();

	sink->more = false;
	if (sink->batch.count && now - sink->batch.begun_ns >= sink->config->batch_ns)
		return EG_FILL_SEND;
	if (sink->cursor.held && now >= sink->window_due_ns)
		return EG_FILL_CLOSE;
	return EG_FILL_WAIT;
}

enum eg_fill eg_sink_fill(struct eg_sink *sink)
{
	struct eg_spool_record record;
	int r;

	sink->more = true;
	while (!is_full(sink)) {
		if (atomic_load(&sink->stopping))
			return EG_FILL_WAIT;
		r = eg_spool_reader_next(sink->reader, &record);
		if (r == 0)
			return at_end(sink);
		if (r == 1)
			r = take(sink, &record);
		if (!r)
			continue;
		/* Not taken: the same record comes again. */
		if (r == 1 || r == -ENOMEM)
			(void)eg_spool_reader_seek(sink->reader, &record.pos);
		if (r == 1)
			return EG_FILL_CLOSE;
		eg_sink_complain(sink, EG_SINK_FAILING, "the spool can't be read: %s", strerror(-r));
		return EG_FILL_FAILED;
	}
	return EG_FILL_SEND;
}

void eg_sink_peek(struct eg_sink *sink)
{
	struct eg_spool_record record;
	json_t *event;

	if (eg_spool_reader_next(sink->reader, &record) != 1)
		return;
	event = json_loadb(record.text, record.len, JSON_ALLOW_NUL, NULL);
	sink->next_ts_ns = ts_of(event);
	sink->cursor.tally.evicted += record.missed; /* when it comes again, nothing is missed before it */
	json_decref(event);
	(void)eg_spool_reader_seek(sink->reader, &record.pos);
}

bool eg_sink_commit(struct eg_sink *sink, bool at_once)
{
	uint64_t now = eg_ship_mono_ns();
	struct eg_spool_pos read;

	eg_spool_reader_tell(sink->reader, &read);
	if (!at_once && eg_spool_pos_compare(&read, &sink->cursor.at) == 0)
		return true;
	sink->cursor.at = read;
	if (!sink->cursor.held)
		sink->cursor.window = read;
	if (!at_once && now - sink->stored_ns < STORE_EVERY_NS)
		return true;
	sink->stored_ns = now;
	return eg_sink_store(sink);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * sink_roll.c - a window of allowed flows, read again and rolled up
 *
 * The end of the window is on disk before anything of it is sent, so whoever starts again after a crash
 * reads the same records and renders the same bytes; how many of its events were delivered is stored
 * after each batch. Where the groups find no room, the window is cut short there: that place is stored as
 * its end, and what is left is the next window.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "sink_impl.h"

/* ---- Reading ------------------------------------------------------------------------------------ */

/* 0; -ENOSPC: no room for it; -ENOMEM. */
static int add(struct eg_sink *sink, const struct eg_spool_record *record)
{
	struct eg_sink_config config = *sink->config; /* borrows all of it */
	json_t *event = json_loadb(record->text, record->len, JSON_ALLOW_NUL, NULL);
	int r = 0;

	config.flows_full = false; /* what was held before that was configured still goes */
	if (json_is_object(event) && eg_filter(&config, event) == EG_WAY_ROLLUP)
		r = eg_rollup_add(sink->rollup, event, record->text, record->len);
	json_decref(event);
	return r;
}

/* 0; -ENOSPC with the place where the window has to end; -errno. */
static int read_window(struct eg_sink *sink, struct eg_spool_reader *reader, struct eg_spool_pos *ret_full)
{
	struct eg_spool_pos expected = sink->cursor.window;
	struct eg_spool_record record;
	int r;

	eg_rollup_clear(sink->rollup);
	sink->window_gone = 0;
	while ((r = eg_spool_reader_next(reader, &record)) == 1) {
		if (eg_spool_pos_compare(&record.pos, &sink->cursor.close) >= 0)
			return 0;
		if (record.pos.epoch == expected.epoch)
			sink->window_gone += record.pos.n - expected.n;
		expected = (struct eg_spool_pos){record.pos.epoch, record.pos.n + 1};
		r = add(sink, &record);
		*ret_full = record.pos;
		if (r)
			return r;
		if (atomic_load(&sink->stopping))
			return -ECANCELED;
	}
	return r;
}

/* False: stop. */
static bool gather(struct eg_sink *sink)
{
	for (;;) {
		struct eg_spool_reader *reader = NULL;
		struct eg_spool_pos full;
		int r = sink->rollup ? 0 : eg_rollup_new(&sink->rollup);

		if (!r)
			r = eg_spool_reader_new(sink->place->spool_dir, &sink->cursor.window, &reader);
		if (!r)
			r = read_window(sink, reader, &full);
		eg_spool_reader_free(reader);
		if (r == -ENOSPC) {
			sink->cursor.close = full;
			return eg_sink_store(sink);
		}
		if (!r)
			return true;
		if (r == -ECANCELED)
			return false;
		eg_sink_complain(sink, EG_SINK_FAILING, "the flows of a window can't be read: %s", strerror(-r));
		if (!eg_sink_wait(sink, EG_NS_PER_S))
			return false;
	}
}

/* ---- Sending -------------------------------------------------------------------------------------- */

/* One group as an item. -ENOMEM. */
static int add_item(struct eg_sink *sink, size_t group)
{
	json_t *event = eg_rollup_event(sink->rollup, group);
	struct eg_item item;
	int r = event ? eg_render(sink->config, &sink->key, event, &sink->cursor.window, &item) : -ENOMEM;

	json_decref(event);
	if (r == -ENOMEM)
		return r;
	if (r)
		item.ts_ns = 0;
	eg_ship_batch_add(&sink->batch, &item, eg_rollup_records(sink->rollup, group), eg_ship_mono_ns());
	return 0;
}

static bool flush(struct eg_sink *sink)
{
	size_t count = sink->batch.count;

	if (!eg_sink_deliver(sink))
		return false;
	sink->cursor.rolled += count;
	return eg_sink_store(sink);
}

static bool send_groups(struct eg_sink *sink)
{
	size_t count = eg_rollup_count(sink->rollup), next = sink->cursor.rolled;

	while (next < count) {
		if (add_item(sink, next)) {
			eg_sink_complain(sink, EG_SINK_FAILING, "out of memory");
			if (!eg_sink_wait(sink, EG_NS_PER_S))
				return false;
			continue;
		}
		next++;
		if (next < count && sink->batch.count < sink->batch.room && sink->batch.bytes < sink->bytes_limit)
			continue;
		if (!flush(sink))
			return false;
	}
	return true;
}

/* ---- Windows ---------------------------------------------------------------------------------------- */

bool eg_sink_close_window(struct eg_sink *sink)
{
	eg_spool_reader_tell(sink->reader, &sink->cursor.at);
	sink->cursor.close = sink->cursor.at;
	sink->cursor.closing = true;
	sink->cursor.rolled = 0;
	return eg_sink_store(sink);
}

/* All of this window's events are settled. */
static void next_window(struct eg_sink *sink)
{
	struct eg_cursor *cursor = &sink->cursor;
	uint64_t gone;

	cursor->rolled = 0;
	cursor->window = cursor->close;
	if (eg_spool_pos_compare(&cursor->close, &cursor->at) < 0 && cursor->held) { /* it was cut short */
		cursor->close = cursor->at;
		return;
	}
	/* Held when they were read first, and not there when they were read again: gone, or no longer for this sink. */
	gone = cursor->held < sink->window_gone ? cursor->held : sink->window_gone;
	cursor->tally.evicted += gone;
	cursor->tally.filtered += cursor->held - gone;
	cursor->held = 0;
	cursor->window = cursor->at;
	cursor->closing = false;
}

bool eg_sink_roll(struct eg_sink *sink)
{
	bool go_on = true;

	while (go_on && sink->cursor.closing) {
		sink->rolling = true;
		go_on = gather(sink) && send_groups(sink);
		sink->rolling = false;
		if (!go_on)
			break;
		next_window(sink);
		go_on = eg_sink_store(sink);
	}
	if (sink->rollup)
		eg_rollup_clear(sink->rollup);
	return go_on;
}

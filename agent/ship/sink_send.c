// SPDX-License-Identifier: Apache-2.0
/*
 * sink_send.c - a batch, until every item of it is settled
 *
 * A range of the batch is sent. Delivered: settled. Retry: the same range again, after a pause that
 * grows. Pause: the same range, once somebody changed a file, or a minute later. Split: in halves, until the
 * one item that is refused for what it is stands alone, and goes to the dead letters.
 *
 * A receiver that refuses everything (a wrong index, say) looks the same as one poison event after the
 * other. So after a run of them with nothing delivered in between each further answer that refuses costs a
 * minute: people have time to see it, and what is in the spool stays there.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "bisect.h"
#include "dead_letter.h"
#include "sink_impl.h"

#define LIMIT_LEAST 4096u
#define LIMIT_GROWS 64u /* deliveries after which a lowered limit is doubled */

enum attempt { SETTLED, REFUSED, STOPPED };

/* ---- Settling -------------------------------------------------------------------------------- */

/* More than were held: the filter is wider than when they were read, and had them counted as filtered. */
static void settle_held(struct eg_cursor *cursor, uint64_t records)
{
	uint64_t surplus = records > cursor->held ? records - cursor->held : 0;

	cursor->held -= records - surplus;
	cursor->tally.filtered -= surplus < cursor->tally.filtered ? surplus : cursor->tally.filtered;
}

static void settle(struct eg_sink *sink, size_t place)
{
	sink->batch.settled[place] = true;
	sink->batch.open--;
	if (sink->rolling)
		settle_held(&sink->cursor, sink->batch.weights[place]);
}

static void settle_delivered(struct eg_sink *sink, size_t place)
{
	settle(sink, place);
	sink->cursor.tally.delivered += sink->batch.weights[place];
	sink->poison_run = 0;
	eg_backoff_reset(&sink->backoff);
}

static void note_success(struct eg_sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	sink->report.last_success_ns = eg_ship_utc_ns();
	pthread_mutex_unlock(&sink->lock);
	eg_sink_publish(sink, EG_SINK_OK);
}

/* Once for each answer that refuses something. False: stop. */
static bool doubt(struct eg_sink *sink, const char *why)
{
	if (sink->poison_run < EG_SINK_POISON_RUN)
		return true;
	eg_sink_complain(sink, EG_SINK_PAUSED, "%u events in a row were refused, so it may not be the events: %.300s",
			 sink->poison_run, why);
	return eg_sink_pause(sink);
}

/* False: stop. */
static bool bury(struct eg_sink *sink, size_t place, const char *why)
{
	const struct eg_item *item = &sink->batch.items[place];
	int r;

	while ((r = eg_dead_letter_write(sink->place->cursor_fd, sink->config->name, sink->config->dead_bytes, item, why))) {
		eg_sink_complain(sink, EG_SINK_FAILING, "the dead-letter file can't be written: %s", strerror(-r));
		if (!eg_sink_wait(sink, eg_backoff_next(&sink->backoff, EG_NS_PER_S, 0)))
			return false;
	}
	settle(sink, place);
	sink->cursor.tally.dead_lettered += sink->batch.weights[place];
	sink->poison_run++;
	eg_sink_complain(sink, EG_SINK_OK, "event %.100s was refused, and is in %s.dead: %.300s", item->id,
			 sink->config->name, why);
	return true;
}

/* ---- One range ----------------------------------------------------------------------------------- */

static void send_parcel(struct eg_sink *sink, const struct eg_item *items, size_t count, struct eg_result *result)
{
	for (size_t i = 0; i < count; i++)
		sink->batch.outcomes[i] = EG_OUTCOME_RETRY;
	*result = (struct eg_result){.items = sink->batch.outcomes};
	eg_sink_note_files(sink);
	sink->protocol->send(sink->link, items, count, result);
	pthread_mutex_lock(&sink->lock);
	sink->report.requests++;
	pthread_mutex_unlock(&sink->lock);
}

/* What the protocol says of each. False: stop. */
static bool settle_items(struct eg_sink *sink, size_t count, const struct eg_result *result)
{
	size_t delivered = 0, refused = 0;

	for (size_t i = 0; i < count; i++) {
		refused += result->items[i] == EG_OUTCOME_SPLIT;
		if (result->items[i] == EG_OUTCOME_DELIVERED) {
			settle_delivered(sink, sink->batch.places[i]);
			delivered++;
		}
	}
	if (delivered)
		note_success(sink);
	if (refused && !doubt(sink, result->error))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (result->items[i] == EG_OUTCOME_SPLIT && !bury(sink, sink->batch.places[i], result->error))
			return false;
	}
	return true;
}

static bool settle_all(struct eg_sink *sink, size_t count)
{
	for (size_t i = 0; i < count; i++)
		settle_delivered(sink, sink->batch.places[i]);
	note_success(sink);
	return true;
}

/* Waits as the outcome says. False: stop. */
static bool hold_back(struct eg_sink *sink, const struct eg_result *result)
{
	uint64_t random = eg_ship_mono_ns(), wait;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = eg_ship_mono_ns(); /* it is jitter, no secret */
	pthread_mutex_lock(&sink->lock);
	sink->report.retries++;
	pthread_mutex_unlock(&sink->lock);
	if (result->outcome == EG_OUTCOME_PAUSE) {
		eg_sink_complain(sink, EG_SINK_PAUSED, "%s", result->error);
		return eg_sink_pause(sink);
	}
	wait = eg_backoff_next(&sink->backoff, result->retry_after_ns, random);
	eg_sink_complain(sink, EG_SINK_RETRYING, "%s", result->error[0] ? result->error : "no answer that says delivered");
	return eg_sink_wait(sink, wait);
}

static size_t bytes_of(const struct eg_item *items, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += items[i].len;
	return bytes;
}

/* The receiver takes less at once than was sent: the next batches are smaller from the start. */
static void lower_limit(struct eg_sink *sink, size_t bytes)
{
	sink->bytes_limit = bytes / 2 > LIMIT_LEAST ? bytes / 2 : LIMIT_LEAST;
	sink->deliveries = 0;
}

/* Sends what is open of the range until it is settled, or refused as a whole; *result is that refusal. */
static enum attempt attempt(struct eg_sink *sink, const struct eg_range *range, struct eg_result *result)
{
	for (;;) {
		size_t count;
		const struct eg_item *items = eg_ship_batch_parcel(&sink->batch, range->first, range->count, &count);

		if (!count)
			return SETTLED;
		if (atomic_load(&sink->stopping))
			return STOPPED;
		send_parcel(sink, items, count, result);
		if (result->has_items) {
			if (!settle_items(sink, count, result))
				return STOPPED;
			if (result->outcome == EG_OUTCOME_DELIVERED || result->outcome == EG_OUTCOME_SPLIT)
				result->outcome = EG_OUTCOME_RETRY; /* of what is left, if anything is */
			eg_ship_batch_parcel(&sink->batch, range->first, range->count, &count);
			if (!count)
				return SETTLED;
		} else if (result->outcome == EG_OUTCOME_DELIVERED) {
			settle_all(sink, count);
			return SETTLED;
		} else if (result->outcome == EG_OUTCOME_SPLIT) {
			if (result->status == 413 && count > 1)
				lower_limit(sink, bytes_of(items, count));
			return REFUSED;
		}
		if (!hold_back(sink, result))
			return STOPPED;
	}
}

/* ---- The batch ---------------------------------------------------------------------------------------- */

static void count_delivery(struct eg_sink *sink)
{
	if (sink->bytes_limit >= sink->config->batch_bytes || ++sink->deliveries < LIMIT_GROWS)
		return;
	sink->bytes_limit *= 2;
	if (sink->bytes_limit > sink->config->batch_bytes)
		sink->bytes_limit = sink->config->batch_bytes;
	sink->deliveries = 0;
}

/* What could not be rendered as an event needs no receiver to be refused. False: stop. */
static bool bury_broken(struct eg_sink *sink)
{
	for (size_t i = 0; i < sink->batch.count; i++) {
		if (!sink->batch.items[i].ts_ns && !bury(sink, i, "this is no event that can be said in the sink's schema"))
			return false;
	}
	return true;
}

bool eg_sink_deliver(struct eg_sink *sink)
{
	struct eg_bisect bisect;
	struct eg_range range;

	eg_sink_publish(sink, sink->report.state); /* what waits now, as the receiver may take its time */
	if (!bury_broken(sink))
		return false;
	eg_bisect_begin(&bisect, sink->batch.count);
	while (eg_bisect_next(&bisect, &range)) {
		struct eg_result result;

		switch (attempt(sink, &range, &result)) {
		case STOPPED:
			return false;
		case REFUSED:
			if (eg_bisect_split(&bisect))
				continue;
			if (!result.error[0])
				snprintf(result.error, sizeof(result.error), "refused");
			if (!doubt(sink, result.error) || !bury(sink, range.first, result.error))
				return false;
			break;
		case SETTLED:
			break;
		}
		eg_bisect_settled(&bisect);
	}
	eg_ship_batch_clear(&sink->batch);
	count_delivery(sink);
	return true;
}

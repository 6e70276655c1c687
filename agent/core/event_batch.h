/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_batch.h - lines on their way to the log: rendered, numbered, framed, not yet written
 *
 * Of the writer's thread alone. The caller keeps it from overflowing: while it is not full, one
 * more line may be added.
 */
#ifndef EG_CORE_EVENT_BATCH_H
#define EG_CORE_EVENT_BATCH_H

#include "../lib/spool_frame.h"
#include "event_json.h"
#include "event_queue.h"
#include "evlog.h"
#include "losses.h"
#include "meta_cache.h"

#define EG_EVENT_BATCH_SIZE (512u << 10)

struct eg_event_batch {
	struct eg_event_stamp stamp;
	struct eg_meta_cache *meta; /* borrowed */
	char *text; /* EG_EVENT_BATCH_SIZE: frames */
	size_t used;
	uint64_t lines;
	uint64_t records[EG_SPOOL_CLASS_COUNT_]; /* of the lines, by class */
	uint64_t items; /* of the queue, among the lines */
	uint64_t ring_end; /* of the last of these that is in a ring */
	uint64_t begun_ns; /* monotonic, of the first line */
};

int eg_event_batch_init(struct eg_event_batch *b, const char *host, struct eg_meta_cache *meta);
void eg_event_batch_destroy(struct eg_event_batch *b);

static inline bool eg_event_batch_full(const struct eg_event_batch *b)
{
	return b->used > EG_EVENT_BATCH_SIZE - EG_SPOOL_HEAD_LEN - EG_EVENT_LINE_MAX;
}

/* Written: forget the lines, and number the next ones so. */
void eg_event_batch_clear(struct eg_event_batch *b, const struct eg_spool_pos *number);

/*
 * The log has begun a new epoch before these lines were written: they get numbers of it, from `number` on.
 * -ENOMEM: they keep their own.
 */
int eg_event_batch_renumber(struct eg_event_batch *b, const struct eg_spool_pos *number);

/* As eg_event_json. */
void eg_event_batch_add(struct eg_event_batch *b, const struct eg_event *e, const struct eg_event_named *named);
/* Frees what the item owns. */
void eg_event_batch_add_item(struct eg_event_batch *b, struct eg_queue_item *item);
/* Its line is in the log already. */
void eg_event_batch_pass_item(struct eg_event_batch *b, struct eg_queue_item *item);
void eg_event_batch_add_loss(struct eg_event_batch *b, uint64_t utc_ns, uint32_t slot, enum eg_losses_cause cause,
		       const struct eg_loss *sum);
/* What the quota took. */
void eg_event_batch_add_gap(struct eg_event_batch *b, uint64_t utc_ns, const struct eg_evlog_gap *gap);
/* What was found at start that is no record. */
void eg_event_batch_add_damage(struct eg_event_batch *b, uint64_t utc_ns, const struct eg_evlog_damage *damage);
/* The disk failed to take what was written, so many times; it was written again. */
void eg_event_batch_add_sync_errors(struct eg_event_batch *b, uint64_t utc_ns, uint64_t errors);
/* The log could not be written for so long. */
void eg_event_batch_add_recovered(struct eg_event_batch *b, uint64_t utc_ns, const char *error, uint64_t duration_ms);

#endif

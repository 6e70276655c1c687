/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - how events lie on disk, and how any process reads them in order
 *
 * Theory of operation. The spool is a directory of segments, events-EPOCH-N.spool, N being the number
 * of the segment's first record. A record is a frame: a fixed header (magic, class, length of the text,
 * CRC-32C over header and text, number) and the text, one line of JSON with its newline. Within an epoch
 * numbers grow by one; a reader that sees a jump knows how many records went (evicted, or damaged). An
 * epoch begins with the spool and at each boot, so that a number that a power cut took back is never
 * given to another event under the same epoch.
 *
 * Readers need no lock and no word of the writer: a frame that is not whole yet, or whose CRC does not
 * fit yet, at the very end of the newest segment is "not written yet"; anywhere else it is damage, and the
 * reader goes on at the next good frame.
 */
#ifndef EG_LIB_SPOOL_H
#define EG_LIB_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a record is worth when room has to be made: the lowest goes first. */
enum eg_spool_class {
	EG_SPOOL_FLOW, /* allowed flows: evicted first */
	EG_SPOOL_OTHER, /* DNS, rate, tags, agent's own */
	EG_SPOOL_VITAL, /* deny, cap, kill, restore, expire, policy, alert, lost, suppressed: last, and durable at once */
	EG_SPOOL_CLASS_COUNT_
};

/* A place in the spool: the record with this number, or the next one after it that is there. Ordered. */
struct eg_spool_pos {
	uint64_t epoch;
	uint64_t n;
};

struct eg_spool_record {
	struct eg_spool_pos pos;
	enum eg_spool_class class;
	const char *text; /* with its '\n', not NUL-terminated; valid until the next call on the reader */
	size_t len;
	uint64_t missed; /* records between the one before and this that are not there any more */
};

struct eg_spool_reader;

/* from: NULL is the oldest record there is. dir is copied and need not exist yet. -ENOMEM, -errno. */
int eg_spool_reader_new(const char *dir, const struct eg_spool_pos *from, struct eg_spool_reader **ret);
void eg_spool_reader_free(struct eg_spool_reader *reader);

/* 1: *ret is the next record; 0: none yet; -errno (I/O): try again later. Bounded memory, whatever is on disk. */
int eg_spool_reader_next(struct eg_spool_reader *reader, struct eg_spool_record *ret);

/* Where the next call would begin; what to store as a cursor once everything before it is delivered. */
void eg_spool_reader_tell(const struct eg_spool_reader *reader, struct eg_spool_pos *ret);

/* Goes to another place, also back. */
int eg_spool_reader_seek(struct eg_spool_reader *reader, const struct eg_spool_pos *to);

/* Records and bytes from `from` to the end as it is now (estimated by segments for what is far away). */
int eg_spool_reader_lag(struct eg_spool_reader *reader, const struct eg_spool_pos *from, uint64_t *ret_events,
			uint64_t *ret_bytes);

/* Bytes passed over because no frame in them was good, since the reader was made. */
uint64_t eg_spool_reader_damaged(const struct eg_spool_reader *reader);

int eg_spool_pos_compare(const struct eg_spool_pos *a, const struct eg_spool_pos *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_impl.h - what the parts of a sink share; all on its thread, but for what the lock guards
 */
#ifndef EG_SHIP_SINK_IMPL_H
#define EG_SHIP_SINK_IMPL_H

#include <pthread.h>

#include "backoff.h"
#include "cursor.h"
#include "filestamp.h"
#include "render.h"
#include "rollup.h"
#include "ship_batch.h"
#include "sink.h"

#define EG_NS_PER_S	 1000000000ull
#define EG_SINK_POLL_NS	 (EG_NS_PER_S / 10) /* how often the spool is looked at while nothing comes */
#define EG_SINK_PAUSE_NS (60 * EG_NS_PER_S)
#define EG_SINK_FILES_MAX 6 /* that a configuration can name */
#define EG_SINK_POISON_RUN 16 /* refused events in a row, after which each further answer that refuses costs a pause */

struct eg_sink {
	const struct eg_sink_place *place;
	const struct eg_sink_config *config;
	const struct eg_protocol *protocol;
	void *link; /* the protocol's; NULL: not open */
	struct eg_spool_reader *reader;
	struct eg_cursor cursor; /* ahead of the stored one while a batch is on its way */
	uint64_t lost_before; /* by the cursor as it was loaded */
	uint64_t stored_ns; /* monotonic, of the last store */
	struct eg_ship_batch batch;
	uint64_t window_gone; /* records of a window that were gone when it was read again */
	bool more; /* the spool had more when the batch was made: what comes next is about as old as its last */
	bool rolling; /* the batch is of a roll-up: its records are among those held */
	struct eg_hash_key key;
	struct eg_rollup *rollup;
	uint64_t next_ts_ns; /* "ts" of the next record, while the link can't be opened; else 0 */
	uint64_t window_due_ns; /* monotonic: the window ends by then, also if nothing comes any more */
	struct eg_filestamp files[EG_SINK_FILES_MAX]; /* those of the configuration, before the last try */
	struct eg_backoff backoff;
	unsigned poison_run;
	size_t bytes_limit; /* of a batch; less than configured after a 413 */
	unsigned deliveries; /* since the limit changed */
	atomic_bool stopping;
	pthread_t thread;
	bool ended; /* under the lock */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct eg_sink_report report;
	uint64_t test_id;
	bool test_wanted;
};

uint64_t eg_ship_mono_ns(void);
uint64_t eg_ship_utc_ns(void);

/* ---- sink.c ---------------------------------------------------------------------------------- */

/* What a test sends. -ENOMEM, -EINVAL. */
int eg_sink_test_item(const char *host, const struct eg_sink_config *config, const struct eg_hash_key *key,
		      struct eg_item *ret);
/* Sleeps; false: the sink is to stop. Runs a test if one is asked for. */
bool eg_sink_wait(struct eg_sink *sink, uint64_t ns);
/* Brings the report up to date. */
void eg_sink_publish(struct eg_sink *sink, enum eg_sink_state state);
/* The same, and what is wrong. */
void eg_sink_complain(struct eg_sink *sink, enum eg_sink_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Before a try that may end in a pause: remembers the files that are named in the configuration. (Taken after the
 * receiver's no, they would hide a change that was made while the receiver thought about it.)
 */
void eg_sink_note_files(struct eg_sink *sink);
/* Until one of these files is not as it was noted, or a minute. False: stop. */
bool eg_sink_pause(struct eg_sink *sink);
/* Stores the cursor, however often that takes. False: the sink is to stop, and it may not be stored. */
bool eg_sink_store(struct eg_sink *sink);

/* ---- sink_read.c --------------------------------------------------------------------------------- */

enum eg_fill {
	EG_FILL_WAIT, /* nothing to do for now */
	EG_FILL_SEND, /* the batch is to go */
	EG_FILL_CLOSE, /* the window ends where the reader is */
	EG_FILL_FAILED, /* the spool can't be read just now, and that was said */
};
enum eg_fill eg_sink_fill(struct eg_sink *sink);
/* Looks at the next record and leaves it there: how late a sink is that reads none. */
void eg_sink_peek(struct eg_sink *sink);
/* All that was read is settled: the cursor moves; at_once: on disk when this returns. False: stop. */
bool eg_sink_commit(struct eg_sink *sink, bool at_once);

/* ---- sink_send.c ----------------------------------------------------------------------------------- */

/* Settles every item of the batch, and empties it. False: stop; nothing may be taken for settled. */
bool eg_sink_deliver(struct eg_sink *sink);

/* ---- sink_roll.c ------------------------------------------------------------------------------------- */

/* Ends the window at the reader's place. All that was read has to be settled. False: stop. */
bool eg_sink_close_window(struct eg_sink *sink);
/* Delivers the window whose end is stored. False: stop. */
bool eg_sink_roll(struct eg_sink *sink);

#endif

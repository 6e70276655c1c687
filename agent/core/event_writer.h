/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_writer.h - the one thread that renders events and appends them to the log
 *
 * Theory of operation. Three sources: the queue (denials, notices, the agent's own), the ring
 * of flow events, read in place, and once a second the losses. Lines gather in a buffer that
 * goes to the log as one batch: at 64 KiB, after 50 ms, or at the end of a round that took
 * anything from the queue.
 *
 * A record keeps its room in its ring until its line is written, so that a killed agent loses none. The mark says which
 * lines the batch that is being written ends with, and where the rings then stand: the next agent passes over
 * records whose lines it finds in the log. Killed in the midst of a write it writes some of them twice.
 *
 * When the log can't be written, nothing more is taken: the batch is kept and tried again each
 * second, events wait where they are, and what finds no room there is counted there (by the
 * kernel for its rings, by the queue's owner for the queue). Everything goes on by itself when
 * the log can be written again, the losses as events of their own.
 */
#ifndef EG_CORE_EVENT_WRITER_H
#define EG_CORE_EVENT_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include <egret/abi.h>

#include "event_queue.h"
#include "event_ring.h"
#include "evlog.h"
#include "losses.h"
#include "meta_cache.h"

struct eg_writer;

/* All borrowed until eg_writer_free. */
struct eg_writer_config {
	const char *host;
	const char *log_dir;
	struct eg_evlog *log;
	struct eg_queue *queue;
	struct eg_meta_cache *meta;
	struct eg_loss_ledger *losses;
	struct eg_event_ring *events; /* whose records come through the queue; NULL: none */
	int flow_events_fd; /* -1: none */
	struct eg_log_mark *mark; /* outlives this process; NULL: none */
	void *ctx;
	int64_t (*utc_offset_ns)(void *ctx);
	const struct eg_networks *(*networks)(void *ctx); /* NULL: none */
	uint32_t (*slots_used)(void *ctx);
	/* After each batch that was written, on the writer's thread. */
	void *notify_ctx;
	void (*notify)(void *ctx);
};

struct eg_writer_stats {
	uint64_t written;
	uint64_t written_bytes;
	uint64_t taken; /* items of the queue that are on disk */
	uint64_t lost;
	uint64_t suppressed;
	uint64_t unresolved;
	uint64_t write_errors;
	bool failing;
	char last_error[256];
};

/* Starts the thread. */
int eg_writer_new(const struct eg_writer_config *config, struct eg_writer **ret);

/* Takes and writes all there is, 2 s at most, and ends the thread. NULL is fine. */
void eg_writer_free(struct eg_writer *w);

void eg_writer_stats(struct eg_writer *w, struct eg_writer_stats *ret);

/* Waits until `taken` has reached target: 0 or -ETIMEDOUT. */
int eg_writer_wait(struct eg_writer *w, uint64_t target, unsigned timeout_ms);

#endif

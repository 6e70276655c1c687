/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evlog_sync.h - the log's thread that waits for the disk, and the bytes that wait with it
 *
 * Bytes are counted from the start: `added` went in, `synced` are on disk, what lies between is in a ring.
 * Files are synced in the order in which they were added to; the last one may still grow. After an
 * error nothing is synced any more until the owner has taken what is left and restarts.
 */
#ifndef EG_CORE_EVLOG_SYNC_H
#define EG_CORE_EVLOG_SYNC_H

#include <sys/uio.h>

#include "evlog.h"

#define EG_SYNC_PENDING (8u << 20)

struct eg_sync;

/* evict: called on the thread while nothing has to be synced, after eg_sync_poke; true: call again. */
int eg_sync_new(const struct eg_evlog_io *io, bool (*evict)(void *ctx), void *ctx, struct eg_sync **ret);

/* Syncs what is pending, once, and ends the thread. NULL is fine. */
void eg_sync_free(struct eg_sync *s);

/* Waits for room for len bytes: 0, -ETIME, or what the last sync failed with. */
int eg_sync_room(struct eg_sync *s, size_t len, unsigned timeout_ms);

struct eg_sync_piece {
	int dirfd, fd; /* borrowed */
	uint64_t file; /* tells the file from the one before */
	const char *bytes;
	size_t len; /* for which there is room */
	uint64_t next; /* number after its last record */
	bool urgent;
};

/* What was written to a file. -errno: it can't be synced, and is not taken. */
int eg_sync_add(struct eg_sync *s, const struct eg_sync_piece *piece);

/* 0, or what a sync failed with; *ret and *ret_first then are the bytes that may be lost, from that number on. */
int eg_sync_failed(struct eg_sync *s, struct iovec ret[2], uint64_t *ret_first);

/* Nothing is pending, nothing has failed; everything before number `next` is on disk. */
void eg_sync_restart(struct eg_sync *s, uint64_t next);

/* Everything before this number is on disk. Any thread. */
uint64_t eg_sync_durable(struct eg_sync *s);

/* There may be something to evict. Any thread. */
void eg_sync_poke(struct eg_sync *s);

/* Nothing is evicted from here on. */
void eg_sync_hold(struct eg_sync *s);

/* Until nothing is left to do: 0, -ETIMEDOUT, or the error. */
int eg_sync_wait(struct eg_sync *s, unsigned timeout_ms);

struct eg_sync_stats {
	uint64_t pending;
	uint64_t errors;
};

void eg_sync_stats(struct eg_sync *s, struct eg_sync_stats *ret);

#endif

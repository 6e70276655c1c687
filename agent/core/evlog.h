/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evlog.h - the writing side of the spool (lib/spool.h): records to disk, under a quota
 *
 * Theory of operation. Two threads. The caller's appends: it writes (to the page cache) and gives what it
 * wrote to the second one, the disk's (evlog_sync.h), which alone waits for fdatasync(2): at once for
 * vital records, else after 1 MiB or a second. Until the disk has them, the bytes are kept in memory,
 * 8 MiB at most; an append that finds no room there waits a second and is refused.
 *
 * An error of fdatasync means that nothing since the last good one is known to be on disk, whatever the
 * page cache shows: all of it is written again into a new segment under the same numbers, and synced,
 * before anything else is. A write that failed (ENOSPC, EIO) is tried again at the same place.
 *
 * An epoch begins with the spool and at each boot: within a boot a killed agent loses nothing that was written
 * (the page cache stays), so numbers go on; after a crash of the host they might be used twice. File
 * `epoch` keeps it, a lock on the directory keeps a second writer out.
 *
 * At start what may not have been on disk when the host stopped, the last 8 MiB, is read: a torn tail is
 * cut off, bad bytes are moved to file `damaged` (1 MiB at most), and both are told. After either the
 * epoch ends, since what was there may have been read. Nothing that is found keeps the log from starting.
 *
 * Segments are replaced by size and daily. Once all together pass the quota, the disk's thread takes allowed
 * flows out of the oldest ones, then all but what is vital, then deletes the oldest; numbers stay. What
 * went is kept by class until the writer takes it and makes it an event. Segments of before the spool
 * (events-*.ndjson) count as the oldest, and go first.
 */
#ifndef EG_CORE_EVLOG_H
#define EG_CORE_EVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/spool.h"

struct eg_evlog;

/* How the log reaches the disk; tests put errors and waits here. As the calls of the same names, errno included. */
struct eg_evlog_io {
	ssize_t (*pwrite)(int fd, const void *from, size_t len, off_t offset);
	int (*fdatasync)(int fd);
};

struct eg_evlog_config {
	const char *dir; /* copied */
	uint64_t quota_bytes; /* 0: 1 GiB */
	uint64_t segment_bytes; /* 0: 64 MiB, at most a quarter of the quota */
	gid_t gid; /* may read (0750 and 0640); (gid_t)-1: nobody but root */
	const struct eg_evlog_io *io; /* borrowed; NULL: the real calls */
};

/* Records that were in the log and are not any more. */
struct eg_evlog_gap {
	uint64_t bytes;
	uint64_t events[EG_SPOOL_CLASS_COUNT_]; /* by class */
	uint64_t others; /* of segments of before the spool, which have no classes */
	uint32_t segments; /* that were deleted, or made smaller */
	struct eg_spool_pos first; /* all of them lie between these two */
	struct eg_spool_pos last;
};

/* What was found at start that is no record. */
struct eg_evlog_damage {
	uint64_t torn_bytes; /* cut off at the end */
	uint64_t bytes; /* elsewhere */
	uint64_t kept_bytes; /* of `bytes`, in file `damaged` */
	uint64_t events; /* numbers that are missing there */
};

struct eg_evlog_stats {
	uint64_t bytes; /* in all segments */
	uint32_t segments;
	uint64_t evicted_bytes; /* since the start, as all that follows */
	uint64_t evicted[EG_SPOOL_CLASS_COUNT_];
	uint64_t evicted_others;
	uint64_t torn_bytes;
	uint64_t damaged_bytes;
	uint64_t sync_errors;
	uint64_t unsynced_bytes; /* now */
};

/* -ENOMEM, or -errno of starting the thread. */
int eg_evlog_new(const struct eg_evlog_config *config, struct eg_evlog **ret);

/* Syncs and frees. NULL is fine. */
void eg_evlog_free(struct eg_evlog *log);

/*
 * Makes the directory, takes the lock, recovers; if it is open, writes again what a sync failed to bring to
 * the disk, if there is anything. -errno: try again later.
 */
int eg_evlog_open(struct eg_evlog *log, uint64_t utc_ns);

/* The place that the next record appended will have; after a successful open. Any thread. */
struct eg_spool_pos eg_evlog_number(struct eg_evlog *log);

/* Whole frames, numbered from eg_evlog_number on. */
struct eg_evlog_batch {
	const char *frames;
	size_t len;
	uint64_t records[EG_SPOOL_CLASS_COUNT_];
};

/*
 * All or (-errno) nothing. The log must be open. -ETIME: the disk has not taken what was written before
 * for a second; -ESTALE: as from eg_evlog_check.
 */
int eg_evlog_append(struct eg_evlog *log, const struct eg_evlog_batch *batch, uint64_t utc_ns);

/* -ESTALE: somebody changed the directory or the segment; the log was closed and can be opened again. */
int eg_evlog_check(struct eg_evlog *log);

/*
 * Waits until the disk has all that was appended, and the quota is kept: 0, -ETIMEDOUT, or the error of the sync.
 * For tests.
 */
int eg_evlog_flush(struct eg_evlog *log, unsigned timeout_ms);

/* Before the end: as _flush, and nothing is evicted any more that nobody would tell. */
void eg_evlog_hold(struct eg_evlog *log, unsigned timeout_ms);

/* What the quota took, or what was found, since the last call; false: nothing. */
bool eg_evlog_take_gap(struct eg_evlog *log, struct eg_evlog_gap *ret);
bool eg_evlog_take_damage(struct eg_evlog *log, struct eg_evlog_damage *ret);

void eg_evlog_stats(struct eg_evlog *log, struct eg_evlog_stats *ret);

const char *eg_evlog_dir(const struct eg_evlog *log);

#endif

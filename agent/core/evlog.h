/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evlog.h - lines on disk, in segments, under a quota
 *
 * Theory of operation. A log is a directory (0700) of segments events-EPOCH-N.ndjson (0600), N
 * being the number of the segment's first line. An epoch begins when the log is created and at
 * each boot: within a boot a killed agent loses nothing that was written (the page cache stays),
 * so numbers go on; after a crash of the host they might be used twice, so they start again under
 * a new epoch. File `epoch` keeps it, a lock on the directory keeps a second writer out.
 *
 * One thread appends. A batch is written at the end that the last good batch left
 * ("committed"), so one that failed half-way is overwritten by the next try, and readers, who
 * are shown only what is committed, never see a torn line. At start, a torn tail is cut off.
 *
 * Segments are replaced by size and daily, and the oldest are deleted once all together pass
 * the quota: what went is kept until the writer takes it and makes it an event.
 *
 * The writer needs six calls (new, open, number, append, check, take_gap), readers two
 * (look, open_segment): that is the seam for another format.
 */
#ifndef EG_CORE_EVLOG_H
#define EG_CORE_EVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_evlog;

/* A segment's name; ordered by epoch, then first. */
struct eg_evlog_key {
	uint64_t epoch;
	uint64_t first; /* number of its first line */
};

/* Something that was in the log and is not any more. */
struct eg_evlog_gap {
	uint64_t bytes;
	uint64_t events;
	uint32_t segments;
	struct eg_evlog_key first; /* of the lines that went */
	struct eg_evlog_key last;
};

struct eg_evlog_stats {
	uint64_t bytes; /* in all segments */
	uint32_t segments;
	uint64_t evicted_bytes; /* since the start */
	uint64_t evicted_events;
	uint64_t torn_bytes; /* cut off at start */
};

/* dir is copied. quota 0: 1 GiB; segment 0: 64 MiB, at most a quarter of the quota. -ENOMEM. */
int eg_evlog_new(const char *dir, uint64_t quota_bytes, uint64_t segment_bytes, struct eg_evlog **ret);

/* Flushes to the disk and frees. NULL is fine. No reader may be left. */
void eg_evlog_free(struct eg_evlog *log);

/* Makes the directory, takes the lock, recovers. Nothing if it is open. -errno: try again later. */
int eg_evlog_open(struct eg_evlog *log, uint64_t utc_ns);

/* Epoch, and number that the next line appended will have; after a successful open. */
struct eg_evlog_key eg_evlog_number(struct eg_evlog *log);

/* Appends whole lines, all or (-errno) none. The log must be open; -ESTALE: as from eg_evlog_check. */
int eg_evlog_append(struct eg_evlog *log, const char *lines, size_t len, uint64_t count, uint64_t utc_ns);

/* -ESTALE: somebody changed the directory or the segment; the log was closed and can be opened again. */
int eg_evlog_check(struct eg_evlog *log);

/* The disk has what was appended when this returns 0. May take long. */
int eg_evlog_flush(struct eg_evlog *log);

/* What the quota took since the last call; false: nothing. */
bool eg_evlog_take_gap(struct eg_evlog *log, struct eg_evlog_gap *ret);

void eg_evlog_stats(struct eg_evlog *log, struct eg_evlog_stats *ret);

/* ---- For readers, on any thread -------------------------------------------------- */

struct eg_evlog_view {
	bool found; /* the segment asked for is (still) there */
	uint64_t bytes; /* committed in it */
	bool has_next, has_previous; /* segments after and before that key */
	struct eg_evlog_key next, previous;
};

/* All taken at one moment: if there is a next one, `bytes` is final. */
void eg_evlog_look(struct eg_evlog *log, const struct eg_evlog_key *key, struct eg_evlog_view *ret);

/* Where the log ends now: the newest segment and its bytes; false: empty. */
bool eg_evlog_end(struct eg_evlog *log, struct eg_evlog_key *ret, uint64_t *ret_bytes);

/* For pread(2); -errno. It can be read to the end also after it was evicted. */
int eg_evlog_open_segment(struct eg_evlog *log, const struct eg_evlog_key *key);

#endif

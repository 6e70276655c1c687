/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evlog_impl.h - what the parts of the log share: appending (evlog.c), writing again (evlog_again.c), what is
 * found at start (evlog_open.c, evlog_mend.c), what the quota takes (evlog_quota.c), and copies (evlog_copy.c)
 *
 * Who changes what: the caller's thread all but what is evicted, the disk's thread the segments that it evicts
 * from, and only ones that are durable and not the newest. Both change the list, so it is read and changed
 * under the lock; the number and the descriptors are the caller's, who may read them without.
 */
#ifndef EG_CORE_EVLOG_IMPL_H
#define EG_CORE_EVLOG_IMPL_H

#include <pthread.h>

#include "../lib/spool_dir.h"
#include "../lib/spool_walk.h"
#include "evlog.h"
#include "evlog_sync.h"

#define EG_EVLOG_NEW  "segment.new" /* a segment that is being made, before it gets its name */
#define EG_EVLOG_COPY "copy.new"

struct eg_evlog_segment {
	struct eg_spool_pos first;
	uint64_t bytes;
	uint64_t end; /* number after its last record; 0: not known */
	bool legacy; /* lines without frames */
	bool counted; /* records[] is known */
	uint64_t records[EG_SPOOL_CLASS_COUNT_];
	unsigned lowest; /* class that may still be in it */
};

struct eg_evlog {
	char *dir;
	uint64_t quota_bytes;
	uint64_t segment_bytes;
	gid_t gid;
	const struct eg_evlog_io *io;
	struct eg_sync *sync;
	uint64_t day; /* in which the newest segment was begun */

	pthread_mutex_t lock; /* of all that follows */
	int dirfd; /* -1: closed */
	int fd; /* newest segment, segments[count - 1]; -1: none of this epoch yet */
	struct eg_spool_pos next; /* place of the next record */
	struct eg_evlog_segment *segments; /* oldest first */
	size_t count;
	struct eg_evlog_gap gap; /* segments > 0: not taken yet */
	struct eg_evlog_damage damage; /* anything but zero: not taken yet */
	struct eg_evlog_stats stats;
};

/* Writes all of it at `offset`. -errno. */
int eg_evlog_write(const struct eg_evlog *log, int fd, const void *from, size_t len, uint64_t offset);

/* An empty file, under a name that is none of a segment: fd or -errno. */
int eg_evlog_create(const struct eg_evlog *log, int dirfd, const char *name);

/* The segment becomes the newest; takes fd, also on failure. */
int eg_evlog_add_newest(struct eg_evlog *log, const struct eg_evlog_segment *new, int fd);

/* If a sync has failed: writes what it may have lost again. */
int eg_evlog_write_again(struct eg_evlog *log);

/* A segment's name, also of one without frames. */
void eg_evlog_name(const struct eg_evlog_segment *segment, char ret[EG_SPOOL_NAME_LEN]);

/* Opens and mends what is in the directory, and fills all of *log that is under its lock but fd. */
int eg_evlog_recover(struct eg_evlog *log, uint64_t utc_ns);

/*
 * Reads a segment through, cuts off what follows its last record, and leaves out what is none in between.
 * *ret_clean: there was neither. Fills bytes, end and records.
 */
int eg_evlog_mend(struct eg_evlog *log, int dirfd, struct eg_evlog_segment *segment, bool *ret_clean);

struct eg_evlog_kept {
	uint64_t bytes;
	uint64_t end; /* number after the last record there was */
	uint64_t records[EG_SPOOL_CLASS_COUNT_], dropped[EG_SPOOL_CLASS_COUNT_];
	struct eg_spool_pos first_dropped, last_dropped; /* epoch 0: none */
	uint64_t damaged; /* bytes between records that were none, and are left out */
	uint64_t aside; /* of them, added to file `damaged` */
	uint64_t missing; /* numbers that are missing there */
};

/*
 * Writes the records of a segment that are of class `lowest` or above into file EG_EVLOG_COPY, and that to the
 * disk; it is for the caller to rename or unlink. -errno: there is no such file.
 */
int eg_evlog_copy(const struct eg_evlog *log, int dirfd, const struct eg_evlog_segment *segment, unsigned lowest,
		  struct eg_evlog_kept *ret);

/* On the disk's thread: makes some room if the quota is passed. True: there may be more to do. */
bool eg_evlog_evict(void *ctx);

#endif

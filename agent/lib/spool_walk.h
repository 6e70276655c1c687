/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_walk.h - the good frames of one segment, one after the other
 *
 * Bytes between good frames that are none themselves are passed over once a good one follows. What is left
 * at the end may be a frame that is still being written: the walk stays before it, and looks at it again
 * when it is called again. In a segment that is complete (`final`) it is looked through for good
 * frames as well, since a length that was damaged hides those after it; and blocks that the disk can't read
 * are passed over.
 *
 * Memory: one buffer of EG_SPOOL_WALK_BUFFER bytes, whatever the segment holds.
 */
#ifndef EG_LIB_SPOOL_WALK_H
#define EG_LIB_SPOOL_WALK_H

#include "spool_frame.h"

#define EG_SPOOL_WALK_BUFFER (2 * EG_SPOOL_FRAME_MAX)

struct eg_spool_walk {
	int fd; /* borrowed */
	bool final;
	uint64_t epoch;
	uint64_t end; /* offset after the last good frame */
	uint64_t look; /* where to look for the next one: at or after end */
	uint64_t damaged; /* bytes passed over */
	char *buffer;
	uint64_t base; /* offset of buffer[0] */
	size_t fill;
};

/* Begins at `offset` of the segment, which belongs to fd. -ENOMEM. */
int eg_spool_walk_init(struct eg_spool_walk *w);
void eg_spool_walk_destroy(struct eg_spool_walk *w);
void eg_spool_walk_begin(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t offset);

/* 1: *ret is the next good frame, valid until the next call, and w->end is after it; 0: no more now; -errno. */
int eg_spool_walk_next(struct eg_spool_walk *w, struct eg_spool_frame *ret);

#endif

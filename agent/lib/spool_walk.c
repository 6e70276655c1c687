// SPDX-License-Identifier: Apache-2.0
#include "spool_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define BLOCK 4096u /* what a disk reads or does not */

int eg_spool_walk_init(struct eg_spool_walk *w)
{
	*w = (struct eg_spool_walk){.fd = -1, .buffer = malloc(EG_SPOOL_WALK_BUFFER)};
	return w->buffer ? 0 : -ENOMEM;
}

void eg_spool_walk_destroy(struct eg_spool_walk *w)
{
	free(EG_TAKE_PTR(w->buffer));
}

void eg_spool_walk_begin(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t offset)
{
	w->fd = fd;
	w->epoch = epoch;
	w->end = w->look = w->base = offset;
	w->fill = 0;
	w->final = false;
}

/* Makes look the buffer's first byte, and reads what follows. Bytes that are new, 0 at the end of the file. */
static ssize_t refill(struct eg_spool_walk *w)
{
	size_t keep = 0;
	ssize_t n;

	if (w->look < w->base + w->fill) {
		keep = (size_t)(w->base + w->fill - w->look);
		memmove(w->buffer, w->buffer + (w->look - w->base), keep);
	}
	w->base = w->look;
	w->fill = keep;
	do
		n = pread(w->fd, w->buffer + keep, EG_SPOOL_WALK_BUFFER - keep, (off_t)(w->base + keep));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	w->fill += (size_t)n;
	return n;
}

/* As refill, where the disk can't read: a complete segment must not hold its reader up for ever. */
static ssize_t refill_past_errors(struct eg_spool_walk *w)
{
	ssize_t n = refill(w);
	struct stat st;

	if (n != -EIO || !w->final || fstat(w->fd, &st) < 0)
		return n;
	do {
		w->look = (w->base + w->fill) / BLOCK * BLOCK + BLOCK;
		n = (off_t)w->look < st.st_size ? refill(w) : 0;
	} while (n == -EIO);
	return n;
}

/* No more bytes, and no good frame since w->end: what is there is read again next time, as it may change. */
static int stop_before(struct eg_spool_walk *w)
{
	w->look = w->base = w->end;
	w->fill = 0;
	return 0;
}

int eg_spool_walk_next(struct eg_spool_walk *w, struct eg_spool_frame *ret)
{
	for (;;) {
		size_t at = w->look < w->base + w->fill ? (size_t)(w->look - w->base) : w->fill;
		ssize_t n;
		int r = 0;

		if (at < w->fill)
			r = eg_spool_frame_decode(w->buffer + at, w->fill - at, w->epoch, ret);
		if (r == 1) {
			w->damaged += w->look - w->end;
			w->look += eg_spool_frame_size(ret);
			w->end = w->look;
			return 1;
		}
		if (r == 0) {
			n = refill_past_errors(w);
			if (n < 0)
				return (int)n;
			if (n > 0)
				continue;
			at = 0;
			if (!w->final || !w->fill)
				return stop_before(w);
		}
		w->look += 1 + eg_spool_frame_find(w->buffer + at + 1, w->fill - at - 1);
	}
}

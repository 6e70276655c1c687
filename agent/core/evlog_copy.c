// SPDX-License-Identifier: Apache-2.0
/*
 * evlog_copy.c - a segment made anew from its good records: to leave some of them out, or what is damaged
 *
 * The copy is on the disk before it may take the segment's name, so that a reader or a crash finds one of the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_impl.h"

#define OUT_BYTES  (256u << 10)
#define KEPT_BYTES (1u << 20) /* file `damaged` grows to this */

struct copy {
	const struct eg_evlog *log;
	int dirfd, in, out;
	char *buffer; /* OUT_BYTES */
	size_t used;
	struct eg_evlog_kept *kept;
};

static int flush(struct copy *c)
{
	int r = eg_evlog_write(c->log, c->out, c->buffer, c->used, c->kept->bytes);

	if (r < 0)
		return r;
	c->kept->bytes += c->used;
	c->used = 0;
	return 0;
}

static int keep(struct copy *c, const struct eg_spool_frame *frame)
{
	size_t size = eg_spool_frame_size(frame);
	int r = c->used + size > OUT_BYTES ? flush(c) : 0;

	if (r < 0)
		return r;
	memcpy(c->buffer + c->used, frame->text - EG_SPOOL_HEAD_LEN, size);
	c->used += size;
	c->kept->records[frame->class]++;
	return 0;
}

static void drop(struct copy *c, uint64_t epoch, const struct eg_spool_frame *frame)
{
	c->kept->last_dropped = (struct eg_spool_pos){epoch, frame->n};
	if (!c->kept->first_dropped.epoch)
		c->kept->first_dropped = c->kept->last_dropped;
	c->kept->dropped[frame->class]++;
}

/* Puts bad bytes aside, for who wants to know what they were; as many as there is room for. */
static void put_aside(struct copy *c, uint64_t from, uint64_t to)
{
	EG_CLOSE int fd = openat(c->dirfd, "damaged", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	c->kept->damaged += to - from;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	while (from < to && (uint64_t)st.st_size + c->kept->aside < KEPT_BYTES) {
		char chunk[4096];
		uint64_t room = KEPT_BYTES - (uint64_t)st.st_size - c->kept->aside;
		size_t want = to - from < sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t n = pread(c->in, chunk, want < room ? want : (size_t)room, (off_t)from);

		if (n <= 0 || write(fd, chunk, (size_t)n) != n)
			return;
		from += (uint64_t)n;
		c->kept->aside += (uint64_t)n;
	}
}

static int copy_frames(struct copy *c, struct eg_spool_walk *w, const struct eg_evlog_segment *segment, unsigned lowest)
{
	uint64_t end = 0, next = segment->first.n;
	struct eg_spool_frame frame;
	int r;

	eg_spool_walk_begin(w, c->in, segment->first.epoch, 0);
	w->final = true;
	while ((r = eg_spool_walk_next(w, &frame)) == 1) {
		uint64_t begin = w->end - eg_spool_frame_size(&frame);

		if (begin > end) {
			put_aside(c, end, begin);
			c->kept->missing += frame.n > next ? frame.n - next : 0;
		}
		if (frame.class >= lowest)
			r = keep(c, &frame);
		else
			drop(c, segment->first.epoch, &frame);
		if (r < 0)
			return r;
		end = w->end;
		next = frame.n + 1;
	}
	c->kept->end = next;
	return r < 0 ? r : flush(c);
}

int eg_evlog_copy(const struct eg_evlog *log, int dirfd, const struct eg_evlog_segment *segment, unsigned lowest,
		  struct eg_evlog_kept *ret)
{
	struct copy c = {.log = log, .dirfd = dirfd, .kept = ret};
	EG_CLOSE int in = -1, out = -1;
	EG_FREE char *buffer = malloc(OUT_BYTES);
	char name[EG_SPOOL_NAME_LEN];
	struct eg_spool_walk w;
	int r;

	*ret = (struct eg_evlog_kept){0};
	eg_evlog_name(segment, name);
	in = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return -errno;
	out = eg_evlog_create(log, dirfd, EG_EVLOG_COPY);
	if (out < 0)
		return out;
	r = eg_spool_walk_init(&w);
	if (r < 0 || !buffer)
		return -ENOMEM;
	c.in = in;
	c.out = out;
	c.buffer = buffer;
	r = copy_frames(&c, &w, segment, lowest);
	eg_spool_walk_destroy(&w);
	if (r == 0 && log->io->fdatasync(out) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, EG_EVLOG_COPY, 0);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "spool_seek.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "spool_dir.h"

static int file_size(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* As eg_spool_walk_next, from any offset of a file that is looked at as it is. */
static int first_from(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t offset, struct eg_spool_frame *ret)
{
	eg_spool_walk_begin(w, fd, epoch, offset);
	w->final = true;
	return eg_spool_walk_next(w, ret);
}

int eg_spool_seek(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t n, uint64_t *ret)
{
	uint64_t low = 0, high = 0, damaged = w->damaged;
	struct eg_spool_frame frame;
	int r = file_size(fd, &high);

	while (r >= 0 && low < high && high - low > EG_SPOOL_WALK_BUFFER) {
		uint64_t middle = low + (high - low) / 2;

		r = first_from(w, fd, epoch, middle, &frame);
		if (r == 1 && frame.n <= n)
			low = w->end - eg_spool_frame_size(&frame);
		else
			high = middle;
	}
	w->damaged = damaged;
	if (r < 0)
		return r;
	*ret = low;
	return 0;
}

int eg_spool_last(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t *ret)
{
	uint64_t size = 0, damaged = w->damaged;
	struct eg_spool_frame frame;
	int r = file_size(fd, &size);

	if (r < 0)
		return r;
	*ret = 0;
	/* The last frame begins in what is tried first, unless the end is damaged. */
	for (uint64_t back = EG_SPOOL_FRAME_MAX; *ret == 0; back = size) {
		uint64_t offset = back < size ? size - back : 0;

		for (r = first_from(w, fd, epoch, offset, &frame); r == 1; r = eg_spool_walk_next(w, &frame))
			*ret = frame.n;
		if (r < 0 || !offset)
			break;
	}
	w->damaged = damaged;
	return r;
}

/* Bytes of a segment before its record number n. */
static int bytes_before(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t n, uint64_t *ret)
{
	struct eg_spool_frame frame;
	uint64_t offset;
	int r = eg_spool_seek(w, fd, epoch, n, &offset);

	if (r < 0)
		return r;
	*ret = offset;
	for (r = first_from(w, fd, epoch, offset, &frame); r == 1 && frame.n < n; r = eg_spool_walk_next(w, &frame))
		*ret = w->end;
	return r < 0 ? r : 0;
}

/* Adds what segment s has from place `from` on; next: the one after it, or NULL. */
static int add_segment(int dirfd, struct eg_spool_walk *w, const struct eg_spool_segment *s,
		       const struct eg_spool_segment *next, const struct eg_spool_pos *from, uint64_t *events,
		       uint64_t *bytes)
{
	bool within = s->first.epoch == from->epoch && s->first.n < from->n;
	bool by_name = next && next->first.epoch == s->first.epoch;
	uint64_t first = within ? from->n : s->first.n, last, before = 0;
	char name[EG_SPOOL_NAME_LEN];
	EG_CLOSE int fd = -1;
	int r = 0;

	if (by_name && next->first.n <= first)
		return 0;
	eg_spool_segment_name(&s->first, name);
	if (within || !by_name)
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (within || !by_name))
		return errno == ENOENT ? 0 : -errno;
	last = by_name ? next->first.n - 1 : 0;
	if (!by_name)
		r = eg_spool_last(w, fd, s->first.epoch, &last);
	if (r == 0 && within)
		r = bytes_before(w, fd, s->first.epoch, first, &before);
	if (r < 0)
		return r;
	if (last >= first) {
		*events += last - first + 1;
		*bytes += s->bytes > before ? s->bytes - before : 0;
	}
	return 0;
}

int eg_spool_lag(int dirfd, const struct eg_spool_pos *from, uint64_t *ret_events, uint64_t *ret_bytes)
{
	EG_FREE struct eg_spool_segment *segments = NULL;
	uint64_t events = 0, bytes = 0;
	struct eg_spool_walk w;
	size_t count;
	int r;

	r = eg_spool_dir_scan(dirfd, EG_SPOOL_SUFFIX, &segments, &count);
	if (r < 0)
		return r;
	r = eg_spool_walk_init(&w);
	for (size_t i = 0; i < count && r == 0; i++)
		if (segments[i].first.epoch >= from->epoch)
			r = add_segment(dirfd, &w, &segments[i], i + 1 < count ? &segments[i + 1] : NULL, from,
					&events, &bytes);
	eg_spool_walk_destroy(&w);
	if (r < 0)
		return r;
	*ret_events = events;
	*ret_bytes = bytes;
	return 0;
}

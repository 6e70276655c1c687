// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. A reader is a place (the record to come) and a walk through the segment that holds
 * it. The walk's file stays open while its name is unlinked or taken over, so that it can be read to its end;
 * which segment comes then is asked of the directory. What is looked for there, and when:
 *
 * - At the end of what can be read: a segment after this one means that this one is complete; it is read
 *   once more, to its very end, before the next one is begun. If its name is another file's now, or gone,
 *   the place is looked for anew. Records before the place are dropped, so nothing comes twice.
 * - Before a jump in the numbers is believed: a segment that begins at or before the place has what is missing.
 *
 * A place in an epoch that the spool has not reached (its file `epoch` says so) is of another spool that was
 * here before: reading begins with the oldest record.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "spool_dir.h"
#include "spool_seek.h"
#include "spool_walk.h"

struct eg_spool_reader {
	char *dir;
	struct eg_spool_pos pos; /* of the next record, or before it */
	bool counting; /* a jump from pos is a loss: the place comes from a record or a cursor */
	int fd; /* -1: no segment */
	struct eg_spool_pos segment; /* its name */
	bool has_after; /* the segment after it is known; nothing can come between the two any more */
	struct eg_spool_pos after;
	struct eg_spool_walk walk;
};

EG_DEFINE_CLEANUP(reader, struct eg_spool_reader *, eg_spool_reader_free);

static void set_place(struct eg_spool_reader *reader, const struct eg_spool_pos *pos)
{
	reader->pos = pos ? *pos : (struct eg_spool_pos){0};
	reader->counting = reader->pos.epoch != 0;
	if (reader->counting && !reader->pos.n)
		reader->pos.n = 1; /* the first that there can be */
}

int eg_spool_reader_new(const char *dir, const struct eg_spool_pos *from, struct eg_spool_reader **ret)
{
	EG_CLEANUP(eg_cleanup_reader) struct eg_spool_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->fd = -1;
	set_place(reader, from);
	r = eg_spool_walk_init(&reader->walk);
	if (r < 0)
		return r;
	reader->dir = strdup(dir);
	if (!reader->dir)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(reader);
	return 0;
}

static void close_segment(struct eg_spool_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

void eg_spool_reader_free(struct eg_spool_reader *reader)
{
	if (!reader)
		return;
	close_segment(reader);
	eg_spool_walk_destroy(&reader->walk);
	free(reader->dir);
	free(reader);
}

/* -ENOENT: there is no spool yet. */
static int open_dir(const struct eg_spool_reader *reader)
{
	int fd = open(reader->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* 1: begins the segment of that name; 0: it is not there any more; -errno. */
static int enter(struct eg_spool_reader *reader, int dirfd, const struct eg_spool_pos *first)
{
	char name[EG_SPOOL_NAME_LEN];
	uint64_t offset = 0;
	int fd, r;

	eg_spool_segment_name(first, name);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (reader->pos.epoch == first->epoch && reader->pos.n > first->n) {
		r = eg_spool_seek(&reader->walk, fd, first->epoch, reader->pos.n, &offset);
		if (r < 0) {
			close(fd);
			return r;
		}
	}
	close_segment(reader);
	reader->fd = fd;
	reader->segment = *first;
	reader->has_after = false;
	eg_spool_walk_begin(&reader->walk, fd, first->epoch, offset);
	return 1;
}

/* A place that this spool never had: 1 if there was one, and it is forgotten. */
static int forget_other_spool(struct eg_spool_reader *reader, int dirfd)
{
	char boot[37];
	uint64_t epoch;

	if (!reader->pos.epoch || eg_spool_dir_epoch(dirfd, &epoch, boot) < 0 || epoch >= reader->pos.epoch)
		return 0;
	set_place(reader, NULL);
	return 1;
}

/* 1: a segment was entered that holds the place, or comes after it; 0: there is none yet; -errno. */
static int enter_any(struct eg_spool_reader *reader)
{
	EG_CLOSE int dirfd = open_dir(reader);
	struct eg_spool_around around;
	int r;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	do {
		r = eg_spool_dir_around(dirfd, &reader->pos, &around);
		if (r < 0)
			return r;
		if (around.has_before && around.before.epoch == reader->pos.epoch)
			r = enter(reader, dirfd, &around.before);
		else if (around.has_after)
			r = enter(reader, dirfd, &around.after);
		else
			return forget_other_spool(reader, dirfd) ? enter_any(reader) : 0;
	} while (r == 0); /* it went away in between */
	return r;
}

/* The name is another file's now, or nobody's: what we have open is not what the spool has any more. */
static bool is_outdated(const struct eg_spool_reader *reader, int dirfd)
{
	char name[EG_SPOOL_NAME_LEN];
	struct stat there, ours;

	eg_spool_segment_name(&reader->segment, name);
	if (fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return fstat(reader->fd, &ours) == 0 && (there.st_ino != ours.st_ino || there.st_dev != ours.st_dev);
}

/* What is left at the end of a complete segment is no record. */
static void count_rest(struct eg_spool_reader *reader)
{
	struct stat st;

	if (fstat(reader->fd, &st) < 0 || (uint64_t)st.st_size <= reader->walk.end)
		return;
	reader->walk.damaged += (uint64_t)st.st_size - reader->walk.end;
	reader->walk.end = (uint64_t)st.st_size;
}

/*
 * Nothing more can be read here now. 1: try again, in this segment or another; 0: nothing more anywhere.
 * A complete segment is walked to its end as such before it is left.
 */
static int leave_or_wait(struct eg_spool_reader *reader)
{
	EG_CLOSE int dirfd = open_dir(reader);
	struct eg_spool_around around;
	bool outdated;
	int r;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	r = eg_spool_dir_around(dirfd, &reader->segment, &around);
	if (r < 0)
		return r;
	outdated = is_outdated(reader, dirfd);
	if (outdated) {
		/* Its records may be in a segment of a lower number now: the place is looked for anew. */
		r = eg_spool_dir_around(dirfd, &reader->pos, &around);
		if (r < 0)
			return r;
		around.has_after = around.has_after ||
				   (around.has_before && around.before.epoch == reader->pos.epoch);
	}
	if (!around.has_after) {
		r = forget_other_spool(reader, dirfd);
		if (r)
			close_segment(reader);
		return r;
	}
	if (!reader->walk.final) {
		reader->walk.final = true;
		return 1;
	}
	count_rest(reader);
	if (outdated)
		close_segment(reader);
	else
		r = enter(reader, dirfd, &around.after);
	return r < 0 ? r : 1; /* went away in between: look again */
}

/* Another segment has what this one lacks: 1 if it was entered. */
static int enter_better(struct eg_spool_reader *reader)
{
	EG_CLOSE int dirfd = -1;
	struct eg_spool_around around;
	int r;

	if (reader->has_after && eg_spool_pos_compare(&reader->after, &reader->pos) > 0)
		return 0;
	dirfd = open_dir(reader);
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	if (is_outdated(reader, dirfd) && enter(reader, dirfd, &reader->segment) == 1)
		return 1;
	r = eg_spool_dir_around(dirfd, &reader->segment, &around);
	if (r < 0)
		return r;
	reader->has_after = around.has_after;
	reader->after = around.after;
	if (!around.has_after || eg_spool_pos_compare(&around.after, &reader->pos) > 0)
		return 0;
	return enter(reader, dirfd, &around.after);
}

/* The number that the record before the next one in this segment has, plus one. */
static uint64_t expected(const struct eg_spool_reader *reader)
{
	return reader->pos.epoch == reader->segment.epoch ? reader->pos.n : 1;
}

static void deliver(struct eg_spool_reader *reader, const struct eg_spool_frame *frame, struct eg_spool_record *ret)
{
	*ret = (struct eg_spool_record){
		.pos = {reader->segment.epoch, frame->n},
		.class = frame->class,
		.text = frame->text,
		.len = frame->len,
		.missed = reader->counting ? frame->n - expected(reader) : 0,
	};
	reader->pos = (struct eg_spool_pos){reader->segment.epoch, frame->n + 1};
	reader->counting = true;
}

int eg_spool_reader_next(struct eg_spool_reader *reader, struct eg_spool_record *ret)
{
	struct eg_spool_frame frame;
	int r;

	for (;;) {
		r = reader->fd < 0 ? enter_any(reader) : 1;
		if (r <= 0)
			return r;
		r = eg_spool_walk_next(&reader->walk, &frame);
		if (r <= 0) {
			int left = leave_or_wait(reader);

			if (left <= 0)
				return left < 0 ? left : r;
			continue;
		}
		if (frame.n < expected(reader))
			continue; /* had before, or not asked for */
		if (reader->counting && frame.n > expected(reader)) {
			r = enter_better(reader);
			if (r < 0)
				return r;
			if (r > 0)
				continue;
		}
		deliver(reader, &frame, ret);
		return 1;
	}
}

void eg_spool_reader_tell(const struct eg_spool_reader *reader, struct eg_spool_pos *ret)
{
	*ret = reader->pos;
}

int eg_spool_reader_seek(struct eg_spool_reader *reader, const struct eg_spool_pos *to)
{
	close_segment(reader);
	set_place(reader, to);
	return 0;
}

uint64_t eg_spool_reader_damaged(const struct eg_spool_reader *reader)
{
	return reader->walk.damaged;
}

int eg_spool_reader_lag(struct eg_spool_reader *reader, const struct eg_spool_pos *from, uint64_t *ret_events,
			uint64_t *ret_bytes)
{
	EG_CLOSE int dirfd = open_dir(reader);

	*ret_events = *ret_bytes = 0;
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	return eg_spool_lag(dirfd, from, ret_events, ret_bytes);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * evlog_again.c - after an error of fdatasync
 *
 * What it may have lost becomes a segment of its own, from the first number that is not known to be on the
 * disk on. It is on the disk before it gets its name. Readers that had some of it drop that; those that come
 * later find the new segment before what is left of the old ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_impl.h"

/* A file with what is pending, on the disk: fd or -errno. */
static int write_pending(const struct eg_evlog *log, const struct iovec pending[2])
{
	EG_CLOSE int fd = eg_evlog_create(log, log->dirfd, EG_EVLOG_NEW);
	int r;

	if (fd < 0)
		return fd;
	r = eg_evlog_write(log, fd, pending[0].iov_base, pending[0].iov_len, 0);
	if (r == 0)
		r = eg_evlog_write(log, fd, pending[1].iov_base, pending[1].iov_len, pending[0].iov_len);
	if (r < 0)
		return r;
	return log->io->fdatasync(fd) < 0 ? -errno : EG_TAKE_FD(fd);
}

/* Classes of what is pending: it is whole frames, in two pieces. */
static void count_pending(uint64_t epoch, const struct iovec pending[2], uint64_t records[EG_SPOOL_CLASS_COUNT_])
{
	EG_FREE char *all = malloc(pending[0].iov_len + pending[1].iov_len + 1);
	size_t len = pending[0].iov_len + pending[1].iov_len, at = 0;
	struct eg_spool_frame frame;

	if (!all)
		return;
	memcpy(all, pending[0].iov_base, pending[0].iov_len);
	memcpy(all + pending[0].iov_len, pending[1].iov_base, pending[1].iov_len);
	while (at < len && eg_spool_frame_decode(all + at, len - at, epoch, &frame) == 1) {
		records[frame.class]++;
		at += eg_spool_frame_size(&frame);
	}
}

/* Takes the newest segment from the list if it begins at `first` or after it. */
static bool take_newest(struct eg_evlog *log, const struct eg_spool_pos *first, struct eg_evlog_segment *ret)
{
	bool taken = false;

	pthread_mutex_lock(&log->lock);
	if (log->count && eg_spool_pos_compare(&log->segments[log->count - 1].first, first) >= 0) {
		*ret = log->segments[--log->count];
		log->stats.bytes -= ret->bytes;
		taken = true;
	} else if (log->count && log->segments[log->count - 1].first.epoch == first->epoch) {
		log->segments[log->count - 1].end = first->n;
	}
	pthread_mutex_unlock(&log->lock);
	return taken;
}

/* Segments that begin at `first`, whose name is the new one's already, or after it are in the new one: they go. */
static void drop_from(struct eg_evlog *log, const struct eg_spool_pos *first)
{
	struct eg_evlog_segment old;
	char name[EG_SPOOL_NAME_LEN];

	while (take_newest(log, first, &old)) {
		eg_evlog_name(&old, name);
		if (eg_spool_pos_compare(&old.first, first) > 0)
			unlinkat(log->dirfd, name, 0);
	}
}

int eg_evlog_write_again(struct eg_evlog *log)
{
	struct eg_evlog_segment new = {.first = log->next, .end = log->next.n, .counted = true};
	char name[EG_SPOOL_NAME_LEN];
	EG_CLOSE int fd = -1;
	struct iovec pending[2];
	int r;

	if (eg_sync_failed(log->sync, pending, &new.first.n) == 0)
		return 0;
	fd = write_pending(log, pending);
	if (fd < 0)
		return fd;
	new.bytes = pending[0].iov_len + pending[1].iov_len;
	count_pending(new.first.epoch, pending, new.records);
	eg_evlog_name(&new, name);
	if (renameat(log->dirfd, EG_EVLOG_NEW, log->dirfd, name) < 0 || log->io->fdatasync(log->dirfd) < 0)
		return -errno;
	drop_from(log, &new.first);
	r = eg_evlog_add_newest(log, &new, EG_TAKE_FD(fd));
	if (r < 0)
		return r;
	pthread_mutex_lock(&log->lock);
	log->stats.bytes += new.bytes;
	pthread_mutex_unlock(&log->lock);
	eg_sync_restart(log->sync, new.end);
	return 0;
}

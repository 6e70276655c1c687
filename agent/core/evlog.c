// SPDX-License-Identifier: Apache-2.0
#include "evlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_impl.h"

#define DAY_NS      (86400ull * 1000000000)
#define SEGMENT_MIN 65536u
#define ROOM_MS     1000u

static const struct eg_evlog_io real_io = {.pwrite = pwrite, .fdatasync = fdatasync};

EG_DEFINE_CLEANUP(evlog, struct eg_evlog *, eg_evlog_free);

int eg_evlog_new(const struct eg_evlog_config *config, struct eg_evlog **ret)
{
	EG_CLEANUP(eg_cleanup_evlog) struct eg_evlog *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return -ENOMEM;
	log->dirfd = log->fd = -1;
	pthread_mutex_init(&log->lock, NULL);
	log->gid = config->gid;
	log->io = config->io ? config->io : &real_io;
	log->quota_bytes = config->quota_bytes ? config->quota_bytes : 1ull << 30;
	log->segment_bytes = config->segment_bytes ? config->segment_bytes : 64ull << 20;
	if (log->segment_bytes > log->quota_bytes / 4)
		log->segment_bytes = log->quota_bytes / 4;
	if (log->segment_bytes < SEGMENT_MIN)
		log->segment_bytes = SEGMENT_MIN;
	log->dir = strdup(config->dir);
	if (!log->dir)
		return -ENOMEM;
	r = eg_sync_new(log->io, eg_evlog_evict, log, &log->sync);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(log);
	return 0;
}

/* What is pending is of files that are gone: nothing of it is written again. */
static void close_log(struct eg_evlog *log)
{
	pthread_mutex_lock(&log->lock);
	if (log->fd >= 0)
		close(log->fd);
	if (log->dirfd >= 0)
		close(log->dirfd);
	log->fd = log->dirfd = -1;
	free(EG_TAKE_PTR(log->segments));
	log->count = 0;
	log->stats.bytes = 0;
	pthread_mutex_unlock(&log->lock);
	eg_sync_restart(log->sync, 0);
}

void eg_evlog_free(struct eg_evlog *log)
{
	if (!log)
		return;
	eg_sync_free(log->sync); /* not taken out before: until it has ended, its thread may be in eg_evlog_evict */
	if (log->fd >= 0)
		close(log->fd);
	if (log->dirfd >= 0)
		close(log->dirfd);
	free(log->segments);
	free(log->dir);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

int eg_evlog_write(const struct eg_evlog *log, int fd, const void *from, size_t len, uint64_t offset)
{
	const char *p = from;

	while (len) {
		ssize_t n = log->io->pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int eg_evlog_create(const struct eg_evlog *log, int dirfd, const char *name)
{
	EG_CLOSE int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (log->gid != (gid_t)-1 && (fchown(fd, (uid_t)-1, log->gid) < 0 || fchmod(fd, 0640) < 0))
		return -errno;
	return EG_TAKE_FD(fd);
}

int eg_evlog_add_newest(struct eg_evlog *log, const struct eg_evlog_segment *new, int fd)
{
	struct eg_evlog_segment *grown;
	int old = fd, r = 0;

	pthread_mutex_lock(&log->lock);
	grown = reallocarray(log->segments, log->count + 1, sizeof(*grown));
	if (grown) {
		grown[log->count++] = *new;
		log->segments = grown;
		old = log->fd;
		log->fd = fd;
	} else {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&log->lock);
	if (old >= 0)
		close(old);
	return r;
}

/* A copy: the place of each in the list changes when others are evicted. False: there is none of this epoch yet. */
static bool get_newest(struct eg_evlog *log, struct eg_evlog_segment *ret)
{
	bool any;

	pthread_mutex_lock(&log->lock);
	any = log->fd >= 0 && log->count;
	if (any)
		*ret = log->segments[log->count - 1];
	pthread_mutex_unlock(&log->lock);
	return any;
}

/* Nothing is appended to the newest segment any more: no part of a failed batch may stay behind. */
static int seal(struct eg_evlog *log)
{
	struct eg_evlog_segment newest;

	return get_newest(log, &newest) && ftruncate(log->fd, (off_t)newest.bytes) < 0 ? -errno : 0;
}

static bool exists(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A new, empty segment becomes the newest. -ESTALE: somebody else made it. */
static int rotate(struct eg_evlog *log, uint64_t utc_ns)
{
	struct eg_evlog_segment new = {.first = log->next, .end = log->next.n, .counted = true};
	char name[EG_SPOOL_NAME_LEN];
	int fd, r;

	r = seal(log);
	if (r < 0)
		return r;
	eg_evlog_name(&new, name);
	if (exists(log->dirfd, name))
		return -ESTALE;
	fd = eg_evlog_create(log, log->dirfd, name);
	if (fd < 0)
		return fd;
	r = eg_evlog_add_newest(log, &new, fd);
	if (r < 0) {
		unlinkat(log->dirfd, name, 0);
		return r;
	}
	log->day = utc_ns / DAY_NS;
	return 0;
}

static uint64_t count_of(const struct eg_evlog_batch *batch)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++)
		count += batch->records[i];
	return count;
}

/* The batch is in the newest segment, which begins at `first`; -errno: it can't be synced, and is not written. */
static int account(struct eg_evlog *log, const struct eg_evlog_batch *batch, uint64_t first)
{
	struct eg_sync_piece piece = {
		.dirfd = log->dirfd, .fd = log->fd, .file = first, .bytes = batch->frames, .len = batch->len,
		.next = log->next.n + count_of(batch), .urgent = batch->records[EG_SPOOL_VITAL] > 0,
	};
	struct eg_evlog_segment *newest;
	bool full;
	int r;

	r = eg_sync_add(log->sync, &piece);
	if (r < 0)
		return r;
	pthread_mutex_lock(&log->lock);
	newest = &log->segments[log->count - 1];
	newest->bytes += batch->len;
	newest->end = log->next.n = piece.next;
	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++)
		newest->records[i] += batch->records[i];
	log->stats.bytes += batch->len;
	full = log->stats.bytes > log->quota_bytes;
	pthread_mutex_unlock(&log->lock);
	if (full)
		eg_sync_poke(log->sync);
	return 0;
}

int eg_evlog_append(struct eg_evlog *log, const struct eg_evlog_batch *batch, uint64_t utc_ns)
{
	struct eg_evlog_segment newest;
	int r;

	if (log->dirfd < 0)
		return -EBADF;
	r = eg_sync_room(log->sync, batch->len, ROOM_MS);
	if (r < 0)
		return r;
	if (!get_newest(log, &newest) || (newest.bytes && (newest.bytes + batch->len > log->segment_bytes ||
							  utc_ns / DAY_NS != log->day))) {
		r = rotate(log, utc_ns);
		if (r == -ESTALE)
			close_log(log);
		if (r < 0)
			return r;
		newest = (struct eg_evlog_segment){.first = log->next};
	}
	r = eg_evlog_write(log, log->fd, batch->frames, batch->len, newest.bytes);
	return r < 0 ? r : account(log, batch, newest.first.n);
}

int eg_evlog_open(struct eg_evlog *log, uint64_t utc_ns)
{
	struct stat newest;
	int r;

	if (log->dirfd >= 0)
		return eg_evlog_write_again(log);
	r = eg_evlog_recover(log, utc_ns);
	if (r < 0)
		return r;
	eg_sync_restart(log->sync, log->next.n);
	if (log->fd >= 0 && fstat(log->fd, &newest) == 0)
		log->day = (uint64_t)newest.st_mtim.tv_sec / 86400;
	if (log->stats.bytes > log->quota_bytes)
		eg_sync_poke(log->sync);
	return 0;
}

/* ---- The rest ------------------------------------------------------------------------ */

static bool is_same_file(int dirfd, const char *name, int flags, int fd)
{
	struct stat there, ours;

	return fstatat(dirfd, name, &there, flags) == 0 && fstat(fd, &ours) == 0 &&
	       there.st_ino == ours.st_ino && there.st_dev == ours.st_dev;
}

int eg_evlog_check(struct eg_evlog *log)
{
	struct eg_evlog_segment newest;
	char name[EG_SPOOL_NAME_LEN];
	bool same;

	if (log->dirfd < 0)
		return 0;
	same = is_same_file(AT_FDCWD, log->dir, 0, log->dirfd);
	if (same && get_newest(log, &newest)) {
		eg_evlog_name(&newest, name);
		same = is_same_file(log->dirfd, name, AT_SYMLINK_NOFOLLOW, log->fd);
	}
	if (same)
		return 0;
	close_log(log);
	return -ESTALE;
}

struct eg_spool_pos eg_evlog_number(struct eg_evlog *log)
{
	struct eg_spool_pos next;

	pthread_mutex_lock(&log->lock);
	next = log->next;
	pthread_mutex_unlock(&log->lock);
	return next;
}

int eg_evlog_flush(struct eg_evlog *log, unsigned timeout_ms)
{
	return eg_sync_wait(log->sync, timeout_ms);
}

void eg_evlog_hold(struct eg_evlog *log, unsigned timeout_ms)
{
	/* In vain when the disk stands still: then nothing is evicted either. */
	if (eg_sync_wait(log->sync, timeout_ms) == 0)
		eg_sync_hold(log->sync);
}

bool eg_evlog_take_gap(struct eg_evlog *log, struct eg_evlog_gap *ret)
{
	bool any;

	pthread_mutex_lock(&log->lock);
	any = log->gap.segments > 0;
	if (any)
		*ret = log->gap;
	log->gap = (struct eg_evlog_gap){0};
	pthread_mutex_unlock(&log->lock);
	return any;
}

bool eg_evlog_take_damage(struct eg_evlog *log, struct eg_evlog_damage *ret)
{
	bool any;

	pthread_mutex_lock(&log->lock);
	any = log->damage.torn_bytes || log->damage.bytes || log->damage.events;
	if (any)
		*ret = log->damage;
	log->damage = (struct eg_evlog_damage){0};
	pthread_mutex_unlock(&log->lock);
	return any;
}

void eg_evlog_stats(struct eg_evlog *log, struct eg_evlog_stats *ret)
{
	struct eg_sync_stats sync;

	eg_sync_stats(log->sync, &sync);
	pthread_mutex_lock(&log->lock);
	*ret = log->stats;
	ret->segments = (uint32_t)log->count;
	pthread_mutex_unlock(&log->lock);
	ret->sync_errors = sync.errors;
	ret->unsynced_bytes = sync.pending;
}

const char *eg_evlog_dir(const struct eg_evlog *log)
{
	return log->dir;
}

// SPDX-License-Identifier: Apache-2.0
#include "evlog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_disk.h"

#define DAY_NS            (86400ull * 1000000000)
#define SEGMENT_MIN       65536u
#define WRITEBACK_STEP    (8u << 20) /* start writing back this often, so that a rotation has little to wait for */

/*
 * The writer's thread alone changes anything; what readers see (all but dir, limits and
 * writeback) it changes under the lock, and it may read its own without.
 */
struct eg_evlog {
	char *dir;
	uint64_t quota_bytes;
	uint64_t segment_bytes;
	pthread_mutex_t lock;
	int dirfd; /* -1: closed */
	int fd; /* newest segment, segments[count - 1]; -1: none of this epoch yet */
	uint64_t epoch;
	uint64_t next; /* number of the next line */
	uint64_t day; /* in which the newest segment was begun */
	uint64_t writeback; /* bytes of the newest segment whose writing back was begun */
	struct eg_evlog_segment *segments; /* oldest first */
	size_t count;
	struct eg_evlog_gap gap; /* segments > 0: not taken yet */
	struct eg_evlog_stats stats;
};

EG_DEFINE_CLEANUP(evlog, struct eg_evlog *, eg_evlog_free);

int eg_evlog_new(const char *dir, uint64_t quota_bytes, uint64_t segment_bytes, struct eg_evlog **ret)
{
	EG_CLEANUP(eg_cleanup_evlog) struct eg_evlog *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->dirfd = log->fd = -1;
	pthread_mutex_init(&log->lock, NULL);
	log->quota_bytes = quota_bytes ? quota_bytes : 1ull << 30;
	log->segment_bytes = segment_bytes ? segment_bytes : 64ull << 20;
	if (log->segment_bytes > log->quota_bytes / 4)
		log->segment_bytes = log->quota_bytes / 4;
	if (log->segment_bytes < SEGMENT_MIN)
		log->segment_bytes = SEGMENT_MIN;
	log->dir = strdup(dir);
	if (!log->dir)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(log);
	return 0;
}

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
}

void eg_evlog_free(struct eg_evlog *log)
{
	if (!log)
		return;
	eg_evlog_flush(log);
	close_log(log);
	free(log->dir);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

/* Takes the oldest segment out of the directory and the list; it is not the newest. */
static void evict_oldest(struct eg_evlog *log)
{
	struct eg_evlog_segment old = log->segments[0], then = log->segments[1];
	struct eg_evlog_gap *gap = &log->gap;
	char name[EG_EVLOG_NAME_LEN];
	uint64_t events = 0;

	if (old.key.epoch == then.key.epoch)
		events = then.key.first - old.key.first;
	else
		eg_evlog_count_lines(log->dirfd, &old.key, &events);
	eg_evlog_name(&old.key, name);
	/* One that can't be deleted is passed over: the quota must not make the writer spin. */
	unlinkat(log->dirfd, name, 0);
	pthread_mutex_lock(&log->lock);
	memmove(log->segments, log->segments + 1, --log->count * sizeof(*log->segments));
	log->stats.bytes -= old.bytes;
	log->stats.evicted_bytes += old.bytes;
	log->stats.evicted_events += events;
	if (!gap->segments++)
		gap->first = old.key;
	gap->last = old.key;
	gap->last.first += events ? events - 1 : 0;
	gap->bytes += old.bytes;
	gap->events += events;
	pthread_mutex_unlock(&log->lock);
}

static void keep_quota(struct eg_evlog *log)
{
	while (log->stats.bytes > log->quota_bytes && log->count > 1)
		evict_oldest(log);
}

/* Goes on in the newest segment if it is of this boot and whole; else -errno, and nothing changed. */
static int resume(struct eg_evlog *log, int dirfd, struct eg_evlog_segment *newest)
{
	char name[EG_EVLOG_NAME_LEN];
	uint64_t epoch, lines;
	struct stat st;
	int fd, r;

	r = eg_evlog_epoch_load(dirfd, &epoch);
	if (r < 0)
		return r;
	if (epoch != newest->key.epoch)
		return -ESTALE;
	r = eg_evlog_count_lines(dirfd, &newest->key, &lines);
	if (r < 0)
		return r;
	eg_evlog_name(&newest->key, name);
	fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	log->fd = fd;
	log->epoch = epoch;
	log->next = newest->key.first + lines;
	log->day = (uint64_t)st.st_mtim.tv_sec / 86400;
	log->writeback = newest->bytes;
	return 0;
}

static int begin_epoch(struct eg_evlog *log, int dirfd, const struct eg_evlog_segment *newest, uint64_t utc_ns)
{
	uint64_t epoch = utc_ns / 1000000000u;
	int r;

	/* The clock may have been turned back, or an epoch end within a second. */
	if (newest && epoch <= newest->key.epoch)
		epoch = newest->key.epoch + 1;
	if (epoch <= log->epoch)
		epoch = log->epoch + 1;
	r = eg_evlog_epoch_store(dirfd, epoch);
	if (r < 0)
		return r;
	log->epoch = epoch;
	log->next = 1;
	return 0;
}

int eg_evlog_open(struct eg_evlog *log, uint64_t utc_ns)
{
	EG_FREE struct eg_evlog_segment *segments = NULL;
	struct eg_evlog_segment *newest;
	EG_CLOSE int dirfd = -1;
	uint64_t torn = 0, total = 0;
	size_t count;
	int r;

	if (log->dirfd >= 0)
		return 0;
	dirfd = eg_evlog_open_dir(log->dir);
	if (dirfd < 0)
		return dirfd;
	r = eg_evlog_scan(dirfd, &segments, &count);
	if (r < 0)
		return r;
	newest = count ? &segments[count - 1] : NULL;
	/*
	 * One that can't be mended is left as it is, and a new epoch begun behind it. So it is when
	 * this log was open before: lines were taken from it, and their numbers may not come again.
	 */
	r = newest ? eg_evlog_mend(dirfd, &newest->key, &newest->bytes, &torn) : -ENOENT;
	if (r < 0 || log->epoch || resume(log, dirfd, newest) < 0) {
		r = begin_epoch(log, dirfd, newest, utc_ns);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < count; i++)
		total += segments[i].bytes;
	pthread_mutex_lock(&log->lock);
	log->segments = EG_TAKE_PTR(segments);
	log->count = count;
	log->stats.bytes = total;
	log->stats.torn_bytes += torn;
	log->dirfd = EG_TAKE_FD(dirfd);
	pthread_mutex_unlock(&log->lock);
	keep_quota(log);
	return 0;
}

struct eg_evlog_key eg_evlog_number(struct eg_evlog *log)
{
	return (struct eg_evlog_key){log->epoch, log->next};
}

/* Nothing is appended to the newest segment any more: no part of a failed batch may stay behind. */
static int seal(struct eg_evlog *log)
{
	if (log->fd >= 0 && ftruncate(log->fd, (off_t)log->segments[log->count - 1].bytes) < 0)
		return -errno;
	return eg_evlog_flush(log);
}

/* A new, empty segment becomes the newest. -ESTALE: somebody else made it. */
static int rotate(struct eg_evlog *log, uint64_t utc_ns)
{
	struct eg_evlog_segment new = {.key = {log->epoch, log->next}};
	struct eg_evlog_segment *grown;
	char name[EG_EVLOG_NAME_LEN];
	int fd, old, r;

	r = seal(log);
	if (r < 0)
		return r;
	eg_evlog_name(&new.key, name);
	fd = openat(log->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? -ESTALE : -errno;
	pthread_mutex_lock(&log->lock);
	grown = reallocarray(log->segments, log->count + 1, sizeof(*grown));
	if (!grown) {
		pthread_mutex_unlock(&log->lock);
		unlinkat(log->dirfd, name, 0);
		close(fd);
		return -ENOMEM;
	}
	grown[log->count++] = new;
	log->segments = grown;
	old = log->fd;
	log->fd = fd;
	pthread_mutex_unlock(&log->lock);
	if (old >= 0)
		close(old);
	log->day = utc_ns / DAY_NS;
	log->writeback = 0;
	return 0;
}

static int write_all(int fd, const char *from, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		from += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int eg_evlog_append(struct eg_evlog *log, const char *lines, size_t len, uint64_t count, uint64_t utc_ns)
{
	struct eg_evlog_segment *newest;
	int r;

	if (log->dirfd < 0)
		return -EBADF;
	newest = log->fd >= 0 ? &log->segments[log->count - 1] : NULL;
	if (!newest || (newest->bytes && (newest->bytes + len > log->segment_bytes || utc_ns / DAY_NS != log->day))) {
		r = rotate(log, utc_ns);
		if (r == -ESTALE)
			close_log(log);
		if (r < 0)
			return r;
		newest = &log->segments[log->count - 1];
	}
	r = write_all(log->fd, lines, len, newest->bytes);
	if (r < 0)
		return r;
	pthread_mutex_lock(&log->lock);
	newest->bytes += len;
	log->stats.bytes += len;
	log->next += count;
	pthread_mutex_unlock(&log->lock);
	if (newest->bytes - log->writeback >= WRITEBACK_STEP) {
		/* Advice: what fails here fails again at the flush, and is told there. */
		sync_file_range(log->fd, (off_t)log->writeback, 0, SYNC_FILE_RANGE_WRITE);
		log->writeback = newest->bytes;
	}
	keep_quota(log);
	return 0;
}

static bool is_same_file(int dirfd, const char *name, int fd)
{
	struct stat there, ours;

	return fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &ours) == 0 &&
	       there.st_ino == ours.st_ino && there.st_dev == ours.st_dev;
}

int eg_evlog_check(struct eg_evlog *log)
{
	char name[EG_EVLOG_NAME_LEN];
	struct stat there, ours;
	bool same;

	if (log->dirfd < 0)
		return 0;
	same = stat(log->dir, &there) == 0 && fstat(log->dirfd, &ours) == 0 && there.st_ino == ours.st_ino &&
	       there.st_dev == ours.st_dev;
	if (same && log->fd >= 0) {
		eg_evlog_name(&log->segments[log->count - 1].key, name);
		same = is_same_file(log->dirfd, name, log->fd);
	}
	if (same)
		return 0;
	close_log(log);
	return -ESTALE;
}

int eg_evlog_flush(struct eg_evlog *log)
{
	if (log->fd >= 0 && fdatasync(log->fd) < 0)
		return -errno;
	return 0;
}

bool eg_evlog_take_gap(struct eg_evlog *log, struct eg_evlog_gap *ret)
{
	if (!log->gap.segments)
		return false;
	*ret = log->gap;
	log->gap = (struct eg_evlog_gap){0};
	return true;
}

void eg_evlog_stats(struct eg_evlog *log, struct eg_evlog_stats *ret)
{
	pthread_mutex_lock(&log->lock);
	*ret = log->stats;
	ret->segments = (uint32_t)log->count;
	pthread_mutex_unlock(&log->lock);
}

void eg_evlog_look(struct eg_evlog *log, const struct eg_evlog_key *key, struct eg_evlog_view *ret)
{
	*ret = (struct eg_evlog_view){0};
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < log->count; i++) {
		const struct eg_evlog_segment *s = &log->segments[i];
		int order = eg_evlog_key_compare(&s->key, key);

		if (order < 0) {
			ret->has_previous = true;
			ret->previous = s->key;
		} else if (order == 0) {
			ret->found = true;
			ret->bytes = s->bytes;
		} else {
			ret->has_next = true;
			ret->next = s->key;
			break;
		}
	}
	pthread_mutex_unlock(&log->lock);
}

bool eg_evlog_end(struct eg_evlog *log, struct eg_evlog_key *ret, uint64_t *ret_bytes)
{
	bool any;

	pthread_mutex_lock(&log->lock);
	any = log->count > 0;
	if (any) {
		*ret = log->segments[log->count - 1].key;
		*ret_bytes = log->segments[log->count - 1].bytes;
	}
	pthread_mutex_unlock(&log->lock);
	return any;
}

int eg_evlog_open_segment(struct eg_evlog *log, const struct eg_evlog_key *key)
{
	char name[EG_EVLOG_NAME_LEN];
	int fd, r;

	eg_evlog_name(key, name);
	pthread_mutex_lock(&log->lock);
	fd = log->dirfd < 0 ? -1 : openat(log->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = fd >= 0 ? fd : log->dirfd < 0 ? -ENOENT : -errno;
	pthread_mutex_unlock(&log->lock);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "evlog_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define SYNC_BYTES (1u << 20)
#define SYNC_NS    1000000000ull
#define FILES_MAX  64u

struct file {
	uint64_t id;
	int fd, dirfd; /* our own; dirfd -1: its name is on disk */
	uint64_t end; /* bytes added up to its last one */
	uint64_t next; /* number after its last record */
};

struct eg_sync {
	const struct eg_evlog_io *io;
	bool (*evict)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool started;
	char *ring; /* EG_SYNC_PENDING */

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t work, progress;
	bool stopping, held, urgent, poked, syncing, evicting;
	uint64_t generation; /* of restarts */
	uint64_t added, synced; /* bytes */
	uint64_t durable; /* number */
	uint64_t since_ns; /* when the oldest pending bytes were added */
	struct file files[FILES_MAX];
	unsigned count;
	int error;
	uint64_t errors;
};

EG_DEFINE_CLEANUP(sync, struct eg_sync *, eg_sync_free);

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void close_file(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->dirfd >= 0)
		close(file->dirfd);
}

static bool has_pending(const struct eg_sync *s)
{
	return s->added > s->synced && !s->error;
}

static bool must_sync(const struct eg_sync *s)
{
	return has_pending(s) && (s->urgent || s->stopping || s->count > 1 || s->added - s->synced >= SYNC_BYTES ||
				  now_ns() >= s->since_ns + SYNC_NS);
}

/* With the lock held, which is free while the disk is waited for. */
static void sync_first(struct eg_sync *s)
{
	struct file file = s->files[0];
	uint64_t generation = s->generation;
	int r = 0;

	s->syncing = true;
	s->urgent = s->count > 1 && s->urgent;
	pthread_mutex_unlock(&s->lock);
	if (s->io->fdatasync(file.fd) < 0 || (file.dirfd >= 0 && s->io->fdatasync(file.dirfd) < 0))
		r = -errno;
	pthread_mutex_lock(&s->lock);
	s->syncing = false;
	if (generation != s->generation) {
		close_file(&file); /* a restart left it to us */
	} else if (r < 0) {
		s->error = r;
		s->errors++;
	} else {
		s->synced = file.end;
		s->durable = file.next;
		s->poked = true; /* what could not go before it was on the disk may now */
		s->since_ns = now_ns();
		if (file.dirfd >= 0)
			close(file.dirfd);
		s->files[0].dirfd = -1;
		if (s->count > 1 && s->files[0].end == file.end) {
			close_file(&s->files[0]);
			memmove(s->files, s->files + 1, --s->count * sizeof(*s->files));
		}
	}
	pthread_cond_broadcast(&s->progress);
}

static void evict(struct eg_sync *s)
{
	bool more;

	s->poked = false;
	s->evicting = true;
	pthread_mutex_unlock(&s->lock);
	more = s->evict(s->ctx);
	pthread_mutex_lock(&s->lock);
	s->evicting = false;
	s->poked = s->poked || more;
	pthread_cond_broadcast(&s->progress);
}

static void *sync_main(void *arg)
{
	struct eg_sync *s = arg;

	pthread_setname_np(pthread_self(), "egret-disk");
	pthread_mutex_lock(&s->lock);
	for (;;) {
		/* In turns: neither may starve the other. */
		if (s->poked && !s->held && !s->stopping)
			evict(s);
		if (must_sync(s)) {
			sync_first(s);
		} else if (s->stopping) {
			break;
		} else if (s->poked && !s->held) {
			continue;
		} else if (has_pending(s)) {
			struct timespec until = time_of(s->since_ns + SYNC_NS);

			pthread_cond_timedwait(&s->work, &s->lock, &until);
		} else {
			pthread_cond_wait(&s->work, &s->lock);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int eg_sync_new(const struct eg_evlog_io *io, bool (*evict_one)(void *ctx), void *ctx, struct eg_sync **ret)
{
	EG_CLEANUP(eg_cleanup_sync) struct eg_sync *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int r;

	if (!s)
		return -ENOMEM;
	s->io = io;
	s->evict = evict_one;
	s->ctx = ctx;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &attr);
	pthread_cond_init(&s->progress, &attr);
	pthread_condattr_destroy(&attr);
	s->ring = malloc(EG_SYNC_PENDING);
	if (!s->ring)
		return -ENOMEM;
	r = -pthread_create(&s->thread, NULL, sync_main, s);
	if (r < 0)
		return r;
	s->started = true;
	*ret = EG_TAKE_PTR(s);
	return 0;
}

void eg_sync_free(struct eg_sync *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stopping = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	for (unsigned i = 0; i < s->count; i++)
		close_file(&s->files[i]);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->progress);
	pthread_mutex_destroy(&s->lock);
	free(s->ring);
	free(s);
}

int eg_sync_room(struct eg_sync *s, size_t len, unsigned timeout_ms)
{
	struct timespec until = time_of(now_ns() + timeout_ms * 1000000ull);
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->error && r == 0 &&
	       (s->added - s->synced + len > EG_SYNC_PENDING || s->count == FILES_MAX)) {
		s->urgent = true;
		pthread_cond_signal(&s->work);
		r = pthread_cond_timedwait(&s->progress, &s->lock, &until);
	}
	r = s->error ? s->error : r ? -ETIME : 0;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int add_file(struct eg_sync *s, const struct eg_sync_piece *piece)
{
	struct file file = {.id = piece->file, .fd = fcntl(piece->fd, F_DUPFD_CLOEXEC, 0), .dirfd = -1};

	if (file.fd < 0)
		return -errno;
	/* A description of its own: the log's has the lock, which is gone when the log is closed. */
	file.dirfd = openat(piece->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file.dirfd < 0) {
		int r = -errno;

		close(file.fd);
		return r;
	}
	s->files[s->count++] = file;
	return 0;
}

static void copy_to_ring(struct eg_sync *s, const char *bytes, size_t len)
{
	size_t at = s->added % EG_SYNC_PENDING, first = EG_SYNC_PENDING - at;

	if (first > len)
		first = len;
	memcpy(s->ring + at, bytes, first);
	memcpy(s->ring, bytes + first, len - first);
}

int eg_sync_add(struct eg_sync *s, const struct eg_sync_piece *piece)
{
	struct file *file;
	int r = 0;

	/* Nobody else adds, and what is free in the ring is not read: the copy needs no lock. */
	copy_to_ring(s, piece->bytes, piece->len);
	pthread_mutex_lock(&s->lock);
	if (!s->count || s->files[s->count - 1].id != piece->file)
		r = add_file(s, piece);
	if (r == 0) {
		if (s->added == s->synced)
			s->since_ns = now_ns();
		file = &s->files[s->count - 1];
		s->added += piece->len;
		file->end = s->added;
		file->next = piece->next;
		s->urgent = s->urgent || piece->urgent;
		if (must_sync(s) || s->added - s->synced == piece->len)
			pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int eg_sync_failed(struct eg_sync *s, struct iovec ret[2], uint64_t *ret_first)
{
	size_t at, len, first;
	int r;

	pthread_mutex_lock(&s->lock);
	r = s->error;
	at = s->synced % EG_SYNC_PENDING;
	len = (size_t)(s->added - s->synced);
	*ret_first = s->durable;
	pthread_mutex_unlock(&s->lock);
	first = EG_SYNC_PENDING - at < len ? EG_SYNC_PENDING - at : len;
	ret[0] = (struct iovec){s->ring + at, first};
	ret[1] = (struct iovec){s->ring, len - first};
	return r;
}

void eg_sync_restart(struct eg_sync *s, uint64_t next)
{
	pthread_mutex_lock(&s->lock);
	/* The one that is being synced is closed by who does it. */
	for (unsigned i = s->syncing; i < s->count; i++)
		close_file(&s->files[i]);
	s->count = 0;
	s->generation++;
	s->synced = s->added;
	s->durable = next;
	s->error = 0;
	pthread_mutex_unlock(&s->lock);
}

uint64_t eg_sync_durable(struct eg_sync *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->durable;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void eg_sync_poke(struct eg_sync *s)
{
	pthread_mutex_lock(&s->lock);
	s->poked = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void eg_sync_hold(struct eg_sync *s)
{
	pthread_mutex_lock(&s->lock);
	s->held = true;
	while (s->evicting)
		pthread_cond_wait(&s->progress, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

int eg_sync_wait(struct eg_sync *s, unsigned timeout_ms)
{
	struct timespec until = time_of(now_ns() + timeout_ms * 1000000ull);
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->error && r == 0 && (s->added > s->synced || (s->poked && !s->held) || s->evicting)) {
		s->urgent = true;
		pthread_cond_signal(&s->work);
		r = pthread_cond_timedwait(&s->progress, &s->lock, &until);
	}
	r = s->error ? s->error : -r;
	pthread_mutex_unlock(&s->lock);
	return r;
}

void eg_sync_stats(struct eg_sync *s, struct eg_sync_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = (struct eg_sync_stats){s->added - s->synced, s->errors};
	pthread_mutex_unlock(&s->lock);
}

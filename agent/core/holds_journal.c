// SPDX-License-Identifier: Apache-2.0
#include "holds_journal.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../lib/chmod.h"
#include "../lib/cleanup.h"
#include "../lib/slurp.h"

#define COMPACT_MIN_BYTES (256 * 1024) /* a smaller file isn't worth it */
#define COMPACT_FACTOR    4 /* times the size after the last compaction */
#define RETRY_MIN_MS      100
#define RETRY_MAX_MS      5000

struct eg_journal {
	struct eg_journal_ops ops;
	char *dir;
	char *name;
	pthread_t thread;
	bool started;
	/* of the writer alone, once it runs */
	int fd;
	size_t size;
	size_t compacted_size;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the writer: something to do */
	pthread_cond_t written; /* waiters: done has grown */
	bool ended; /* the writer is done for good */
	char *queue;
	size_t queue_len;
	size_t queue_room;
	uint64_t last; /* ticket of the latest append */
	uint64_t done; /* all up to this one are durable */
	bool rewrite; /* the file can't be appended to: write a new one */
	bool stop;
	struct eg_journal_stats stats;
};

static struct timespec deadline_in(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/* ---- The writer ---------------------------------------------------------------------- */

/* Somebody removed or replaced the file: what we append would be lost with it. */
static bool still_ours(const struct eg_journal *j)
{
	char path[PATH_MAX];
	struct stat by_path, by_fd;

	snprintf(path, sizeof(path), "%s/%s", j->dir, j->name);
	return stat(path, &by_path) == 0 && fstat(j->fd, &by_fd) == 0 && by_path.st_dev == by_fd.st_dev &&
	       by_path.st_ino == by_fd.st_ino && by_fd.st_size == (off_t)j->size;
}

static int append(struct eg_journal *j, const char *text, size_t len)
{
	int r;

	if (j->fd < 0 || !still_ours(j))
		return -ESTALE;
	r = eg_write_all(j->fd, text, len);
	if (r == 0 && fdatasync(j->fd))
		r = -errno;
	if (r == 0)
		j->size += len;
	return r;
}

/* Puts a new file, with everything, in the place of the old one. */
static int replace(struct eg_journal *j, const char *text, size_t len)
{
	EG_CLOSE int dir = -1, fd = -1;
	char new_name[NAME_MAX + 1];
	int r;

	snprintf(new_name, sizeof(new_name), "%s.new", j->name);
	if (mkdir(j->dir, 0700) && errno != EEXIST)
		return -errno;
	dir = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = eg_write_all(fd, text, len);
	if (r == 0 && (fsync(fd) || renameat(dir, new_name, dir, j->name) || fsync(dir)))
		r = -errno;
	if (r) {
		unlinkat(dir, new_name, 0); /* gives the space back, it may be what is missing */
		return r;
	}
	if (j->fd >= 0)
		close(j->fd);
	j->fd = EG_TAKE_FD(fd);
	j->size = j->compacted_size = len;
	return 0;
}

static int rewrite(struct eg_journal *j, uint64_t *ret_upto)
{
	EG_FREE char *text = NULL;
	size_t len = 0;
	int r = j->ops.snapshot(j->ops.ctx, &text, &len, ret_upto);

	return r ? r : replace(j, text, len);
}

static bool worth_compacting(const struct eg_journal *j)
{
	return j->size > COMPACT_MIN_BYTES && j->size > COMPACT_FACTOR * j->compacted_size;
}

/* Called with the lock, gives it back while it writes. */
static int write_pending(struct eg_journal *j)
{
	EG_FREE char *text = EG_TAKE_PTR(j->queue);
	uint64_t upto = j->last, covered;
	size_t len = j->queue_len;
	bool anew = j->rewrite;
	int r = -ESTALE;

	j->queue_len = j->queue_room = 0;
	j->rewrite = false;
	pthread_mutex_unlock(&j->lock);
	if (!anew)
		r = append(j, text, len);
	if (r) {
		r = rewrite(j, &covered);
		if (r == 0 && covered > upto)
			upto = covered; /* those lines are still queued, and replayed twice: harmless */
	} else if (worth_compacting(j) && rewrite(j, &covered)) {
		j->compacted_size = j->size; /* what was asked for is written; try again much later */
	}
	pthread_mutex_lock(&j->lock);
	j->stats.last_error = r;
	if (r) {
		j->rewrite = true;
		j->stats.write_failures++;
		return r;
	}
	j->stats.written += upto - j->done;
	j->done = upto;
	pthread_cond_broadcast(&j->written);
	return 0;
}

static void *writer(void *arg)
{
	struct eg_journal *j = arg;
	int retry_ms = 0;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		struct timespec until = deadline_in(retry_ms);

		while (!j->stop && retry_ms && pthread_cond_timedwait(&j->wake, &j->lock, &until) == 0)
			; /* new lines don't shorten the pause */
		while (!j->stop && j->last == j->done && !j->rewrite)
			pthread_cond_wait(&j->wake, &j->lock);
		if (j->last == j->done && !j->rewrite)
			break; /* stopped, nothing left */
		if (write_pending(j) == 0)
			retry_ms = 0;
		else if (j->stop)
			break;
		else
			retry_ms = retry_ms == 0 ? RETRY_MIN_MS : retry_ms < RETRY_MAX_MS / 2 ? retry_ms * 2 : RETRY_MAX_MS;
	}
	j->ended = true;
	pthread_cond_broadcast(&j->written);
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* ---- Reading at start ---------------------------------------------------------------- */

/* Returns an error only for what makes the whole reading worthless. */
static int replay(struct eg_journal *j, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t line_len = (size_t)((newline ? newline : end) - text);
		int r = line_len ? j->ops.replay(j->ops.ctx, text, line_len) : 0;

		if (r && r != -EBADMSG && r != -ENOTSUP)
			return r;
		if (!newline)
			j->rewrite = true; /* a torn tail: nobody was told that it is durable */
		else if (r)
			j->stats.corrupt_lines++;
		text += line_len + 1;
	}
	return 0;
}

/* The new file takes the name away from the old one; the link keeps it for whoever looks into it. */
static void keep_bad_file(const struct eg_journal *j)
{
	char path[PATH_MAX], bad[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", j->dir, j->name);
	snprintf(bad, sizeof(bad), "%s/%s.bad", j->dir, j->name);
	unlink(bad);
	(void)!link(path, bad);
}

static int load(struct eg_journal *j)
{
	EG_FREE char *text = NULL;
	EG_CLOSE int fd = -1;
	char path[PATH_MAX];
	size_t len = 0;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", j->dir, j->name) >= sizeof(path) - sizeof(".new"))
		return -ENAMETOOLONG;
	if (mkdir(j->dir, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		j->rewrite = true; /* makes it, so that a disk that doesn't take it is known at once */
		return 0;
	}
	if (fd < 0)
		return -errno;
	r = eg_slurp(fd, SIZE_MAX - 1, &text, &len);
	if (r == 0)
		r = replay(j, text, len);
	if (r)
		return r;
	if (j->stats.corrupt_lines) {
		keep_bad_file(j);
		j->rewrite = true;
	}
	r = eg_chmod(fd, 0600);
	if (r)
		return r;
	j->fd = EG_TAKE_FD(fd);
	j->size = j->compacted_size = len;
	return 0;
}

/* ---- Outside -------------------------------------------------------------------------- */

static void destroy(struct eg_journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->wake);
	pthread_cond_destroy(&j->written);
	free(j->queue);
	free(j->dir);
	free(j->name);
	free(j);
}

int eg_journal_open(const char *dir, const char *name, const struct eg_journal_ops *ops,
		    struct eg_journal **ret_journal)
{
	struct eg_journal *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;
	int r = -ENOMEM;

	if (!j)
		return r;
	j->fd = -1;
	j->ops = *ops;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &attr);
	pthread_cond_init(&j->written, &attr);
	pthread_condattr_destroy(&attr);
	j->dir = strdup(dir);
	j->name = strdup(name);
	if (j->dir && j->name)
		r = load(j);
	if (r) {
		destroy(j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

int eg_journal_start(struct eg_journal *j)
{
	int r = pthread_create(&j->thread, NULL, writer, j);

	j->started = r == 0;
	return -r;
}

int eg_journal_close(struct eg_journal *j, int timeout_ms)
{
	struct timespec until = deadline_in(timeout_ms);
	bool ended;

	if (!j)
		return 0;
	if (j->started) {
		pthread_mutex_lock(&j->lock);
		j->stop = true;
		pthread_cond_broadcast(&j->wake);
		while (!j->ended && pthread_cond_timedwait(&j->written, &j->lock, &until) == 0)
			;
		ended = j->ended;
		pthread_mutex_unlock(&j->lock);
		if (!ended) {
			pthread_detach(j->thread);
			return -ETIMEDOUT;
		}
		pthread_join(j->thread, NULL);
	}
	destroy(j);
	return 0;
}

uint64_t eg_journal_append(struct eg_journal *j, const char *line, size_t len)
{
	uint64_t ticket;

	pthread_mutex_lock(&j->lock);
	if (j->queue_len + len > j->queue_room) {
		size_t room = (j->queue_len + len) * 2;
		char *queue = realloc(j->queue, room);

		if (queue) {
			j->queue = queue;
			j->queue_room = room;
		}
	}
	if (j->queue_len + len <= j->queue_room) {
		memcpy(j->queue + j->queue_len, line, len);
		j->queue_len += len;
	} else {
		j->rewrite = true;
	}
	ticket = ++j->last;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	return ticket;
}

uint64_t eg_journal_last(struct eg_journal *j)
{
	uint64_t last;

	pthread_mutex_lock(&j->lock);
	last = j->last;
	pthread_mutex_unlock(&j->lock);
	return last;
}

bool eg_journal_wait(struct eg_journal *j, uint64_t ticket, int timeout_ms)
{
	struct timespec until = deadline_in(timeout_ms);
	bool durable;

	pthread_mutex_lock(&j->lock);
	while (j->done < ticket && timeout_ms > 0)
		if (pthread_cond_timedwait(&j->written, &j->lock, &until))
			break;
	durable = j->done >= ticket;
	pthread_mutex_unlock(&j->lock);
	return durable;
}

bool eg_journal_durable(struct eg_journal *j, uint64_t ticket)
{
	return eg_journal_wait(j, ticket, 0);
}

void eg_journal_stats(struct eg_journal *j, struct eg_journal_stats *ret_stats)
{
	pthread_mutex_lock(&j->lock);
	*ret_stats = j->stats;
	ret_stats->pending = j->last - j->done;
	pthread_mutex_unlock(&j->lock);
}

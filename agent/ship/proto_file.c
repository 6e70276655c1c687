// SPDX-License-Identifier: Apache-2.0
/*
 * proto_file.c - events in a file, one JSON object a line
 *
 * A batch is delivered when fdatasync(2) has returned 0, and not before. A batch that could not be written whole is
 * taken back (the file is cut to what it was), so that the next try writes it once. After an fsync error nobody knows
 * what is on the disk: that file is closed under its dated name, and the batch goes into a new one.
 *
 * The file is ours alone (flock), mode 0640. It is looked at by name before each batch: one that was renamed or
 * deleted is left, and a new one made. A symbolic link is refused. The directory is made if its parent is there; a
 * longer path that does not exist is a mistake, or a disk that is not mounted.
 *
 * Rotation happens before a batch, compression and deletion after one (at most a fifth of a second each time): a
 * sink that gets no events leaves its files alone. A disk that stalls holds this sink's thread for as long.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "../lib/slurp.h"
#include "file_names.h"
#include "file_rotate.h"
#include "file_tail.h"
#include "protocol.h"

#define FILE_MODE 0640
#define DIR_MODE  0750
#define SLICE_NS  200000000u
/* How much of what was written before a start may come again: a batch, which in our schema may be longer. */
#define TAIL_BATCHES 4u
#define TAIL_MIN     (4u << 20)

struct sink {
	const struct eg_sink_config *config;
	const atomic_bool *stopping;
	struct eg_file_names names;
	int dirfd; /* -1: not open */
	struct eg_file_rotate *rotate; /* of that directory */
	int fd; /* the live file; -1: not open */
	uint64_t size;
	uint64_t period; /* of time, in which the file's last line was written */
	bool spoiled; /* the live file must not be written to again */
	bool opened; /* the live file was open before: what is in it was sent by us, now */
	struct eg_file_tail *tail; /* what was written before the start; NULL: none of it can come again */
	size_t tail_at; /* of it, what came again already */
};

static uint64_t utc_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Says what could not be done, and whether it is for people to put right. Returns r. */
static int fail(const struct sink *sink, struct eg_result *result, const char *what, int r)
{
	switch (-r) {
	case EACCES:
	case EPERM:
	case EROFS:
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
	case ENOENT:
	case EWOULDBLOCK:
		result->outcome = EG_OUTCOME_PAUSE;
		break;
	default:
		result->outcome = EG_OUTCOME_RETRY;
	}
	snprintf(result->error, sizeof(result->error), "%s: %s: %s", sink->config->path, what,
		 r == -ELOOP	   ? "it is a symbolic link, which is not followed" :
		 r == -EISDIR	   ? "it is not a regular file" :
		 r == -EWOULDBLOCK ? "another sink or process writes to it" :
				     strerror(-r));
	return r;
}

static void close_file(struct sink *sink)
{
	if (sink->fd >= 0)
		close(EG_TAKE_FD(sink->fd));
}

static void forget_tail(struct sink *sink)
{
	eg_file_tail_free(EG_TAKE_PTR(sink->tail));
	sink->tail_at = 0;
}

static void close_dir(struct sink *sink)
{
	close_file(sink);
	eg_file_rotate_free(EG_TAKE_PTR(sink->rotate));
	if (sink->dirfd >= 0)
		close(EG_TAKE_FD(sink->dirfd));
	sink->spoiled = false;
}

static void close_sink(void *opaque)
{
	struct sink *sink = opaque;

	if (!sink)
		return;
	close_dir(sink);
	forget_tail(sink);
	free(sink);
}

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int r;

	if (!sink)
		return -ENOMEM;
	sink->config = config;
	sink->stopping = stopping;
	sink->fd = sink->dirfd = -1;
	r = config->path ? eg_file_names_init(config->path, &sink->names) : -EINVAL;
	if (r < 0) {
		free(sink);
		return eg_error_set(err, 400, "bad_config", "sink %s: path \"%s\" is not the name of a file%s",
				    config->name, config->path ? config->path : "",
				    r == -ENAMETOOLONG ? ": it is too long" : "");
	}
	*ret = sink;
	return 0;
}

/* ---- The directory and the file ------------------------------------------------------- */

static bool is_same(int fd, const struct stat *there)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == there->st_dev && st.st_ino == there->st_ino;
}

static int open_dir(struct sink *sink, struct eg_result *result)
{
	struct stat st;
	int r;

	if (sink->dirfd >= 0 && (stat(sink->names.dir, &st) < 0 || !is_same(sink->dirfd, &st)))
		close_dir(sink);
	if (sink->dirfd >= 0)
		return 0;
	if (mkdir(sink->names.dir, DIR_MODE) < 0 && errno != EEXIST)
		return fail(sink, result, "can't make its directory", -errno);
	sink->dirfd = open(sink->names.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sink->dirfd < 0)
		return fail(sink, result, "can't open its directory", -errno);
	r = eg_file_rotate_new(&sink->names, sink->dirfd, sink->config, &sink->rotate);
	if (r < 0) {
		close_dir(sink);
		return fail(sink, result, "can't look at its directory", r);
	}
	return 0;
}

/* fd, or -errno. O_NONBLOCK: of a FIFO somebody put there, which is_regular then finds. */
static int open_live(const struct sink *sink)
{
	int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	EG_CLOSE int fd = openat(sink->dirfd, sink->names.live, flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		fd = openat(sink->dirfd, sink->names.live, flags | O_CREAT | O_EXCL, FILE_MODE);
		/* Whatever our umask is; and the name has to outlive a power cut as the lines do. */
		if (fd >= 0 && (fchmod(fd, FILE_MODE) < 0 || fsync(sink->dirfd) < 0))
			return -errno;
	}
	if (fd < 0)
		return errno == ENXIO ? -EISDIR : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EISDIR;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return EG_TAKE_FD(fd);
}

/* The live file gets its dated name and is not ours any more. */
static int rotate_away(struct sink *sink, struct eg_result *result)
{
	int r = eg_file_rotate_away(sink->rotate, utc_now_ns());

	if (r < 0 && r != -ENOENT)
		return fail(sink, result, "can't rename it", r);
	close_file(sink);
	sink->spoiled = false;
	return 0;
}

/* 0: mended; 1: put away, because it is not ours to mend; -errno. */
static int mend(struct sink *sink, struct eg_result *result)
{
	uint64_t cut = 0;
	int r = eg_file_tail_mend(sink->fd, &cut);

	if (r == 1)
		eg_log_notice("sink %s: half a line (%llu bytes) was cut off the end of %s; it is written again",
			      sink->config->name, (unsigned long long)cut, sink->config->path);
	if (r >= 0)
		return 0;
	if (r != -EBADMSG)
		return fail(sink, result, "can't mend its end", r);
	eg_log_warning("sink %s: %s ends in what is not a line of ours; it is put away as it is", sink->config->name,
		       sink->config->path);
	r = rotate_away(sink, result);
	return r < 0 ? r : 1;
}

/* What is there already, so that it is not written twice; without memory for that it may be. */
static void read_tail(struct sink *sink)
{
	EG_CLOSE int before = eg_file_rotate_open_newest(sink->rotate);
	size_t batches = TAIL_BATCHES * (size_t)sink->config->batch_bytes;

	if (eg_file_tail_read(before, sink->fd, batches > TAIL_MIN ? batches : TAIL_MIN, &sink->tail) < 0)
		eg_log_warning("sink %s: the end of %s can't be read; some lines may be written twice",
			       sink->config->name, sink->config->path);
}

static uint64_t period_of(const struct sink *sink, uint64_t utc_ns)
{
	return sink->config->rotate_ns ? utc_ns / sink->config->rotate_ns : 0;
}

static int open_file(struct sink *sink, struct eg_result *result)
{
	struct stat st = {0};
	int r;

	if (sink->spoiled) {
		r = rotate_away(sink, result);
		if (r < 0)
			return r;
	}
	for (r = 1; r == 1;) {
		sink->fd = open_live(sink);
		if (sink->fd < 0)
			return fail(sink, result, "can't open it", sink->fd);
		r = mend(sink, result);
	}
	if (r == 0 && fstat(sink->fd, &st) < 0)
		r = fail(sink, result, "can't look at it", -errno);
	if (r < 0) {
		close_file(sink);
		return r;
	}
	sink->size = (uint64_t)st.st_size;
	sink->period = period_of(sink, (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec);
	if (!sink->opened)
		read_tail(sink);
	sink->opened = true;
	return 0;
}

/* An open file under its name, with room for len bytes more in this period of time. */
static int ready(struct sink *sink, size_t len, struct eg_result *result)
{
	uint64_t period = period_of(sink, utc_now_ns());
	struct stat st;
	int r = open_dir(sink, result);

	if (r < 0)
		return r;
	if (sink->fd >= 0 && (fstatat(sink->dirfd, sink->names.live, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			      !is_same(sink->fd, &st) || sink->spoiled))
		close_file(sink);
	else if (sink->fd >= 0)
		sink->size = (uint64_t)st.st_size; /* somebody may have emptied it */
	if (sink->fd < 0)
		r = open_file(sink, result);
	if (r < 0 || sink->size == 0)
		return r;
	if (sink->size + len <= sink->config->rotate_bytes && sink->period == period)
		return 0;
	r = rotate_away(sink, result);
	return r < 0 ? r : open_file(sink, result);
}

/* ---- A batch -------------------------------------------------------------------------- */

/*
 * The batch's lines but those that are there already; *ret is malloc'd. The engine goes on where it stopped: behind
 * the first line that is new there is no old one.
 */
static int render(const struct sink *sink, const struct eg_item *items, size_t count, char **ret, size_t *ret_len,
		  size_t *at)
{
	size_t room = 0, i = 0;
	char *lines, *end;

	while (sink->tail && i < count && eg_file_tail_has(sink->tail, items[i].text, items[i].len, at))
		i++;
	for (size_t j = i; j < count; j++)
		room += items[j].len + 1;
	end = lines = malloc(room + 1);
	if (!lines)
		return -ENOMEM;
	for (; i < count; i++) {
		end = mempcpy(end, items[i].text, items[i].len);
		*end++ = '\n';
	}
	*ret = lines;
	*ret_len = (size_t)(end - lines);
	return 0;
}

/* lines: may be none, all of the batch being there already; but perhaps no further than in memory. */
static int append(struct sink *sink, const char *lines, size_t len, struct eg_result *result)
{
	int r = eg_write_all(sink->fd, lines, len), synced = 0;

	if (r == 0 && fdatasync(sink->fd) < 0)
		r = synced = -errno;
	if (r == 0) {
		sink->size += len;
		sink->period = period_of(sink, utc_now_ns());
		return 0;
	}
	sink->spoiled = ftruncate(sink->fd, (off_t)sink->size) < 0 || synced < 0;
	/* That goes for what was found there as well: better twice than not at all. */
	if (synced < 0)
		forget_tail(sink);
	return fail(sink, result, synced ? "the disk did not keep it" : "can't write to it", r);
}

static void send_items(void *opaque, const struct eg_item *items, size_t count, struct eg_result *result)
{
	struct sink *sink = opaque;
	EG_FREE char *lines = NULL;
	size_t len = 0, tail_at = sink->tail_at;
	int r;

	for (size_t i = 0; i < count; i++)
		len += items[i].len + 1;
	if (ready(sink, len, result) < 0)
		return;
	r = render(sink, items, count, &lines, &len, &tail_at);
	if (r < 0) {
		fail(sink, result, "no memory for a batch", r);
		return;
	}
	if (append(sink, lines, len, result) < 0)
		return;
	result->outcome = EG_OUTCOME_DELIVERED;
	sink->tail_at = tail_at;
	if (len > 0)
		forget_tail(sink);
	if (!atomic_load(sink->stopping))
		eg_file_rotate_work(sink->rotate, utc_now_ns(), SLICE_NS);
}

const struct eg_protocol eg_protocol_file = {open_sink, send_items, close_sink};

// SPDX-License-Identifier: Apache-2.0
/*
 * evlog_open.c - what the log finds in its directory at start
 *
 * Nothing here trusts the directory: names, sizes and contents may be anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/chmod.h"
#include "../lib/cleanup.h"
#include "evlog_impl.h"

void eg_evlog_name(const struct eg_evlog_segment *segment, char ret[EG_SPOOL_NAME_LEN])
{
	eg_spool_segment_name(&segment->first, ret);
	if (segment->legacy)
		strcpy(strrchr(ret, '.'), ".ndjson");
}

/* ---- The directory ------------------------------------------------------------------- */

static int make_parents(const char *dir)
{
	EG_FREE char *path = strdup(dir);

	if (!path)
		return -ENOMEM;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* One that is there already keeps its mode, unless somebody is to read it who may not yet. */
static int open_dir(const struct eg_evlog *log)
{
	bool shared = log->gid != (gid_t)-1;
	EG_CLOSE int fd = -1;
	int r;

	if (mkdir(log->dir, 0700) < 0 && errno == ENOENT) {
		r = make_parents(log->dir);
		if (r < 0)
			return r;
		if (mkdir(log->dir, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open(log->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (shared && fchown(fd, (uid_t)-1, log->gid) < 0)
		return -errno;
	r = shared ? eg_chmod(fd, 0750) : 0;
	return r < 0 ? r : EG_TAKE_FD(fd);
}

/* A file that was there before the group was. */
static void share(const struct eg_evlog *log, int dirfd, const char *name)
{
	EG_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_gid == log->gid)
		return;
	if (fchown(fd, (uid_t)-1, log->gid) == 0)
		eg_chmod(fd, 0640);
}

/* ---- The epoch ----------------------------------------------------------------------- */

/* 36 characters, and NUL. */
static int boot_id(char ret[37])
{
	EG_FCLOSE FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f)
		return -errno;
	return fscanf(f, "%36s", ret) == 1 ? 0 : -EIO;
}

/* The epoch goes on: it was begun in this boot. */
static bool is_of_this_boot(int dirfd, uint64_t epoch)
{
	char boot[37], saved_boot[37];
	uint64_t saved;

	return boot_id(boot) == 0 && eg_spool_dir_epoch(dirfd, &saved, saved_boot) == 0 && saved == epoch &&
	       strcmp(boot, saved_boot) == 0;
}

/* Replaces file `epoch`, durably. */
static int store_epoch(const struct eg_evlog *log, int dirfd, uint64_t epoch)
{
	EG_CLOSE int fd = -1;
	char boot[37], text[80];
	int len, r;

	r = boot_id(boot);
	if (r < 0)
		return r;
	len = snprintf(text, sizeof(text), "%" PRIu64 " %s\n", epoch, boot);
	fd = eg_evlog_create(log, dirfd, EG_SPOOL_EPOCH_FILE ".new");
	if (fd < 0)
		return fd;
	r = eg_evlog_write(log, fd, text, (size_t)len, 0);
	if (r < 0)
		return r;
	if (log->io->fdatasync(fd) < 0)
		return -errno;
	if (renameat(dirfd, EG_SPOOL_EPOCH_FILE ".new", dirfd, EG_SPOOL_EPOCH_FILE) < 0 ||
	    log->io->fdatasync(dirfd) < 0)
		return -errno;
	return 0;
}

static int begin_epoch(struct eg_evlog *log, int dirfd, uint64_t newest, uint64_t utc_ns)
{
	uint64_t epoch = utc_ns / 1000000000u;
	int r;

	/* The clock may have been turned back, or an epoch end within a second. */
	if (epoch <= newest)
		epoch = newest + 1;
	if (epoch <= log->next.epoch)
		epoch = log->next.epoch + 1;
	r = store_epoch(log, dirfd, epoch);
	if (r < 0)
		return r;
	pthread_mutex_lock(&log->lock);
	log->next = (struct eg_spool_pos){epoch, 1};
	pthread_mutex_unlock(&log->lock);
	return 0;
}

/* ---- The segments -------------------------------------------------------------------- */

struct found {
	struct eg_evlog_segment *segments; /* those without frames first, then by age */
	size_t count, legacy;
	uint64_t bytes;
	uint64_t next; /* after the last number found in the newest epoch */
	bool clean; /* nothing had to be mended */
};

static int add(struct found *found, const struct eg_spool_segment *from, size_t count, bool legacy)
{
	struct eg_evlog_segment *grown = reallocarray(found->segments, found->count + count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	found->segments = grown;
	for (size_t i = 0; i < count; i++) {
		grown[found->count++] = (struct eg_evlog_segment){
			.first = from[i].first, .bytes = from[i].bytes, .legacy = legacy,
		};
		found->bytes += from[i].bytes;
	}
	return 0;
}

static int scan(int dirfd, struct found *found)
{
	static const char *const suffixes[] = {EG_SPOOL_LEGACY, EG_SPOOL_SUFFIX};
	int r = 0;

	for (unsigned i = 0; i < 2 && r == 0; i++) {
		EG_FREE struct eg_spool_segment *some = NULL;
		size_t count;

		r = eg_spool_dir_scan(dirfd, suffixes[i], &some, &count);
		if (r == 0)
			r = add(found, some, count, i == 0);
		if (i == 0)
			found->legacy = found->count;
	}
	return r;
}

/* Mends what the disk may not have had: as much as can have been pending. */
static void mend_newest(struct eg_evlog *log, int dirfd, struct found *found)
{
	uint64_t newest = found->count ? found->segments[found->count - 1].first.epoch : 0, bytes = 0;

	found->clean = true;
	found->next = 1;
	for (size_t i = found->count; i > found->legacy && bytes < EG_SYNC_PENDING; i--) {
		struct eg_evlog_segment *s = &found->segments[i - 1];
		uint64_t before = s->bytes;
		bool clean = true;

		/* One that can't be mended is left as it is, and the epoch ends. */
		if (eg_evlog_mend(log, dirfd, s, &clean) < 0)
			clean = false;
		found->clean = found->clean && clean;
		if (s->first.epoch == newest && s->end > found->next)
			found->next = s->end;
		bytes += before;
		found->bytes -= before - s->bytes;
	}
}

/* Goes on in the newest segment if that is of this boot and nothing was amiss; else -errno, and nothing changed. */
static int resume(struct eg_evlog *log, int dirfd, const struct found *found)
{
	const struct eg_evlog_segment *newest = &found->segments[found->count - 1];
	char name[EG_SPOOL_NAME_LEN];
	int fd;

	/* Opened before: records were numbered since, and their numbers may not come again. */
	if (log->next.epoch || found->count == found->legacy || !found->clean ||
	    !is_of_this_boot(dirfd, newest->first.epoch))
		return -ESTALE;
	eg_evlog_name(newest, name);
	fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&log->lock);
	log->fd = fd;
	log->next = (struct eg_spool_pos){newest->first.epoch, found->next};
	pthread_mutex_unlock(&log->lock);
	return 0;
}

static uint64_t newest_epoch(int dirfd, const struct found *found)
{
	uint64_t newest = 0, saved;
	char boot[37];

	for (size_t i = 0; i < found->count; i++)
		if (found->segments[i].first.epoch > newest)
			newest = found->segments[i].first.epoch;
	if (eg_spool_dir_epoch(dirfd, &saved, boot) == 0 && saved > newest)
		newest = saved;
	return newest;
}

int eg_evlog_recover(struct eg_evlog *log, uint64_t utc_ns)
{
	EG_CLOSE int dirfd = open_dir(log);
	struct found found = {0};
	int r;

	if (dirfd < 0)
		return dirfd;
	unlinkat(dirfd, EG_EVLOG_NEW, 0);
	unlinkat(dirfd, EG_EVLOG_COPY, 0);
	r = scan(dirfd, &found);
	if (r == 0) {
		mend_newest(log, dirfd, &found);
		if (resume(log, dirfd, &found) < 0)
			r = begin_epoch(log, dirfd, newest_epoch(dirfd, &found), utc_ns);
	}
	if (r < 0) {
		free(found.segments);
		return r;
	}
	for (size_t i = found.legacy; i < found.count && log->gid != (gid_t)-1; i++) {
		char name[EG_SPOOL_NAME_LEN];

		eg_evlog_name(&found.segments[i], name);
		share(log, dirfd, name);
	}
	if (log->gid != (gid_t)-1)
		share(log, dirfd, EG_SPOOL_EPOCH_FILE);
	pthread_mutex_lock(&log->lock);
	log->segments = found.segments;
	log->count = found.count;
	log->stats.bytes = found.bytes;
	log->dirfd = EG_TAKE_FD(dirfd);
	pthread_mutex_unlock(&log->lock);
	return 0;
}

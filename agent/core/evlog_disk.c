// SPDX-License-Identifier: Apache-2.0
#include "evlog_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define EPOCH_FILE "epoch"
#define CHUNK      65536

void eg_evlog_name(const struct eg_evlog_key *key, char ret[EG_EVLOG_NAME_LEN])
{
	snprintf(ret, EG_EVLOG_NAME_LEN, "events-%010" PRIu64 "-%012" PRIu64 ".ndjson", key->epoch, key->first);
}

int eg_evlog_key_compare(const struct eg_evlog_key *a, const struct eg_evlog_key *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return 0;
}

/* Only names that eg_evlog_name would have given. */
static bool parse_name(const char *name, struct eg_evlog_key *ret)
{
	char again[EG_EVLOG_NAME_LEN];
	struct eg_evlog_key key;

	if (sscanf(name, "events-%" SCNu64 "-%" SCNu64 ".ndjson", &key.epoch, &key.first) != 2)
		return false;
	eg_evlog_name(&key, again);
	if (strcmp(name, again) != 0 || key.epoch >= UINT64_MAX / 2 || key.first >= UINT64_MAX / 2)
		return false;
	*ret = key;
	return true;
}

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

int eg_evlog_open_dir(const char *dir)
{
	EG_CLOSE int fd = -1;
	int r;

	if (mkdir(dir, 0700) < 0 && errno == ENOENT) {
		r = make_parents(dir);
		if (r < 0)
			return r;
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return EG_TAKE_FD(fd);
}

static int by_key(const void *a, const void *b)
{
	const struct eg_evlog_segment *x = a, *y = b;

	return eg_evlog_key_compare(&x->key, &y->key);
}

static int add_segment(struct eg_evlog_segment **segments, size_t *count, const struct eg_evlog_segment *new)
{
	struct eg_evlog_segment *grown = reallocarray(*segments, *count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*segments = grown;
	grown[(*count)++] = *new;
	return 0;
}

int eg_evlog_scan(int dirfd, struct eg_evlog_segment **ret, size_t *ret_count)
{
	EG_FREE struct eg_evlog_segment *segments = NULL;
	EG_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	size_t count = 0;
	int fd, r;

	/* A description of its own: the position of a shared one would be shared too. */
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while ((errno = 0, entry = readdir(d))) {
		struct eg_evlog_segment segment;
		struct stat st;

		if (!parse_name(entry->d_name, &segment.key) ||
		    fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		segment.bytes = (uint64_t)st.st_size;
		r = add_segment(&segments, &count, &segment);
		if (r < 0)
			return r;
	}
	if (errno)
		return -errno;
	if (count)
		qsort(segments, count, sizeof(*segments), by_key);
	*ret = EG_TAKE_PTR(segments);
	*ret_count = count;
	return 0;
}

/* Offset after the last newline before `end`. */
static int last_line_end(int fd, uint64_t end, uint64_t *ret)
{
	char chunk[CHUNK];

	while (end > 0) {
		size_t want = end < CHUNK ? (size_t)end : CHUNK;
		ssize_t n = pread(fd, chunk, want, (off_t)(end - want));
		const char *newline;

		if (n < 0)
			return -errno;
		if ((size_t)n < want)
			return -EIO; /* shrank under us */
		newline = memrchr(chunk, '\n', want);
		if (newline) {
			*ret = end - want + (uint64_t)(newline - chunk) + 1;
			return 0;
		}
		end -= want;
	}
	*ret = 0;
	return 0;
}

int eg_evlog_mend(int dirfd, const struct eg_evlog_key *key, uint64_t *ret_bytes, uint64_t *ret_torn)
{
	char name[EG_EVLOG_NAME_LEN];
	EG_CLOSE int fd = -1;
	struct stat st;
	uint64_t end;
	int r;

	eg_evlog_name(key, name);
	fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = last_line_end(fd, (uint64_t)st.st_size, &end);
	if (r < 0)
		return r;
	if (end < (uint64_t)st.st_size && ftruncate(fd, (off_t)end) < 0)
		return -errno;
	*ret_bytes = end;
	*ret_torn = (uint64_t)st.st_size - end;
	return 0;
}

int eg_evlog_count_lines(int dirfd, const struct eg_evlog_key *key, uint64_t *ret)
{
	char name[EG_EVLOG_NAME_LEN], chunk[CHUNK];
	EG_CLOSE int fd = -1;
	uint64_t lines = 0;
	ssize_t n;

	eg_evlog_name(key, name);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		for (const char *p = chunk; (p = memchr(p, '\n', (size_t)(chunk + n - p))); p++)
			lines++;
	if (n < 0)
		return -errno;
	*ret = lines;
	return 0;
}

/* 36 characters, and NUL. */
static int boot_id(char ret[37])
{
	EG_FCLOSE FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f)
		return -errno;
	return fscanf(f, "%36s", ret) == 1 ? 0 : -EIO;
}

int eg_evlog_epoch_load(int dirfd, uint64_t *ret)
{
	char boot[37], saved_boot[37];
	EG_FCLOSE FILE *f = NULL;
	uint64_t epoch;
	int fd, r;

	r = boot_id(boot);
	if (r < 0)
		return r;
	fd = openat(dirfd, EPOCH_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "r");
	if (!f) {
		r = -errno;
		close(fd);
		return r;
	}
	if (fscanf(f, "%" SCNu64 " %36s", &epoch, saved_boot) != 2 || strcmp(boot, saved_boot) != 0)
		return -ESTALE;
	*ret = epoch;
	return 0;
}

int eg_evlog_epoch_store(int dirfd, uint64_t epoch)
{
	EG_CLOSE int fd = -1;
	char boot[37], text[80];
	ssize_t len;
	int r;

	r = boot_id(boot);
	if (r < 0)
		return r;
	len = snprintf(text, sizeof(text), "%" PRIu64 " %s\n", epoch, boot);
	fd = openat(dirfd, EPOCH_FILE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	errno = EIO; /* of a short write, which sets none */
	if (write(fd, text, (size_t)len) != len || fsync(fd) < 0)
		return -errno;
	if (renameat(dirfd, EPOCH_FILE ".new", dirfd, EPOCH_FILE) < 0 || fsync(dirfd) < 0)
		return -errno;
	return 0;
}

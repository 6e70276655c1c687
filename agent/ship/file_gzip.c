// SPDX-License-Identifier: Apache-2.0
#include "file_gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "../lib/cleanup.h"

#define STEP_BYTES 65536u
#define TRAILER	   4 /* gzip ends with the length of what it holds, modulo 2^32 */

struct eg_file_gzip {
	const struct eg_file_names *names;
	int dirfd;
	struct eg_file_old old;
	int in;
	int out; /* for fsync; gz has its own */
	gzFile gz; /* NULL: closed */
	char buf[STEP_BYTES];
};

EG_DEFINE_CLEANUP(gzip, struct eg_file_gzip *, eg_file_gzip_free);

static void name_of(const struct eg_file_gzip *gzip, enum eg_file_form form, char ret[NAME_MAX + 1])
{
	eg_file_names_old(gzip->names, gzip->old.closed_s, gzip->old.number, form, ret);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void eg_file_gzip_free(struct eg_file_gzip *gzip)
{
	char name[NAME_MAX + 1];

	if (!gzip)
		return;
	if (gzip->gz)
		gzclose(gzip->gz);
	if (gzip->out >= 0) {
		name_of(gzip, EG_FILE_TMP, name);
		unlinkat(gzip->dirfd, name, 0);
		close(gzip->out);
	}
	if (gzip->in >= 0)
		close(gzip->in);
	free(gzip);
}

int eg_file_gzip_begin(const struct eg_file_names *names, int dirfd, const struct eg_file_old *old,
		       struct eg_file_gzip **ret)
{
	EG_CLEANUP(eg_cleanup_gzip) struct eg_file_gzip *gzip = malloc(sizeof(*gzip));
	char name[NAME_MAX + 1];
	struct stat st;
	int fd;

	if (!gzip)
		return -ENOMEM;
	gzip->names = names;
	gzip->dirfd = dirfd;
	gzip->old = *old;
	gzip->in = gzip->out = -1;
	gzip->gz = NULL;
	name_of(gzip, EG_FILE_PLAIN, name);
	gzip->in = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (gzip->in < 0 || fstat(gzip->in, &st) < 0)
		return -errno;
	name_of(gzip, EG_FILE_TMP, name);
	unlinkat(dirfd, name, 0);
	gzip->out = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (gzip->out < 0 || fchmod(gzip->out, st.st_mode & 0777) < 0)
		return -errno;
	fd = fcntl(gzip->out, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	gzip->gz = gzdopen(fd, "wb6");
	if (!gzip->gz) {
		close(fd);
		return -ENOMEM;
	}
	*ret = EG_TAKE_PTR(gzip);
	return 0;
}

static int finish(struct eg_file_gzip *gzip)
{
	char tmp[NAME_MAX + 1], gz[NAME_MAX + 1], plain[NAME_MAX + 1];
	int r = gzclose(EG_TAKE_PTR(gzip->gz));

	if (r != Z_OK)
		return r == Z_ERRNO && errno ? -errno : -EIO;
	if (fsync(gzip->out) < 0)
		return -errno;
	name_of(gzip, EG_FILE_TMP, tmp);
	name_of(gzip, EG_FILE_GZ, gz);
	name_of(gzip, EG_FILE_PLAIN, plain);
	if (renameat(gzip->dirfd, tmp, gzip->dirfd, gz) < 0)
		return -errno;
	close(EG_TAKE_FD(gzip->out));
	/* Not before its successor is sure to be there. */
	if (fsync(gzip->dirfd) < 0)
		return -errno;
	return unlinkat(gzip->dirfd, plain, 0) < 0 && errno != ENOENT ? -errno : 1;
}

int eg_file_gzip_step(struct eg_file_gzip *gzip, uint64_t until_ns)
{
	do {
		ssize_t n = read(gzip->in, gzip->buf, sizeof(gzip->buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return finish(gzip);
		errno = 0;
		if (gzwrite(gzip->gz, gzip->buf, (unsigned)n) != (int)n)
			return errno ? -errno : -EIO;
	} while (now_ns() < until_ns);
	return 0;
}

/* The rename came after fsync, so a whole trailer means a whole file; a disk that lied is found out by the length. */
static bool is_whole(int dirfd, const char *name, uint64_t plain_bytes)
{
	EG_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	unsigned char t[TRAILER];
	uint32_t length;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 18 || pread(fd, t, TRAILER, st.st_size - TRAILER) != TRAILER)
		return false;
	length = (uint32_t)t[0] | (uint32_t)t[1] << 8 | (uint32_t)t[2] << 16 | (uint32_t)t[3] << 24;
	return length == (uint32_t)plain_bytes;
}

int eg_file_gzip_settle(const struct eg_file_names *names, int dirfd, const struct eg_file_old *old)
{
	char gz[NAME_MAX + 1], plain[NAME_MAX + 1];

	eg_file_names_old(names, old->closed_s, old->number, EG_FILE_GZ, gz);
	eg_file_names_old(names, old->closed_s, old->number, EG_FILE_PLAIN, plain);
	return unlinkat(dirfd, is_whole(dirfd, gz, old->plain_bytes) ? plain : gz, 0) < 0 ? -errno : 0;
}

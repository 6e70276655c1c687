// SPDX-License-Identifier: Apache-2.0
#include "file_tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define STEP_BYTES 65536u

struct eg_file_tail {
	size_t len;
	char text[];
};

static int read_all(int fd, char *ret, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pread(fd, ret, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		ret += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Bytes up to and with the last newline; 0: there is none in the last EG_FILE_TAIL_MAX. */
static int find_end(int fd, off_t size, off_t *ret)
{
	off_t low = size > (off_t)EG_FILE_TAIL_MAX ? size - (off_t)EG_FILE_TAIL_MAX : 0;
	char buf[STEP_BYTES];

	*ret = 0;
	while (size > low) {
		size_t step = size - low < (off_t)sizeof(buf) ? (size_t)(size - low) : sizeof(buf);
		int r = read_all(fd, buf, step, size - (off_t)step);
		const char *newline;

		if (r < 0)
			return r;
		size -= (off_t)step;
		newline = memrchr(buf, '\n', step);
		if (newline) {
			*ret = size + (newline - buf) + 1;
			return 0;
		}
	}
	return 0;
}

int eg_file_tail_mend(int fd, uint64_t *ret_cut)
{
	struct stat st;
	char first;
	off_t end;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	r = find_end(fd, st.st_size, &end);
	if (r < 0)
		return r;
	if (end == st.st_size)
		return 0;
	r = read_all(fd, &first, 1, 0);
	if (r < 0)
		return r;
	if (first != '{' || (end == 0 && st.st_size > (off_t)EG_FILE_TAIL_MAX))
		return -EBADMSG;
	if (ftruncate(fd, end) < 0 || fsync(fd) < 0)
		return -errno;
	*ret_cut = (uint64_t)(st.st_size - end);
	return 1;
}

static off_t size_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

int eg_file_tail_read(int before, int fd, size_t max, struct eg_file_tail **ret)
{
	off_t size = size_of(fd), room = (off_t)max, size_before = size_of(before);
	size_t len = (size_t)(size < room ? size : room);
	size_t len_before = (size_t)(size_before < room - (off_t)len ? size_before : room - (off_t)len);
	EG_FREE struct eg_file_tail *tail = NULL;
	int r = 0;

	*ret = NULL;
	if (len + len_before == 0)
		return 0;
	tail = malloc(sizeof(*tail) + len + len_before);
	if (!tail)
		return -ENOMEM;
	tail->len = len + len_before;
	if (len_before > 0)
		r = read_all(before, tail->text, len_before, size_before - (off_t)len_before);
	if (r == 0)
		r = read_all(fd, tail->text + len_before, len, size - (off_t)len);
	if (r == 0)
		*ret = EG_TAKE_PTR(tail);
	return r;
}

void eg_file_tail_free(struct eg_file_tail *tail)
{
	free(tail);
}

bool eg_file_tail_has(const struct eg_file_tail *tail, const char *line, size_t len, size_t *at)
{
	size_t from = *at;

	while (tail->len - from > len) {
		const char *found = memmem(tail->text + from, tail->len - from, line, len);
		size_t start;

		if (!found)
			return false;
		start = (size_t)(found - tail->text);
		if ((start == 0 || found[-1] == '\n') && start + len < tail->len && found[len] == '\n') {
			*at = start + len + 1;
			return true;
		}
		from = start + 1;
	}
	return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/units.h"

#define NAME_LEN_MAX 64

/* A receiver's words, or a damaged event, may be any bytes: what is not UTF-8 is shown as '?'. */
static json_t *text_json(const char *text, size_t len)
{
	json_t *json = json_stringn(text, len);
	EG_FREE char *clean = json ? NULL : malloc(len + 1);

	if (!clean)
		return json;
	for (size_t i = 0; i < len; i++)
		clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	return json_stringn(clean, len);
}

/* The event as JSON where it is JSON, else as the text that it is. */
static json_t *event_json(const struct eg_item *item)
{
	json_t *event = json_loadb(item->text, item->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	return event ? event : text_json(item->text, item->len);
}

static char *make_line(const char *sink, const struct eg_item *item, const char *error)
{
	struct timespec now;
	char ts[64], *text;
	json_t *line;

	clock_gettime(CLOCK_REALTIME, &now);
	eg_units_moment_text((uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec, ts, sizeof(ts));
	line = json_pack("{s:s, s:s, s:o, s:o, s:o}", "ts", ts, "sink", sink, "event_id", text_json(item->id, strlen(item->id)),
			 "error", text_json(error, strlen(error)), "event", event_json(item));
	text = json_dumps(line, JSON_COMPACT);
	json_decref(line);
	return text;
}

/* A torn line of a crash ends here, so that it takes no other with it. */
static int mend(int fd, off_t size)
{
	char last = '\n';

	if (size && pread(fd, &last, 1, size - 1) != 1)
		return -EIO;
	return last == '\n' || write(fd, "\n", 1) == 1 ? 0 : -ENOSPC;
}

static int open_file(int dir_fd, const char *sink, uint64_t max_bytes, size_t len, int *ret_fd)
{
	char file[NAME_LEN_MAX], old[NAME_LEN_MAX];
	const int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
	EG_CLOSE int fd = -1;
	struct stat st;
	int r;

	snprintf(file, sizeof(file), "%s.dead", sink);
	snprintf(old, sizeof(old), "%s.dead.old", sink);
	fd = openat(dir_fd, file, flags, 0600);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_size && (uint64_t)st.st_size + len > max_bytes / 2) {
		close(EG_TAKE_FD(fd));
		if (renameat(dir_fd, file, dir_fd, old))
			return -errno;
		fd = openat(dir_fd, file, flags, 0600);
		if (fd < 0 || fstat(fd, &st))
			return -errno;
	}
	r = mend(fd, st.st_size);
	if (!r)
		*ret_fd = EG_TAKE_FD(fd);
	return r;
}

int eg_dead_letter_write(int dir_fd, const char *sink, uint64_t max_bytes, const struct eg_item *item, const char *error)
{
	EG_FREE char *line = make_line(sink, item, error);
	EG_CLOSE int fd = -1;
	size_t len;
	ssize_t n;
	int r;

	if (!line)
		return -ENOMEM;
	len = strlen(line);
	line[len++] = '\n'; /* in the place of its NUL */
	r = open_file(dir_fd, sink, max_bytes, len, &fd);
	if (r)
		return r;
	n = write(fd, line, len);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) ? -errno : 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../lib/cleanup.h"

#define NAME_LEN_MAX 64
#define NUMBERS	     14

size_t eg_cursor_print(const struct eg_cursor *cursor, char ret[EG_CURSOR_LINE_MAX])
{
	const struct eg_tally *tally = &cursor->tally;
	const uint64_t numbers[NUMBERS] = {
		cursor->at.epoch, cursor->at.n,	   cursor->window.epoch, cursor->window.n,   cursor->close.epoch,
		cursor->close.n,  cursor->closing, cursor->rolled,	 cursor->held,	     tally->delivered,
		tally->filtered,  tally->dead_lettered, tally->evicted,	 cursor->window_ts_ns,
	};
	size_t len = (size_t)snprintf(ret, EG_CURSOR_LINE_MAX, "egret-cursor-1");

	for (size_t i = 0; i < NUMBERS; i++)
		len += (size_t)snprintf(ret + len, EG_CURSOR_LINE_MAX - len, " %" PRIu64, numbers[i]);
	return len + (size_t)snprintf(ret + len, EG_CURSOR_LINE_MAX - len, " %08lx\n",
				      crc32(0, (const Bytef *)ret, (uInt)len));
}

/* What the numbers say has to be possible, whoever wrote them. */
static bool is_sound(const struct eg_cursor *cursor)
{
	int order = eg_spool_pos_compare(&cursor->window, &cursor->at);

	if (order > 0 || (!cursor->held && !cursor->closing && order))
		return false;
	return !cursor->closing || (eg_spool_pos_compare(&cursor->window, &cursor->close) <= 0 &&
				    eg_spool_pos_compare(&cursor->close, &cursor->at) <= 0);
}

int eg_cursor_parse(const char *line, size_t len, struct eg_cursor *ret)
{
	char text[EG_CURSOR_LINE_MAX], again[EG_CURSOR_LINE_MAX];
	uint64_t n[NUMBERS];
	struct eg_cursor cursor;

	if (len >= sizeof(text))
		return -EBADMSG;
	memcpy(text, line, len);
	text[len] = '\0';
	if (sscanf(text,
		   "egret-cursor-1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11], &n[12],
		   &n[13]) != NUMBERS)
		return -EBADMSG;
	cursor = (struct eg_cursor){
		.at = {n[0], n[1]}, .window = {n[2], n[3]}, .close = {n[4], n[5]}, .closing = n[6], .rolled = n[7],
		.held = n[8], .tally = {n[9], n[10], n[11], n[12]}, .window_ts_ns = n[13],
	};
	/* Printed again it must be the same, which covers the CRC and every way to write a number. */
	if (eg_cursor_print(&cursor, again) != len || memcmp(again, line, len) != 0 || !is_sound(&cursor))
		return -EBADMSG;
	*ret = cursor;
	return 0;
}

int eg_cursor_load(int dir_fd, const char *name, struct eg_cursor *ret)
{
	char file[NAME_LEN_MAX], line[EG_CURSOR_LINE_MAX];
	EG_CLOSE int fd = -1;
	ssize_t len;

	snprintf(file, sizeof(file), "%s.cursor", name);
	fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	len = read(fd, line, sizeof(line));
	return len < 0 ? -errno : eg_cursor_parse(line, (size_t)len, ret);
}

int eg_cursor_store(int dir_fd, const char *name, const struct eg_cursor *cursor)
{
	char file[NAME_LEN_MAX], fresh[NAME_LEN_MAX], line[EG_CURSOR_LINE_MAX];
	size_t len = eg_cursor_print(cursor, line);
	EG_CLOSE int fd = -1;
	ssize_t n;

	snprintf(file, sizeof(file), "%s.cursor", name);
	snprintf(fresh, sizeof(fresh), "%s.cursor.new", name);
	fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, line, len);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	/* The directory as well: a boundary is durable before what it bounds is sent. */
	if (fsync(fd) || renameat(dir_fd, fresh, dir_fd, file) || fsync(dir_fd))
		return -errno;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as segments: the reader comes to an end, what it gives is in order, within its bounds and was good
 * when it was written, and no more comes when it begins in the middle. The log starts on them, and goes on.
 *
 * Input: the first byte cuts the rest into two segments; a frame whose checksum is ff ff ff ff gets the right
 * one, or nothing would ever be good.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../agent/core/evlog.h"
#include "../../agent/lib/spool_dir.h"
#include "../../agent/lib/spool_frame.h"

#define EPOCH 7u

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

static char dir[64];
static volatile char touched;

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static void make_dir(void)
{
	if (dir[0])
		return;
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/egret-fuzz-XXXXXX" : "/tmp/egret-fuzz-XXXXXX");
	CHECK(mkdtemp(dir));
	atexit(remove_dir);
}

/* Frames that ask for it get their checksum. */
static void bless(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + EG_SPOOL_HEAD_LEN < size; at++) {
		struct eg_spool_frame frame = {.text = (char *)data + at + EG_SPOOL_HEAD_LEN};
		uint32_t len;

		if (memcmp(data + at, "\xff" "EG1", 4) != 0 || memcmp(data + at + 20, "\xff\xff\xff\xff", 4) != 0)
			continue;
		memcpy(&len, data + at + 4, 4);
		if (!len || len > size - at - EG_SPOOL_HEAD_LEN)
			continue;
		frame.len = len;
		memcpy(&frame.n, data + at + 8, 8);
		frame.n &= EG_SPOOL_N_MAX;
		frame.class = data[at + 16] % EG_SPOOL_CLASS_COUNT_;
		eg_spool_frame_encode((char *)data + at, EPOCH, &frame);
	}
}

static void write_segment(uint64_t first, const uint8_t *data, size_t size)
{
	char name[EG_SPOOL_NAME_LEN], path[160];
	int fd;

	eg_spool_segment_name(&(struct eg_spool_pos){EPOCH, first}, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* How many records there are from a place on; all of them after it, in order. */
static unsigned read_from(const struct eg_spool_pos *from, size_t most, struct eg_spool_pos *ret_middle)
{
	struct eg_spool_pos last = from ? *from : (struct eg_spool_pos){0};
	struct eg_spool_reader *reader;
	struct eg_spool_record record;
	uint64_t events, bytes;
	unsigned count = 0;
	int r;

	CHECK(eg_spool_reader_new(dir, from, &reader) == 0);
	while ((r = eg_spool_reader_next(reader, &record)) == 1) {
		CHECK(count ? eg_spool_pos_compare(&record.pos, &last) > 0 : eg_spool_pos_compare(&record.pos, &last) >= 0);
		CHECK(record.len > 0 && record.len <= EG_SPOOL_TEXT_MAX && record.class < EG_SPOOL_CLASS_COUNT_);
		for (size_t i = 0; i < record.len; i++) /* all of it can be read */
			touched ^= record.text[i];
		last = record.pos;
		if (count++ == 1 && ret_middle)
			*ret_middle = record.pos;
		CHECK(count <= most);
	}
	CHECK(r == 0);
	CHECK(eg_spool_reader_lag(reader, &(struct eg_spool_pos){0}, &events, &bytes) == 0);
	CHECK(eg_spool_reader_damaged(reader) <= 2 * most);
	eg_spool_reader_free(reader);
	return count;
}

static ssize_t plain_pwrite(int fd, const void *from, size_t len, off_t offset)
{
	return pwrite(fd, from, len, offset);
}

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static void start_log(void)
{
	static const struct eg_evlog_io io = {.pwrite = plain_pwrite, .fdatasync = no_sync};
	struct eg_evlog_config config = {.dir = dir, .gid = (gid_t)-1, .io = &io};
	struct eg_evlog *log;

	CHECK(eg_evlog_new(&config, &log) == 0);
	CHECK(eg_evlog_open(log, 9000000000) == 0);
	CHECK(eg_evlog_number(log).epoch > EPOCH);
	eg_evlog_free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_spool_pos middle = {0};
	size_t first;
	uint8_t *copy;
	unsigned count;

	if (!size || size > 1 << 16)
		return 0;
	make_dir();
	first = (size - 1) * data[0] / 255;
	copy = malloc(size);
	CHECK(copy);
	memcpy(copy, data + 1, size - 1);
	bless(copy, size - 1);
	write_segment(1, copy, first);
	write_segment(5, copy + first, size - 1 - first);
	count = read_from(NULL, size, &middle);
	if (count > 1)
		CHECK(read_from(&middle, size, NULL) < count);
	if (data[0] % 8 == 7) /* slower than all the rest */
		start_log();
	read_from(NULL, size, NULL);
	free(copy);
	return 0;
}

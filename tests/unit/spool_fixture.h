/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the spool share: segments made by hand, and what a reader gets from them. */
#ifndef EG_TESTS_SPOOL_FIXTURE_H
#define EG_TESTS_SPOOL_FIXTURE_H

#include <errno.h>
#include <fcntl.h>

#include "../../agent/lib/spool_dir.h"
#include "../../agent/lib/spool_frame.h"
#include "events_fixture.h"

/* A segment's bytes. */
struct bytes {
	char *data;
	size_t len;
};

/* Adds a record whose text is `{"n":N}` and `pad` more bytes. */
static inline void add_record(struct bytes *b, uint64_t epoch, uint64_t n, enum eg_spool_class class, size_t pad)
{
	char *text = malloc(pad + 64);
	struct eg_spool_frame frame = {.n = n, .class = class, .text = text};

	frame.len = (uint32_t)sprintf(text, "{\"n\":%llu,\"pad\":\"%0*d\"}\n", (unsigned long long)n, (int)pad + 1, 0);
	b->data = realloc(b->data, b->len + EG_SPOOL_HEAD_LEN + frame.len);
	assert_non_null(b->data);
	eg_spool_frame_encode(b->data + b->len, epoch, &frame);
	memcpy(b->data + b->len + EG_SPOOL_HEAD_LEN, text, frame.len);
	b->len += EG_SPOOL_HEAD_LEN + frame.len;
	free(text);
}

/* Records first .. last. */
static inline struct bytes records(uint64_t epoch, uint64_t first, uint64_t last, size_t pad)
{
	struct bytes b = {0};

	for (uint64_t n = first; n <= last; n++)
		add_record(&b, epoch, n, EG_SPOOL_FLOW, pad);
	return b;
}

static inline void segment_path(const char *dir, uint64_t epoch, uint64_t first, char ret[512])
{
	char name[EG_SPOOL_NAME_LEN];

	eg_spool_segment_name(&(struct eg_spool_pos){epoch, first}, name);
	snprintf(ret, 512, "%.400s/%s", dir, name);
}

static inline void put_file(const char *path, int flags, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* Makes or replaces the segment, as by rename(2). Frees b. */
static inline void put_segment(const char *dir, uint64_t epoch, uint64_t first, struct bytes b)
{
	char path[512], tmp[512];

	segment_path(dir, epoch, first, path);
	snprintf(tmp, sizeof(tmp), "%.400s/new", dir);
	put_file(tmp, O_TRUNC, b.data ? b.data : "", b.len);
	assert_int_equal(rename(tmp, path), 0);
	free(b.data);
}

static inline void append_segment(const char *dir, uint64_t epoch, uint64_t first, struct bytes b)
{
	char path[512];

	segment_path(dir, epoch, first, path);
	put_file(path, O_APPEND, b.data, b.len);
	free(b.data);
}

static inline void remove_segment(const char *dir, uint64_t epoch, uint64_t first)
{
	char path[512];

	segment_path(dir, epoch, first, path);
	assert_int_equal(unlink(path), 0);
}

/* What a reader gave until it had nothing more. */
struct got {
	unsigned count;
	struct eg_spool_pos first, last;
	uint64_t missed;
};

static inline struct got read_records(struct eg_spool_reader *reader)
{
	struct eg_spool_record record;
	struct got got = {0};
	int r;

	while ((r = eg_spool_reader_next(reader, &record)) == 1) {
		char *text = strndup(record.text, record.len);

		assert_int_equal(text[record.len - 1], '\n');
		assert_int_equal(strtoull(strchr(text, ':') + 1, NULL, 10), record.pos.n);
		free(text);
		if (got.count++)
			assert_true(eg_spool_pos_compare(&record.pos, &got.last) > 0);
		else
			got.first = record.pos;
		got.last = record.pos;
		got.missed += record.missed;
	}
	assert_int_equal(r, 0);
	return got;
}

#endif

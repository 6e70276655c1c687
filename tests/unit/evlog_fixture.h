/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the log share: a log in a directory of its own, and batches for it. */
#ifndef EG_TESTS_EVLOG_FIXTURE_H
#define EG_TESTS_EVLOG_FIXTURE_H

#include "../../agent/core/event_batch.h"
#include "../../agent/core/evlog.h"
#include "spool_fixture.h"

#define NS  1000000000ull
#define DAY (86400 * NS)
#define KIB 1024u

static struct tmpdir dir;
static struct eg_evlog *log_;
static struct eg_event_stamp stamp;
static struct eg_evlog_config config;
static uint64_t now_ns;

static inline int setup(void **state)
{
	(void)state;
	tmpdir_make(&dir);
	now_ns = (uint64_t)time(NULL) * NS;
	eg_event_stamp_init(&stamp, "h");
	config = (struct eg_evlog_config){.dir = dir.log, .gid = (gid_t)-1};
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	eg_evlog_free(log_);
	log_ = NULL;
	tmpdir_remove(&dir);
	return 0;
}

static inline void open_log(uint64_t quota, uint64_t segment)
{
	struct eg_spool_pos number;

	eg_evlog_free(log_);
	log_ = NULL;
	config.quota_bytes = quota;
	config.segment_bytes = segment;
	assert_int_equal(eg_evlog_new(&config, &log_), 0);
	assert_int_equal(eg_evlog_open(log_, now_ns), 0);
	number = eg_evlog_number(log_);
	eg_event_stamp_number(&stamp, number.epoch, number.n);
}

/* As when the agent ends, or is killed: the file is all that is left. */
static inline void close_log(void)
{
	eg_evlog_free(log_);
	log_ = NULL;
}

static inline enum eg_spool_class class_of(const char *type)
{
	return strcmp(type, "flow") == 0 ? EG_SPOOL_FLOW : strcmp(type, "deny") == 0 ? EG_SPOOL_VITAL : EG_SPOOL_OTHER;
}

/* `count` records of about 200 bytes; flow, deny and other types have their classes. The caller frees frames. */
static inline struct eg_evlog_batch make_batch(unsigned count, const char *type, const char *app)
{
	char *buf = malloc(count * 400u), *p = buf;
	struct eg_evlog_batch batch = {.frames = buf};
	char members[256];

	for (unsigned i = 0; i < count; i++) {
		int len = snprintf(members, sizeof(members), ",\"app\":\"%s\",\"pad\":\"%0100llu\"", app,
				   (unsigned long long)stamp.n);
		struct eg_spool_frame frame = {.n = stamp.n, .class = class_of(type), .text = p + EG_SPOOL_HEAD_LEN};

		frame.len = (uint32_t)(eg_event_json_members(p + EG_SPOOL_HEAD_LEN, &stamp, now_ns, type, members,
							     (size_t)len) - frame.text);
		eg_spool_frame_encode(p, stamp.epoch, &frame);
		p += eg_spool_frame_size(&frame);
		batch.records[frame.class]++;
	}
	batch.len = (size_t)(p - buf);
	return batch;
}

static inline int append(unsigned count, const char *type, const char *app)
{
	uint64_t first = stamp.n;
	struct eg_evlog_batch batch = make_batch(count, type, app);
	int r = eg_evlog_append(log_, &batch, now_ns);

	if (r < 0)
		stamp.n = first;
	free((char *)batch.frames);
	return r;
}

/* The disk has everything, and the quota is kept. */
static inline void settle(void)
{
	assert_int_equal(eg_evlog_flush(log_, 20000), 0);
}

/* Name of the newest segment. */
static inline struct eg_spool_pos newest(void)
{
	struct eg_spool_segment *found;
	struct eg_spool_pos pos;
	size_t count;
	int fd = open(dir.log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(eg_spool_dir_scan(fd, EG_SPOOL_SUFFIX, &found, &count), 0);
	assert_true(count > 0);
	pos = found[count - 1].first;
	free(found);
	close(fd);
	return pos;
}

static inline void newest_path(char ret[512])
{
	struct eg_spool_pos pos = newest();
	char name[EG_SPOOL_NAME_LEN];

	eg_spool_segment_name(&pos, name);
	snprintf(ret, 512, "%s/%s", dir.log, name);
}

static inline size_t count_lines(void)
{
	json_t *lines = log_lines(dir.log);
	size_t count = json_array_size(lines);

	json_decref(lines);
	return count;
}

/* Lines on disk are numbered first .. first + count - 1 without a hole. */
static inline void check_numbers(json_int_t first, size_t count)
{
	json_t *lines = log_lines(dir.log);

	assert_int_equal(json_array_size(lines), count);
	for (size_t i = 0; i < count; i++) {
		const char *id = text_of(json_array_get(lines, i), "event_id");

		assert_int_equal(strtoll(strrchr(id, '-') + 1, NULL, 10), first + (json_int_t)i);
	}
	json_decref(lines);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the event path share: a directory that goes away, sample records, lines. */
#ifndef EG_TESTS_EVENTS_FIXTURE_H
#define EG_TESTS_EVENTS_FIXTURE_H

#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <egret/abi.h>

#include "../../agent/core/events.h"
#include "../../agent/lib/spool.h"

/* One flat directory, below $TMPDIR or /tmp. */
struct tmpdir {
	char path[128];
	char log[160]; /* path/log, not made */
};

static inline void tmpdir_make(struct tmpdir *d)
{
	const char *base = getenv("TMPDIR");

	snprintf(d->path, sizeof(d->path), "%.80s/egret-test-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(d->path));
	snprintf(d->log, sizeof(d->log), "%s/log", d->path);
}

static inline void empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[512];

	while (dir && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%.200s/%.255s", path, e->d_name);
		if (unlink(name) < 0)
			rmdir(name);
	}
	if (dir)
		closedir(dir);
}

static inline void tmpdir_remove(struct tmpdir *d)
{
	empty_dir(d->log);
	empty_dir(d->path);
	rmdir(d->path);
}

/* Segments in the log, sorted; the caller frees with segments_free. */
static inline int is_segment(const struct dirent *e)
{
	return strncmp(e->d_name, "events-", 7) == 0;
}

static inline int segments(const char *log, struct dirent ***ret)
{
	int n = scandir(log, ret, is_segment, alphasort);

	assert_true(n >= 0);
	return n;
}

static inline void segments_free(struct dirent **list, int n)
{
	while (n--)
		free(list[n]);
	free(list);
}

static inline bool has_end(const char *text, const char *end)
{
	size_t len = text ? strlen(text) : 0;

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* The text of every record, oldest first, as JSON: valid, with no key twice, and the record's number in its id. */
static inline json_t *log_lines(const char *log)
{
	struct eg_spool_reader *reader;
	struct eg_spool_record record;
	json_t *lines = json_array();
	char id[64];

	assert_int_equal(eg_spool_reader_new(log, NULL, &reader), 0);
	while (eg_spool_reader_next(reader, &record) == 1) {
		json_error_t error;
		json_t *o = json_loadb(record.text, record.len, JSON_REJECT_DUPLICATES, &error);

		if (!o)
			fail_msg("%s: %.*s", error.text, (int)record.len, record.text);
		snprintf(id, sizeof(id), "-%llu-%llu", (unsigned long long)record.pos.epoch,
			 (unsigned long long)record.pos.n);
		assert_true(has_end(json_string_value(json_object_get(o, "event_id")), id));
		json_array_append_new(lines, o);
	}
	assert_int_equal(eg_spool_reader_damaged(reader), 0);
	eg_spool_reader_free(reader);
	return lines;
}

static inline const char *text_of(const json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));

	return s ? s : "";
}

/* How many lines of the log are of that type. */
static inline unsigned count_type(const char *log, const char *type)
{
	json_t *lines = log_lines(log), *line;
	unsigned n = 0;
	size_t i;

	json_array_foreach(lines, i, line)
		n += strcmp(text_of(line, "type"), type) == 0;
	json_decref(lines);
	return n;
}

static inline json_int_t number_of(const json_t *line, const char *key)
{
	return json_integer_value(json_object_get(line, key));
}

static inline struct eg_addr v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct eg_addr){.b = {[10] = 0xff, 0xff, (unsigned char)a, (unsigned char)b, (unsigned char)c,
				      (unsigned char)d}};
}

static inline uint64_t boot_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline struct eg_event sample_flow(enum eg_event_type type)
{
	struct eg_event e = {
		.boot_ns = 5000000000u,
		.seq = 7,
		.app = 3,
		.gen = 2,
		.uid = 9,
		.pid = 4321,
		.user = 1000,
		.type = (__u8)type,
		.proto = IPPROTO_TCP,
		.rule = 1,
		.src_port = 40000,
		.dst_port = 5432,
		.src = v4(10, 0, 0, 5),
		.dst = v4(10, 20, 0, 15),
		.cgroup_id = 77,
		.flow_id = (uint64_t)3 << 40 | 12,
		.start_boot_ns = 3500000000u,
		.seen = {1000, 2000, 10, 20},
		.rtt_us = 250,
		.retransmits = 1,
		.comm = "curl",
	};
	return e;
}

static inline struct eg_event sample_deny(void)
{
	struct eg_event e = sample_flow(EG_EVENT_DENY);

	e.reason = EG_REASON_NO_RULE;
	e.hook = EG_HOOK_CONNECT;
	e.rule = EG_RULE_NONE;
	e.flow_id = e.start_boot_ns = 0;
	e.src = (struct eg_addr){0};
	e.src_port = 0;
	e.seen = (struct eg_volume){.bytes_out = 60, .packets_out = 1};
	e.rtt_us = e.retransmits = 0;
	return e;
}

#endif

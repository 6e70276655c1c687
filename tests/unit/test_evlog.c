// SPDX-License-Identifier: Apache-2.0
/* The log on disk, and the queries that read it: what a crash, a quota and a full disk do to them. */
#include "evlog_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "../../agent/core/event_query.h"

static void files_are_private(void **state)
{
	char path[512];
	struct stat st;

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_int_equal(stat(dir.log, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	newest_path(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	check_numbers(1, 1);
}

static void numbers_go_on_after_a_restart(void **state)
{
	struct eg_spool_pos before, after;

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(3, "flow", "a"), 0);
	before = newest();
	open_log(0, 0);
	assert_int_equal(append(2, "flow", "a"), 0);
	after = newest();
	assert_int_equal(eg_spool_pos_compare(&before, &after), 0);
	check_numbers(1, 5);
}

static void another_boot_is_another_epoch(void **state)
{
	struct eg_spool_pos before, after;
	char path[512];
	FILE *f;

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(3, "flow", "a"), 0);
	before = newest();
	close_log();
	snprintf(path, sizeof(path), "%s/epoch", dir.log);
	f = fopen(path, "we");
	fprintf(f, "%llu 00000000-0000-0000-0000-000000000000\n", (unsigned long long)before.epoch);
	fclose(f);
	now_ns -= 10 * DAY; /* and the clock is wrong */
	open_log(0, 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	after = newest();
	assert_true(after.epoch > before.epoch);
	assert_int_equal(after.n, 1);
}

/* What was there may have been read, under the number that comes next: so another epoch begins. */
static void torn_tail_is_cut(void **state)
{
	static const char *const tails[] = {"\xff" "EG1\x40\0\0\0", "\0\0\0\0", "}"};
	static const size_t lens[] = {8, 4, 1};
	struct eg_evlog_damage damage;
	struct eg_evlog_stats stats;
	struct eg_spool_pos before;
	char path[512];

	(void)state;
	open_log(0, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(append(2, "flow", "a"), 0);
		before = newest();
		newest_path(path);
		close_log();
		put_file(path, O_APPEND, tails[i], lens[i]);
		open_log(0, 0);
		eg_evlog_stats(log_, &stats);
		assert_int_equal(stats.torn_bytes, lens[i]);
		assert_true(eg_evlog_take_damage(log_, &damage));
		assert_false(eg_evlog_take_damage(log_, &damage));
		assert_int_equal(damage.torn_bytes, lens[i]);
		assert_int_equal(damage.bytes, 0);
		assert_true(eg_evlog_number(log_).epoch > before.epoch);
	}
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_int_equal(count_lines(), 7);
}

static void starts_on_whatever_it_finds(void **state)
{
	static const char *const names[] = {
		"events-.spool", "events-1-2.spool", "events-9999999999-000000000001.spool.gz", "epoch.new",
		"events-18446744073709551615-000000000001.spool", "events--000000001-000000000001.spool", "core",
		"segment.new", "copy.new", "damaged",
	};
	char path[512];

	(void)state;
	assert_int_equal(mkdir(dir.log, 0700), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir.log, names[i]);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	snprintf(path, sizeof(path), "%s/epoch", dir.log);
	assert_int_equal(symlink("/dev/null", path), 0);
	snprintf(path, sizeof(path), "%s/events-0000000003-000000000001.spool", dir.log);
	assert_int_equal(mkdir(path, 0700), 0); /* a segment's name, but no file */
	open_log(0, 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_true(newest().epoch >= now_ns / NS);
}

static void only_one_writer(void **state)
{
	struct eg_evlog *other;

	(void)state;
	open_log(0, 0);
	assert_int_equal(eg_evlog_new(&config, &other), 0);
	assert_int_equal(eg_evlog_open(other, now_ns), -EBUSY);
	close_log();
	assert_int_equal(eg_evlog_open(other, now_ns), 0);
	eg_evlog_free(other);
}

static void rotates_by_size_and_day(void **state)
{
	struct eg_evlog_stats stats;

	(void)state;
	open_log(0, 64 * KIB);
	for (int i = 0; i < 40; i++)
		assert_int_equal(append(20, "flow", "a"), 0);
	eg_evlog_stats(log_, &stats);
	assert_true(stats.segments >= 3 && stats.segments <= 4);
	now_ns += DAY;
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_int_equal(newest().n, 801);
	check_numbers(1, 802);
}

/* Numbers and places don't ask what time it is: each record is read once and in its order, also after a restart. */
static void clock_a_day_ahead_and_back(void **state)
{
	struct eg_spool_reader *reader;
	struct eg_spool_record record;
	struct eg_evlog_gap gap;
	uint64_t n = 0;

	(void)state;
	open_log(0, 0);
	assert_int_equal(eg_spool_reader_new(dir.log, NULL, &reader), 0);
	for (int round = 0; round < 6; round++) {
		now_ns = round % 2 ? now_ns - DAY : now_ns + DAY;
		if (round == 3)
			open_log(0, 0);
		assert_int_equal(append(10, "flow", "a"), 0);
		while (eg_spool_reader_next(reader, &record) == 1) {
			assert_int_equal(record.pos.n, ++n);
			assert_int_equal(record.missed, 0);
		}
		assert_int_equal(n, 10 * (round + 1));
	}
	eg_spool_reader_free(reader);
	assert_false(eg_evlog_take_gap(log_, &gap));
	check_numbers(1, 60);
}

static void quota_deletes_the_oldest_and_says_so(void **state)
{
	struct eg_evlog_stats stats;
	struct eg_evlog_gap gap;
	uint64_t total = 0, gone;
	json_t *lines;

	(void)state;
	open_log(256 * KIB, 0);
	assert_false(eg_evlog_take_gap(log_, &gap));
	for (int i = 0; i < 100; i++) {
		assert_int_equal(append(50, "flow", "a"), 0);
		total += 50;
		settle();
		eg_evlog_stats(log_, &stats);
		assert_true(stats.bytes <= 256 * KIB);
	}
	assert_true(eg_evlog_take_gap(log_, &gap));
	assert_false(eg_evlog_take_gap(log_, &gap));
	lines = log_lines(dir.log);
	gone = gap.events[EG_SPOOL_FLOW];
	assert_true(gone > 0);
	assert_int_equal(gone + json_array_size(lines), total);
	assert_int_equal(gap.first.n, 1);
	assert_int_equal(gap.last.n, gone);
	assert_int_equal(gap.others + gap.events[EG_SPOOL_OTHER] + gap.events[EG_SPOOL_VITAL], 0);
	assert_int_equal(stats.evicted[EG_SPOOL_FLOW], gone);
	assert_int_equal(stats.evicted_bytes, gap.bytes);
	json_decref(lines);
	check_numbers((json_int_t)gone + 1, total - gone);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that stops half-way, as on a disk that gets full. */
static void half_written_batch_is_overwritten(void **state)
{
	struct rlimit before;
	char path[512];
	struct stat st;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	open_log(0, 0);
	assert_int_equal(append(10, "flow", "a"), 0);
	limit_file_size(3000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(append(10, "flow", "torn"), -EFBIG);
	newest_path(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3000);
	limit_file_size(before.rlim_cur);
	/* A day later the segment ends there, and nothing of the failed batch stays. */
	now_ns += DAY;
	assert_int_equal(append(1, "flow", "a"), 0);
	check_numbers(1, 11);
	limit_file_size(1000);
	assert_int_equal(append(10, "flow", "torn"), -EFBIG);
	limit_file_size(before.rlim_cur);
	assert_int_equal(append(10, "flow", "a"), 0);
	check_numbers(1, 21);
}

static void deleted_under_us(void **state)
{
	struct eg_spool_pos before, after;
	char path[512];

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(3, "flow", "a"), 0);
	assert_int_equal(eg_evlog_check(log_), 0);
	before = newest();
	newest_path(path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(eg_evlog_check(log_), -ESTALE);
	assert_int_equal(append(1, "flow", "a"), -EBADF);
	assert_int_equal(eg_evlog_open(log_, now_ns), 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	after = newest();
	assert_true(after.epoch > before.epoch); /* no number twice */
	empty_dir(dir.log);
	assert_int_equal(rmdir(dir.log), 0);
	assert_int_equal(eg_evlog_check(log_), -ESTALE);
	assert_int_equal(eg_evlog_open(log_, now_ns), 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	assert_int_equal(eg_evlog_check(log_), 0);
}

/* ---- Queries ---------------------------------------------------------------------- */

struct answer {
	uint64_t lines;
	uint64_t first, last; /* numbers */
	uint64_t gaps; /* events in {"type":"lost","cause":"follower"} */
	int state;
};

/* Reads until WAIT or END, in pieces of `piece` bytes; `before` was read already. */
static struct answer read_rest(struct eg_events_query *q, size_t piece, const char *before, size_t len)
{
	struct answer a = {0};
	char *buf = malloc(piece), *text = malloc(len + 1);
	size_t got;

	memcpy(text, before, len);
	do {
		a.state = eg_query_read(q, buf, piece, &got);
		assert_true(a.state >= 0);
		text = realloc(text, len + got + 1);
		memcpy(text + len, buf, got);
		len += got;
	} while (a.state == EG_QUERY_MORE);
	for (char *line = text, *end; line < text + len; line = end + 1) {
		json_t *o;

		end = memchr(line, '\n', (size_t)(text + len - line));
		assert_non_null(end);
		o = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_non_null(o);
		if (strcmp(text_of(o, "cause"), "follower") == 0) {
			a.gaps += (uint64_t)number_of(o, "events");
		} else {
			const char *id = text_of(o, "event_id");

			a.last = strtoull(strrchr(id, '-') + 1, NULL, 10);
			if (!a.lines++)
				a.first = a.last;
		}
		json_decref(o);
	}
	free(buf);
	free(text);
	return a;
}

static struct answer read_all(struct eg_events_query *q, size_t piece)
{
	return read_rest(q, piece, "", 0);
}

static struct answer ask(struct eg_events_filter filter)
{
	struct eg_events_query *q;
	struct answer a;

	assert_int_equal(eg_query_new(log_, NULL, "h", &filter, now_ns, &q), 0);
	a = read_all(q, 777);
	assert_int_equal(a.state, EG_QUERY_END);
	eg_query_free(q);
	return a;
}

static void fill_log(void)
{
	open_log(0, 64 * KIB);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(append(40, "flow", "a"), 0);
		assert_int_equal(append(1, "deny", "a"), 0);
		assert_int_equal(append(2, "deny", "bb"), 0);
	}
}

static void query_filters(void **state)
{
	struct answer a;

	(void)state;
	fill_log(); /* 1290 lines in several segments */
	a = ask((struct eg_events_filter){.limit = UINT64_MAX});
	assert_int_equal(a.lines, 1290);
	assert_int_equal(a.first, 1);
	a = ask((struct eg_events_filter){.limit = 5});
	assert_int_equal(a.lines, 5);
	assert_int_equal(a.first, 1286);
	a = ask((struct eg_events_filter){.limit = 1000});
	assert_int_equal(a.lines, 1000);
	assert_int_equal(a.last, 1290);
	a = ask((struct eg_events_filter){.limit = 100000});
	assert_int_equal(a.lines, 1290);
	a = ask((struct eg_events_filter){.limit = UINT64_MAX, .types = "deny"});
	assert_int_equal(a.lines, 90);
	a = ask((struct eg_events_filter){.limit = 4, .types = "cap,deny", .app = "a"});
	assert_int_equal(a.lines, 4);
	assert_int_equal(a.first, 26 * 43 + 41);
	a = ask((struct eg_events_filter){.limit = 10, .app = "b"});
	assert_int_equal(a.lines, 0);
	a = ask((struct eg_events_filter){.limit = 0});
	assert_int_equal(a.lines, 0);
}

static void query_last(void **state)
{
	struct answer a;

	(void)state;
	open_log(0, 0);
	now_ns -= 600 * NS;
	assert_int_equal(append(10, "flow", "a"), 0);
	now_ns += 600 * NS;
	assert_int_equal(append(3, "flow", "a"), 0);
	a = ask((struct eg_events_filter){.limit = UINT64_MAX, .last_ns = 60 * NS});
	assert_int_equal(a.lines, 3);
	assert_int_equal(a.first, 11);
	a = ask((struct eg_events_filter){.limit = 100, .last_ns = 601 * NS});
	assert_int_equal(a.lines, 13);
	now_ns += 3600 * NS; /* the last write is long ago then */
	a = ask((struct eg_events_filter){.limit = 100, .last_ns = 60 * NS});
	assert_int_equal(a.lines, 0);
}

static void query_refuses(void **state)
{
	static const struct eg_events_filter bad[] = {
		{.types = "flow,flaw"}, {.types = ""}, {.types = ","}, {.app = ""},
		{.app = "a-name-that-is-longer-than-any-app-can-have-because-sixty-three-is-the-limit"},
	};
	struct eg_events_query *q;

	(void)state;
	open_log(0, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_query_new(log_, NULL, "h", &bad[i], now_ns, &q), -EINVAL);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void follow(void **state)
{
	struct eg_events_filter filter = {.limit = 2, .follow = true, .types = "deny"};
	struct eg_events_query *q;
	struct answer a;
	char buf[16];
	size_t len;

	(void)state;
	open_log(0, 64 * KIB);
	assert_int_equal(eg_query_new(log_, NULL, "h", &filter, now_ns, &q), 0); /* of an empty log */
	assert_int_equal(read_all(q, 100).state, EG_QUERY_WAIT);
	for (int i = 0; i < 10; i++) { /* through several segments */
		assert_int_equal(append(100, "flow", "a"), 0);
		assert_int_equal(append(1, "deny", "a"), 0);
		eg_query_notify(q);
		assert_true(readable(eg_query_fd(q)));
		a = read_all(q, 100);
		assert_int_equal(a.state, EG_QUERY_WAIT);
		assert_int_equal(a.lines, 1);
		assert_int_equal(a.last, stamp.n - 1);
		assert_false(readable(eg_query_fd(q)));
	}
	eg_query_free(q);
	assert_int_equal(eg_query_new(log_, NULL, "h", &filter, now_ns, &q), 0);
	a = read_all(q, 100);
	assert_int_equal(a.lines, 2); /* history first */
	assert_int_equal(a.gaps, 0);
	eg_query_end(q);
	assert_true(readable(eg_query_fd(q)));
	assert_int_equal(eg_query_read(q, buf, sizeof(buf), &len), EG_QUERY_END);
	eg_query_free(q);
}

/* A follower that reads nothing while the quota passes it by: told how much, and nothing twice. */
static void slow_follower_is_told(void **state)
{
	struct eg_events_filter filter = {.limit = UINT64_MAX, .follow = true};
	struct eg_events_query *q;
	struct answer a, b;
	char buf[100];
	size_t len;

	(void)state;
	open_log(256 * KIB, 0);
	assert_int_equal(append(10, "flow", "a"), 0);
	assert_int_equal(eg_query_new(log_, NULL, "h", &filter, now_ns, &q), 0);
	assert_int_equal(eg_query_read(q, buf, sizeof(buf), &len), EG_QUERY_MORE); /* holds the first segment */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(append(50, "flow", "a"), 0);
		settle();
	}
	a = read_rest(q, 4096, buf, len);
	assert_true(a.gaps > 0);
	assert_int_equal(a.last, 5010);
	b = read_all(q, 4096);
	assert_int_equal(b.lines, 0);
	assert_int_equal(a.lines + a.gaps, 5010);
	eg_query_free(q);
}

/* What the quota took before somebody asks is told by an event of its own, not to each who asks. */
static void query_of_what_is_left(void **state)
{
	struct answer a;
	uint64_t left;

	(void)state;
	open_log(256 * KIB, 0);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(append(40, "flow", "a"), 0);
		assert_int_equal(append(1, "deny", "a"), 0);
		settle();
	}
	left = count_lines();
	assert_true(left < stamp.n - 1);
	a = ask((struct eg_events_filter){.limit = UINT64_MAX});
	assert_int_equal(a.lines, left);
	assert_int_equal(a.gaps, 0);
	a = ask((struct eg_events_filter){.limit = UINT64_MAX, .types = "deny"});
	assert_int_equal(a.lines, 60);
	a = ask((struct eg_events_filter){.limit = 55, .types = "deny"});
	assert_int_equal(a.lines, 55);
	assert_int_equal(a.first, 6 * 41);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(files_are_private),
		T(numbers_go_on_after_a_restart),
		T(another_boot_is_another_epoch),
		T(torn_tail_is_cut),
		T(starts_on_whatever_it_finds),
		T(only_one_writer),
		T(rotates_by_size_and_day),
		T(clock_a_day_ahead_and_back),
		T(quota_deletes_the_oldest_and_says_so),
		T(half_written_batch_is_overwritten),
		T(deleted_under_us),
		T(query_filters),
		T(query_last),
		T(query_refuses),
		T(follow),
		T(slow_follower_is_told),
		T(query_of_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

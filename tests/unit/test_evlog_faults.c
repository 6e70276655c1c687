// SPDX-License-Identifier: Apache-2.0
/*
 * What a disk does to the log: errors and stalls of fdatasync and write, a full disk, damage at each byte, kills at
 * any moment. A reader has to see each record that was written once, and what is not there any more has to be told.
 */
#include "evlog_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* ---- A disk with errors ------------------------------------------------------------- */

static atomic_int sync_error; /* of the next syncs; 0: none */
static atomic_int write_error;
static atomic_uint syncs, stalled;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: syncs stand still */

static int bad_fdatasync(int fd)
{
	int error = atomic_load(&sync_error);

	(void)fd;
	atomic_fetch_add(&stalled, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	atomic_fetch_sub(&stalled, 1);
	atomic_fetch_add(&syncs, 1);
	errno = error;
	return error ? -1 : 0;
}

/* Half of what it was to write is there, and then an error. */
static ssize_t bad_pwrite(int fd, const void *from, size_t len, off_t offset)
{
	int error = atomic_load(&write_error);

	if (!error)
		return pwrite(fd, from, len, offset);
	if (len > 1)
		return pwrite(fd, from, len / 2, offset);
	errno = error;
	return -1;
}

static const struct eg_evlog_io bad_io = {.pwrite = bad_pwrite, .fdatasync = bad_fdatasync};

static int setup_bad(void **state)
{
	int r = setup(state);

	atomic_store(&sync_error, 0);
	atomic_store(&write_error, 0);
	atomic_store(&syncs, 0);
	config.io = &bad_io;
	return r;
}

static int teardown_bad(void **state)
{
	close_log();
	umount2(dir.path, MNT_DETACH); /* if one is there */
	return teardown(state);
}

static void wait_for(atomic_uint *what)
{
	for (unsigned ms = 0; !atomic_load(what) && ms < 20000; ms++)
		usleep(1000);
	assert_true(atomic_load(what) > 0);
}

static struct eg_evlog_stats stats_of(void)
{
	struct eg_evlog_stats stats;

	eg_evlog_stats(log_, &stats);
	return stats;
}

static void vital_records_are_synced_at_once(void **state)
{
	(void)state;
	open_log(0, 0);
	settle();
	atomic_store(&syncs, 0);
	assert_int_equal(append(1, "deny", "a"), 0);
	wait_for(&syncs);
	settle();
	assert_int_equal(stats_of().unsynced_bytes, 0);
	assert_int_equal(append(1, "flow", "a"), 0); /* waits for company */
	assert_true(stats_of().unsynced_bytes > 0);
	settle();
	assert_int_equal(stats_of().unsynced_bytes, 0);
}

/* Nothing since the last good sync is known to be on the disk: it is written again, and read once. */
static void failed_sync_is_written_again(void **state)
{
	struct eg_spool_reader *reader;
	struct eg_spool_record record;
	struct eg_spool_pos before;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(eg_spool_reader_new(dir.log, NULL, &reader), 0);
	open_log(0, 64 * KIB);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(append(100, "flow", "a"), 0);
		settle();
		before = newest();
		atomic_store(&sync_error, EIO);
		for (int i = 0; i < 5; i++) /* over more than one segment */
			if (append(100, "flow", "a") < 0)
				break;
		assert_int_equal(eg_evlog_flush(log_, 20000), -EIO);
		while (eg_spool_reader_next(reader, &record) == 1) /* it is in the page cache, after all */
			assert_int_equal(record.pos.n, ++n);
		assert_int_equal(append(1, "flow", "a"), -EIO); /* nothing more before that is put right */
		assert_int_equal(eg_evlog_open(log_, now_ns), -EIO);
		atomic_store(&sync_error, 0);
		assert_int_equal(eg_evlog_open(log_, now_ns), 0);
		assert_true(eg_spool_pos_compare(&before, &(struct eg_spool_pos){before.epoch, newest().n}) < 0);
		settle();
		assert_int_equal(append(10, "flow", "a"), 0);
		while (eg_spool_reader_next(reader, &record) == 1) {
			assert_int_equal(record.pos.n, ++n);
			assert_int_equal(record.missed, 0);
		}
		assert_int_equal(n, stamp.n - 1);
	}
	assert_int_equal(stats_of().sync_errors, 5);
	check_numbers(1, n);
	eg_spool_reader_free(reader);
	open_log(0, 64 * KIB); /* and goes on where it was */
	assert_int_equal(stamp.n, n + 1);
}

static void stalled_sync_holds_nobody_up(void **state)
{
	unsigned batches = 0;
	int r;

	(void)state;
	open_log(0, 0);
	settle();
	pthread_mutex_lock(&gate);
	assert_int_equal(append(1, "deny", "a"), 0);
	wait_for(&stalled);
	assert_int_equal(count_lines(), 1); /* readers don't wait for the disk */
	while ((r = append(1000, "flow", "a")) == 0)
		batches++;
	assert_int_equal(r, -ETIME);
	assert_true(stats_of().unsynced_bytes > 7 * KIB * KIB && stats_of().unsynced_bytes <= 8 * KIB * KIB);
	assert_int_equal(eg_evlog_flush(log_, 10), -ETIMEDOUT);
	pthread_mutex_unlock(&gate);
	settle();
	assert_int_equal(append(1000, "flow", "a"), 0);
	check_numbers(1, 1 + (batches + 1) * 1000);
}

/* What is not on the disk yet can't go, however full it is; it goes then, without another event. */
static void quota_is_kept_after_a_stall(void **state)
{
	(void)state;
	open_log(256 * KIB, 64 * KIB);
	settle();
	pthread_mutex_lock(&gate);
	assert_int_equal(append(100, "deny", "a"), 0);
	wait_for(&stalled); /* with a part of the first segment */
	for (int i = 0; i < 19; i++)
		assert_int_equal(append(100, "deny", "a"), 0);
	assert_true(stats_of().bytes > 256 * KIB);
	assert_int_equal(stats_of().evicted[EG_SPOOL_VITAL], 0);
	pthread_mutex_unlock(&gate);
	settle();
	assert_true(stats_of().bytes <= 256 * KIB);
	assert_int_equal(stats_of().evicted[EG_SPOOL_VITAL] + count_lines(), 2000);
}

static void failed_write_is_tried_again(void **state)
{
	(void)state;
	open_log(0, 64 * KIB);
	for (int i = 0; i < 200; i++) { /* through several segments */
		static const int errors[] = {ENOSPC, EIO};

		atomic_store(&write_error, errors[i % 2]);
		assert_int_equal(append(10, "flow", "a"), -errors[i % 2]);
		atomic_store(&write_error, 0);
		assert_int_equal(append(10, "flow", "a"), 0);
	}
	check_numbers(1, 2000);
}

/* Killed while the disk is full, and started on it: what is whole stays, and it goes on when there is room. */
static void full_disk(void **state)
{
	unsigned batches = 0;
	int r;

	(void)state;
	config.io = NULL;
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", 0, "size=512k"), 0);
	open_log(0, 64 * KIB);
	while (append(20, "deny", "a") == 0 && batches < 1000)
		batches++;
	assert_true(batches > 10 && batches < 1000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(append(20, "deny", "a"), -ENOSPC);
	settle();
	close_log();
	assert_int_equal(eg_evlog_new(&config, &log_), 0);
	r = eg_evlog_open(log_, now_ns);
	assert_true(r == 0 || r == -ENOSPC);
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT, "size=2m"), 0);
	open_log(0, 64 * KIB);
	assert_int_equal(append(20, "deny", "a"), 0);
	/* Of the batch that failed, what was whole in the file may have stayed. */
	assert_in_range(count_lines(), (batches + 1) * 20, (batches + 2) * 20 - 1);
	close_log();
}

/* ---- Damage ------------------------------------------------------------------------- */

/* The last segment with each byte flipped, or cut there: the log starts, goes on, and says what it found. */
static void last_segment_at_each_byte(void **state)
{
	char path[512], copy[4096];
	struct eg_evlog_damage damage;
	size_t len, one;
	FILE *f;

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(4, "flow", "a"), 0);
	newest_path(path);
	close_log();
	f = fopen(path, "re");
	len = fread(copy, 1, sizeof(copy), f);
	fclose(f);
	one = len / 4;
	assert_int_equal(len % 4, 0);
	for (size_t at = 0; at < 2 * len; at++) {
		bool cut = at >= len;
		size_t whole = cut ? (at - len) / one : 3, torn = cut ? (at - len) % one : 0;
		size_t hit = at / one;

		empty_dir(dir.log);
		if (!cut)
			copy[at] = (char)~copy[at];
		put_file(path, O_TRUNC, copy, cut ? at - len : len);
		if (!cut)
			copy[at] = (char)~copy[at];
		open_log(0, 0);
		assert_int_equal(append(2, "deny", "a"), 0);
		assert_int_equal(count_lines(), whole + 2);
		if (cut ? torn : 1) {
			assert_true(eg_evlog_take_damage(log_, &damage));
			assert_int_equal(damage.torn_bytes, cut ? torn : hit == 3 ? one : 0);
			assert_int_equal(damage.bytes, cut || hit == 3 ? 0 : one);
			assert_int_equal(damage.kept_bytes, damage.bytes);
			assert_int_equal(damage.events, cut || hit == 3 ? 0 : 1);
		} else {
			assert_false(eg_evlog_take_damage(log_, &damage));
		}
	}
}

/* What was bad is kept aside, up to a bound, and found no second time. */
static void bad_bytes_are_put_aside(void **state)
{
	static char garbage[600 * 1024];
	struct eg_evlog_batch batch;
	char path[512], aside[512];
	struct eg_evlog_damage damage;
	struct stat st;

	(void)state;
	memset(garbage, 'g', sizeof(garbage));
	snprintf(aside, sizeof(aside), "%s/damaged", dir.log);
	for (unsigned round = 1; round <= 3; round++) {
		open_log(0, 0);
		assert_int_equal(append(2, "flow", "a"), 0);
		newest_path(path);
		put_file(path, O_APPEND, garbage, sizeof(garbage));
		/* Something good after it, of another number. */
		stamp.n += 5;
		batch = make_batch(1, "flow", "a");
		put_file(path, O_APPEND, batch.frames, batch.len);
		free((char *)batch.frames);
		open_log(0, 0);
		assert_true(eg_evlog_take_damage(log_, &damage));
		assert_int_equal(damage.bytes, sizeof(garbage));
		assert_int_equal(damage.events, 5);
		assert_int_equal(stat(aside, &st), 0);
		assert_int_equal(st.st_size, round == 1 ? sizeof(garbage) : 1024 * 1024);
		open_log(0, 0);
		assert_false(eg_evlog_take_damage(log_, &damage));
		assert_int_equal(count_lines(), round * 3);
	}
}

/* ---- The quota ---------------------------------------------------------------------- */

static void vital_records_stay_longest(void **state)
{
	uint64_t gone[EG_SPOOL_CLASS_COUNT_] = {0};
	struct eg_evlog_gap gap;
	unsigned rounds = 0;

	(void)state;
	open_log(512 * KIB, 64 * KIB);
	/* Of each ten records eight are flows, one is a denial: flows alone make the room. */
	while (rounds < 400 && !stats_of().evicted[EG_SPOOL_OTHER]) {
		assert_int_equal(append(8, "flow", "a"), 0);
		assert_int_equal(append(1, "dns", "a"), 0);
		assert_int_equal(append(1, "deny", "a"), 0);
		rounds++;
		settle();
		assert_true(stats_of().bytes <= 512 * KIB);
		if (!stats_of().evicted[EG_SPOOL_OTHER])
			assert_int_equal(count_type(dir.log, "dns"), rounds);
	}
	assert_true(stats_of().evicted[EG_SPOOL_FLOW] > rounds * 4);
	assert_int_equal(stats_of().evicted[EG_SPOOL_VITAL], 0);
	while (!stats_of().evicted[EG_SPOOL_VITAL]) {
		assert_int_equal(append(50, "deny", "b"), 0);
		rounds += 50;
		settle();
		if (!stats_of().evicted[EG_SPOOL_VITAL])
			assert_int_equal(count_type(dir.log, "deny"), rounds);
	}
	assert_true(eg_evlog_take_gap(log_, &gap));
	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++)
		gone[i] += gap.events[i];
	assert_int_equal(count_lines() + gone[0] + gone[1] + gone[2], stamp.n - 1);
	assert_int_equal(gap.first.n, 1);
	assert_int_equal(stats_of().evicted_bytes, gap.bytes);
}

/* A reader that stands in the middle gets everything after it that is still there, and the number of what is not. */
static void eviction_does_not_disturb_readers(void **state)
{
	struct eg_spool_reader *reader;
	struct eg_spool_record record;
	uint64_t seen = 0, missed = 0;

	(void)state;
	assert_int_equal(eg_spool_reader_new(dir.log, &(struct eg_spool_pos){1, 1}, &reader), 0);
	open_log(256 * KIB, 64 * KIB);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(append(20, "flow", "a"), 0);
		assert_int_equal(append(1, "deny", "a"), 0);
		settle();
		if (i % 10)
			continue; /* it is slow */
		while (eg_spool_reader_next(reader, &record) == 1) {
			assert_int_equal(record.pos.n, seen + missed + record.missed + 1);
			missed += record.missed;
			seen++;
			if (seen % 150 == 0)
				break;
		}
	}
	while (eg_spool_reader_next(reader, &record) == 1) {
		missed += record.missed;
		seen++;
	}
	assert_int_equal(seen + missed, stamp.n - 1);
	assert_true(missed > 0 && stats_of().evicted[EG_SPOOL_FLOW] > 0);
	assert_int_equal(eg_spool_reader_damaged(reader), 0);
	eg_spool_reader_free(reader);
}

/* Nobody waits for the other: every number is there or was told, and the quota is kept in the end. */
static void appending_while_evicting(void **state)
{
	struct eg_evlog_gap gap;

	(void)state;
	open_log(256 * KIB, 64 * KIB);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(append(9, "flow", "a"), 0);
		assert_int_equal(append(1, i % 3 ? "deny" : "dns", "a"), 0);
		if (i % 64 == 0)
			assert_int_equal(eg_evlog_check(log_), 0);
	}
	settle();
	assert_true(stats_of().bytes <= 256 * KIB);
	assert_true(eg_evlog_take_gap(log_, &gap));
	assert_int_equal(count_lines() + gap.events[0] + gap.events[1] + gap.events[2], 30000);
	assert_int_equal(stamp.n, 30001);
}

static void older_segments_without_frames_go_first(void **state)
{
	static const char old[] = "events-0000000005-000000000001.ndjson";
	static char lines[100 * 1024];
	struct eg_evlog_gap gap;
	char path[512];

	(void)state;
	memset(lines, 'x', sizeof(lines));
	for (size_t i = 99; i < sizeof(lines); i += 100)
		lines[i] = '\n';
	assert_int_equal(mkdir(dir.log, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s", dir.log, old);
	put_file(path, O_TRUNC, lines, sizeof(lines));
	open_log(256 * KIB, 64 * KIB);
	assert_int_equal(stats_of().bytes, sizeof(lines));
	assert_true(eg_evlog_number(log_).epoch > 5);
	while (!stats_of().evicted_others) {
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(append(50, "flow", "a"), 0);
		settle();
	}
	assert_int_equal(access(path, F_OK), -1);
	assert_true(eg_evlog_take_gap(log_, &gap));
	assert_int_equal(gap.others, 1024);
	assert_int_equal(gap.events[EG_SPOOL_FLOW], 0);
	assert_int_equal(gap.first.epoch, 5);
	check_numbers(1, stamp.n - 1);
}

static void group_may_read(void **state)
{
	char path[512];
	struct stat st;

	(void)state;
	open_log(0, 0);
	assert_int_equal(append(1, "flow", "a"), 0);
	config.gid = 12345;
	open_log(0, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stat(dir.log, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0750);
		assert_int_equal(st.st_gid, 12345);
		newest_path(path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		assert_int_equal(st.st_gid, 12345);
		snprintf(path, sizeof(path), "%s/epoch", dir.log);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		now_ns += DAY; /* another segment */
		assert_int_equal(append(1, "flow", "a"), 0);
	}
}

/* ---- Kills -------------------------------------------------------------------------- */

#define RUNS 300

/* Appends until it is killed; says after each batch up to which number it was taken. */
static void write_until_killed(int told)
{
	open_log(0, 64 * KIB);
	for (unsigned i = 1;; i++) {
		struct eg_spool_pos next;

		if (append(1 + i % 40, i % 7 ? "flow" : "deny", "a") < 0)
			_exit(1);
		next = eg_evlog_number(log_);
		if (write(told, &next, sizeof(next)) != sizeof(next))
			_exit(1);
	}
}

/* Everything up to there was taken in that epoch. */
static void check_seen(const struct eg_spool_pos *taken, const struct eg_spool_pos *seen)
{
	if (taken->epoch)
		assert_true(seen->epoch > taken->epoch || (seen->epoch == taken->epoch && seen->n + 1 >= taken->n));
}

static void killed_at_any_moment(void **state)
{
	struct eg_spool_pos seen = {0};
	struct eg_spool_reader *reader;
	uint64_t records = 0;
	unsigned epochs = 0;

	(void)state;
	assert_int_equal(eg_spool_reader_new(dir.log, NULL, &reader), 0);
	for (int run = 0; run < RUNS; run++) {
		struct eg_spool_pos taken = {0}, one;
		struct eg_spool_record record;
		int told[2], status;
		pid_t pid;

		assert_int_equal(pipe(told), 0);
		fcntl(told[1], F_SETPIPE_SZ, 1 << 20);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_until_killed(told[1]);
		close(told[1]);
		usleep((useconds_t)(random() % 8000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(told[0], &one, sizeof(one)) == sizeof(one))
			taken = one;
		close(told[0]);
		while (eg_spool_reader_next(reader, &record) == 1) {
			if (record.pos.epoch == seen.epoch) {
				assert_int_equal(record.pos.n, seen.n + 1);
			} else {
				assert_true(record.pos.epoch > seen.epoch);
				assert_int_equal(record.pos.n, 1);
				epochs++;
			}
			seen = record.pos;
			records++;
		}
		check_seen(&taken, &seen);
	}
	assert_true(records > RUNS);
	assert_true(epochs <= RUNS);
	assert_int_equal(count_lines(), records);
	eg_spool_reader_free(reader);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_bad, teardown_bad)
	const struct CMUnitTest tests[] = {
		T(vital_records_are_synced_at_once),
		T(failed_sync_is_written_again),
		T(stalled_sync_holds_nobody_up),
		T(quota_is_kept_after_a_stall),
		T(failed_write_is_tried_again),
		T(full_disk),
		T(last_segment_at_each_byte),
		T(bad_bytes_are_put_aside),
		T(vital_records_stay_longest),
		T(eviction_does_not_disturb_readers),
		T(appending_while_evicting),
		T(older_segments_without_frames_go_first),
		T(group_may_read),
		T(killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

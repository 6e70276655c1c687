// SPDX-License-Identifier: Apache-2.0
/* Frames of the spool and its reader: what is damaged, missing, replaced or not written yet. */
#include "spool_fixture.h"

#include <sys/syscall.h>

#define E1 1000u
#define E2 2000u

static struct tmpdir dir;
static struct eg_spool_reader *reader;

/* A disk with a bad block: this is the pread that everything in this program calls. */
static off_t bad_block = -1;

ssize_t pread(int fd, void *to, size_t len, off_t offset)
{
	if (bad_block >= 0 && offset < bad_block + 4096 && offset + (off_t)len > bad_block) {
		if (offset >= bad_block) {
			errno = EIO;
			return -1;
		}
		len = (size_t)(bad_block - offset);
	}
	return syscall(SYS_pread64, fd, to, len, offset);
}

static int setup(void **state)
{
	(void)state;
	bad_block = -1;
	tmpdir_make(&dir);
	assert_int_equal(mkdir(dir.log, 0700), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	eg_spool_reader_free(reader);
	reader = NULL;
	tmpdir_remove(&dir);
	return 0;
}

static void open_reader(const struct eg_spool_pos *from)
{
	eg_spool_reader_free(reader);
	reader = NULL;
	assert_int_equal(eg_spool_reader_new(dir.log, from, &reader), 0);
}

/* Reads on: so many records, first .. last of one epoch, so many missed. */
#define EXPECT(want_count, want_first, want_last, want_missed)         \
	do {                                                           \
		struct got got_ = read_records(reader);                \
		assert_int_equal(got_.count, want_count);              \
		assert_int_equal(got_.first.n, want_first);            \
		assert_int_equal(got_.last.n, want_last);              \
		assert_int_equal(got_.missed, want_missed);            \
	} while (0)

/* ---- Frames ------------------------------------------------------------------------- */

static void frame_comes_back(void **state)
{
	struct bytes b = {0};
	struct eg_spool_frame frame;

	(void)state;
	add_record(&b, E1, EG_SPOOL_N_MAX, EG_SPOOL_VITAL, 100);
	assert_int_equal(eg_spool_frame_decode(b.data, b.len, E1, &frame), 1);
	assert_int_equal(frame.n, EG_SPOOL_N_MAX);
	assert_int_equal(frame.class, EG_SPOOL_VITAL);
	assert_int_equal(eg_spool_frame_size(&frame), b.len);
	assert_ptr_equal(frame.text, b.data + EG_SPOOL_HEAD_LEN);
	assert_int_equal(eg_spool_frame_decode(b.data, b.len, E2, &frame), -EBADMSG); /* of another epoch */
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(eg_spool_frame_decode(b.data, len, E1, &frame), 0);
	free(b.data);
}

/* Any bit that flips is seen: there is no frame, or one that would need more bytes. */
static void frame_with_a_bit_flipped(void **state)
{
	struct bytes b = {0};
	struct eg_spool_frame frame;

	(void)state;
	add_record(&b, E1, 77, EG_SPOOL_OTHER, 40);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
		assert_true(eg_spool_frame_decode(b.data, b.len, E1, &frame) <= 0);
		b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
	}
	assert_int_equal(eg_spool_frame_decode(b.data, b.len, E1, &frame), 1);
	free(b.data);
}

static void frame_is_found(void **state)
{
	(void)state;
	assert_int_equal(eg_spool_frame_find("", 0), 0);
	assert_int_equal(eg_spool_frame_find("abc", 3), 3);
	assert_int_equal(eg_spool_frame_find("a\xff\xff" "EG1x", 7), 2);
	assert_int_equal(eg_spool_frame_find("a\xff" "EGx\xff", 6), 5); /* may go on beyond the end */
	assert_int_equal(eg_spool_frame_find("a\xff" "EG2\xff" "EG", 8), 5);
}

/* ---- Reading ------------------------------------------------------------------------ */

static void reads_in_order(void **state)
{
	struct eg_spool_pos at;

	(void)state;
	assert_int_equal(rmdir(dir.log), 0);
	open_reader(NULL);
	EXPECT(0, 0, 0, 0); /* no directory, */
	assert_int_equal(mkdir(dir.log, 0700), 0);
	EXPECT(0, 0, 0, 0); /* no segment, */
	put_segment(dir.log, E1, 1, (struct bytes){0});
	EXPECT(0, 0, 0, 0); /* no record yet */
	append_segment(dir.log, E1, 1, records(E1, 1, 3, 10));
	EXPECT(3, 1, 3, 0);
	append_segment(dir.log, E1, 1, records(E1, 4, 1000, 1000)); /* more than a buffer */
	put_segment(dir.log, E1, 1001, records(E1, 1001, 1100, 10));
	EXPECT(1097, 4, 1100, 0);
	eg_spool_reader_tell(reader, &at);
	assert_int_equal(at.epoch, E1);
	assert_int_equal(at.n, 1101);
	put_segment(dir.log, E2, 1, records(E2, 1, 5, 10));
	EXPECT(5, 1, 5, 0);
	assert_int_equal(eg_spool_reader_damaged(reader), 0);
}

static void longest_records(void **state)
{
	struct bytes b = {0};

	(void)state;
	for (uint64_t n = 1; n <= 5; n++)
		add_record(&b, E1, n, EG_SPOOL_FLOW, EG_SPOOL_TEXT_MAX - 40);
	put_segment(dir.log, E1, 1, b);
	open_reader(NULL);
	EXPECT(5, 1, 5, 0);
}

/* Begins at each number of two segments; the bisection's offsets are not at frames. */
static void cursor_anywhere(void **state)
{
	struct eg_spool_pos at = {.epoch = E1};

	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 1000, 1500));
	put_segment(dir.log, E1, 1001, records(E1, 1001, 1010, 10));
	open_reader(NULL);
	for (at.n = 1; at.n <= 1011; at.n += at.n < 980 ? 97 : 1) {
		assert_int_equal(eg_spool_reader_seek(reader, &at), 0);
		if (at.n <= 1010)
			EXPECT(1011 - at.n, at.n, 1010, 0);
		else
			EXPECT(0, 0, 0, 0);
	}
	assert_int_equal(eg_spool_reader_seek(reader, NULL), 0);
	EXPECT(1010, 1, 1010, 0);
	at.n = 0; /* before the first that there can be */
	assert_int_equal(eg_spool_reader_seek(reader, &at), 0);
	EXPECT(1010, 1, 1010, 0);
}

/* ---- What is gone ------------------------------------------------------------------- */

static void middle_segment_deleted(void **state)
{
	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 10, 10));
	put_segment(dir.log, E1, 11, records(E1, 11, 30, 10));
	put_segment(dir.log, E1, 31, records(E1, 31, 40, 10));
	remove_segment(dir.log, E1, 11);
	open_reader(NULL);
	EXPECT(20, 1, 40, 20);
	/* The cursor's own segment: what was not had is missed, what was had is not. */
	remove_segment(dir.log, E1, 1);
	open_reader(&(struct eg_spool_pos){E1, 8});
	EXPECT(10, 31, 40, 23);
	open_reader(NULL); /* the oldest there is, wherever that begins */
	EXPECT(10, 31, 40, 0);
	/* All of the cursor's epoch, and the beginning of the next. */
	remove_segment(dir.log, E1, 31);
	put_segment(dir.log, E2, 5, records(E2, 5, 6, 10));
	open_reader(&(struct eg_spool_pos){E1, 8});
	EXPECT(2, 5, 6, 4);
}

static void deleted_while_it_is_read(void **state)
{
	struct eg_spool_record record;

	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 1000, 1000));
	put_segment(dir.log, E1, 1001, records(E1, 1001, 1500, 1000));
	put_segment(dir.log, E1, 1501, records(E1, 1501, 1600, 1000));
	open_reader(NULL);
	assert_int_equal(eg_spool_reader_next(reader, &record), 1);
	remove_segment(dir.log, E1, 1);
	remove_segment(dir.log, E1, 1001);
	EXPECT(999 + 100, 2, 1600, 500);
}

/* Records are taken out, and numbers stay: a cursor between them goes on at the next. */
static void compacted_under_the_reader(void **state)
{
	struct bytes b = {0};

	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 10, 10));
	put_segment(dir.log, E1, 11, records(E1, 11, 20, 10));
	open_reader(NULL);
	EXPECT(20, 1, 20, 0);
	add_record(&b, E1, 3, EG_SPOOL_VITAL, 10);
	add_record(&b, E1, 8, EG_SPOOL_VITAL, 10);
	put_segment(dir.log, E1, 1, b);
	EXPECT(0, 0, 0, 0); /* nothing twice */
	open_reader(&(struct eg_spool_pos){E1, 5});
	EXPECT(11, 8, 20, 3 + 2);
	open_reader(NULL);
	EXPECT(12, 3, 20, 4 + 2);
}

/* What an error of the disk spoiled is in the next segment again, under the same numbers. */
static void written_again_in_the_next(void **state)
{
	struct bytes spoiled = records(E1, 1, 20, 10), twice = {0};

	(void)state;
	memset(spoiled.data + spoiled.len / 4, 0, spoiled.len / 4); /* some of 11 .. 20 is good, and some of it not */
	put_segment(dir.log, E1, 1, spoiled);
	put_segment(dir.log, E1, 4, records(E1, 4, 30, 10));
	open_reader(NULL);
	EXPECT(30, 1, 30, 0);
	/* All of it was had from the first already. */
	put_segment(dir.log, E2, 1, records(E2, 1, 20, 10));
	EXPECT(20, 1, 20, 0);
	put_segment(dir.log, E2, 4, records(E2, 4, 30, 10));
	EXPECT(10, 21, 30, 0);
	/* Nothing of a segment was on the disk: it is replaced as a whole. */
	put_segment(dir.log, E2, 31, records(E2, 31, 33, 10));
	EXPECT(3, 31, 33, 0);
	twice = records(E2, 31, 40, 10);
	put_segment(dir.log, E2, 31, twice);
	EXPECT(7, 34, 40, 0);
}

static void another_spool(void **state)
{
	char path[512];

	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 10, 10));
	snprintf(path, sizeof(path), "%s/epoch", dir.log);
	put_file(path, O_TRUNC, "2000 x\n", 7);
	open_reader(&(struct eg_spool_pos){E2, 5});
	EXPECT(0, 0, 0, 0); /* its epoch has been reached: only nothing is there now */
	put_file(path, O_TRUNC, "1000 x\n", 7);
	EXPECT(10, 1, 10, 0); /* not this spool's cursor */
	assert_int_equal(unlink(path), 0);
	open_reader(&(struct eg_spool_pos){E2, 5});
	EXPECT(0, 0, 0, 0); /* can't be known */
	assert_int_equal(mkdir(path, 0700), 0);
	EXPECT(0, 0, 0, 0);
}

static void other_files_are_passed_over(void **state)
{
	static const char *const names[] = {
		"events-.spool", "events-1-2.spool", "events-0000001000-000000000001.ndjson", "epoch",
		"events-0000001000-000000000001.spool.new", "events-18446744073709551615-000000000001.spool",
		"events-0000001000-+00000000001.spool",
	};
	char path[512];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir.log, names[i]);
		put_file(path, O_TRUNC, "x", 1);
	}
	segment_path(dir.log, E1, 50, path);
	assert_int_equal(mkdir(path, 0700), 0);
	segment_path(dir.log, E1, 60, path);
	assert_int_equal(symlink("/dev/zero", path), 0);
	open_reader(NULL);
	EXPECT(0, 0, 0, 0);
	put_segment(dir.log, E1, 1, records(E1, 1, 2, 10));
	EXPECT(2, 1, 2, 0);
}

/* ---- Damage ------------------------------------------------------------------------- */

/* The newest segment cut at each byte: what is whole comes, and the rest once it is there. */
static void newest_cut_at_each_byte(void **state)
{
	struct bytes whole = records(E1, 1, 4, 20);
	char path[512];

	(void)state;
	segment_path(dir.log, E1, 1, path);
	for (size_t cut = 0; cut <= whole.len; cut++) {
		unsigned count = (unsigned)(cut * 4 / whole.len);

		put_file(path, O_TRUNC, whole.data, cut);
		open_reader(NULL);
		EXPECT(count, count ? 1 : 0, count, 0);
		put_file(path, O_APPEND, whole.data + cut, whole.len - cut);
		if (count < 4)
			EXPECT(4 - count, count + 1, 4, 0);
		assert_int_equal(eg_spool_reader_damaged(reader), 0);
	}
	free(whole.data);
}

/* A byte flipped anywhere costs the record that it is in, which is counted, and no other. */
static void flipped_at_each_byte(void **state)
{
	struct bytes whole = records(E1, 1, 5, 20);
	size_t one = whole.len / 5;
	char path[512];

	(void)state;
	segment_path(dir.log, E1, 1, path);
	put_segment(dir.log, E1, 6, records(E1, 6, 7, 20));
	for (size_t at = 0; at < whole.len; at++) {
		uint64_t hit = 1 + at / one;

		whole.data[at] = (char)~whole.data[at];
		put_file(path, O_TRUNC, whole.data, whole.len);
		whole.data[at] = (char)~whole.data[at];
		open_reader(&(struct eg_spool_pos){E1, 1});
		EXPECT(6, hit == 1 ? 2 : 1, 7, 1);
		assert_int_equal(eg_spool_reader_damaged(reader), one);
	}
	free(whole.data);
}

/* The same in the newest segment: the last record may be one that is being written. */
static void newest_flipped_at_each_byte(void **state)
{
	struct bytes whole = records(E1, 1, 5, 20);
	size_t one = whole.len / 5;
	char path[512];

	(void)state;
	segment_path(dir.log, E1, 1, path);
	for (size_t at = 0; at < whole.len; at++) {
		uint64_t hit = 1 + at / one;
		struct got got;

		whole.data[at] = (char)~whole.data[at];
		put_file(path, O_TRUNC, whole.data, whole.len);
		whole.data[at] = (char)~whole.data[at];
		open_reader(&(struct eg_spool_pos){E1, 1});
		got = read_records(reader);
		/* A length that grew may make the rest look like the beginning of a long record. */
		assert_true(got.count == 4 || got.count == hit - 1);
		assert_int_equal(got.missed, got.count == 4 && hit < 5);
		put_file(path, O_TRUNC, whole.data, whole.len); /* it is whole now */
		got = read_records(reader);
		assert_true(got.count == 0 || got.last.n == 5);
	}
	free(whole.data);
}

static void garbage_of_any_size(void **state)
{
	static char zeros[700000];
	struct bytes b = records(E1, 1, 2, 10);

	(void)state;
	for (size_t len = 1; len <= sizeof(zeros); len *= 7) {
		put_segment(dir.log, E1, 1, records(E1, 1, 2, 10));
		append_segment(dir.log, E1, 1, (struct bytes){memcpy(malloc(len), zeros, len), len});
		open_reader(NULL);
		EXPECT(2, 1, 2, 0);
		EXPECT(0, 0, 0, 0);
		append_segment(dir.log, E1, 1, records(E1, 3, 4, 10));
		EXPECT(2, 3, 4, 0);
		assert_int_equal(eg_spool_reader_damaged(reader), len);
	}
	free(b.data);
	/* At the end of a segment that is complete. */
	append_segment(dir.log, E1, 1, (struct bytes){memcpy(malloc(99), zeros, 99), 99});
	put_segment(dir.log, E1, 5, records(E1, 5, 5, 10));
	open_reader(NULL);
	EXPECT(5, 1, 5, 0);
	assert_true(eg_spool_reader_damaged(reader) > 99);
}

/* The newest segment may be read again; a complete one holds nobody up, and what it had there is missed. */
static void unreadable_block(void **state)
{
	struct eg_spool_record record;
	struct got got;
	unsigned before = 0;
	int r;

	(void)state;
	put_segment(dir.log, E1, 1, records(E1, 1, 1000, 1000));
	bad_block = 102400;
	open_reader(NULL);
	while ((r = eg_spool_reader_next(reader, &record)) == 1)
		before++;
	assert_int_equal(r, -EIO);
	assert_in_range(before, 90, 100);
	assert_int_equal(eg_spool_reader_next(reader, &record), -EIO);
	put_segment(dir.log, E1, 1001, records(E1, 1001, 1010, 10));
	got = read_records(reader);
	assert_int_equal(got.last.n, 1010);
	assert_in_range(got.missed, 4, 6);
	assert_int_equal(before + got.missed + got.count, 1010);
	assert_true(eg_spool_reader_damaged(reader) >= 4096);
	bad_block = 1017 * 1000; /* the last one there */
	open_reader(NULL);
	got = read_records(reader);
	assert_int_equal(got.count + got.missed, 1010);
	assert_true(got.missed > 0);
}

/* ---- Lag ---------------------------------------------------------------------------- */

static void lag_is_told(void **state)
{
	struct eg_spool_pos at = {E1, 1};
	uint64_t events, bytes, all;

	(void)state;
	open_reader(NULL);
	assert_int_equal(eg_spool_reader_lag(reader, &at, &events, &bytes), 0);
	assert_int_equal(events, 0);
	put_segment(dir.log, E1, 1, records(E1, 1, 1000, 1000));
	put_segment(dir.log, E1, 1001, records(E1, 1001, 1010, 10));
	put_segment(dir.log, E2, 1, records(E2, 1, 5, 10));
	assert_int_equal(eg_spool_reader_lag(reader, &at, &events, &all), 0);
	assert_int_equal(events, 1015);
	at.n = 501;
	assert_int_equal(eg_spool_reader_lag(reader, &at, &events, &bytes), 0);
	assert_int_equal(events, 515);
	assert_in_range(bytes, all / 2, all / 2 + 2000);
	at = (struct eg_spool_pos){E1, 5000};
	assert_int_equal(eg_spool_reader_lag(reader, &at, &events, &bytes), 0);
	assert_int_equal(events, 5);
	at = (struct eg_spool_pos){E2, 6};
	assert_int_equal(eg_spool_reader_lag(reader, &at, &events, &bytes), 0);
	assert_int_equal(events, 0);
	assert_int_equal(bytes, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frame_comes_back),
		TEST(frame_with_a_bit_flipped),
		TEST(frame_is_found),
		TEST(reads_in_order),
		TEST(longest_records),
		TEST(cursor_anywhere),
		TEST(middle_segment_deleted),
		TEST(deleted_while_it_is_read),
		TEST(compacted_under_the_reader),
		TEST(written_again_in_the_next),
		TEST(another_spool),
		TEST(other_files_are_passed_over),
		TEST(newest_cut_at_each_byte),
		TEST(flipped_at_each_byte),
		TEST(newest_flipped_at_each_byte),
		TEST(garbage_of_any_size),
		TEST(unreadable_block),
		TEST(lag_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The directory of snapshots stays within its number and its size, and loses the oldest only. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "../../agent/core/snapshot_files.h"
#include "directory_fixture.h"

#define MIB	(1ull << 20)
#define SECOND	1000000000ull
#define NEW_NS	(1798761600 * SECOND) /* 2027-01-01 */
#define OLD_NS	(NEW_NS - 40 * EG_SNAPSHOT_YOUNG_NS)

/* One of that size, without the bytes. */
static void put(const char *name, uint64_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static void put_at(const char *app, uint64_t utc_ns, uint64_t bytes)
{
	char name[EG_SNAPSHOT_NAME_LEN];

	eg_snapshot_name(app, utc_ns, name);
	put(name, bytes);
}

static bool is_there(const char *app, uint64_t utc_ns)
{
	char name[EG_SNAPSHOT_NAME_LEN];

	eg_snapshot_name(app, utc_ns, name);
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

/* At NEW_NS. */
static int write_one(uint64_t quota, struct eg_snapshot_room *room)
{
	char name[EG_SNAPSHOT_NAME_LEN];
	json_t *snapshot = json_pack("{s:s}", "app", "web");
	int r;

	*room = (struct eg_snapshot_room){.quota_bytes = quota, .now_utc_ns = NEW_NS};
	eg_snapshot_name("web", NEW_NS, name);
	r = eg_snapshot_write(dir_fd, name, snapshot, room);
	json_decref(snapshot);
	return r;
}

static void test_names(void **state)
{
	char name[EG_SNAPSHOT_NAME_LEN];

	(void)state;
	eg_snapshot_name("app-x", NEW_NS + 5, name);
	assert_string_equal(name, "app-x-20270101T000000.000000005Z.json");
}

static void test_nothing_goes_while_there_is_room(void **state)
{
	struct eg_snapshot_room room;

	(void)state;
	put_at("a", OLD_NS, 10 * MIB);
	assert_int_equal(write_one(64 * MIB, &room), 0);
	assert_int_equal(room.files, 2);
	assert_in_range(room.bytes, 10 * MIB + 1, 10 * MIB + 100);
	assert_int_equal(room.gone, 0);
	assert_string_equal(room.gone_newest, "");
	assert_true(is_there("a", OLD_NS) && is_there("web", NEW_NS));
}

/* Whatever app they are of. */
static void test_the_oldest_go_for_size(void **state)
{
	struct eg_snapshot_room room;

	(void)state;
	put_at("z", OLD_NS, 30 * MIB);
	put_at("a", OLD_NS + SECOND, 20 * MIB);
	put_at("m", OLD_NS + 2 * SECOND, 34 * MIB);
	put_at("b", OLD_NS + 3 * SECOND, 29 * MIB);
	put("notes.txt", 500 * MIB);
	put(".z-20270101T000000.000000000Z.json.new", 500 * MIB);
	assert_int_equal(write_one(64 * MIB, &room), 0);
	assert_int_equal(room.gone, 2);
	assert_true(room.gone_bytes == 50 * MIB);
	assert_int_equal(room.gone_young, 0);
	assert_string_equal(room.gone_newest, "a-20261122T000001.000000000Z.json");
	assert_int_equal(room.files, 3);
	assert_true(room.bytes <= 64 * MIB);
	assert_true(is_there("m", OLD_NS + 2 * SECOND) && is_there("b", OLD_NS + 3 * SECOND) && is_there("web", NEW_NS));
	assert_int_equal(faccessat(dir_fd, "notes.txt", F_OK, 0), 0);
}

static void test_the_oldest_go_for_number(void **state)
{
	struct eg_snapshot_room room;

	(void)state;
	for (unsigned i = 0; i < EG_SNAPSHOT_FILES + 5; i++)
		put_at("a", NEW_NS - EG_SNAPSHOT_YOUNG_NS - 3 * SECOND + i * SECOND, 1);
	assert_int_equal(write_one(64 * MIB, &room), 0);
	assert_int_equal(room.files, EG_SNAPSHOT_FILES);
	assert_int_equal(room.gone, 6);
	assert_int_equal(room.gone_young, 2); /* four were a day old, or more */
	assert_false(is_there("a", NEW_NS - EG_SNAPSHOT_YOUNG_NS + 2 * SECOND));
	assert_true(is_there("a", NEW_NS - EG_SNAPSHOT_YOUNG_NS + 3 * SECOND));
}

/* A quota that is smaller than one: the others stay. */
static void test_one_that_is_too_large(void **state)
{
	struct eg_snapshot_room room;

	(void)state;
	put_at("a", OLD_NS, 3);
	assert_int_equal(write_one(5, &room), -EFBIG);
	assert_int_equal(room.gone, 0);
	assert_int_equal(room.files, 1);
	assert_int_equal(room.bytes, 3);
	assert_true(is_there("a", OLD_NS));
	assert_false(is_there("web", NEW_NS));
	assert_int_equal(faccessat(dir_fd, ".web-20270101T000000.000000000Z.json.new", F_OK, 0), -1);
}

/* A directory of that name can't be unlinked, as a file that is immutable can't. */
static void test_what_can_not_be_deleted(void **state)
{
	struct eg_snapshot_room room;
	char name[EG_SNAPSHOT_NAME_LEN];

	(void)state;
	eg_snapshot_name("a", OLD_NS, name);
	assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
	put_at("b", OLD_NS + SECOND, 10 * MIB);
	assert_int_equal(write_one(10 * MIB, &room), 0); /* passed over */
	assert_int_equal(room.gone, 1);
	for (unsigned i = 0; i < EG_SNAPSHOT_FILES; i++) {
		eg_snapshot_name("c", OLD_NS + i * SECOND, name);
		assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
	}
	assert_int_equal(unlinkat(dir_fd, "web-20270101T000000.000000000Z.json", 0), 0);
	assert_int_equal(write_one(10 * MIB, &room), -EDQUOT);
	assert_false(is_there("web", NEW_NS));
}

static void test_mend(void **state)
{
	struct eg_snapshot_room room = {0};

	(void)state;
	put_at("a", OLD_NS, 1000);
	put_at("b", OLD_NS, 24);
	put(".a-20270101T000000.000000000Z.json.new", 5);
	put("notes.txt", 7);
	eg_snapshot_mend(dir_fd, &room);
	assert_int_equal(room.files, 2);
	assert_int_equal(room.bytes, 1024);
	assert_int_equal(faccessat(dir_fd, ".a-20270101T000000.000000000Z.json.new", F_OK, 0), -1);
	assert_int_equal(faccessat(dir_fd, "notes.txt", F_OK, 0), 0);
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILES_TEST(test_names),
		FILES_TEST(test_nothing_goes_while_there_is_room),
		FILES_TEST(test_the_oldest_go_for_size),
		FILES_TEST(test_the_oldest_go_for_number),
		FILES_TEST(test_one_that_is_too_large),
		FILES_TEST(test_what_can_not_be_deleted),
		FILES_TEST(test_mend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../../agent/sync/last_good.h"
#include "directory_fixture.h"

static void write_file(const char *text)
{
	int fd = openat(dir_fd, "last-good.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void kept(void **state)
{
	struct eg_last_good last, again;
	json_t *floor;

	(void)state;
	assert_int_equal(eg_last_good_read(dir_fd, &last), 0);
	assert_int_equal(json_object_size(last.floors), 0);
	assert_false(last.changed || last.paused);
	assert_int_equal(eg_last_good_write(dir_fd, &last), 0);
	assert_int_equal(faccessat(dir_fd, "last-good.json", F_OK, 0), -1); /* nothing to say */
	eg_last_good_raise(&last, "web", 7, "aa");
	eg_last_good_raise(&last, "web", 6, "bb"); /* never down */
	eg_last_good_raise(&last, "web", 7, "cc");
	last.paused = true;
	last.bundle_revision = 12;
	assert_true(last.changed);
	assert_int_equal(eg_last_good_write(dir_fd, &last), 0);
	assert_false(last.changed);
	assert_int_equal(eg_last_good_read(dir_fd, &again), 0);
	floor = json_object_get(again.floors, "web");
	assert_int_equal(json_integer_value(json_object_get(floor, "generation")), 7);
	assert_string_equal(json_string_value(json_object_get(floor, "hash")), "aa");
	assert_true(again.paused);
	assert_int_equal(again.bundle_revision, 12);
	eg_last_good_clear(&last);
	eg_last_good_clear(&again);
}

static void damaged(void **state)
{
	static const char *const cases[] = {"",
					    "{",
					    "[]",
					    "{}",
					    "{\"version\": 2, \"floors\": {}}",
					    "{\"version\": 1}",
					    "{\"version\": 1, \"floors\": {}, \"bundle_revision\": -1}"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_last_good last;

		write_file(cases[i]);
		assert_int_equal(eg_last_good_read(dir_fd, &last), -EBADMSG);
		assert_non_null(last.floors); /* it can be gone on with */
		eg_last_good_clear(&last);
		assert_int_equal(faccessat(dir_fd, "last-good.json.bad", F_OK, 0), 0);
		assert_int_equal(eg_last_good_read(dir_fd, &last), 0);
		eg_last_good_clear(&last);
	}
}

/* What can't be written stays to be written, and what was there stays. */
static void unwritable(void **state)
{
	struct eg_last_good last, again;

	(void)state;
	assert_int_equal(eg_last_good_read(dir_fd, &last), 0);
	eg_last_good_raise(&last, "web", 1, "aa");
	assert_int_equal(eg_last_good_write(dir_fd, &last), 0);
	eg_last_good_raise(&last, "web", 2, "bb");
	assert_int_equal(mkdirat(dir_fd, "last-good.json.new", 0700), 0);
	assert_int_equal(eg_last_good_write(dir_fd, &last), -EISDIR);
	assert_true(last.changed);
	assert_int_equal(eg_last_good_read(dir_fd, &again), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(again.floors, "web"), "generation")), 1);
	assert_int_equal(unlinkat(dir_fd, "last-good.json.new", AT_REMOVEDIR), 0);
	assert_int_equal(eg_last_good_write(dir_fd, &last), 0);
	eg_last_good_clear(&last);
	eg_last_good_clear(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(unwritable, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

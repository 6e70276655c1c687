// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/lib/slurp.h"

static int file_of(const char *text)
{
	char path[] = "/tmp/egret-slurp-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void the_whole_of_a_regular_file(void **state)
{
	char *text = NULL;
	size_t len = 0;
	int fd = file_of("hello");

	(void)state;
	assert_int_equal(eg_slurp(fd, 4, &text, &len), -EFBIG);
	assert_null(text);
	assert_int_equal(eg_slurp(fd, 5, &text, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "hello");
	free(text);
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(eg_slurp(fd, 5, &text, &len), -EINVAL);
	close(fd);
}

static void up_to_so_much_from_anything(void **state)
{
	char buffer[8];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	assert_int_equal(write(ends[1], "defghij", 7), 7);
	assert_int_equal(eg_read_up_to(ends[0], buffer, sizeof(buffer)), 8);
	assert_memory_equal(buffer, "abcdefgh", 8);
	close(ends[1]);
	assert_int_equal(eg_read_up_to(ends[0], buffer, sizeof(buffer)), 2);
	close(ends[0]);
	assert_int_equal(eg_read_up_to(-1, buffer, sizeof(buffer)), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_of_a_regular_file),
		cmocka_unit_test(up_to_so_much_from_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

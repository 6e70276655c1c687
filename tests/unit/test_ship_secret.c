// SPDX-License-Identifier: Apache-2.0
/* Credential files: what is taken, what is refused and how it is said, and when they are read again. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/ship/secret.h"

static char dir[64], path[80];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/egret-test-secret-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/token", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* As careful people do: another file, then renamed; so that even a write of the same size at once is a change. */
static void put(const void *data, size_t len)
{
	char other[96];
	int fd;

	snprintf(other, sizeof(other), "%s.new", path);
	fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	assert_int_equal(rename(other, path), 0);
}

static void put_text(const char *text)
{
	put(text, strlen(text));
}

static void check_refused(struct eg_secret *secret, int expected, const char *words)
{
	struct eg_error err = {0};
	char message[512];

	assert_int_equal(eg_secret_read(secret, false, &err), expected);
	snprintf(message, sizeof(message), "\"token_file\": %s %s", path, words);
	assert_string_equal(err.message, message);
	assert_null(secret->text);
	eg_error_clear(&err);
}

static void reads_when_it_changed(void **state)
{
	struct eg_secret secret = {.key = "token_file", .path = path};
	struct eg_error err = {0};

	(void)state;
	put_text("\r\n  one two \t\n");
	assert_int_equal(eg_secret_read(&secret, false, &err), 1);
	assert_string_equal(secret.text, "one two");
	assert_int_equal(eg_secret_read(&secret, false, &err), 0);
	assert_int_equal(eg_secret_read(&secret, true, &err), 1);
	put_text("eno two");
	assert_int_equal(eg_secret_read(&secret, false, &err), 1);
	assert_string_equal(secret.text, "eno two");
	unlink(path);
	check_refused(&secret, -ENOENT, "No such file or directory");
	put_text("back");
	assert_int_equal(eg_secret_read(&secret, false, &err), 1);
	assert_string_equal(secret.text, "back");
	eg_secret_drop(&secret);
	assert_null(secret.text);
}

static void refuses(void **state)
{
	struct eg_secret secret = {.key = "token_file", .path = path};
	static char huge[EG_SECRET_MAX + 1];
	struct eg_error err = {0};

	(void)state;
	put_text(" \r\n\t");
	check_refused(&secret, -EINVAL, "is empty");
	put_text("sesame\r\nX-Other: 1");
	check_refused(&secret, -EINVAL, "has control characters, or some that are not ASCII");
	put("a\0b", 3);
	check_refused(&secret, -EINVAL, "has control characters, or some that are not ASCII");
	put_text("caf\xc3\xa9");
	check_refused(&secret, -EINVAL, "has control characters, or some that are not ASCII");
	memset(huge, 'x', sizeof(huge));
	put(huge, sizeof(huge));
	check_refused(&secret, -EINVAL, "is too long for a secret");
	put(huge, EG_SECRET_MAX);
	assert_int_equal(eg_secret_read(&secret, false, &err), 1);
	assert_int_equal(strlen(secret.text), EG_SECRET_MAX);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not wait */
	check_refused(&secret, -EINVAL, "is not a regular file");
}

static void a_link_that_is_switched(void **state)
{
	char target[2][96], link[96];
	struct eg_filestamp stamp;

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(target[i], sizeof(target[i]), "%s/%d", dir, i);
		close(open(target[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink(target[0], link), 0);
	eg_filestamp_take(link, &stamp);
	assert_false(eg_filestamp_differs(&stamp, link));
	unlink(link);
	assert_true(eg_filestamp_differs(&stamp, link));
	assert_int_equal(symlink(target[1], link), 0);
	assert_true(eg_filestamp_differs(&stamp, link));
	unlink(link);
	unlink(target[0]);
	unlink(target[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_when_it_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_that_is_switched, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

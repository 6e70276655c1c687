// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/lib/cleanup.h"
#include "../../agent/lib/log.h"

/* What eg_log writes to stderr of such a text. */
static void logged(const char *text, char *ret, size_t size)
{
	EG_CLOSE int before = dup(STDERR_FILENO);
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	eg_log_info("it says: %s", text);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	n = read(ends[0], ret, size - 1);
	assert_true(n > 0);
	ret[n] = '\0';
	close(ends[0]);
	close(ends[1]);
}

/* Names and words of others are in it. */
static void a_message_is_one_line(void **state)
{
	static const char *const cases[][2] = {
		{"web", "it says: web\n"},
		{"a\n<3>egretd: all is well\r\n", "it says: a?<3>egretd: all is well??\n"},
		{"\033]0;title\a\033[2J\177", "it says: ?]0;title??[2J?\n"},
		{"\xc2\x9b" "31m \xc2\xa0 \xc3\x9f", "it says: ??31m \xc2\xa0 \xc3\x9f\n"},
		{"\xc2", "it says: \xc2\n"},
	};
	char line[2048];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		logged(cases[i][0], line, sizeof(line));
		assert_string_equal(line, cases[i][1]);
	}
	setenv("JOURNAL_STREAM", "8:1", 1);
	logged("a\n<0>b", line, sizeof(line));
	assert_string_equal(line, "<6>it says: a?<0>b\n");
	unsetenv("JOURNAL_STREAM");
}

static void a_long_message_is_cut(void **state)
{
	char text[3000], line[4096];

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	logged(text, line, sizeof(line));
	assert_int_equal(strlen(line), 1023);
	assert_ptr_equal(strchr(line, '\n'), line + 1022);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(a_long_message_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

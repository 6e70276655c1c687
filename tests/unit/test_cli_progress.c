// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/cli/progress.h"

#define SECOND 1000000000ull

/* A terminal, and what was written to it. */
struct fx {
	int master;
	FILE *err;
	char text[512];
};

static int setup(void **state)
{
	struct fx *fx = calloc(1, sizeof(*fx));
	int slave;

	assert_non_null(fx);
	assert_int_equal(openpty(&fx->master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(fcntl(fx->master, F_SETFL, O_NONBLOCK), 0);
	fx->err = fdopen(slave, "w");
	assert_non_null(fx->err);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fx *fx = *state;

	fclose(fx->err);
	close(fx->master);
	free(fx);
	return 0;
}

static const char *shown(struct fx *fx)
{
	ssize_t len = read(fx->master, fx->text, sizeof(fx->text) - 1);

	fx->text[len > 0 ? len : 0] = '\0';
	return fx->text;
}

static void nothing_of_what_is_quick(void **state)
{
	struct fx *fx = *state;
	struct eg_progress progress;

	eg_progress_begin(&progress, fx->err, "policies checked", 3);
	for (uint64_t done = 0; done < 3; done++)
		eg_progress_tell(&progress, done);
	eg_progress_wipe(&progress);
	assert_string_equal(shown(fx), "");
}

static void what_takes_long_is_told_and_wiped_out(void **state)
{
	struct fx *fx = *state;
	struct eg_progress progress;

	eg_progress_begin(&progress, fx->err, "policies checked", 300);
	progress.begun_ns -= SECOND;
	eg_progress_tell(&progress, 7);
	assert_string_equal(shown(fx), "\r\033[K7 of 300 policies checked");
	eg_progress_tell(&progress, 8); /* a moment later */
	assert_string_equal(shown(fx), "");
	progress.told_ns -= SECOND;
	eg_progress_tell(&progress, 9);
	assert_string_equal(shown(fx), "\r\033[K9 of 300 policies checked");
	eg_progress_wipe(&progress);
	assert_string_equal(shown(fx), "\r\033[K");
	eg_progress_wipe(&progress);
	assert_string_equal(shown(fx), "");
}

static void a_total_need_not_be_known(void **state)
{
	struct fx *fx = *state;
	struct eg_progress progress;

	eg_progress_begin(&progress, fx->err, "events read", 0);
	progress.begun_ns -= SECOND;
	eg_progress_tell(&progress, 123456);
	assert_string_equal(shown(fx), "\r\033[K123456 events read");
	eg_progress_wipe(&progress);
}

static void one_answer_to_wait_for(void **state)
{
	struct fx *fx = *state;
	struct eg_progress progress;

	eg_progress_begin(&progress, fx->err, "what was recorded is judged again", 0);
	eg_progress_wait(&progress);
	assert_string_equal(shown(fx), "\r\033[Kwhat was recorded is judged again ...");
	eg_progress_wipe(&progress);
	assert_string_equal(shown(fx), "\r\033[K");
}

static void a_file_is_told_nothing(void **state)
{
	struct eg_progress progress;
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size), *file = tmpfile();

	(void)state;
	for (int i = 0; i < 2; i++) {
		eg_progress_begin(&progress, i ? file : memory, "events read", 0);
		progress.begun_ns -= SECOND;
		eg_progress_tell(&progress, 1);
		eg_progress_wait(&progress);
		eg_progress_wipe(&progress);
	}
	assert_int_equal(ftell(file), 0);
	fclose(file);
	fclose(memory);
	assert_int_equal(size, 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_of_what_is_quick, setup, teardown),
		cmocka_unit_test_setup_teardown(what_takes_long_is_told_and_wiped_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_total_need_not_be_known, setup, teardown),
		cmocka_unit_test_setup_teardown(one_answer_to_wait_for, setup, teardown),
		cmocka_unit_test(a_file_is_told_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Which policies were seen to expire: the lines that say so on disk, and what is passed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/agent_impl.h"
#include "../../agent/core/clock.h"

#define DAY_NS (24ull * 3600 * EG_NS_PER_S)

static int setup(void **state)
{
	return eg_expired_new((struct eg_expired **)state);
}

static int teardown(void **state)
{
	eg_expired_free(*state);
	return 0;
}

static char *print(struct eg_expired *expired)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	eg_expired_print(expired, out);
	fclose(out);
	return text;
}

static void read_lines(struct eg_expired *expired, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		eg_expired_read(expired, line);
}

static void test_written_and_read_again(void **state)
{
	struct eg_expired *expired = *state, *again;
	uint64_t now = eg_clock_utc_ns();
	const uint8_t first[32] = {1, 0xfe}, second[32] = {2};
	char *text;

	assert_false(eg_expired_has(expired, "web", first));
	eg_expired_note(expired, "web", first, now);
	eg_expired_note(expired, "a-name.of_63-characters-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", first, now);
	eg_expired_note(expired, "web", second, now); /* one for each app: the last */
	text = print(expired);
	assert_int_equal(eg_expired_new(&again), 0);
	read_lines(again, text);
	free(text);
	assert_true(eg_expired_has(again, "web", second));
	assert_false(eg_expired_has(again, "web", first));
	assert_false(eg_expired_has(again, "we", second));
	assert_true(eg_expired_has(again, "a-name.of_63-characters-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", first));
	eg_expired_free(again);
}

static void test_forgotten_when_no_clock_could_be_right(void **state)
{
	struct eg_expired *expired = *state;
	uint64_t now = eg_clock_utc_ns();
	const uint8_t hash[32] = {7};

	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "old%d", i);
		eg_expired_note(expired, name, hash, now - 400 * DAY_NS);
	}
	eg_expired_note(expired, "recent", hash, now - 300 * DAY_NS);
	free(print(expired));
	assert_true(eg_expired_has(expired, "recent", hash));
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "old%d", i);
		assert_false(eg_expired_has(expired, name, hash));
	}
}

static void test_damaged_lines(void **state)
{
	static const char *const lines[] = {
		"", "expired", "expired ", "expired web", "expired web 00", "end clean", "web * 0 1000\t5 6",
		"expired web 000000000000000000000000000000000000000000000000000000000000000 5",
		"expired web 00000000000000000000000000000000000000000000000000000000000000zz 5",
		"expired web 0000000000000000000000000000000000000000000000000000000000000000",
		"expired web 0000000000000000000000000000000000000000000000000000000000000000 soon",
	};
	struct eg_expired *expired = *state;
	const uint8_t zero[32] = {0};
	char *text;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		eg_expired_read(expired, lines[i]);
	assert_false(eg_expired_has(expired, "web", zero));
	text = print(expired);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_and_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_when_no_clock_could_be_right, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_lines, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What egretd believes of egret-ship, and egret-ship of its own cursor: any bytes are refused and change
 * nothing, or they are sound.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/core/shipper.h"
#include "../../agent/ship/cursor.h"

#define CHECK(condition)         \
	do {                     \
		if (!(condition)) \
			abort(); \
	} while (0)

static void check_told(const char *text, size_t len)
{
	struct eg_told_sink sinks[1] = {{.name = "a", .type = "file"}}, before = sinks[0];
	struct eg_told_test test = {0};
	int r = eg_told_read(text, len, sinks, 1, &test);

	CHECK(r == 0 || r == 1 || r == -EPROTO);
	CHECK(r == 0 || memcmp(&before, sinks, sizeof(before)) == 0);
	CHECK((r == 1) == !!test.answer);
	if (r == 0) {
		const uint64_t *n = sinks[0].numbers;

		CHECK(n[EG_TOLD_PRODUCED] == n[EG_TOLD_DELIVERED] + n[EG_TOLD_FILTERED] + n[EG_TOLD_SPOOLED] +
						     n[EG_TOLD_DEAD_LETTERED] + n[EG_TOLD_EVICTED]);
		CHECK(sinks[0].state[0] && !strpbrk(sinks[0].last_error, "\n\r\x1b") && !strpbrk(sinks[0].note, "\n\r\x1b"));
	}
	json_decref(test.answer);
}

static void check_cursor(const char *text, size_t len)
{
	char line[EG_CURSOR_LINE_MAX];
	struct eg_cursor cursor;

	if (eg_cursor_parse(text, len, &cursor))
		return;
	CHECK(eg_cursor_print(&cursor, line) == len && memcmp(line, text, len) == 0);
	CHECK(eg_spool_pos_compare(&cursor.window, &cursor.at) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_told((const char *)data, size);
	check_cursor((const char *)data, size);
	return 0;
}

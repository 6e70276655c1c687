// SPDX-License-Identifier: Apache-2.0
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
#include <jansson.h>

#include "../../agent/lib/cleanup.h"
#include "../../agent/ship/backoff.h"
#include "../../agent/ship/bisect.h"
#include "../../agent/ship/cursor.h"
#include "../../agent/ship/dead_letter.h"
#include "../../agent/ship/filter.h"

#define SECOND 1000000000ull

static int new_dir(char path[32])
{
	int fd;

	strcpy(path, "/tmp/egret-ship-XXXXXX");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void remove_dir(const char *path, int fd)
{
	static const char *const names[] = {"a.cursor", "a.cursor.new", "a.dead", "a.dead.old"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(fd, names[i], 0);
	close(fd);
	assert_int_equal(rmdir(path), 0);
}

/* ---- Backoff ------------------------------------------------------------------------------------ */

static void test_backoff_grows_to_a_minute(void **state)
{
	struct eg_backoff backoff = {0};
	const uint64_t ceilings[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

	(void)state;
	for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
		struct eg_backoff least = backoff, most = backoff;
		uint64_t ceiling = ceilings[i] * SECOND;

		assert_int_equal(eg_backoff_next(&least, 0, 0), 0);
		assert_int_equal(eg_backoff_next(&most, 0, ceiling), ceiling);
		assert_int_equal(eg_backoff_next(&backoff, 0, ceiling + 1), 0); /* drawn from 0 to the ceiling, no more */
	}
	eg_backoff_reset(&backoff);
	assert_int_equal(eg_backoff_next(&backoff, 0, SECOND), SECOND);
}

static void test_retry_after_is_a_floor(void **state)
{
	struct eg_backoff backoff = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_true(eg_backoff_next(&backoff, 90 * SECOND, i * 7777777777ull) >= 90 * SECOND);
	/* A receiver can't make a host wait for ever. */
	assert_true(eg_backoff_next(&backoff, UINT64_MAX, UINT64_MAX) <= 3601 * SECOND);
}

/* ---- Bisecting ------------------------------------------------------------------------------------ */

/* Sends ranges until all is settled; a range with a bad item in it is refused. */
static unsigned bisect(size_t count, const bool *bad, size_t *ret_buried, size_t *ret_delivered)
{
	struct eg_bisect state;
	struct eg_range range;
	unsigned requests = 0;
	size_t next = 0;

	*ret_buried = *ret_delivered = 0;
	eg_bisect_begin(&state, count);
	while (eg_bisect_next(&state, &range)) {
		size_t bads = 0;

		requests++;
		assert_int_equal(range.first, next);
		for (size_t i = 0; i < range.count; i++)
			bads += bad[range.first + i];
		if (bads && eg_bisect_split(&state))
			continue;
		assert_true(!bads || range.count == 1);
		*ret_buried += bads;
		*ret_delivered += range.count - bads;
		next = range.first + range.count;
		eg_bisect_settled(&state);
	}
	assert_int_equal(next, count);
	return requests;
}

static void test_one_poison_in_a_thousand(void **state)
{
	bool bad[1000] = {0};
	size_t buried, delivered;

	(void)state;
	assert_int_equal(bisect(1000, bad, &buried, &delivered), 1);
	for (size_t i = 0; i < 1000; i++) {
		bad[i] = true;
		assert_true(bisect(1000, bad, &buried, &delivered) <= 21); /* 1 + 2 log2 1000 */
		assert_int_equal(buried, 1);
		assert_int_equal(delivered, 999);
		bad[i] = false;
	}
}

static void test_many_poisons(void **state)
{
	bool bad[257] = {0};
	size_t buried, delivered;

	(void)state;
	assert_int_equal(bisect(0, bad, &buried, &delivered), 0);
	for (size_t i = 0; i < 257; i++)
		bad[i] = i % 3 == 0;
	bisect(257, bad, &buried, &delivered);
	assert_int_equal(buried, 86);
	assert_int_equal(delivered, 171);
	memset(bad, true, sizeof(bad));
	bisect(257, bad, &buried, &delivered);
	assert_int_equal(buried, 257);
}

/* ---- Cursor ----------------------------------------------------------------------------------------- */

static const struct eg_cursor some = {
	.at = {3, 900}, .window = {3, 100}, .window_ts_ns = 77, .close = {3, 900}, .closing = true, .rolled = 4, .held = 12,
	.tally = {1, 2, 3, UINT64_MAX},
};

static void test_cursor_comes_back(void **state)
{
	struct eg_cursor back = {0};
	char path[32];
	int fd = new_dir(path);

	(void)state;
	assert_int_equal(eg_cursor_load(fd, "a", &back), -ENOENT);
	assert_int_equal(eg_cursor_store(fd, "a", &some), 0);
	assert_int_equal(eg_cursor_load(fd, "a", &back), 0);
	assert_memory_equal(&back, &some, sizeof(some));
	assert_int_equal(faccessat(fd, "a.cursor.new", F_OK, 0), -1);
	/* Half a new one is left by a crash: the old one counts, and the next store goes through. */
	close(openat(fd, "a.cursor.new", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(eg_cursor_load(fd, "a", &back), 0);
	assert_int_equal(eg_cursor_store(fd, "a", &some), 0);
	remove_dir(path, fd);
}

static void test_every_damage_is_seen(void **state)
{
	char line[EG_CURSOR_LINE_MAX];
	size_t len = eg_cursor_print(&some, line);
	struct eg_cursor back;

	(void)state;
	assert_int_equal(eg_cursor_parse(line, len, &back), 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(eg_cursor_parse(line, i, &back), -EBADMSG);
		for (unsigned bit = 0; bit < 8; bit++) {
			line[i] = (char)(line[i] ^ (1 << bit));
			assert_int_equal(eg_cursor_parse(line, len, &back), -EBADMSG);
			line[i] = (char)(line[i] ^ (1 << bit));
		}
	}
}

static void test_impossible_cursors(void **state)
{
	struct eg_cursor bad[4] = {some, some, some, some}, back;

	(void)state;
	bad[0].window.n = 901; /* after what was read */
	bad[1].close.n = 901;
	bad[2].close.n = 99; /* a window that ends before it begins */
	bad[3].closing = false; /* nothing is held, and yet */
	bad[3].held = 0;
	for (size_t i = 0; i < 4; i++) {
		char line[EG_CURSOR_LINE_MAX];

		assert_int_equal(eg_cursor_parse(line, eg_cursor_print(&bad[i], line), &back), -EBADMSG);
	}
}

/* ---- Dead letters -------------------------------------------------------------------------------------- */

static struct eg_item item_of(char *id, char *text)
{
	return (struct eg_item){.id = id, .type = id, .app = id, .host = id, .text = text, .len = strlen(text)};
}

static size_t count_lines(int dir, const char *name, const char *word)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	EG_FREE char *line = NULL;
	size_t size = 0, count = 0;

	while (file && getline(&line, &size, file) > 0) {
		json_t *json = json_loads(line, 0, NULL);

		count += json && strstr(line, word);
		json_decref(json);
	}
	if (file)
		fclose(file);
	return count;
}

static void test_dead_letters(void **state)
{
	struct eg_item good = item_of("h-1-7", "{\"type\":\"deny\"}"), bad = item_of("h-1-8", "\xff\xfe");
	char path[32];
	int fd = new_dir(path);

	(void)state;
	assert_int_equal(eg_dead_letter_write(fd, "a", 1 << 20, &good, "HTTP 400: \"no such field\""), 0);
	assert_int_equal(eg_dead_letter_write(fd, "a", 1 << 20, &bad, "\xff"), 0);
	assert_int_equal(count_lines(fd, "a.dead", "\"event_id\":\"h-1-7\",\"error\":\"HTTP 400: \\\"no such field\\\"\",\"event\":"
						   "{\"type\":\"deny\"}"),
			 1);
	assert_int_equal(count_lines(fd, "a.dead", "h-1-8"), 1);
	remove_dir(path, fd);
}

static void test_dead_letters_are_bounded(void **state)
{
	struct eg_item item = item_of("h-1-7", "{\"a\":\"0123456789012345678901234567890123456789\"}");
	struct stat now, old;
	char path[32];
	int fd = new_dir(path), torn;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(eg_dead_letter_write(fd, "a", 8192, &item, "refused"), 0);
		assert_int_equal(fstatat(fd, "a.dead", &now, 0), 0);
		assert_true(now.st_size <= 4096);
	}
	assert_int_equal(fstatat(fd, "a.dead.old", &old, 0), 0);
	assert_true(old.st_size > 3500 && old.st_size <= 4096);
	/* Half a line of a crash takes no other with it. */
	torn = openat(fd, "a.dead", O_WRONLY | O_TRUNC);
	assert_int_equal(write(torn, "{\"ts\":", 6), 6);
	close(torn);
	assert_int_equal(eg_dead_letter_write(fd, "a", 8192, &item, "refused"), 0);
	assert_int_equal(count_lines(fd, "a.dead", "refused"), 1);
	remove_dir(path, fd);
}

/* ---- Filter ------------------------------------------------------------------------------------------------ */

static enum eg_way way_of(const struct eg_sink_config *sink, const char *text)
{
	json_t *event = json_loads(text, 0, NULL);
	enum eg_way way = eg_filter(sink, event);

	assert_non_null(event);
	json_decref(event);
	return way;
}

static void test_filter(void **state)
{
	char *types[] = {"deny", "flow", NULL}, *apps[] = {"hr-*", NULL}, *verdicts[] = {"deny", NULL};
	struct eg_sink_config all = {0}, full = {.flows_full = true}, some_types = {.types = types}, some_apps = {.apps = apps},
			      denied = {.verdicts = verdicts};
	const char *flow = "{\"type\":\"flow\",\"app\":\"hr-x\",\"verdict\":\"allow\"}";
	const char *logged = "{\"type\":\"flow\",\"app\":\"hr-x\",\"verdict\":\"allow\",\"log\":\"full\"}";
	const char *deny = "{\"type\":\"deny\",\"app\":\"hr-x\",\"verdict\":\"deny\"}";
	const char *audit = "{\"type\":\"deny\",\"app\":\"hr-x\",\"verdict\":\"audit\"}";
	const char *kill = "{\"type\":\"kill\",\"app\":\"web\"}", *agent = "{\"type\":\"agent\"}";

	(void)state;
	assert_int_equal(way_of(&all, flow), EG_WAY_ROLLUP);
	assert_int_equal(way_of(&all, logged), EG_WAY_NOW);
	assert_int_equal(way_of(&full, flow), EG_WAY_NOW);
	assert_int_equal(way_of(&all, deny), EG_WAY_NOW);
	assert_int_equal(way_of(&all, audit), EG_WAY_NOW);
	assert_int_equal(way_of(&all, agent), EG_WAY_NOW);
	/* Labels may be called anything. */
	assert_int_equal(way_of(&all, "{\"type\":\"flow\",\"labels\":{\"a\":\"b\",\"log\":\"full\"},\"verdict\":\"allow\"}"),
			 EG_WAY_ROLLUP);
	assert_int_equal(way_of(&some_types, kill), EG_WAY_OUT);
	assert_int_equal(way_of(&some_types, deny), EG_WAY_NOW);
	assert_int_equal(way_of(&some_apps, deny), EG_WAY_NOW);
	assert_int_equal(way_of(&some_apps, kill), EG_WAY_OUT);
	assert_int_equal(way_of(&some_apps, agent), EG_WAY_OUT);
	assert_int_equal(way_of(&denied, deny), EG_WAY_NOW);
	assert_int_equal(way_of(&denied, audit), EG_WAY_OUT);
	assert_int_equal(way_of(&denied, flow), EG_WAY_OUT);
	assert_int_equal(way_of(&denied, kill), EG_WAY_NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_grows_to_a_minute), cmocka_unit_test(test_retry_after_is_a_floor),
		cmocka_unit_test(test_one_poison_in_a_thousand),  cmocka_unit_test(test_many_poisons),
		cmocka_unit_test(test_cursor_comes_back),	  cmocka_unit_test(test_every_damage_is_seen),
		cmocka_unit_test(test_impossible_cursors),	  cmocka_unit_test(test_dead_letters),
		cmocka_unit_test(test_dead_letters_are_bounded),  cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

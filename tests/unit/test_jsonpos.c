// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/jsonpos.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* In a heap block of exactly its length, so that a sanitizer sees a read beyond it. */
static int check(const char *text, size_t len, struct eg_diag *ret)
{
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = eg_jsonpos_check(copy, len, ret);
	free(copy);
	return r;
}

static void assert_fault(const char *text, size_t len, unsigned line, unsigned column, const char *path,
			 const char *words)
{
	struct eg_diag diag;

	if (check(text, len, &diag) != -EINVAL)
		fail_msg("accepted: %s", text);
	if (diag.level != EG_DIAG_ERROR || diag.line != line || diag.column != column || strcmp(diag.path, path) ||
	    !strstr(diag.message, words) || strchr(diag.message, '\n') || !diag.fix[0])
		fail_msg("%s: %u:%u: %s: %s (%s); wanted %u:%u: %s: %s", text, diag.line, diag.column, diag.path,
			 diag.message, diag.fix, line, column, path, words);
}

/* ---- What JSON is ----------------------------------------------------------------------------- */

static void test_accepts(void **state)
{
	static const char *const texts[] = {
		"{}", "[]", " [ ] ", "{\"a\":1}", "\r\n\t{\"a\" : [1 , 2,{}] }\n", "0", "-0", "-1.5e+3", "1E2", "true",
		"[true,false,null,\"\"]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"",
		"9223372036854775807", "-9223372036854775808", "1.0e200", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
	};
	struct eg_diag diag;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (check(texts[i], strlen(texts[i]), &diag))
			fail_msg("%s: %s", texts[i], diag.message);
}

static void test_faults(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *path, *words;
	} faults[] = {
		{"", 1, 1, "", "The text is empty"},
		{" \n\n", 3, 1, "", "The text is empty"},
		{"\xef\xbb\xbf{}", 1, 1, "", "byte order mark"},
		{"\xff\xfe{", 1, 1, "", "byte order mark"},
		{"{\n  \"a\": 1,\n}", 2, 9, "a", "Nothing follows this comma"},
		{"[1, ]", 1, 3, "[0]", "Nothing follows this comma"},
		{"[1 2]", 1, 4, "[0]", "a comma or ] is wanted"},
		{"{\"a\":1 \"b\":2}", 1, 8, "a", "a comma or } is wanted"},
		{"{\"a\" 1}", 1, 6, "a", "a colon is wanted"},
		{"{a:1}", 1, 2, "", "The word a can't stand here: a key is wanted"},
		{"{'a':1}", 1, 2, "", "double quotes"},
		{"{1:1}", 1, 2, "", "a key is wanted"},
		{"[,1]", 1, 2, "[0]", "a value is wanted"},
		{"{\"a\":[1,2,\n  nope]}", 2, 3, "a[2]", "The word nope can't"},
		{"{\"a\":True}", 1, 6, "a", "The word True"},
		{"{} x", 1, 4, "", "text behind the end"},
		{"{}{}", 1, 3, "", "text behind the end"},
		{"[1]]", 1, 4, "", "text behind the end"},
		{"{\"a\":\n[1", 2, 3, "a[0]", "within the list that begins at line 2, column 1"},
		{"{", 1, 2, "", "within the object that begins at line 1, column 1"},
		{"{\"a\"", 1, 5, "a", "within the object"},
		{"[1}", 1, 3, "[0]", "a comma or ] is wanted"},
		{"[}", 1, 2, "[0]", "a value is wanted"},
		{"{]", 1, 2, "", "a key is wanted"},
		{"// x\n{}", 1, 1, "", "no comments"},
		{"{\"a\":1 # x\n}", 1, 8, "a", "no comments"},
		{"[\"abc\n\"]", 1, 2, "[0]", "no closing quote on its line"},
		{"[\"abc", 1, 2, "[0]", "no closing quote"},
		{"[\"a\tb\"]", 1, 4, "[0]", "control character 0x09"},
		{"[\"\\x\"]", 1, 3, "[0]", "no such escape"},
		{"[\"\\u12g4\"]", 1, 3, "[0]", "not complete"},
		{"[\"\\u0000\"]", 1, 3, "[0]", "NUL"},
		{"[\"\\ud800x\"]", 1, 3, "[0]", "surrogate"},
		{"[\"\\ud800\\u0041\"]", 1, 3, "[0]", "surrogate"},
		{"[\"\\udc00\"]", 1, 3, "[0]", "surrogate"},
		{"[\"\\", 1, 4, "[0]", "The text ends"},
		{"[01]", 1, 2, "[0]", "can't begin with 0"},
		{"[-]", 1, 2, "[0]", "not complete"},
		{"[1.]", 1, 2, "[0]", "not complete"},
		{"[1e]", 1, 2, "[0]", "not complete"},
		{"[.5]", 1, 2, "[0]", "a value is wanted"},
		{"[+1]", 1, 2, "[0]", "a value is wanted"},
		{"[9223372036854775808]", 1, 2, "[0]", "too large"},
		{"[-9223372036854775809]", 1, 2, "[0]", "too large"},
		{"[1e999]", 1, 2, "[0]", "too large"},
		{"[\"\x80\"]", 1, 3, "[0]", "0x80 is not UTF-8"},
		{"[\"\xc0\xaf\"]", 1, 3, "[0]", "0xc0 is not UTF-8"}, /* overlong */
		{"[\"\xed\xa0\x80\"]", 1, 3, "[0]", "is not UTF-8"}, /* surrogate */
		{"[\"\xf4\x90\x80\x80\"]", 1, 3, "[0]", "is not UTF-8"}, /* above U+10FFFF */
		{"[\"ab\xc3", 1, 5, "[0]", "is not UTF-8"}, /* cut */
		{"[\xc2\xa0]", 1, 2, "[0]", "The byte 0xc2 can't stand here"}, /* no-break space */
		{"{\"a\":{\"b\":[{\"c\":nul}]}}", 1, 17, "a.b[0].c", "The word nul"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++)
		assert_fault(faults[i].text, strlen(faults[i].text), faults[i].line, faults[i].column, faults[i].path,
			     faults[i].words);
}

static void test_nul(void **state)
{
	(void)state;
	assert_fault("{\"a\":\0}", 7, 1, 6, "a", "NUL byte");
	assert_fault("[\"a\0\"]", 6, 1, 4, "[0]", "NUL byte");
	assert_fault("{}\0", 3, 1, 3, "", "text behind the end");
}

/* Ten thousand deep, and a million: no recursion, and the place of the bracket that is too deep. */
static void test_depth(void **state)
{
	size_t len = 1000000;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, '[', len);
	assert_fault(text, 10000, 1, 17, "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]", "more than 16 deep");
	assert_fault(text, len, 1, 17, "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]", "more than 16 deep");
	free(text);
}

/* Keys that somebody made up can't write to the terminal that shows the path. */
static void test_path_is_plain(void **state)
{
	struct eg_diag diag;
	const char *text = "{\"a\xc2\x9b[2J\x7f very long key very long key very long key very long key\":x}";

	(void)state;
	assert_int_equal(check(text, strlen(text), &diag), -EINVAL);
	assert_string_equal(diag.path, "a??[2J??very?long?key?very?long?key?very?long?ke");
}

/* Every prefix of a text that is good, and every byte of it replaced, ends without a read beyond it. */
static void test_mutants(void **state)
{
	static const char text[] = "{\"v\":1,\"l\":[\"a\\u00e9\\ud83d\\ude00\xc3\xa9\",-1.5e3,true,null,{}],\"o\":{\"x\":[]}}";
	static const char odd[] = "\"\\{}[],:\x00\x80\xff\nue0- ";
	struct eg_diag diag;

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, &diag), 0);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(check(text, i, &diag), -EINVAL);
		assert_true(diag.line == 1 && diag.column >= 1 && diag.column <= i + 1);
	}
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		for (size_t j = 0; j < sizeof(odd) - 1; j++) {
			char copy[sizeof(text)];

			memcpy(copy, text, sizeof(text));
			copy[i] = odd[j];
			if (check(copy, sizeof(text) - 1, &diag))
				assert_true(diag.line >= 1 && diag.column >= 1 && diag.message[0]);
		}
}

/* ---- Where things are ------------------------------------------------------------------------- */

static uint64_t path(const char *a, long i, const char *b)
{
	uint64_t hash = EG_JSONPOS_ROOT;

	if (a)
		hash = eg_jsonpos_key(hash, a);
	if (i >= 0)
		hash = eg_jsonpos_index(hash, (size_t)i);
	return b ? eg_jsonpos_key(hash, b) : hash;
}

static void test_find(void **state)
{
	static const char text[] = "{\n \"a\": [10, {\"b\":\n   \"x\"}],\n \"a.b\": 1, \"\\u00e9\": 2,\n\t\"\xf0\x9f\x98\x80\":3}";
	struct eg_jsonpos_query queries[] = {
		{.hash = path("a", 1, "b"), .depth = 3, .number = 0},
		{.hash = path("a", 1, "b"), .depth = 3, .number = 1, .key = true},
		{.hash = path("a", 0, NULL), .depth = 2, .number = 2},
		{.hash = path("a", 2, NULL), .depth = 2, .number = 3},
		{.hash = path("a.b", -1, NULL), .depth = 1, .number = 4},
		{.hash = path("\xc3\xa9", -1, NULL), .depth = 1, .number = 5},
		{.hash = path("\xf0\x9f\x98\x80", -1, NULL), .depth = 1, .number = 6},
		{.hash = EG_JSONPOS_ROOT, .depth = 0, .number = 7},
		{.hash = path("a", 0, NULL), .depth = 2, .number = 8},
		{.hash = path("b", -1, NULL), .depth = 1, .number = 9},
		{.hash = path("a", -1, NULL), .depth = 1, .number = 10},
	};
	static const unsigned expected[][2] = {{3, 4}, {2, 13}, {2, 8}, {0, 0}, {4, 9}, {4, 22},
					       {5, 9}, {1, 1}, {2, 8}, {0, 0}, {2, 7}};
	struct eg_diag diag;

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, &diag), 0);
	eg_jsonpos_find(text, sizeof(text) - 1, queries, COUNT(queries));
	for (size_t i = 0; i < COUNT(queries); i++) {
		const unsigned *place = expected[queries[i].number];

		if (queries[i].line != place[0] || (place[0] && queries[i].column != place[1]))
			fail_msg("query %zu: %u:%u", queries[i].number, queries[i].line, queries[i].column);
	}
}

static void test_duplicate(void **state)
{
	static const char text[] = "{\"x\":{\"k\":1},\n \"y\":{\"k\":1,\n  \"\\u006b\":2, \"z\":3}}";
	struct eg_diag diag;

	(void)state;
	/* jansson stops behind the second key: before "z" */
	assert_true(eg_jsonpos_duplicate(text, sizeof(text) - 1, (size_t)(strstr(text, ":2") - text), &diag));
	assert_int_equal(diag.line, 3);
	assert_int_equal(diag.column, 3);
	assert_string_equal(diag.path, "y.\\u006b");
	assert_non_null(strstr(diag.message, "line 2, column 7"));
	assert_false(eg_jsonpos_duplicate(text, sizeof(text) - 1, (size_t)(strstr(text, ":1,") - text), &diag));
	assert_false(eg_jsonpos_duplicate(text, sizeof(text) - 1, 0, &diag));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_path_is_plain),
		cmocka_unit_test(test_mutants),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_duplicate),
	};

	return cmocka_run_group_tests_name("jsonpos", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/cli/table.h"
#include "../../agent/cli/text.h"

/* ---- Text ------------------------------------------------------------------------------- */

static void assert_clean(const char *text, const char *expected)
{
	EG_FREE char *clean = eg_text_clean(text);

	assert_string_equal(clean, expected);
}

static void test_clean(void **state)
{
	(void)state;
	assert_clean("plain", "plain");
	assert_clean("", "");
	assert_clean("b\xc3\xbcro \xe4\xb8\xad \xf0\x9f\x98\x80", "b\xc3\xbcro \xe4\xb8\xad \xf0\x9f\x98\x80");
	assert_clean("\033[31mred\033]0;title\a", "?[31mred?]0;title?");
	assert_clean("a\nb\tc\rd\x7f", "a?b?c?d?");
	assert_clean("\xc2\x9b" "31m", "?31m"); /* CSI as C1 */
	assert_clean("a\xe2\x80\xae" "b\xe2\x81\xa6", "a?b?"); /* RLO, LRI */
	assert_clean("a\xe2\x80\xa8" "b\xef\xbb\xbf", "a?b?"); /* line separator, BOM */
	assert_clean("\xff\xfe", "??");
	assert_clean("\xc0\xaf", "??"); /* overlong */
	assert_clean("\xed\xa0\x80", "???"); /* surrogate */
	assert_clean("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
	assert_clean("\xe4\xb8", "??"); /* cut off */
}

static void assert_json(const char *json, const char *expected)
{
	char text[200] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	eg_text_json(out, json, strlen(json));
	fclose(out);
	assert_string_equal(text, expected);
}

static void test_json(void **state)
{
	(void)state;
	assert_json("{\n  \"b\xc3\xbcro\": \"\\u001b \xf0\x9f\x98\x80\"\n}", "{\n  \"b\xc3\xbcro\": \"\\u001b \xf0\x9f\x98\x80\"\n}");
	assert_json("\"\xc2\x9b" "31m\x7f\"", "\"\\u009b31m\\u007f\"");
	assert_json("\"\xe2\x80\xae\xe2\x81\xa6z\"", "\"\\u202e\\u2066z\"");
	assert_json("\"\xf3\xa0\x81\x81\"", "\"\\udb40\\udc41\""); /* a tag, beyond 16 bits */
	assert_json("\"\xff\xe4\xb8\"", "\"\xff\xe4\xb8\""); /* no UTF-8: no JSON either, and no control */
	assert_json("", "");
}

static void test_width(void **state)
{
	(void)state;
	assert_int_equal(eg_text_width(""), 0);
	assert_int_equal(eg_text_width("abc"), 3);
	assert_int_equal(eg_text_width("b\xc3\xbcro"), 4);
	assert_int_equal(eg_text_width("\xe4\xb8\xad"), 2);
	assert_int_equal(eg_text_width("e\xcc\x81"), 1); /* combining accent */
}

static void test_moment(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(eg_text_moment("2027-01-31T12:00:05.123456789Z", 0, text, sizeof(text)), "2027-01-31 12:00:05Z");
	assert_string_equal(eg_text_moment("2027-01-31T12:00:05.123456789Z", 3, text, sizeof(text)),
			    "2027-01-31 12:00:05.123Z");
	assert_string_equal(eg_text_moment("2027-01-31T12:00:05Z", 3, text, sizeof(text)), "2027-01-31 12:00:05Z");
	assert_string_equal(eg_text_moment("2027-01-31T12:00:05.5+02:00", 9, text, sizeof(text)),
			    "2027-01-31 12:00:05.5+02:00");
	assert_string_equal(eg_text_moment("soon", 3, text, sizeof(text)), "soon");
	assert_string_equal(eg_text_moment("", 3, text, sizeof(text)), "");
}

static void test_say(void **state)
{
	EG_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	eg_text_say(out, "%s: %d", "a\nforged line", 5);
	fclose(out);
	assert_string_equal(text, "a?forged line: 5\n");
}

/* ---- Tables ----------------------------------------------------------------------------------- */

static char *printed(const struct eg_table *table, bool color, const char *indent)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(eg_table_print(table, out, color, indent), 0);
	fclose(out);
	return text;
}

static void test_alignment(void **state)
{
	EG_TABLE struct eg_table *table = eg_table_new("APP|>BYTES|NOTE");
	EG_FREE char *text = NULL;

	(void)state;
	eg_table_cell(table, EG_STYLE_NONE, "b\xc3\xbcro");
	eg_table_number(table, 7);
	eg_table_cell(table, EG_STYLE_NONE, NULL);
	eg_table_cell(table, EG_STYLE_BAD, "x");
	eg_table_cellf(table, EG_STYLE_NONE, "%d", 1234567);
	eg_table_cell(table, EG_STYLE_NONE, "\033[2J");
	assert_int_equal(eg_table_rows(table), 2);
	text = printed(table, false, "  ");
	assert_string_equal(text, "  APP     BYTES  NOTE\n"
				  "  b\xc3\xbcro        7  -\n"
				  "  x     1234567  ?[2J\n");
}

static void test_no_titles(void **state)
{
	EG_TABLE struct eg_table *table = eg_table_new("|");
	EG_FREE char *text = NULL;

	(void)state;
	eg_table_cell(table, EG_STYLE_NONE, "agent");
	eg_table_cell(table, EG_STYLE_NONE, "on");
	eg_table_blank(table);
	eg_table_cell(table, EG_STYLE_NONE, "more");
	eg_table_cell(table, EG_STYLE_NONE, "last");
	eg_table_blank(table);
	text = printed(table, false, "");
	assert_string_equal(text, "agent  on\n       more\nlast\n");
}

/* Colour changes no width, and is there only if it is asked for. */
static void test_color(void **state)
{
	EG_TABLE struct eg_table *table = eg_table_new("S|T");
	EG_FREE char *with = NULL, *without = NULL;

	(void)state;
	eg_table_cell(table, EG_STYLE_GOOD, "ok");
	eg_table_cell(table, EG_STYLE_NONE, "a");
	eg_table_cell(table, EG_STYLE_BAD, "failed");
	eg_table_cell(table, EG_STYLE_NONE, "b");
	with = printed(table, true, "");
	without = printed(table, false, "");
	assert_string_equal(with, "\033[1mS\033[0m       \033[1mT\033[0m\n"
				  "\033[32mok\033[0m      a\n"
				  "\033[1;31mfailed\033[0m  b\n");
	assert_string_equal(without, "S       T\nok      a\nfailed  b\n");
}

static void test_many_rows(void **state)
{
	EG_TABLE struct eg_table *table = eg_table_new(">N");
	EG_FREE char *text = NULL;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		eg_table_number(table, i);
	assert_int_equal(eg_table_rows(table), 1000);
	text = printed(table, false, "");
	assert_int_equal(strlen(text), 1001 * 4); /* all as wide as 999, and a newline each */
}

static int setup(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),	  cmocka_unit_test(test_width),	    cmocka_unit_test(test_moment),
		cmocka_unit_test(test_say),	  cmocka_unit_test(test_alignment), cmocka_unit_test(test_no_titles),
		cmocka_unit_test(test_json),	  cmocka_unit_test(test_color),	  cmocka_unit_test(test_many_rows),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../agent/lib/units.h"

#define S  1000000000ull
#define MS 1000000ull

struct row {
	const char *text;
	int result;
	uint64_t value;
};

static void check(const struct row *rows, size_t count, int (*parse)(const char *text, uint64_t *ret))
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 7;

		if (parse(rows[i].text, &value) != rows[i].result)
			fail_msg("\"%s\": %d, not %d", rows[i].text, parse(rows[i].text, &value), rows[i].result);
		if (value != (rows[i].result ? 7 : rows[i].value))
			fail_msg("\"%s\": %llu", rows[i].text, (unsigned long long)value);
	}
}
#define CHECK(rows, parse) check(rows, sizeof(rows) / sizeof((rows)[0]), parse)

static void sizes(void **state)
{
	static const struct row rows[] = {
		{"50MiB", 0, 50ull << 20},
		{"10 GB", 0, 10000000000},
		{"1024", 0, 1024},
		{"1024B", 0, 1024},
		{"128TiB", 0, 1ull << 47},
		{"129TiB", -ERANGE, 0},
		{"0", -ERANGE, 0},
		{"0MiB", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999MiB", -ERANGE, 0},
		{"18446744073709551615TiB", -ERANGE, 0},
		{"50Mib", -EDOM, 0},
		{"50mb", -EDOM, 0},
		{"50  MB", -EDOM, 0},
		{"50 ", -EDOM, 0},
		{"1.5MiB", -EDOM, 0},
		{"", -EINVAL, 0},
		{"MiB", -EINVAL, 0},
		{"-1MiB", -EINVAL, 0},
		{" 1MiB", -EINVAL, 0},
	};

	(void)state;
	CHECK(rows, eg_units_bytes);
}

static void bit_rates(void **state)
{
	static const struct row rows[] = {
		{"10Mbit/s", 0, 10000000},  {"500 kbit/s", 0, 500000}, {"8bit/s", 0, 8},	{"100Gbit/s", 0, 100000000000},
		{"101Gbit/s", -ERANGE, 0},  {"7bit/s", -ERANGE, 0},    {"10Mbit", -EDOM, 0},	{"10MB/s", -EDOM, 0},
		{"10Mibit/s", -EDOM, 0},    {"Mbit/s", -EINVAL, 0},    {"10Mbit/min", -EDOM, 0}, {"10", -EDOM, 0},
	};

	(void)state;
	CHECK(rows, eg_units_bitrate);
}

static void spans(void **state)
{
	static const struct row rows[] = {
		{"500ms", 0, 500 * MS},	   {"30s", 0, 30 * S},	    {"15m", 0, 900 * S},	 {"1h30m", 0, 5400 * S},
		{"7d", 0, 7 * 86400 * S},  {"1h", 0, 3600 * S},	    {"0s", -ERANGE, 0},		 {"11000d", -ERANGE, 0},
		{"1", -EDOM, 0},	   {"1y", -EDOM, 0},	    {"30m1h", -EINVAL, 0},	 {"1h1h", -EINVAL, 0},
		{"", -EINVAL, 0},	   {"h", -EINVAL, 0},	    {"18446744073709551615d", -ERANGE, 0},
		{"1 h", -EDOM, 0},
	};

	(void)state;
	CHECK(rows, eg_units_span);
}

static int moment(const char *text, uint64_t *ret)
{
	return eg_units_moment(text, ret);
}

static void moments(void **state)
{
	static const struct row rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2027-01-31T00:00:00Z", 0, 1801353600 * S},
		{"2027-01-31T02:00:00+02:00", 0, 1801353600 * S},
		{"2027-01-30T19:30:00.25-04:30", 0, 1801353600 * S + S / 4},
		{"2028-02-29T00:00:00Z", 0, 1835395200 * S},
		{"2027-02-29T00:00:00Z", -EINVAL, 0},
		{"2027-01-31T00:00:00", -EDOM, 0},
		{"2027-01-31", -EINVAL, 0},
		{"2027-13-01T00:00:00Z", -EINVAL, 0},
		{"2027-01-31T24:00:00Z", -EINVAL, 0},
		{"2027-01-31T00:00:00Zx", -EINVAL, 0},
		{"1969-12-31T23:59:59Z", -ERANGE, 0},
		{"9999-12-31T23:59:59Z", -ERANGE, 0},
		{"tomorrow", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	CHECK(rows, moment);
}

static void count_rates(void **state)
{
	uint64_t count, per;

	(void)state;
	assert_int_equal(eg_units_count_rate("100/min", &count, &per), 0);
	assert_int_equal(count, 100);
	assert_int_equal(per, 60 * S);
	assert_int_equal(eg_units_count_rate("20/10s", &count, &per), 0);
	assert_int_equal(per, 10 * S);
	assert_int_equal(eg_units_count_rate("1000/h", &count, &per), 0);
	assert_int_equal(per, 3600 * S);
	assert_int_equal(eg_units_count_rate("100", &count, &per), -EDOM);
	assert_int_equal(eg_units_count_rate("0/s", &count, &per), -ERANGE);
	assert_int_equal(eg_units_count_rate("5/fortnight", &count, &per), -EDOM);
	assert_int_equal(eg_units_count_rate("x/s", &count, &per), -EINVAL);
	assert_int_equal(eg_units_bytes_rate("100MiB/min", &count, &per), 0);
	assert_int_equal(count, 100 << 20);
	assert_int_equal(per, 60 * S);
	assert_int_equal(eg_units_bytes_rate("100MiB", &count, &per), -EDOM);
	assert_int_equal(eg_units_bytes_rate("100Mib/min", &count, &per), -EDOM);
}

static void texts_for_people(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(eg_units_bytes_text(12, text, sizeof(text)), "12 B");
	assert_string_equal(eg_units_bytes_text(1536, text, sizeof(text)), "1.5 KiB");
	assert_string_equal(eg_units_bytes_text(50 << 20, text, sizeof(text)), "50 MiB");
	assert_string_equal(eg_units_bytes_text(UINT64_MAX, text, sizeof(text)), "16.0 EiB");
	assert_string_equal(eg_units_span_text(5400 * S, text, sizeof(text)), "1h 30m");
	assert_string_equal(eg_units_span_text(250 * MS, text, sizeof(text)), "250 ms");
	assert_string_equal(eg_units_span_text(3 * 86400 * S, text, sizeof(text)), "3d");
	assert_string_equal(eg_units_span_text(0, text, sizeof(text)), "0 ms");
	assert_string_equal(eg_units_moment_text(1801353600 * S, text, sizeof(text)), "2027-01-31T00:00:00Z");
	assert_string_equal(eg_units_moment_text(1801353600 * S + 5, text, sizeof(text)),
			    "2027-01-31T00:00:00.000000005Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),   cmocka_unit_test(bit_rates),	  cmocka_unit_test(spans),
		cmocka_unit_test(moments), cmocka_unit_test(count_rates), cmocka_unit_test(texts_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

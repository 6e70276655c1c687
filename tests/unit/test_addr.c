// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/addr.h"

static void addresses_have_one_form(void **state)
{
	struct eg_addr a, b;
	char text[EG_ADDR_TEXT];

	(void)state;
	assert_int_equal(eg_addr_from_text("10.0.0.1", &a), 0);
	assert_int_equal(eg_addr_from_text("::ffff:10.0.0.1", &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(eg_addr_v4mapped(&a));
	assert_string_equal(eg_addr_to_text(&a, text), "10.0.0.1");
	assert_int_equal(eg_addr_from_text("FD00:0:0::0001", &a), 0);
	assert_false(eg_addr_v4mapped(&a));
	assert_string_equal(eg_addr_to_text(&a, text), "fd00::1");
}

static void what_is_no_address(void **state)
{
	static const char *const bad[] = {"",	 "10.0.0",   "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "0x0a000001",
					  "fe80::1%eth0", "1::2::3", "host", "10.0.0.1/8", "::ffff:10.0.0.300"};
	struct eg_addr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_addr_from_text(bad[i], &addr), -EINVAL);
}

static void prefixes(void **state)
{
	static const struct {
		const char *text;
		int result;
		unsigned bits;
		const char *as;
	} rows[] = {
		{"10.20.0.0/16", 0, 112, "10.20.0.0/16"},
		{"10.20.0.1", 0, 128, "10.20.0.1"},
		{"10.20.0.1/32", 0, 128, "10.20.0.1"},
		{"0.0.0.0/0", 0, 96, "0.0.0.0/0"},
		{"::/0", 0, 0, "::/0"},
		{"fd00::/8", 0, 8, "fd00::/8"},
		{"::ffff:10.0.0.0/104", 0, 104, "10.0.0.0/8"},
		{"10.20.0.1/16", -EDOM, 112, "10.20.0.0/16"},
		{"fd00::1/64", -EDOM, 64, "fd00::/64"},
		{"10.0.0.0/33", -ERANGE, 0, NULL},
		{"fd00::/129", -ERANGE, 0, NULL},
		{"::ffff:0.0.0.0/80", -ERANGE, 0, NULL},
		{"10.0.0.0/", -EINVAL, 0, NULL},
		{"10.0.0.0/08", -EINVAL, 0, NULL},
		{"10.0.0.0/-1", -EINVAL, 0, NULL},
		{"10.0.0.0/8/8", -EINVAL, 0, NULL},
		{"/8", -EINVAL, 0, NULL},
		{"10.0.0.0/99999999", -EINVAL, 0, NULL},
	};
	char text[EG_ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct eg_cidr cidr;

		assert_int_equal(eg_cidr_from_text(rows[i].text, &cidr), rows[i].result);
		if (!rows[i].as)
			continue;
		assert_int_equal(cidr.bits, rows[i].bits);
		assert_string_equal(eg_cidr_to_text(&cidr, text), rows[i].as);
	}
}

static bool covers(const char *outer, const char *inner)
{
	struct eg_cidr a, b;

	assert_int_equal(eg_cidr_from_text(outer, &a), 0);
	assert_int_equal(eg_cidr_from_text(inner, &b), 0);
	return eg_cidr_covers(&a, &b);
}

static void covering(void **state)
{
	(void)state;
	assert_true(covers("10.0.0.0/8", "10.1.2.3"));
	assert_true(covers("10.0.0.0/8", "10.0.0.0/8"));
	assert_false(covers("10.0.0.0/8", "11.0.0.0/8"));
	assert_false(covers("10.1.0.0/16", "10.0.0.0/8"));
	assert_true(covers("0.0.0.0/0", "1.2.3.4"));
	assert_false(covers("::/0", "1.2.3.4")); /* IPv4 is named by IPv4 prefixes only */
	assert_true(covers("::/0", "fd00::1"));
	assert_false(covers("0.0.0.0/0", "fd00::1"));
}

static void sorting(void **state)
{
	struct eg_cidr a, b;

	(void)state;
	eg_cidr_from_text("10.0.0.0/8", &a);
	eg_cidr_from_text("10.0.0.0/16", &b);
	assert_true(eg_cidr_compare(&a, &b) < 0);
	assert_true(eg_cidr_compare(&b, &a) > 0);
	assert_int_equal(eg_cidr_compare(&a, &a), 0);
	eg_cidr_from_text("9.255.0.0/16", &b);
	assert_true(eg_cidr_compare(&b, &a) < 0);
}

static void addresses_with_ports(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *addr;
		unsigned port;
	} rows[] = {
		{"10.0.0.1", 0, "10.0.0.1", 0},	       {"10.0.0.1:443", 0, "10.0.0.1", 443},
		{"[fd00::1]:443", 0, "fd00::1", 443},  {"[fd00::1]", 0, "fd00::1", 0},
		{"fd00::1", 0, "fd00::1", 0},	       {"10.0.0.1:0", -EINVAL, NULL, 0},
		{"10.0.0.1:65536", -EINVAL, NULL, 0},  {"10.0.0.1:", -EINVAL, NULL, 0},
		{"[fd00::1", -EINVAL, NULL, 0},	       {"[fd00::1]443", -EINVAL, NULL, 0},
		{"example.com:443", -EINVAL, NULL, 0}, {"", -EINVAL, NULL, 0},
	};
	char text[EG_ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct eg_addr addr;
		uint16_t port;

		assert_int_equal(eg_addr_port_from_text(rows[i].text, &addr, &port), rows[i].result);
		if (rows[i].result)
			continue;
		assert_string_equal(eg_addr_to_text(&addr, text), rows[i].addr);
		assert_int_equal(port, rows[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_form), cmocka_unit_test(what_is_no_address),
		cmocka_unit_test(prefixes),		   cmocka_unit_test(covering),
		cmocka_unit_test(sorting),		   cmocka_unit_test(addresses_with_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

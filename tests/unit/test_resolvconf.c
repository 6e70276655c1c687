// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/resolvconf.h"

/* The addresses in order, a space between two. */
static void assert_parsed(const char *text, const char *wanted)
{
	struct eg_resolvers resolvers;
	char list[EG_RESOLVERS_MAX * EG_ADDR_TEXT] = "", address[EG_ADDR_TEXT];

	eg_resolvconf_parse(text, strlen(text), &resolvers);
	for (size_t i = 0; i < resolvers.count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? " " : "",
			 eg_addr_to_text(&resolvers.addr[i], address));
	assert_string_equal(list, wanted);
}

static void test_parse(void **state)
{
	(void)state;
	assert_parsed("", "");
	assert_parsed("nameserver 10.0.0.2\nnameserver fd00::53", "10.0.0.2 fd00::53");
	assert_parsed("# c\nsearch corp.example\nnameserver\t 10.0.0.2 \t# mine\r\noptions ndots:5\n", "10.0.0.2");
	assert_parsed("nameserver 10.0.0.2\r\nnameserver 10.0.0.2\n", "10.0.0.2");
	assert_parsed("nameserver fe80::1%eth0\nnameserver ::ffff:10.0.0.9\n", "fe80::1 10.0.0.9");
	assert_parsed("nameserver 0.0.0.0\nnameserver ::\n", "127.0.0.1 ::1");
	assert_parsed("nameserver\nnameserver \nnameservers 10.0.0.1\n nameserver 10.0.0.1\n#nameserver 10.0.0.1\n"
		      "nameserver x.example\nnameserver 10.0.0.1.2\n",
		      "");
	assert_parsed("nameserver 1.1.1.1 2.2.2.2\n", "1.1.1.1");
}

static void test_many_and_long(void **state)
{
	struct eg_resolvers resolvers;
	char text[4096] = "";

	(void)state;
	for (int i = 0; i < 40; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "nameserver 10.0.0.%d\n", i);
	eg_resolvconf_parse(text, strlen(text), &resolvers);
	assert_int_equal(resolvers.count, EG_RESOLVERS_MAX);
	memset(text, '1', sizeof(text));
	memcpy(text, "nameserver ", 11);
	eg_resolvconf_parse(text, sizeof(text), &resolvers);
	assert_int_equal(resolvers.count, 0);
}

static void test_read(void **state)
{
	char path[] = "/tmp/egret-resolvconf-XXXXXX";
	struct eg_resolvers resolvers = {.count = 7};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "nameserver 10.0.0.2\n", 20), 20);
	close(fd);
	assert_int_equal(eg_resolvconf_read(path, &resolvers), 0);
	assert_int_equal(resolvers.count, 1);
	unlink(path);
	assert_int_equal(eg_resolvconf_read(path, &resolvers), -ENOENT);
	assert_int_equal(resolvers.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_many_and_long),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

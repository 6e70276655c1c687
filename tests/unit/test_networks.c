// SPDX-License-Identifier: Apache-2.0
/* Which named network an address is in: by hand, and against a search through all prefixes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/networks.h"
#include "../../agent/lib/addr.h"

static struct eg_networks *parse(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	struct eg_networks *networks = NULL;
	char why[400] = "";

	assert_non_null(value);
	if (eg_networks_parse(value, &networks, why, sizeof(why)))
		fail_msg("%s", why);
	json_decref(value);
	return networks;
}

static const char *name_of(const struct eg_networks *networks, const char *address)
{
	const struct eg_network *network;
	struct eg_addr addr;

	assert_int_equal(eg_addr_from_text(address, &addr), 0);
	network = eg_networks_find(networks, &addr);
	return network ? network->name : "-";
}

static void test_longest_prefix(void **state)
{
	struct eg_networks *networks = parse("{\"site\": {\"cidrs\": [\"10.0.0.0/8\", \"fd00::/8\"]},"
					     " \"db\": {\"cidrs\": [\"10.20.0.0/16\", \"10.0.0.0/32\"], \"region\": \"eu-1\", \"owner\": \"dba\"},"
					     " \"hole\": {\"cidrs\": [\"10.20.255.255\", \"10.255.255.255\"]},"
					     " \"six\": {\"cidrs\": [\"::/0\"]}, \"top\": {\"cidrs\": [\"ff00::/8\"]}}");
	static const struct {
		const char *address, *name;
	} cases[] = {
		{"10.0.0.0", "db"}, {"10.0.0.1", "site"}, {"10.19.255.255", "site"}, {"10.20.0.0", "db"}, {"10.20.255.254", "db"},
		{"10.20.255.255", "hole"}, {"10.21.0.0", "site"}, {"10.255.255.254", "site"}, {"10.255.255.255", "hole"},
		{"11.0.0.0", "-"}, {"9.255.255.255", "-"}, {"0.0.0.0", "-"}, {"255.255.255.255", "-"}, {"fd00::1", "site"},
		{"fcff::", "six"}, {"fe00::", "six"}, {"::", "six"}, {"::1", "six"}, {"ff02::1", "top"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "top"},
	};
	struct eg_addr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(name_of(networks, cases[i].address), cases[i].name) != 0)
			fail_msg("%s: %s", cases[i].address, name_of(networks, cases[i].address));
	}
	assert_int_equal(eg_networks_count(networks), 5);
	eg_addr_from_text("10.20.1.1", &addr);
	assert_string_equal(eg_networks_find(networks, &addr)->text, ",\"network\":{\"name\":\"db\",\"region\":\"eu-1\"}");
	assert_string_equal(eg_networks_find(networks, &addr)->owner, "dba");
	eg_addr_from_text("10.1.1.1", &addr);
	assert_string_equal(eg_networks_find(networks, &addr)->text, ",\"network\":{\"name\":\"site\"}");
	eg_networks_free(networks);
	assert_null(eg_networks_find(NULL, &addr));
	networks = parse("{\"all\": {\"cidrs\": [\"0.0.0.0/0\", \"0.0.0.0/0\"]}}");
	assert_string_equal(name_of(networks, "1.2.3.4"), "all");
	assert_string_equal(name_of(networks, "::1"), "-");
	assert_string_equal(name_of(networks, "fd00::"), "-");
	eg_networks_free(networks);
	networks = parse("{}");
	assert_null(eg_networks_find(networks, &addr));
	eg_networks_free(networks);
}

/* Of a small space, so that prefixes nest and touch. */
static void random_cidr(struct eg_cidr *ret)
{
	char text[EG_ADDR_TEXT];
	bool six = rand() % 4 == 0;
	int bits = six ? 116 + rand() % 13 : 20 + rand() % 13;
	unsigned value = (unsigned)rand() % 4096;

	if (six)
		snprintf(text, sizeof(text), "fd00::%x/%d", value >> (128 - bits) << (128 - bits), bits);
	else
		snprintf(text, sizeof(text), "10.0.%u.%u/%d", (value >> (32 - bits) << (32 - bits)) >> 8,
			 (value >> (32 - bits) << (32 - bits)) & 255, bits);
	assert_int_equal(eg_cidr_from_text(text, ret), 0);
}

static void test_as_a_search_through_all(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 50; round++) {
		struct eg_cidr cidrs[40];
		json_t *value = json_object();
		struct eg_networks *networks;
		char why[400];

		for (int i = 0; i < 40; i++) {
			char name[8], text[EG_ADDR_TEXT];
			bool again = true;

			while (again) {
				random_cidr(&cidrs[i]);
				again = false;
				for (int j = 0; j < i; j++)
					again = again || eg_cidr_compare(&cidrs[i], &cidrs[j]) == 0;
			}
			snprintf(name, sizeof(name), "n%d", i);
			json_object_set_new(value, name, json_pack("{s:[s]}", "cidrs", eg_cidr_to_text(&cidrs[i], text)));
		}
		assert_int_equal(eg_networks_parse(value, &networks, why, sizeof(why)), 0);
		for (unsigned at = 0; at < 2 * 4096; at++) {
			struct eg_cidr one = {.bits = 128};
			char text[EG_ADDR_TEXT], wanted[8] = "-";
			int best = -1;

			if (at < 4096)
				snprintf(text, sizeof(text), "10.0.%u.%u", at >> 8, at & 255);
			else
				snprintf(text, sizeof(text), "fd00::%x", at - 4096);
			eg_addr_from_text(text, &one.addr);
			for (int i = 0; i < 40; i++) {
				if (cidrs[i].bits > best && eg_cidr_covers(&cidrs[i], &one)) {
					best = cidrs[i].bits;
					snprintf(wanted, sizeof(wanted), "n%d", i);
				}
			}
			if (strcmp(name_of(networks, text), wanted) != 0)
				fail_msg("%s: %s, not %s", text, name_of(networks, text), wanted);
		}
		eg_networks_free(networks);
		json_decref(value);
	}
}

static void refused(const char *text, const char *words)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	struct eg_networks *networks;
	char why[400] = "";

	assert_non_null(value);
	assert_int_equal(eg_networks_parse(value, &networks, why, sizeof(why)), -EINVAL);
	if (!strstr(why, words))
		fail_msg("\"%s\" instead of \"%s\"", why, words);
	json_decref(value);
}

static void test_wrong(void **state)
{
	(void)state;
	refused("[]", "must be an object");
	refused("{\"a b\": {\"cidrs\": [\"10.0.0.0/8\"]}}", "can't be a network's name");
	refused("{\"a\": 7}", "must be an object");
	refused("{\"a\": {}}", "needs \"cidrs\"");
	refused("{\"a\": {\"cidrs\": []}}", "needs \"cidrs\"");
	refused("{\"a\": {\"cidrs\": [7]}}", "no address or prefix");
	refused("{\"a\": {\"cidrs\": [\"10.0.0.1/8\"]}}", "no address or prefix");
	refused("{\"a\": {\"cidrs\": [\"10.0.0.0/8\"], \"colour\": \"red\"}}", "not colour");
	refused("{\"a\": {\"cidrs\": [\"10.0.0.0/8\"], \"region\": \"eu 1\"}}", "region");
	refused("{\"a\": {\"cidrs\": [\"10.0.0.0/8\"], \"owner\": 7}}", "owner");
	refused("{\"a\": {\"cidrs\": [\"10.0.0.0/8\"]}, \"b\": {\"cidrs\": [\"10.0.0.0/8\"]}}", "a prefix of another network: 10.0.0.0/8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_prefix), cmocka_unit_test(test_as_a_search_through_all), cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

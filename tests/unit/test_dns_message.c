// SPDX-License-Identifier: Apache-2.0
/*
 * Queries of `prefetch` and their answers: what is taken, and what is no answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/addr.h"
#include "../../agent/lib/dns_message.h"

static const struct eg_dns_question question = {.name = "api.example.com", .type = EG_DNS_A, .id = 0x1234};

/* An answer to the question, without records so far. */
struct message {
	uint8_t bytes[4096];
	size_t len;
};

static struct message begin(const struct eg_dns_question *q)
{
	struct message m = {0};

	m.len = (size_t)eg_dns_query(q, false, m.bytes);
	m.bytes[2] |= 0x80;
	return m;
}

static void put(struct message *m, const void *data, size_t len)
{
	memcpy(m->bytes + m->len, data, len);
	m->len += len;
}

static void record(struct message *m, const char *name, size_t name_len, uint16_t type, uint32_t ttl, const void *data,
		   uint16_t len)
{
	const uint8_t fixed[] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16),
				 (uint8_t)(ttl >> 8), (uint8_t)ttl, (uint8_t)(len >> 8), (uint8_t)len};

	put(m, name, name_len);
	put(m, fixed, sizeof(fixed));
	put(m, data, len);
	m->bytes[7]++;
}

#define POINTER "\xc0\x0c", 2

static int read_it(const struct message *m, const struct eg_dns_question *q, struct eg_dns_answer *ret)
{
	return eg_dns_answer_read(m->bytes, m->len, q, ret);
}

static void has(const struct eg_dns_answer *answer, size_t at, const char *want, uint32_t ttl)
{
	char text[EG_ADDR_TEXT];

	assert_true(at < answer->count);
	assert_string_equal(eg_addr_to_text(&answer->addrs[at].addr, text), want);
	assert_int_equal(answer->addrs[at].ttl_s, ttl);
}

static void test_query(void **state)
{
	static const uint8_t want[] = "\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01"
				      "\3api\7example\3com\0\0\x01\0\x01"
				      "\0\0\x29\x04\xd0\0\0\0\0\0";
	struct eg_dns_question bad = question;
	uint8_t query[EG_DNS_QUERY_MAX];

	(void)state;
	assert_int_equal(eg_dns_query(&question, true, query), sizeof(want));
	assert_memory_equal(query, want, sizeof(want));
	for (const char *const *name = (const char *const[]){"", "a..b", ".a", "a.", NULL}; *name; name++) {
		snprintf(bad.name, sizeof(bad.name), "%s", *name);
		assert_int_equal(eg_dns_query(&bad, true, query), -EINVAL);
	}
	memset(bad.name, 'a', 64);
	bad.name[64] = '\0';
	assert_int_equal(eg_dns_query(&bad, true, query), -EINVAL);
}

static void test_longest_name(void **state)
{
	struct eg_dns_question longest = question;
	uint8_t query[EG_DNS_QUERY_MAX];

	(void)state;
	memset(longest.name, 0, sizeof(longest.name));
	for (size_t i = 0; i < EG_NAME_MAX; i++)
		longest.name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(eg_dns_query(&longest, true, query), 12 + EG_NAME_MAX + 2 + 4 + 11);
}

/* Records of other types and names stand between; each address of the chain counts. */
static void test_addresses(void **state)
{
	struct message m = begin(&question);
	struct eg_dns_answer answer;

	(void)state;
	record(&m, POINTER, 5, 300, "\3cdn\xc0\x10", 6);
	record(&m, "\3cdn\xc0\x10", 6, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
	record(&m, "\3cdn\xc0\x10", 6, EG_DNS_AAAA, 60, "0123456789abcdef", 16);
	record(&m, POINTER, EG_DNS_A, 0x80000000u, "\xc0\x00\x02\x02", 4);
	put(&m, "behind the answers", 18);
	m.bytes[12 + 1] = 'A'; /* 0x20 case */
	assert_int_equal(read_it(&m, &question, &answer), 0);
	assert_int_equal(answer.count, 2);
	has(&answer, 0, "192.0.2.1", 60);
	has(&answer, 1, "192.0.2.2", 0);
}

static void test_ipv6(void **state)
{
	struct eg_dns_question q = question;
	struct eg_dns_answer answer;
	struct message m;

	(void)state;
	q.type = EG_DNS_AAAA;
	m = begin(&q);
	record(&m, POINTER, EG_DNS_AAAA, 5, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
	record(&m, POINTER, EG_DNS_AAAA, 5, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04", 16); /* IPv4 in disguise */
	assert_int_equal(read_it(&m, &q, &answer), 0);
	assert_int_equal(answer.count, 1);
	has(&answer, 0, "2001:db8::7", 5);
	assert_int_equal(read_it(&m, &question, &answer), -ENOMSG);
}

static void test_no_answer_to_this(void **state)
{
	const struct {
		size_t at;
		uint8_t flip;
	} flips[] = {{0, 1}, {1, 1}, {2, 0x80}, {2, 0x08}, {5, 2}, {5, 1}, {13, 1}, {15, 4}, {30, 2}, {32, 2}};
	struct eg_dns_answer answer = {.count = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		struct message m = begin(&question);

		record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
		m.bytes[flips[i].at] ^= flips[i].flip;
		assert_int_equal(read_it(&m, &question, &answer), -ENOMSG);
	}
	assert_int_equal(answer.count, 77);
}

static void test_codes(void **state)
{
	struct message m = begin(&question);
	struct eg_dns_answer answer;

	(void)state;
	record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
	m.bytes[3] |= 3;
	assert_int_equal(read_it(&m, &question, &answer), 0);
	assert_int_equal(answer.rcode, 3);
	assert_int_equal(answer.count, 0);
	m.bytes[3] = 5;
	m.bytes[5] = 0;
	m.len = 12;
	assert_int_equal(read_it(&m, &question, &answer), 0);
	assert_int_equal(answer.rcode, 5);
}

/* Cut off anywhere it is no answer, or a broken one; said to be truncated, what is whole counts. */
static void test_cut_off(void **state)
{
	struct message m = begin(&question);
	struct eg_dns_answer answer;
	size_t head = m.len, one;

	(void)state;
	record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
	one = m.len;
	record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x02", 4);
	for (size_t len = 0; len < m.len; len++)
		assert_int_equal(eg_dns_answer_read(m.bytes, len, &question, &answer), len < head ? -ENOMSG : -EBADMSG);
	m.bytes[2] |= 2;
	assert_int_equal(eg_dns_answer_read(m.bytes, m.len - 1, &question, &answer), 0);
	assert_true(answer.truncated);
	assert_int_equal(answer.count, 1);
	assert_int_equal(eg_dns_answer_read(m.bytes, one - 1, &question, &answer), 0);
	assert_int_equal(answer.count, 0);
}

static void test_broken(void **state)
{
	struct eg_dns_answer answer;
	struct message m = begin(&question);
	char labels[260];

	(void)state;
	record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x01\x01", 5);
	assert_int_equal(read_it(&m, &question, &answer), -EBADMSG);
	m = begin(&question);
	record(&m, "\x80", 1, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4); /* reserved kinds of label */
	assert_int_equal(read_it(&m, &question, &answer), -EBADMSG);
	m = begin(&question);
	memset(labels, 1, sizeof(labels)); /* a name over its length */
	labels[259] = 0;
	record(&m, labels, sizeof(labels), EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
	assert_int_equal(read_it(&m, &question, &answer), -EBADMSG);
}

static void test_many(void **state)
{
	struct message m = begin(&question);
	struct eg_dns_answer answer;

	(void)state;
	for (int i = 0; i < 100; i++)
		record(&m, POINTER, EG_DNS_A, 60, "\xc0\x00\x02\x01", 4);
	assert_int_equal(read_it(&m, &question, &answer), 0);
	assert_int_equal(answer.count, EG_DNS_ADDRS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),	   cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_addresses),  cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_no_answer_to_this), cmocka_unit_test(test_codes),
		cmocka_unit_test(test_cut_off),	   cmocka_unit_test(test_broken),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * DNS questions and answers, one shape at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <egret/abi.h>

#include "parsers.h"
#include "shapes.h"

#define NAME "shop.example.com"
#define L50  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
#define L250 L50 "." L50 "." L50 "." L50 "." "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
#define L63  "abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuvwxy"

_Static_assert(sizeof(L250) == 251 && sizeof(L63) == 64, "names");

enum { A = 1, CNAME = 5, PTR = 12, TXT = 16, AAAA = 28, SRV = 33, SVCB = 64, HTTPS = 65 };

#define OK        EG_REASON_NONE
#define BAD_NAME  EG_REASON_DNS_NAME
#define MALFORMED EG_REASON_DNS_MALFORMED

static struct px_found run(void **state, enum px_kind kind, const struct shape *m)
{
	struct px_found found;

	px_run(*state, kind, m->b, m->len < PX_MSG_MAX ? m->len : PX_MSG_MAX, &found);
	return found;
}

/* ---- Questions -------------------------------------------------------------------------------------- */

static struct shape query(const char *name)
{
	struct shape m;

	shape_dns(&m, &(struct shape_dns){.name = name, .id = 0xbeef, .flags = 0x0100, .type = A, .edns = true});
	return m;
}

static void is_query(void **state, const struct shape *m, enum eg_reason reason)
{
	assert_int_equal(run(state, PX_DNS_QUERY, m).result, reason);
}

static void reads_the_question(void **state)
{
	static const char *const names[][2] = {
		{NAME, NAME}, {"wWw.ExAmPlE.cOm", "www.example.com"}, {"a", "a"}, {"_ldap._tcp.x-1", "_ldap._tcp.x-1"},
		{L250 "a", L250 "a"}, {L63, L63}, {"1.0.0.10.in-addr.arpa", "1.0.0.10.in-addr.arpa"},
	};
	static const unsigned types[] = {A, CNAME, PTR, TXT, AAAA, SRV, SVCB, HTTPS, 257, 65535};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct shape m = query(names[i][0]);
		struct px_found found = run(state, PX_DNS_QUERY, &m);

		assert_int_equal(found.result, OK);
		assert_string_equal(found.name, names[i][1]);
		assert_int_equal(found.id, 0xbeef);
		assert_int_equal(found.qtype, A);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct shape m;

		shape_dns(&m, &(struct shape_dns){.name = NAME, .type = types[i]});
		assert_int_equal(run(state, PX_DNS_QUERY, &m).qtype, types[i]);
	}
}

static void refuses_names_that_no_host_has(void **state)
{
	static const char *const names[] = {"", "a b", "a/b", "b\xc3\xbc" "cher", "*.a", L250 "ab", L250 ".a"};
	struct shape m;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		m = query(names[i]);
		is_query(state, &m, BAD_NAME);
	}
	m = query("good-evil");
	m.b[12 + 1 + 4] = '.'; /* a dot inside of a label */
	is_query(state, &m, BAD_NAME);
	m.b[12 + 1 + 4] = 0;
	is_query(state, &m, BAD_NAME);
}

static void refuses_what_is_no_query(void **state)
{
	static const struct {
		size_t at;
		unsigned value;
	} wrong[] = {
		{2, 0x8100}, {2, 0x0900}, {2, 0x2900}, {2, 0x7900}, /* flags */
		{4, 0}, {4, 2}, {6, 1}, {8, 1}, {10, 3}, {10, 0x100}, /* counts */
		{32, 0}, {32, 3}, {32, 255}, {32, 0x8001}, /* class */
		{12, 0xc00c}, {12, 0xc000}, {12, 0x4004}, {12, 0x8004}, {29, 0xc00c}, /* name */
	};
	struct shape good = query(NAME), m;

	is_query(state, &good, OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		m = good;
		shape_set16(&m, wrong[i].at, wrong[i].value);
		is_query(state, &m, MALFORMED);
	}
	for (m = good; m.len > 12 + 18 + 4; m.len--)
		is_query(state, &m, OK);
	while (m.len) {
		m.len--;
		is_query(state, &m, MALFORMED);
	}
	m = good;
	shape_fill(&m, 512 - m.len);
	is_query(state, &m, OK);
	shape_u8(&m, 0);
	is_query(state, &m, MALFORMED);
}

/* ---- Answers ------------------------------------------------------------------------------------------- */

static struct shape answer(unsigned records)
{
	struct shape m;

	shape_dns(&m, &(struct shape_dns){
			      .name = NAME, .id = 7, .flags = 0x8180, .type = A, .records = records, .edns = false});
	return m;
}

static void is_answer(void **state, const struct shape *m, enum eg_reason reason)
{
	assert_int_equal(run(state, PX_DNS_ANSWER, m).result, reason);
}

static void has_v4(const struct px_found *found, unsigned i, const char *bytes, uint32_t ttl)
{
	assert_memory_equal(found->addr[i], "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	assert_memory_equal(found->addr[i] + 12, bytes, 4);
	assert_int_equal(found->ttl_s[i], ttl);
}

static void takes_addresses_behind_aliases(void **state)
{
	struct shape m = answer(5);
	struct px_found found;

	shape_dns_record(&m, SHAPE_QUESTION, CNAME, 60, "\3cdn\xc0\x11", 6); /* cdn.example.com */
	shape_dns_record(&m, 0xc000 | (unsigned)(m.len - 6), CNAME, 60, "\1x\0", 3);
	shape_dns_record(&m, 0xc000 | (unsigned)(m.len - 3), A, 30, "\1\2\3\4", 4);
	shape_dns_record(&m, SHAPE_QUESTION, AAAA, 90, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	shape_dns_record(&m, SHAPE_QUESTION, TXT, 90, "\4text", 5);
	shape_dns_opt(&m); /* behind what is read */
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_string_equal(found.name, NAME);
	assert_int_equal(found.id, 7);
	assert_int_equal(found.qtype, A);
	assert_int_equal(found.rcode, 0);
	assert_int_equal(found.addr_count, 2);
	has_v4(&found, 0, "\1\2\3\4", 30);
	assert_memory_equal(found.addr[1], "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(found.ttl_s[1], 90);
}

/* Where they point to does not matter, so neither loops nor what lies ahead can trap the parser. */
static void follows_no_pointer(void **state)
{
	struct shape m = answer(3), other;
	struct px_found found;
	size_t at = m.len;

	shape_dns_record(&m, 0xc000 | (unsigned)at, A, 1, "\1\2\3\4", 4); /* itself */
	shape_dns_record(&m, 0xffff, A, 2, "\1\2\3\5", 4); /* nowhere */
	shape_dns_record(&m, 0xc000 | (unsigned)(m.len + 16), A, 3, "\1\2\3\6", 4); /* ahead */
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_int_equal(found.addr_count, 3);
	has_v4(&found, 2, "\1\2\3\6", 3);
	other = answer(1); /* the question's own name is never compressed */
	other.b[12] = 0xc0;
	other.b[13] = 12;
	is_answer(state, &other, MALFORMED);
	other = answer(1); /* an owner written out, with a pointer at its end */
	shape_bytes(&other, "\3www\3foo\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x9\x9\x9\x9", 24);
	found = run(state, PX_DNS_ANSWER, &other);
	assert_int_equal(found.addr_count, 1);
	has_v4(&found, 0, "\x9\x9\x9\x9", 5);
}

static void takes_ttls_as_they_are(void **state)
{
	static const uint32_t ttls[][2] = {
		{0, 0}, {1, 1}, {0x7fffffff, 0x7fffffff}, {0x80000000, 0}, {0xffffffff, 0},
	};

	for (size_t i = 0; i < sizeof(ttls) / sizeof(*ttls); i++) {
		struct shape m = answer(1);
		struct px_found found;

		shape_dns_record(&m, SHAPE_QUESTION, A, ttls[i][0], "\1\2\3\4", 4);
		found = run(state, PX_DNS_ANSWER, &m);
		assert_int_equal(found.addr_count, 1);
		has_v4(&found, 0, "\1\2\3\4", ttls[i][1]);
	}
}

static void takes_class_in_only(void **state)
{
	struct shape m = answer(2);
	struct px_found found;

	shape_dns_record(&m, SHAPE_QUESTION, A, 1, "\1\2\3\4", 4);
	shape_set16(&m, m.len - 12, 3); /* CHAOS */
	shape_dns_record(&m, SHAPE_QUESTION, A, 1, "\1\2\3\5", 4);
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.addr_count, 1);
	has_v4(&found, 0, "\1\2\3\5", 1);
	shape_set16(&m, 12 + 18 + 2, 3);
	is_answer(state, &m, MALFORMED);
}

static void takes_up_to_64_addresses(void **state)
{
	struct shape m = answer(64);
	struct px_found found;

	for (unsigned i = 0; i < 64; i++)
		shape_dns_record(&m, SHAPE_QUESTION, A, i, (uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_int_equal(found.addr_count, 64);
	has_v4(&found, 63, "\x0a\0\0\x3f", 63);
	shape_set16(&m, 6, 65);
	shape_dns_record(&m, SHAPE_QUESTION, A, 1, "\1\2\3\4", 4);
	is_answer(state, &m, MALFORMED);
	m = answer(256);
	for (unsigned i = 0; i < 256; i++)
		shape_dns_record(&m, SHAPE_QUESTION, CNAME, 1, "\xc0\x0c", 2);
	is_answer(state, &m, OK);
	shape_set16(&m, 6, 257);
	shape_dns_record(&m, SHAPE_QUESTION, CNAME, 1, "\xc0\x0c", 2);
	is_answer(state, &m, MALFORMED);
}

/* As far as anything is missing: malformed. Each byte of the answer section counts. */
static void refuses_what_is_cut_or_lies(void **state)
{
	struct shape good = answer(3), m;
	size_t at = good.len, last;

	shape_dns_record(&good, SHAPE_QUESTION, CNAME, 1, "\3cdn\xc0\x11", 6);
	shape_dns_record(&good, SHAPE_QUESTION, A, 1, "\1\2\3\4", 4);
	last = good.len;
	shape_dns_record(&good, SHAPE_QUESTION, AAAA, 1, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	is_answer(state, &good, OK);
	for (m = good, m.len--; m.len; m.len--)
		is_answer(state, &m, MALFORMED);
	is_answer(state, &m, MALFORMED);
	for (unsigned len = 0; len < 40; len++) {
		m = good;
		shape_set16(&m, last + 10, len);
		is_answer(state, &m, len == 16 ? OK : MALFORMED);
	}
	m = good;
	shape_set16(&m, at + 18 + 10, 3); /* the A record's */
	is_answer(state, &m, MALFORMED);
	shape_set16(&m, at + 18 + 10, 0xffff);
	is_answer(state, &m, MALFORMED);
	m = good;
	shape_set16(&m, 6, 4);
	is_answer(state, &m, MALFORMED);
	m = good;
	m.b[at] = 0x80;
	is_answer(state, &m, MALFORMED);
	m = good; /* an owner without end */
	m.b[last] = 63;
	is_answer(state, &m, MALFORMED);
}

static void bounds_the_labels_it_passes(void **state)
{
	for (unsigned labels = 126; labels < 130; labels++) {
		struct shape m = answer(1);

		for (unsigned i = 0; i < labels; i++)
			shape_bytes(&m, "\1a", 2);
		shape_bytes(&m, "\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 15);
		is_answer(state, &m, labels <= 127 ? OK : MALFORMED);
	}
}

static void takes_hints_of_services(void **state)
{
	static const uint8_t v6[32] = {0x20, 1, 0xd, 0xb8, [15] = 1, [16] = 0x20, [31] = 2};
	struct shape m = answer(2), other;
	struct px_found found;
	size_t at;

	for (unsigned type = SVCB; type <= HTTPS; type++) {
		at = shape_dns_service(&m, type, 60 + type);
		shape_dns_param(&m, 6, v6, 32); /* before 4, which RFC 9460 forbids: taken all the same */
		shape_dns_param(&m, 1, "\2h2\2h3", 6);
		shape_dns_param(&m, 4, "\1\1\1\1\2\2\2\2", 8);
		shape_dns_close(&m, at);
	}
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_int_equal(found.addr_count, 8);
	assert_memory_equal(found.addr[1], v6 + 16, 16);
	has_v4(&found, 3, "\2\2\2\2", 60 + SVCB);
	has_v4(&found, 7, "\2\2\2\2", 60 + HTTPS);
	other = m;
	shape_set16(&other, at + 12 + 3 + 2, 31); /* not a whole number of addresses */
	is_answer(state, &other, MALFORMED);
	other = m;
	shape_set16(&other, other.len - 10, 12); /* past the record */
	is_answer(state, &other, MALFORMED);
	other = m;
	shape_set16(&other, at + 10, 2); /* no room for a target */
	is_answer(state, &other, MALFORMED);
	for (unsigned len = 3; len < m.len - at - 12; len++) { /* cut inside of the record */
		bool whole = len == 3 || len == 3 + 36 || len == 3 + 36 + 10;

		other = m;
		other.len = at + 12 + len;
		shape_set16(&other, at + 10, len);
		is_answer(state, &other, whole ? OK : MALFORMED);
	}
	other = answer(1); /* the target leaves the record */
	shape_dns_record(&other, SHAPE_QUESTION, HTTPS, 1, "\0\1\5ab", 5);
	shape_bytes(&other, "cde\0\0\0\0\0", 8);
	is_answer(state, &other, MALFORMED);
}

static void bounds_the_hints(void **state)
{
	static const uint8_t hints[17 * 16] = {1, 2, 3, 4};

	for (unsigned size = 4; size <= 16; size += 12) {
		for (unsigned count = 15; count <= 17; count++) {
			struct shape m = answer(1);
			size_t at = shape_dns_service(&m, HTTPS, 1);

			shape_dns_param(&m, size == 4 ? 4 : 6, hints, (size_t)size * count);
			shape_dns_close(&m, at);
			is_answer(state, &m, count <= 16 ? OK : MALFORMED);
		}
	}
	for (unsigned params = 31; params <= 33; params++) {
		struct shape m = answer(1);
		size_t at = shape_dns_service(&m, HTTPS, 1);

		for (unsigned i = 0; i < params; i++)
			shape_dns_param(&m, 100 + i, "", 0);
		shape_dns_close(&m, at);
		is_answer(state, &m, params <= 32 ? OK : MALFORMED);
	}
}

static void reads_errors(void **state)
{
	struct shape m = answer(0);
	struct px_found found;

	m.b[3] |= 3; /* NXDOMAIN */
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_int_equal(found.rcode, 3);
	assert_int_equal(found.addr_count, 0);
	assert_int_equal(found.bare, 0);
	m.len = 12; /* FORMERR, without the question */
	m.b[3] = 0x81;
	m.b[5] = 0;
	found = run(state, PX_DNS_ANSWER, &m);
	assert_int_equal(found.result, OK);
	assert_int_equal(found.bare, 1);
	m.b[3] = 0x80; /* which success never lacks */
	is_answer(state, &m, MALFORMED);
	m.b[3] = 0x81;
	m.b[7] = 1;
	is_answer(state, &m, MALFORMED);
}

static void refuses_what_is_no_answer(void **state)
{
	static const struct {
		size_t at;
		unsigned value;
	} wrong[] = {{2, 0x0180}, {2, 0x8980}, {2, 0xa980}, {4, 2}, {4, 0xffff}, {6, 2}, {6, 0x100}};
	struct shape good = answer(1), m;

	shape_dns_record(&good, SHAPE_QUESTION, A, 1, "\1\2\3\4", 4);
	is_answer(state, &good, OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		m = good;
		shape_set16(&m, wrong[i].at, wrong[i].value);
		is_answer(state, &m, MALFORMED);
	}
	m = good;
	m.b[14] = '.';
	is_answer(state, &m, BAD_NAME);
}

static int setup(void **state)
{
	*state = px_open();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	px_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_question),
		cmocka_unit_test(refuses_names_that_no_host_has),
		cmocka_unit_test(refuses_what_is_no_query),
		cmocka_unit_test(takes_addresses_behind_aliases),
		cmocka_unit_test(follows_no_pointer),
		cmocka_unit_test(takes_ttls_as_they_are),
		cmocka_unit_test(takes_class_in_only),
		cmocka_unit_test(takes_up_to_64_addresses),
		cmocka_unit_test(refuses_what_is_cut_or_lies),
		cmocka_unit_test(bounds_the_labels_it_passes),
		cmocka_unit_test(takes_hints_of_services),
		cmocka_unit_test(bounds_the_hints),
		cmocka_unit_test(reads_errors),
		cmocka_unit_test(refuses_what_is_no_answer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

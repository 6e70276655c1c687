// SPDX-License-Identifier: Apache-2.0
/*
 * The first data of a connection, one shape at a time: ClientHello and CONNECT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parsers.h"
#include "recorded.h"
#include "shapes.h"

#define NAME  "shop.example.com"
#define L63   "abcdefghijklmnopqrstuvwxyz-0123456789_abcdefghijklmnopqrstuvwxyz"
#define L50   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
#define L250  L50 "." L50 "." L50 "." L50 "." "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
#define PLAIN                                                                                                          \
	(struct shape_hello)                                                                                           \
	{                                                                                                              \
		.name = NAME, .session_len = 32, .before = 3, .before_len = 6, .after = 4, .after_len = 9              \
	}

_Static_assert(sizeof(L250) == 251, "L250");

static struct px_found run(void **state, enum px_kind kind, const void *msg, size_t len)
{
	struct px_found found;

	px_run(*state, kind, msg, len < PX_MSG_MAX ? len : PX_MSG_MAX, &found);
	return found;
}

static void is_named(void **state, const struct shape *m, const char *name)
{
	struct px_found found = run(state, PX_TLS, m->b, m->len);

	assert_int_equal(found.result, HELLO_OK);
	assert_string_equal(found.name, name);
}

static void is(void **state, const struct shape *m, enum px_hello result)
{
	assert_int_equal(run(state, PX_TLS, m->b, m->len).result, result);
}

static void verifies_in_few_instructions(void **state)
{
	for (int kind = 0; kind < PX_KIND_COUNT_; kind++) {
		print_message("%s: %u instructions processed\n", px_name(kind), px_verified(*state, kind));
		assert_in_range(px_verified(*state, kind), 100, 10000);
	}
}

static void finds_the_name(void **state)
{
	static const char *const names[][2] = {
		{NAME, NAME}, {"WWW.Example.COM", "www.example.com"}, {"a", "a"}, {"_x-1.b2", "_x-1.b2"},
		{L250 "a", L250 "a"}, {L250, L250}, {"1.2.3.a4", "1.2.3.a4"}, {"xn--nxasmq6b.gr", "xn--nxasmq6b.gr"},
	};
	struct shape_hello hello = PLAIN;
	struct shape m;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		hello.name = names[i][0];
		shape_hello(&m, &hello);
		is_named(state, &m, names[i][1]);
	}
	assert_int_equal(strlen(L63), 64);
	hello.name = L63 + 1;
	shape_hello(&m, &hello);
	is_named(state, &m, L63 + 1);
}

static void refuses_what_is_no_name(void **state)
{
	static const char *const names[] = {
		"shop.example.com.", ".shop.example.com", "shop..example.com", ".", "a b", "a/b", "a:443",
		"b\xc3\xbc" "cher.de", "10.0.0.1", "1", "a.443", "::1", "[::1]", "*.example.com", "a\r\nb", L63,
		L250 "ab", L250 ".a",
	};
	struct shape_hello hello = PLAIN;
	struct shape m;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		hello.name = names[i];
		shape_hello(&m, &hello);
		is(state, &m, HELLO_NOT);
	}
	hello.name = "shop.example.com_evil.example"; /* a NUL in the middle */
	m.b[shape_hello(&m, &hello) - strlen("_evil.example")] = 0;
	is(state, &m, HELLO_NOT);
	hello.name = "";
	shape_hello(&m, &hello);
	is(state, &m, HELLO_NOT);
}

/* A good hello whose name ends at `end`, cut everywhere: held until the name is whole, then that name. */
static void cut_everywhere(void **state, const uint8_t *msg, size_t len, size_t end, const char *name)
{
	for (size_t n = 0; n <= len; n++) {
		struct px_found found = run(state, PX_TLS, msg, n);

		assert_int_equal(found.result, n < end ? HELLO_HELD : HELLO_OK);
		assert_string_equal(found.name, n < end ? "" : name);
	}
}

static void holds_what_is_cut(void **state)
{
	struct shape_hello hello = PLAIN;
	struct shape m;
	size_t end = shape_hello(&m, &hello);

	cut_everywhere(state, m.b, m.len, end, NAME);
	hello.name = NULL; /* the end of a hello without a name has to be seen */
	shape_hello(&m, &hello);
	for (size_t n = 0; n < m.len; n++)
		assert_int_equal(run(state, PX_TLS, m.b, n).result, HELLO_HELD);
	is(state, &m, HELLO_UNNAMED);
	hello.no_extensions = true;
	shape_hello(&m, &hello);
	for (size_t n = 0; n < m.len; n++)
		assert_int_equal(run(state, PX_TLS, m.b, n).result, HELLO_HELD);
	is(state, &m, HELLO_UNNAMED);
}

static void reads_what_real_clients_sent(void **state)
{
	for (size_t i = 0; i < sizeof(recorded) / sizeof(*recorded); i++) {
		const struct recorded *r = &recorded[i];
		const uint8_t *name = memmem(r->bytes, r->len, RECORDED_NAME, strlen(RECORDED_NAME));

		print_message("%s\n", r->client);
		assert_non_null(name);
		cut_everywhere(state, r->bytes, r->len, (size_t)(name - r->bytes) + strlen(RECORDED_NAME),
			       RECORDED_NAME);
	}
}

/* 16 KB of hello, of which one buffer is looked at, with the name at its very end. */
static void reads_names_to_the_end_of_the_buffer(void **state)
{
	struct shape_hello hello = PLAIN;
	size_t end, spare;
	struct shape m;

	hello.after = 1;
	hello.after_len = 8000;
	end = shape_hello(&m, &hello);
	spare = PX_MSG_MAX - end;
	hello.before = 1;
	hello.before_len = (unsigned)spare + 3 * 10 - 4;
	assert_int_equal(shape_hello(&m, &hello), PX_MSG_MAX);
	assert_true(m.len > 16000);
	is_named(state, &m, NAME);
	assert_int_equal(run(state, PX_TLS, m.b, PX_MSG_MAX - 1).result, HELLO_HELD);
	hello.before_len++; /* no retransmission brings more of it */
	assert_int_equal(shape_hello(&m, &hello), PX_MSG_MAX + 1);
	is(state, &m, HELLO_NOT);
	hello.before = 2000; /* extensions of nothing */
	hello.before_len = 0;
	hello.after_len = 10;
	assert_in_range(shape_hello(&m, &hello), 8100, PX_MSG_MAX);
	is_named(state, &m, NAME);
	hello.name = NULL;
	shape_hello(&m, &hello);
	is(state, &m, HELLO_UNNAMED);
}

static void passes_over_grease_and_ech(void **state)
{
	struct shape_hello hello = PLAIN;
	struct shape m;

	hello.grease = true;
	hello.ech = true;
	cut_everywhere(state, m.b, m.len, shape_hello(&m, &hello), NAME);
	hello.name = NULL;
	shape_hello(&m, &hello);
	is(state, &m, HELLO_UNNAMED);
}

static void takes_one_name_only(void **state)
{
	struct shape_hello hello = PLAIN;
	struct shape m, other;
	size_t end = shape_hello(&m, &hello);

	shape_server_name(&m, NAME, strlen(NAME)); /* a second extension */
	shape_hello_close(&m);
	is(state, &m, HELLO_NOT);
	m.len -= 1; /* a part of it is enough */
	is(state, &m, HELLO_NOT);
	hello.after = 0;
	for (size_t i = 0; i < 3; i++) { /* more in the list: a name, of another type, bytes like an extension */
		static const char *const more[] = {"\0\0\4evil", "\1\0\4evil", "\x40\0\0"};
		const size_t len = i < 2 ? 7 : 4;

		shape_hello(&m, &hello);
		end = m.len - strlen(NAME) - 9;
		shape_bytes(&m, more[i], len);
		shape_hello_close(&m);
		shape_set16(&m, end + 2, (unsigned)(strlen(NAME) + 5 + len));
		shape_set16(&m, end + 4, (unsigned)(strlen(NAME) + 3 + len));
		is(state, &m, HELLO_NOT);
	}
	shape_hello(&m, &hello);
	end = m.len - strlen(NAME) - 9;
	other = m;
	other.b[end + 6] = 1; /* another kind of name */
	is(state, &other, HELLO_NOT);
	for (int lie = -3; lie <= 3; lie++) { /* each of the three lengths */
		for (size_t at = 2; at <= 7; at += at == 4 ? 3 : 2) {
			other = m;
			shape_set16(&other, end + at, (unsigned)((m.b[end + at] << 8 | m.b[end + at + 1]) + lie));
			is(state, &other, lie ? HELLO_NOT : HELLO_OK);
		}
	}
	shape_hello(&m, &(struct shape_hello){.session_len = 0}); /* as a server sends it */
	shape_u16(&m, 0);
	shape_u16(&m, 0);
	shape_hello_close(&m);
	is(state, &m, HELLO_NOT);
}

static void refuses_what_is_no_hello(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
		{0, 0x17}, {0, 0x15}, {0, 0x80}, {0, 'G'}, {1, 2}, {1, 4}, {2, 0}, {2, 4}, {3, 0x41}, /* record */
		{5, 2}, {5, 0}, {6, 1}, {9, 2}, {10, 0}, {10, 4}, /* handshake */
		{43, 33}, {43, 255}, /* session id */
		{43 + 33 + 1, 31}, {43 + 33 + 1, 0}, {43 + 33, 0xff}, /* cipher suites */
		{43 + 33 + 34, 0}, {43 + 33 + 34, 255}, /* compression */
	};
	static const char *const texts[] = {"GET / HTTP/1.1", "SSH-2.0-OpenSSH_9.2", "\x80\x2e\x01\x03", "\0\0\0\0"};
	struct shape_hello hello = PLAIN;
	struct shape good, m;

	shape_hello(&good, &hello);
	is_named(state, &good, NAME);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		m = good;
		m.b[wrong[i].at] = wrong[i].value;
		is(state, &m, HELLO_NOT);
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(run(state, PX_TLS, texts[i], 4).result, HELLO_NOT);
	assert_int_equal(run(state, PX_TLS, "", 0).result, HELLO_HELD);
}

static void refuses_lengths_that_disagree(void **state)
{
	static const size_t lengths[] = {3, 7, 43 + 33 + 34 + 2}; /* record, handshake, extensions */
	struct shape_hello hello = PLAIN;
	struct shape good, m;

	shape_hello(&good, &hello);
	for (size_t i = 0; i < 3; i++) {
		for (int lie = -20; lie <= 20; lie++) {
			m = good;
			shape_set16(&m, lengths[i], (unsigned)((m.b[lengths[i]] << 8 | m.b[lengths[i] + 1]) + lie));
			is(state, &m, lie ? HELLO_NOT : HELLO_OK);
		}
	}
	for (size_t cut = 0; cut + 9 < good.len; cut += 7) { /* a second record from there on */
		m.len = 0;
		shape_bytes(&m, good.b, 5);
		shape_set16(&m, 3, (unsigned)(4 + cut));
		shape_bytes(&m, good.b + 5, 4 + cut);
		shape_bytes(&m, "\x16\x03\x01", 3);
		shape_u16(&m, (unsigned)(good.len - 9 - cut));
		shape_bytes(&m, good.b + 9 + cut, good.len - 9 - cut);
		is(state, &m, HELLO_NOT);
	}
	m = good; /* early data is none of our business */
	shape_bytes(&m, "\x14\x03\x03\x00\x01\x01", 6);
	is_named(state, &m, NAME);
}

static void reads_connect(void **state)
{
	static const struct {
		const char *text;
		enum px_hello result;
		const char *name;
	} lines[] = {
		{"CONNECT " NAME ":443 HTTP/1.1\r\n", HELLO_OK, NAME},
		{"CONNECT " NAME ":443 HTTP/1.0\r\nHost: other\r\n\r\n", HELLO_OK, NAME},
		{"CONNECT Shop.EXAMPLE.com:443 HTTP/1.1\r\nHost: x", HELLO_OK, NAME},
		{"CONNECT " L250 "a:443 HTTP/1.1\r\n", HELLO_OK, L250 "a"},
		{"CONNECT " L250 "ab:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " L63 ".com:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":80 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":4430 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":0443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ": HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME " HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ".:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT ." NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT a..b:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT :443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT 10.0.0.1:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT [::1]:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT [" NAME "]:443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT u:p@" NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT u@" NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT https://" NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443/ HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT  " NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT\t" NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443  HTTP/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 HTTP/1.1 \r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 HTTP/1.1\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 HTTP/1.1\rx", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 HTTP/1.2\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 HTTP/2.0\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443 http/1.1\r\n", HELLO_NOT, ""},
		{"CONNECT " NAME ":443\r\n", HELLO_NOT, ""},
		{"connect " NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"\r\nCONNECT " NAME ":443 HTTP/1.1\r\n", HELLO_NOT, ""},
		{"GET / HTTP/1.1\r\n", HELLO_NOT, ""},
		{"\x16\x03\x01\x02", HELLO_NOT, ""},
		{"", HELLO_HELD, ""},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct px_found found = run(state, PX_HTTP, lines[i].text, strlen(lines[i].text));

		if (found.result != (int)lines[i].result)
			print_error("%s\n", lines[i].text);
		assert_int_equal(found.result, lines[i].result);
		assert_string_equal(found.name, lines[i].name);
	}
}

static void holds_a_cut_connect(void **state)
{
	static const char line[] = "CONNECT " NAME ":443 HTTP/1.1\r\n";

	for (size_t n = 0; n < strlen(line); n++)
		assert_int_equal(run(state, PX_HTTP, line, n).result, HELLO_HELD);
	assert_int_equal(run(state, PX_HTTP, line, strlen(line)).result, HELLO_OK);
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
		cmocka_unit_test(verifies_in_few_instructions),
		cmocka_unit_test(finds_the_name),
		cmocka_unit_test(refuses_what_is_no_name),
		cmocka_unit_test(holds_what_is_cut),
		cmocka_unit_test(reads_what_real_clients_sent),
		cmocka_unit_test(reads_names_to_the_end_of_the_buffer),
		cmocka_unit_test(passes_over_grease_and_ech),
		cmocka_unit_test(takes_one_name_only),
		cmocka_unit_test(refuses_what_is_no_hello),
		cmocka_unit_test(refuses_lengths_that_disagree),
		cmocka_unit_test(reads_connect),
		cmocka_unit_test(holds_a_cut_connect),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

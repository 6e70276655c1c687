// SPDX-License-Identifier: Apache-2.0
/*
 * Mutated messages, FUZZ_COUNT for each parser (20,000), from FUZZ_SEED (1): the loaded parser and
 * the reference have to say the same. A good message is made, then broken in up to four places, so
 * that most of it stays believable; a third of them stay as they are.
 */
#include <inttypes.h>
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
#include "recorded.h"
#include "reference.h"
#include "shapes.h"

typedef void make_fn(struct shape *m);
typedef void reference_fn(const uint8_t *msg, size_t len, struct px_found *ret);

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1dull) >> 32) % below;
}

/* ---- Good messages -------------------------------------------------------------------------------- */

static void make_name(char *ret)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	unsigned labels = any(20) ? 1 + any(4) : 1 + any(30);
	size_t n = 0;

	for (unsigned i = 0; i < labels; i++) {
		unsigned len = any(10) ? 1 + any(12) : 1 + any(64);

		for (unsigned k = 0; k < len && n < 255; k++)
			ret[n++] = bytes[any(sizeof(bytes) - 1)];
		if (i + 1 < labels && n < 255)
			ret[n++] = '.';
	}
	ret[n] = 0;
}

static void make_tls(struct shape *m)
{
	char name[256];
	struct shape_hello hello = {
		.name = any(8) ? name : NULL,
		.session_len = any(2) ? 32 : any(33),
		.suites = any(4) ? 1 + any(40) : 1 + any(1000),
		.before = any(6),
		.before_len = any(10) ? any(40) : any(2500),
		.after = any(6),
		.after_len = any(10) ? any(40) : any(2500),
		.grease = any(2),
		.ech = !any(3),
		.no_extensions = !any(30),
	};

	if (!any(10)) {
		const struct recorded *r = &recorded[any(sizeof(recorded) / sizeof(*recorded))];

		m->len = 0;
		shape_bytes(m, r->bytes, r->len);
		return;
	}
	make_name(name);
	if (hello.before * hello.before_len > 7900)
		hello.before = 3;
	if (hello.after * hello.after_len > 7900)
		hello.after = 3;
	shape_hello(m, &hello);
	if (any(20))
		return;
	shape_server_name(m, name, strlen(name));
	shape_hello_close(m);
}

static void make_http(struct shape *m)
{
	static const char *const ports[] = {":443", ":443", ":443", ":443", ":80", ":4433", ":", ""};
	static const char *const ends[] = {" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.1\r\nHost: a.b:443\r\n\r\n"};
	char name[256];

	make_name(name);
	m->len = 0;
	shape_text(m, "CONNECT ");
	shape_text(m, name);
	shape_text(m, ports[any(8)]);
	shape_text(m, ends[any(3)]);
}

static void make_query(struct shape *m)
{
	static const unsigned types[] = {1, 5, 12, 16, 28, 33, 64, 65, 257};
	char name[256];

	make_name(name);
	shape_dns(m, &(struct shape_dns){
			     .name = name,
			     .id = any(65536),
			     .flags = 0x0100 | any(8) << 4,
			     .type = types[any(sizeof(types) / sizeof(*types))],
			     .edns = any(2),
		     });
}

static void make_service(struct shape *m, uint32_t ttl)
{
	size_t at = shape_dns_service(m, any(2) ? 64 : 65, ttl);
	uint8_t value[17 * 16];

	for (unsigned params = any(20) ? any(5) : any(40); params; params--) {
		unsigned key = any(8);
		unsigned len = key == 4 ? 4 * any(4) : key == 6 ? 16 * any(4) : any(20);

		if (!any(40))
			len = (key == 4 ? 4 : 16) * any(18) % sizeof(value);
		for (unsigned i = 0; i < len; i++)
			value[i] = (uint8_t)any(256);
		shape_dns_param(m, key, value, len);
	}
	shape_dns_close(m, at);
}

/* Any record; pointers go anywhere: forward, to themselves, in circles. */
static void make_record(struct shape *m)
{
	static const uint32_t ttls[] = {0, 1, 60, 300, 86400, 0x7fffffff, 0x80000000, 0xffffffff};
	unsigned owner = any(3) ? SHAPE_QUESTION : 0xc000 | any(16384);
	uint32_t ttl = any(2) ? ttls[any(8)] : any(100000);
	uint8_t data[300];
	unsigned len;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)any(256);
	switch (any(6)) {
	case 0:
	case 1:
		shape_dns_record(m, owner, 1, ttl, data, 4);
		break;
	case 2:
		shape_dns_record(m, owner, 28, ttl, data, 16);
		break;
	case 3:
		data[0] |= 0xc0;
		shape_dns_record(m, owner, 5, ttl, data, 2);
		break;
	case 4:
		make_service(m, ttl);
		break;
	default:
		len = any(sizeof(data));
		shape_dns_record(m, owner, 16 + any(5), ttl, data, len);
		if (!any(4)) /* of another class */
			m->b[m->len - len - 7] = 3;
	}
}

static void make_answer(struct shape *m)
{
	unsigned count = any(20) ? any(8) : any(80);
	char name[256];

	make_name(name);
	shape_dns(m, &(struct shape_dns){
			     .name = name,
			     .id = any(65536),
			     .flags = 0x8100 | any(8) << 4 | (any(4) ? 0 : any(16)) | (any(9) ? 0 : 0x200),
			     .type = any(2) ? 1 : 65,
			     .records = count,
		     });
	while (count-- && m->len < PX_MSG_MAX)
		make_record(m);
	if (!any(10) && m->len > 20) { /* an error without the question */
		m->len = 12;
		memset(m->b + 4, 0, 8);
		m->b[3] |= 1;
	}
}

/* ---- Mutations ------------------------------------------------------------------------------------------ */

static void insert(struct shape *m, size_t at, const uint8_t *bytes, size_t len)
{
	if (m->len + len > sizeof(m->b))
		return;
	memmove(m->b + at + len, m->b + at, m->len - at);
	memcpy(m->b + at, bytes, len);
	m->len += len;
}

static void erase(struct shape *m, size_t at, size_t len)
{
	if (len > m->len - at)
		len = m->len - at;
	memmove(m->b + at, m->b + at + len, m->len - at - len);
	m->len -= len;
}

static void mutate(struct shape *m, make_fn *make)
{
	static const uint8_t liked[] = {0, 1, 2, 4, 5, 6, 22, 28, 64, 65, 0x3f,
					0x7f, 0x80, 0xc0, 0xff, '.', ':', '\r', ' ', 'A', '1'};
	static struct shape other;
	size_t at, len;

	if (!m->len)
		return;
	at = any(2) ? any((uint32_t)m->len) : any(m->len < 80 ? (uint32_t)m->len : 80);
	len = 1 + any(any(4) ? 8 : 200);
	switch (any(9)) {
	case 0:
		m->b[at] ^= (uint8_t)(1u << any(8));
		return;
	case 1:
		m->b[at] = liked[any(sizeof(liked))];
		return;
	case 2:
		m->b[at] = (uint8_t)any(256);
		return;
	case 3: /* a length that lies a little */
		m->b[at] = (uint8_t)(m->b[at] + any(7) - 3);
		return;
	case 4:
		m->len = at;
		return;
	case 5:
		erase(m, at, len);
		return;
	case 6: /* a piece twice */
		if (len > m->len - at)
			len = m->len - at;
		memcpy(other.b, m->b + at, len);
		insert(m, any((uint32_t)m->len), other.b, len);
		return;
	case 7: /* a piece of another message */
		make(&other);
		if (at < other.len)
			insert(m, any((uint32_t)m->len), other.b + at, len < other.len - at ? len : other.len - at);
		return;
	default: /* from here on another message */
		make(&other);
		if (at < other.len) {
			m->len = at;
			shape_bytes(m, other.b + at, other.len - at);
		}
	}
}

/* ---- Comparison ---------------------------------------------------------------------------------------------- */

static void show_found(const char *whose, const struct px_found *found)
{
	print_error("%s: %d \"%s\" id %u type %u rcode %u bare %u addresses %u\n", whose, found->result, found->name,
		    found->id, found->qtype, found->rcode, found->bare, found->addr_count);
}

static void show(const struct shape *m, const struct px_found *is, const struct px_found *wanted)
{
	show_found("loaded", is);
	show_found("reference", wanted);
	print_error("%zu bytes:\n", m->len);
	for (size_t i = 0; i < m->len; i++)
		print_error("%02x%s", m->b[i], i % 64 == 63 ? "\n" : "");
	print_error("\n");
}

static unsigned long setting(const char *variable, unsigned long otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

/* `results`: a bit for each result that has to be seen at least once in a hundred messages. */
static void compare(struct px *px, enum px_kind kind, make_fn *make, reference_fn *reference, uint64_t results)
{
	unsigned long count = setting("FUZZ_COUNT", 20000), seen[64] = {0};
	static struct shape m;
	struct px_found is, wanted;

	random_state = setting("FUZZ_SEED", 1) * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned long i = 0; i < count; i++) {
		make(&m);
		for (unsigned n = any(3) ? 1 + any(4) : 0; n; n--)
			mutate(&m, make);
		if (m.len > PX_MSG_MAX)
			m.len = PX_MSG_MAX;
		px_run(px, kind, m.b, m.len, &is);
		reference(m.b, m.len, &wanted);
		if (wanted.result != (kind < PX_DNS_QUERY ? HELLO_OK : EG_REASON_NONE)) {
			wanted = (struct px_found){.result = wanted.result};
			is = (struct px_found){.result = is.result};
		}
		if (memcmp(&is, &wanted, sizeof(is)))
			show(&m, &is, &wanted);
		assert_memory_equal(&is, &wanted, sizeof(is));
		seen[is.result]++;
	}
	print_message("%s: %lu messages;", px_name(kind), count);
	for (unsigned i = 0; i < 64; i++) {
		if (seen[i])
			print_message(" %u: %lu", i, seen[i]);
		if (results >> i & 1)
			assert_true(seen[i] > count / 100);
	}
	print_message("\n");
}

static void tls(void **state)
{
	compare(*state, PX_TLS, make_tls, reference_tls,
		1u << HELLO_OK | 1u << HELLO_HELD | 1u << HELLO_NOT | 1u << HELLO_UNNAMED);
}

static void http(void **state)
{
	compare(*state, PX_HTTP, make_http, reference_http, 1u << HELLO_OK | 1u << HELLO_HELD | 1u << HELLO_NOT);
}

static void dns_query(void **state)
{
	compare(*state, PX_DNS_QUERY, make_query, reference_dns_query,
		1ull << EG_REASON_NONE | 1ull << EG_REASON_DNS_NAME | 1ull << EG_REASON_DNS_MALFORMED);
}

static void dns_answer(void **state)
{
	compare(*state, PX_DNS_ANSWER, make_answer, reference_dns_answer,
		1ull << EG_REASON_NONE | 1ull << EG_REASON_DNS_NAME | 1ull << EG_REASON_DNS_MALFORMED);
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
		cmocka_unit_test(tls),
		cmocka_unit_test(http),
		cmocka_unit_test(dns_query),
		cmocka_unit_test(dns_answer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

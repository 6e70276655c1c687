// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

void shape_bytes(struct shape *m, const void *bytes, size_t len)
{
	if (len > sizeof(m->b) - m->len)
		abort();
	memcpy(m->b + m->len, bytes, len);
	m->len += len;
}

void shape_u8(struct shape *m, unsigned value)
{
	uint8_t byte = (uint8_t)value;

	shape_bytes(m, &byte, 1);
}

void shape_u16(struct shape *m, unsigned value)
{
	shape_u8(m, value >> 8);
	shape_u8(m, value);
}

void shape_text(struct shape *m, const char *text)
{
	shape_bytes(m, text, strlen(text));
}

void shape_fill(struct shape *m, size_t len)
{
	while (len--)
		shape_u8(m, (unsigned)(m->len * 37 + 11));
}

void shape_set16(struct shape *m, size_t at, unsigned value)
{
	m->b[at] = (uint8_t)(value >> 8);
	m->b[at + 1] = (uint8_t)value;
}

void shape_server_name(struct shape *m, const char *name, size_t len)
{
	shape_u16(m, 0);
	shape_u16(m, (unsigned)len + 5);
	shape_u16(m, (unsigned)len + 3);
	shape_u8(m, 0);
	shape_u16(m, (unsigned)len);
	shape_bytes(m, name, len);
}

static void extensions(struct shape *m, unsigned first, unsigned count, unsigned len)
{
	for (unsigned i = 0; i < count; i++) {
		shape_u16(m, first + i);
		shape_u16(m, len);
		shape_fill(m, len);
	}
}

/* Where the extensions' length is. */
static size_t extensions_at(const struct shape *m)
{
	size_t at = 43 + 1 + m->b[43];

	at += 2u + (size_t)(m->b[at] << 8 | m->b[at + 1]);
	return at + 1 + m->b[at];
}

void shape_hello_close(struct shape *m)
{
	size_t at = extensions_at(m);

	if (m->len > at)
		shape_set16(m, at, (unsigned)(m->len - at - 2));
	shape_set16(m, 3, (unsigned)(m->len - 5));
	m->b[6] = 0;
	shape_set16(m, 7, (unsigned)(m->len - 9));
}

static void head(struct shape *m, const struct shape_hello *hello)
{
	unsigned suites = hello->suites ? hello->suites : 16;

	m->len = 0;
	shape_bytes(m, "\x16\x03\x01\0\0\x01\0\0\0\x03\x03", 11);
	shape_fill(m, 32);
	shape_u8(m, hello->session_len);
	shape_fill(m, hello->session_len);
	shape_u16(m, 2 * suites);
	if (hello->grease)
		shape_u16(m, 0x5a5a);
	for (unsigned i = hello->grease; i < suites; i++)
		shape_u16(m, 0x1301 + i);
	shape_bytes(m, "\x01\x00", 2);
}

size_t shape_hello(struct shape *m, const struct shape_hello *hello)
{
	size_t name_end = 0;

	head(m, hello);
	if (hello->no_extensions) {
		shape_hello_close(m);
		return 0;
	}
	shape_u16(m, 0);
	if (hello->grease)
		extensions(m, 0xbaba, 1, 0);
	extensions(m, 10, hello->before, hello->before_len);
	if (hello->ech)
		extensions(m, 0xfe0d, 1, 186);
	if (hello->name) {
		shape_server_name(m, hello->name, strlen(hello->name));
		name_end = m->len;
	}
	extensions(m, 0x4000, hello->after, hello->after_len);
	if (hello->grease)
		extensions(m, 0x6a6a, 1, 1);
	shape_hello_close(m);
	return name_end;
}

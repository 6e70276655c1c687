// SPDX-License-Identifier: Apache-2.0
#include "body.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SIZE_MIN 4096
#define GZIP	 16 /* of windowBits: a gzip header, not one of zlib */

/* Room for so many bytes more and a NUL. */
static bool make_room(struct eg_body *body, size_t len)
{
	size_t size = body->size ? body->size : SIZE_MIN;
	char *data;

	if (body->failed)
		return false;
	while (size - body->len <= len) {
		if (size > SIZE_MAX / 2)
			return !(body->failed = true);
		size *= 2;
	}
	if (size == body->size)
		return true;
	data = realloc(body->data, size);
	if (!data)
		return !(body->failed = true);
	body->data = data;
	body->size = size;
	return true;
}

void eg_body_add(struct eg_body *body, const void *data, size_t len)
{
	if (!make_room(body, len))
		return;
	memcpy(body->data + body->len, data, len);
	body->len += len;
	body->data[body->len] = '\0';
}

void eg_body_text(struct eg_body *body, const char *text)
{
	eg_body_add(body, text, strlen(text));
}

void eg_body_format(struct eg_body *body, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	eg_body_text(body, text);
}

static int add_piece(const char *data, size_t len, void *body)
{
	eg_body_add(body, data, len);
	return ((struct eg_body *)body)->failed ? -1 : 0;
}

void eg_body_json(struct eg_body *body, const json_t *value)
{
	if (json_dump_callback(value, add_piece, body, JSON_COMPACT | JSON_ENCODE_ANY))
		body->failed = true;
}

/* Not by jansson, which makes a value and a table of parents for each string: most of a batch is strings. */
void eg_body_string(struct eg_body *body, const char *text)
{
	eg_body_add(body, "\"", 1);
	while (*text) {
		size_t plain = 0;

		while ((unsigned char)text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\')
			plain++;
		eg_body_add(body, text, plain);
		text += plain;
		if (*text == '"' || *text == '\\')
			eg_body_add(body, (char[]){'\\', *text}, 2);
		else if (*text)
			eg_body_format(body, "\\u%04x", (unsigned char)*text);
		text += *text != '\0';
	}
	eg_body_add(body, "\"", 1);
}

void eg_body_gzip(struct eg_body *body, const void *data, size_t len)
{
	z_stream stream = {0};
	size_t bound;

	if (len > UINT32_MAX ||
	    deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP, 8, Z_DEFAULT_STRATEGY)) {
		body->failed = true;
		return;
	}
	bound = deflateBound(&stream, len);
	if (make_room(body, bound)) {
		stream.next_in = (Bytef *)data;
		stream.avail_in = (uInt)len;
		stream.next_out = (Bytef *)body->data + body->len;
		stream.avail_out = (uInt)bound;
		if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
			body->len += stream.total_out;
		else
			body->failed = true;
		body->data[body->len] = '\0';
	}
	deflateEnd(&stream);
}

void eg_body_reset(struct eg_body *body)
{
	body->len = 0;
	body->failed = false;
}

void eg_body_free(struct eg_body *body)
{
	free(body->data);
	*body = (struct eg_body){0};
}

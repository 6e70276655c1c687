// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "../lib/cleanup.h"

/* Length of the UTF-8 character at text and its code point; 0 if it isn't one (RFC 3629). */
static size_t decode(const unsigned char *text, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	uint32_t c;

	if (len == 0 || text[0] > 0xf4)
		return 0;
	c = len == 1 ? text[0] : text[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3fu);
	}
	if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*ret = c;
	return len;
}

/* C0, DEL, C1; marks and overrides of direction; separators of lines; what has no width to hide behind. */
static bool is_odd(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

char *eg_text_clean(const char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	char *clean = malloc(strlen(text) + 1), *to = clean;

	if (!clean)
		return NULL;
	while (*from) {
		uint32_t c = 0;
		size_t len = decode(from, &c);

		if (len == 0 || is_odd(c)) {
			*to++ = '?';
			from += len ? len : 1;
			continue;
		}
		memcpy(to, from, len);
		to += len;
		from += len;
	}
	*to = '\0';
	return clean;
}

/* Only strings of JSON have any but ASCII in them. */
static void print_escaped(FILE *out, uint32_t c)
{
	if (c > 0xffff) {
		c -= 0x10000;
		fprintf(out, "\\u%04x", 0xd800 + (c >> 10));
		c = 0xdc00 + (c & 0x3ff);
	}
	fprintf(out, "\\u%04x", c);
}

/* decode(), of bytes that end where they end. */
static size_t decode_within(const unsigned char *text, size_t left, uint32_t *ret)
{
	unsigned char end[5] = "";

	if (left >= sizeof(end) - 1)
		return decode(text, ret);
	memcpy(end, text, left);
	return decode(end, ret);
}

void eg_text_json(FILE *out, const char *json, size_t len)
{
	const unsigned char *from = (const unsigned char *)json;
	size_t kept = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = from[i] < 0x7f ? 1 : decode_within(from + i, len - i, &c);

		if (n && c && is_odd(c)) {
			fwrite(json + kept, 1, i - kept, out);
			print_escaped(out, c);
			kept = i + n;
		}
		i += n ? n : 1;
	}
	fwrite(json + kept, 1, len - kept, out);
}

size_t eg_text_width(const char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	size_t width = 0;

	while (*from) {
		uint32_t c = 0;
		size_t len = decode(from, &c);
		int columns = c < 0x80 ? 1 : wcwidth((wchar_t)c);

		width += columns < 0 ? 1 : (size_t)columns;
		from += len ? len : 1;
	}
	return width;
}

void eg_text_say(FILE *out, const char *format, ...)
{
	EG_FREE char *text = NULL, *clean = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	else
		clean = eg_text_clean(text);
	fprintf(out, "%s\n", clean ? clean : "out of memory");
}

const char *eg_text_moment(const char *rfc3339, unsigned digits, char *ret, size_t size)
{
	const char *dot = strchr(rfc3339, '.');
	size_t fraction = dot ? strspn(dot + 1, "0123456789") : 0;

	if (strlen(rfc3339) < sizeof("2027-01-31T12:00:05") || rfc3339[10] != 'T') {
		snprintf(ret, size, "%s", rfc3339);
		return ret;
	}
	if (digits > fraction)
		digits = (unsigned)fraction;
	snprintf(ret, size, "%.10s %.8s%.*s%s", rfc3339, rfc3339 + 11, digits ? (int)digits + 1 : 0, dot ? dot : "",
		 dot ? dot + 1 + fraction : rfc3339 + 19);
	return ret;
}

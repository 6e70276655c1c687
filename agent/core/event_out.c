// SPDX-License-Identifier: Apache-2.0
#include "event_out.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <time.h>

static const char digits2[] = "00010203040506070809"
			      "10111213141516171819"
			      "20212223242526272829"
			      "30313233343536373839"
			      "40414243444546474849"
			      "50515253545556575859"
			      "60616263646566676869"
			      "70717273747576777879"
			      "80818283848586878889"
			      "90919293949596979899";

/* The lowest `width` decimal digits, with leading zeros. */
static void fixed(char *p, uint64_t value, unsigned width)
{
	while (width >= 2) {
		width -= 2;
		memcpy(p + width, digits2 + value % 100 * 2, 2);
		value /= 100;
	}
	if (width)
		p[0] = (char)('0' + value % 10);
}

char *eg_out_u64(char *p, uint64_t value)
{
	unsigned width = 1;

	for (uint64_t rest = value; rest >= 10; rest /= 10)
		width++;
	fixed(p, value, width);
	return p + width;
}

char *eg_out_ts(char *p, struct eg_out_clock *clock, uint64_t utc_ns)
{
	uint64_t second = utc_ns / 1000000000u;

	if (second != clock->second || !clock->text[0]) {
		time_t t = (time_t)second;
		struct tm tm;

		gmtime_r(&t, &tm); /* 64 bits of ns end in 2554: four digits */
		memcpy(clock->text, "0000-00-00T00:00:00.", 20);
		fixed(clock->text, (uint64_t)tm.tm_year + 1900, 4);
		fixed(clock->text + 5, (uint64_t)tm.tm_mon + 1, 2);
		fixed(clock->text + 8, (uint64_t)tm.tm_mday, 2);
		fixed(clock->text + 11, (uint64_t)tm.tm_hour, 2);
		fixed(clock->text + 14, (uint64_t)tm.tm_min, 2);
		fixed(clock->text + 17, (uint64_t)tm.tm_sec, 2);
		clock->second = second;
	}
	memcpy(p, clock->text, 20);
	fixed(p + 20, utc_ns % 1000000000u, 9);
	p[29] = 'Z';
	return p + EG_OUT_TS_MAX;
}

static bool is_v4_mapped(const struct eg_addr *addr)
{
	static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr->b, prefix, sizeof(prefix)) == 0;
}

char *eg_out_addr(char *p, const struct eg_addr *addr)
{
	char text[INET6_ADDRSTRLEN];

	if (is_v4_mapped(addr)) {
		for (int i = 12; i < 16; i++) {
			p = eg_out_u64(p, addr->b[i]);
			if (i < 15)
				*p++ = '.';
		}
		return p;
	}
	if (!inet_ntop(AF_INET6, addr->b, text, sizeof(text)))
		return p;
	return eg_out_bytes(p, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), or 0. The first byte is not ASCII. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	unsigned char lowest = 0x80, highest = 0xbf; /* of the second byte */
	size_t len;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lowest = 0xa0; /* overlong */
	else if (s[0] == 0xed)
		highest = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		lowest = 0x90; /* overlong */
	else if (s[0] == 0xf4)
		highest = 0x8f; /* beyond U+10FFFF */
	if (left < len || s[1] < lowest || s[1] > highest)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static char *control(char *p, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	switch (c) {
	case '\n':
		return eg_out_lit(p, "\\n");
	case '\t':
		return eg_out_lit(p, "\\t");
	case '\r':
		return eg_out_lit(p, "\\r");
	default:
		p = eg_out_lit(p, "\\u00");
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
		return p;
	}
}

char *eg_out_escaped(char *p, const char *from, size_t len)
{
	const unsigned char *s = (const unsigned char *)from;

	for (size_t i = 0; i < len;) {
		unsigned char c = s[i];

		if (c >= 0x80) {
			size_t n = utf8_len(s + i, len - i);

			if (n)
				p = eg_out_bytes(p, s + i, n);
			else
				p = eg_out_lit(p, "\xef\xbf\xbd");
			i += n ? n : 1;
			continue;
		}
		if (c < 0x20) {
			p = control(p, c);
		} else {
			if (c == '"' || c == '\\')
				*p++ = '\\';
			*p++ = (char)c;
		}
		i++;
	}
	return p;
}

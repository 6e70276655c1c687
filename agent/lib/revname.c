// SPDX-License-Identifier: Apache-2.0
#include "revname.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

size_t eg_revname_put(char *p, const char *rev, size_t size)
{
	size_t len = strnlen(rev, size);

	for (size_t i = 0; i < len; i++) {
		char c = rev[len - 1 - i];

		p[i] = c > ' ' && c <= '~' && c != '"' && c != '\\' ? c : '?';
	}
	return len;
}

const char *eg_revname_text(const char rev[EG_NAME_SIZE], char ret[EG_NAME_SIZE + 1])
{
	ret[eg_revname_put(ret, rev, EG_NAME_SIZE)] = '\0';
	return ret;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool label_has(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int eg_revname_from_text(const char *text, size_t len, char ret[EG_NAME_SIZE])
{
	char rev[EG_NAME_SIZE] = "";
	size_t label = 0;
	bool digits = true; /* of the last label: then it is an IPv4 address, or nothing */

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > EG_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = lower(text[i]);

		if (c == '.') {
			if (!label)
				return -EINVAL;
			label = 0;
			digits = true;
		} else {
			if (!label_has(c) || ++label > 63)
				return -EINVAL;
			digits = digits && c >= '0' && c <= '9';
		}
		rev[len - 1 - i] = c;
	}
	if (!label || digits)
		return -EINVAL;
	memcpy(ret, rev, sizeof(rev));
	return 0;
}

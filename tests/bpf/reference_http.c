// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "reference.h"

#define METHOD "CONNECT "

/* Whether [text, text + len) begins like `whole`. */
static int begins(const uint8_t *text, size_t len, const char *whole)
{
	size_t n = strlen(whole);

	return !memcmp(text, whole, len < n ? len : n);
}

static int rest_of_line(const uint8_t *rest, size_t len)
{
	static const char *const lines[] = {":443 HTTP/1.0\r\n", ":443 HTTP/1.1\r\n"};

	for (size_t i = 0; i < 2; i++) {
		if (begins(rest, len, lines[i]))
			return len < strlen(lines[i]) ? HELLO_HELD : HELLO_OK;
	}
	return HELLO_NOT;
}

void reference_http(const uint8_t *msg, size_t len, struct px_found *ret)
{
	const size_t method = strlen(METHOD);
	const uint8_t *colon;

	memset(ret, 0, sizeof(*ret));
	ret->result = HELLO_NOT;
	if (!begins(msg, len, METHOD))
		return;
	if (len < method) {
		ret->result = HELLO_HELD;
		return;
	}
	colon = memchr(msg + method, ':', len - method);
	if (!colon) {
		if (!reference_name(msg + method, len - method, 1, ret->name))
			ret->result = HELLO_HELD;
		return;
	}
	if (reference_name(msg + method, (size_t)(colon - msg) - method, 0, ret->name))
		return;
	ret->result = rest_of_line(colon, len - (size_t)(colon - msg));
}

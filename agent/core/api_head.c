// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP library answers what it can't parse with pages of its own, guesses at what is
 * nearly right and has its own ideas of sizes. So every head is judged here first, by the
 * narrowest reading of RFC 9112 that its clients need; what passes, the library can't refuse.
 */
#include "api_impl.h"

#include <string.h>

#define HEADERS_MAX 100u
#define QUERIES_MAX 32u
#define METHOD_MAX  16u

static bool is_token(char c)
{
	return c && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		     (c >= 'a' && c <= 'z'));
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

static int malformed(struct eg_error *err, const char *what)
{
	return eg_error_set(err, 400, "bad_request", "This is not an HTTP/1.1 request that is understood here: %s.", what);
}

/* What has been seen of headers that may come once. */
struct seen {
	unsigned headers;
	bool host;
	bool length;
	bool body; /* its length is not 0 */
	bool expect;
	bool http_1_0;
};

static int check_target(const char *target, size_t len, struct eg_error *err)
{
	unsigned queries = 0;

	if (!len || target[0] != '/')
		return malformed(err, "its target doesn't begin with /");
	for (size_t i = 0; i < len; i++) {
		if (target[i] <= ' ' || target[i] > '~' || target[i] == '#')
			return malformed(err, "its target has a byte that must be percent-encoded");
		queries += target[i] == '&';
		if (target[i] != '%')
			continue;
		if (len - i < 3 || !is_hex(target[i + 1]) || !is_hex(target[i + 2]))
			return malformed(err, "its target has a % without two hexadecimal digits");
		if (target[i + 1] == '0' && target[i + 2] == '0')
			return malformed(err, "its target has a NUL");
	}
	return queries > QUERIES_MAX ? malformed(err, "it has too many query parameters") : 0;
}

static int check_request_line(const char *line, size_t len, struct seen *seen, struct eg_error *err)
{
	const char *target = memchr(line, ' ', len), *version, *end = line + len;
	size_t method = target ? (size_t)(target - line) : 0;

	if (!method || method > METHOD_MAX)
		return malformed(err, "it doesn't begin with a method and a space");
	for (size_t i = 0; i < method; i++)
		if (!is_token(line[i]))
			return malformed(err, "it doesn't begin with a method and a space");
	target++;
	version = memchr(target, ' ', (size_t)(end - target));
	if (!version)
		return malformed(err, "its first line has no version");
	if (check_target(target, (size_t)(version - target), err) < 0)
		return -EINVAL;
	version++;
	if (end - version != 8 || strncmp(version, "HTTP/", 5))
		return malformed(err, "its first line doesn't end with HTTP/1.1");
	seen->http_1_0 = !strncmp(version, "HTTP/1.0", 8);
	if (!seen->http_1_0 && strncmp(version, "HTTP/1.1", 8))
		return eg_error_set(err, 505, "http_version", "Only HTTP/1.1 is spoken here.");
	return 0;
}

static int check_length(const char *value, size_t len, struct seen *seen, struct eg_error *err)
{
	while (len && (*value == ' ' || *value == '\t'))
		value++, len--;
	if (seen->length || !len || len > 18)
		return malformed(err, "its Content-Length is not one number");
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return malformed(err, "its Content-Length is not one number");
		seen->body |= value[i] != '0';
	}
	seen->length = true;
	return 0;
}

static bool is_named(const char *line, size_t len, const char *name)
{
	return len == strlen(name) && !strncasecmp(line, name, len);
}

static int check_header(const char *line, size_t len, struct seen *seen, struct eg_error *err)
{
	const char *colon = memchr(line, ':', len);
	size_t name = colon ? (size_t)(colon - line) : 0;

	if (++seen->headers > HEADERS_MAX)
		return eg_error_set(err, 431, "header_too_large", "The request has more than %u headers.", HEADERS_MAX);
	if (!name)
		return malformed(err, "a header has no name");
	for (size_t i = 0; i < name; i++)
		if (!is_token(line[i]))
			return malformed(err, "a header's name has a byte that it may not have");
	if (is_named(line, name, "Content-Length"))
		return check_length(colon + 1, len - name - 1, seen, err);
	if (is_named(line, name, "Transfer-Encoding"))
		return eg_error_set(err, 411, "length_required",
				    "Send the body with a Content-Length; Transfer-Encoding is not taken.");
	/* The library parses them whether asked or not, and has answers of its own to what it dislikes. */
	if (is_named(line, name, "Cookie"))
		return malformed(err, "it has a cookie, which nobody here gave it");
	if (is_named(line, name, "Expect"))
		seen->expect = true;
	if (is_named(line, name, "Host")) {
		if (seen->host)
			return malformed(err, "it has two Host headers");
		seen->host = true;
	}
	return 0;
}

/* Control bytes are refused at once, so that what speaks TLS or no protocol at all is told so. */
static int check_bytes(const char *bytes, size_t len, struct eg_error *err)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n' ? !i || bytes[i - 1] != '\r' : (c < ' ' && c != '\t' && c != '\r') || c == 127)
			return malformed(err, "it has control bytes, or lines that don't end in CR LF");
		if (i && bytes[i - 1] == '\r' && c != '\n')
			return malformed(err, "it has a CR without its LF");
	}
	return 0;
}

enum eg_api_head eg_api_head_check(const char *bytes, size_t len, bool ended, struct eg_error *err)
{
	const char *line = bytes, *whole = memmem(bytes, len, "\r\n\r\n", 4), *end;
	size_t head = whole ? (size_t)(whole + 4 - bytes) : len;
	struct seen seen = {0};
	int r;

	if (head > EG_API_HEAD_MAX) {
		eg_error_set(err, 431, "header_too_large", "The request's head has more than %u bytes.", EG_API_HEAD_MAX);
		return EG_API_HEAD_BAD;
	}
	if (check_bytes(bytes, head, err) < 0)
		return EG_API_HEAD_BAD;
	while ((end = memmem(line, (size_t)(bytes + head - line), "\r\n", 2))) {
		size_t n = (size_t)(end - line);

		if (line == bytes)
			r = check_request_line(line, n, &seen, err);
		else
			r = n ? check_header(line, n, &seen, err) : 0;
		if (r < 0)
			return EG_API_HEAD_BAD;
		line = end + 2;
	}
	if (!whole && !ended)
		return EG_API_HEAD_MORE;
	if (!whole)
		malformed(err, "it ended before its head was whole");
	else if (!seen.host && !seen.http_1_0)
		malformed(err, "it has no Host header");
	else if (seen.expect && !seen.body) /* the library may close the connection without an answer */
		malformed(err, "it has an Expect but no body");
	return err->status ? EG_API_HEAD_BAD : EG_API_HEAD_WHOLE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * jsonpos_token.c - strings, numbers and words of JSON, and what to say about others
 */
#include "jsonpos_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX   64 /* bytes of a number that isn't an integer: with EXPONENT_MAX it can't overflow */
#define EXPONENT_MAX 200

/* ---- Faults ----------------------------------------------------------------------------------- */

int eg_jsonpos_fault(struct eg_jsonpos_scanner *s, size_t offset, const char *fix, const char *format, ...)
{
	struct eg_diag *diag = s->fault;
	va_list args;

	if (!diag)
		return -EINVAL;
	*diag = (struct eg_diag){.level = EG_DIAG_ERROR};
	eg_jsonpos_place(s->text, offset, &diag->line, &diag->column);
	eg_jsonpos_path(s, diag->path, sizeof(diag->path));
	va_start(args, format);
	vsnprintf(diag->message, sizeof(diag->message), format, args);
	va_end(args);
	snprintf(diag->fix, sizeof(diag->fix), "%s", fix);
	return -EINVAL;
}

int eg_jsonpos_fault_end(struct eg_jsonpos_scanner *s)
{
	const struct eg_jsonpos_frame *frame = s->depth ? &s->stack[s->depth - 1] : NULL;
	unsigned line, column;

	if (!frame)
		return eg_jsonpos_fault(s, s->len, "Write one JSON object", "The text is empty");
	eg_jsonpos_place(s->text, frame->begin, &line, &column);
	return eg_jsonpos_fault(s, s->len, frame->object ? "Add what is missing, and }" : "Add what is missing, and ]",
				"The text ends within the %s that begins at line %u, column %u",
				frame->object ? "object" : "list", line, column);
}

/* The byte at `at` can't stand there. */
int eg_jsonpos_unexpected(struct eg_jsonpos_scanner *s, const char *wanted)
{
	char word[EG_JSONPOS_SHOWN + 1], fix[64];
	unsigned char c;

	if (s->at >= s->len)
		return eg_jsonpos_fault_end(s);
	c = (unsigned char)s->text[s->at];
	if (c == '\0')
		return eg_jsonpos_fault(s, s->at, "Save the file as UTF-8 text", "The text has a NUL byte");
	if (c == '/' || c == '#')
		return eg_jsonpos_fault(s, s->at, "Remove the comment", "JSON has no comments");
	if (c == '\'')
		return eg_jsonpos_fault(s, s->at, "Write \" instead", "Texts and keys stand in double quotes");
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
		return eg_jsonpos_fault(s, s->at, "Put texts and keys in double quotes; true and false are lower case",
					"The word %s can't stand here: %s is wanted",
					eg_jsonpos_show(s, s->at, " \t\r\n,:]}\"", word), wanted);
	snprintf(fix, sizeof(fix), "%s %s", c == '"' && strstr(wanted, "comma") ? "Put in" : "Write", wanted);
	if (c >= 0x21 && c < 0x7f)
		return eg_jsonpos_fault(s, s->at, fix, "The character %c can't stand here: %s is wanted", c, wanted);
	return eg_jsonpos_fault(s, s->at, fix, "The byte 0x%02x can't stand here: %s is wanted", c, wanted);
}

/* ---- Strings ---------------------------------------------------------------------------------- */

/* Length of the UTF-8 character at text (RFC 3629), of more than one byte; 0 if it isn't one. */
static size_t utf8_len(const unsigned char *text, size_t room)
{
	size_t len = text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > room)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0; /* overlong, surrogate, above U+10FFFF */
	return len;
}

static uint64_t hash_code(uint64_t hash, uint32_t code)
{
	if (code < 0x80)
		return eg_jsonpos_hash(hash, (unsigned char)code);
	if (code < 0x800)
		return eg_jsonpos_hash(eg_jsonpos_hash(hash, (unsigned char)(0xc0 | code >> 6)), 0x80 | (code & 0x3f));
	if (code < 0x10000) {
		hash = eg_jsonpos_hash(hash, (unsigned char)(0xe0 | code >> 12));
	} else {
		hash = eg_jsonpos_hash(hash, (unsigned char)(0xf0 | code >> 18));
		hash = eg_jsonpos_hash(hash, 0x80 | (code >> 12 & 0x3f));
	}
	return eg_jsonpos_hash(eg_jsonpos_hash(hash, 0x80 | (code >> 6 & 0x3f)), 0x80 | (code & 0x3f));
}

/* \uXXXX at offset. */
static bool scan_hex(const struct eg_jsonpos_scanner *s, size_t offset, uint32_t *ret)
{
	uint32_t code = 0;

	if (s->len < offset + 6 || s->text[offset] != '\\' || s->text[offset + 1] != 'u')
		return false;
	for (size_t i = offset + 2; i < offset + 6; i++) {
		char c = s->text[i];

		if (c >= '0' && c <= '9')
			code = code << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = code;
	return true;
}

static int scan_unicode(struct eg_jsonpos_scanner *s, uint64_t *hash)
{
	size_t begin = s->at;
	uint32_t code, low;

	if (!scan_hex(s, s->at, &code))
		return eg_jsonpos_fault(s, begin, "Write \\u and four hexadecimal digits",
					"This escape is not complete");
	if (code == 0)
		return eg_jsonpos_fault(s, begin, "Remove it", "A text can't hold the character NUL");
	s->at += 6;
	if (code >= 0xd800 && code < 0xe000) {
		if (code >= 0xdc00 || !scan_hex(s, s->at, &low) || low < 0xdc00 || low >= 0xe000)
			return eg_jsonpos_fault(s, begin, "Write the character itself, in UTF-8",
						"This escape is one half of a surrogate pair");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		s->at += 6;
	}
	*hash = hash_code(*hash, code);
	return 0;
}

static int scan_escape(struct eg_jsonpos_scanner *s, uint64_t *hash)
{
	static const char escapes[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *escape;

	if (s->at + 1 >= s->len)
		return eg_jsonpos_fault_end(s);
	if (s->text[s->at + 1] == 'u')
		return scan_unicode(s, hash);
	escape = memchr(escapes, s->text[s->at + 1], sizeof(escapes) - 1);
	if (!escape)
		return eg_jsonpos_fault(s, s->at, "Write \\\\ for a backslash", "JSON has no such escape");
	*hash = eg_jsonpos_hash(*hash, (unsigned char)means[escape - escapes]);
	s->at += 2;
	return 0;
}

/* A byte of a string that stands for no character of ASCII. */
static int scan_odd(struct eg_jsonpos_scanner *s, size_t begin, uint64_t *hash)
{
	const unsigned char *c = (const unsigned char *)s->text + s->at;
	size_t len = utf8_len(c, s->len - s->at);

	if (*c == '\n' || *c == '\r')
		return eg_jsonpos_fault(s, begin, "Close it on its line", "This text has no closing quote on its line");
	if (*c == '\0')
		return eg_jsonpos_unexpected(s, "");
	if (*c < 0x20)
		return eg_jsonpos_fault(s, s->at, "Write it as an escape, such as \\t",
					"A text can't hold the control character 0x%02x", *c);
	if (len == 0)
		return eg_jsonpos_fault(s, s->at, "Save the file as UTF-8", "The byte 0x%02x is not UTF-8", *c);
	for (size_t i = 0; i < len; i++)
		*hash = eg_jsonpos_hash(*hash, c[i]);
	s->at += len;
	return 0;
}

int eg_jsonpos_string(struct eg_jsonpos_scanner *s, uint64_t *hash)
{
	size_t begin = s->at++;
	int r = 0;

	while (!r && s->at < s->len) {
		unsigned char c = (unsigned char)s->text[s->at];

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c == '\\') {
			r = scan_escape(s, hash);
		} else if (c < 0x20 || c >= 0x80) {
			r = scan_odd(s, begin, hash);
		} else {
			*hash = eg_jsonpos_hash(*hash, c);
			s->at++;
		}
	}
	return r ? r : eg_jsonpos_fault(s, begin, "Add the closing quote", "This text has no closing quote");
}

/* ---- Numbers and words ------------------------------------------------------------------------ */

static size_t scan_digits(struct eg_jsonpos_scanner *s)
{
	size_t begin = s->at;

	while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9')
		s->at++;
	return s->at - begin;
}

bool eg_jsonpos_one(struct eg_jsonpos_scanner *s, const char *any)
{
	if (s->at >= s->len || !s->text[s->at] || !strchr(any, s->text[s->at]))
		return false;
	s->at++;
	return true;
}

/* The exponent, if there is one: false if it is malformed. */
static bool scan_exponent(struct eg_jsonpos_scanner *s, int *ret)
{
	size_t digits;

	*ret = 0;
	if (!eg_jsonpos_one(s, "eE"))
		return true;
	eg_jsonpos_one(s, "+-");
	digits = scan_digits(s);
	for (size_t i = s->at - digits; i < s->at && *ret <= EXPONENT_MAX; i++)
		*ret = *ret * 10 + (s->text[i] - '0');
	return digits > 0;
}

static int scan_number(struct eg_jsonpos_scanner *s)
{
	size_t begin = s->at, first, digits, whole;
	bool minus = eg_jsonpos_one(s, "-");
	int exponent;

	first = s->at;
	digits = scan_digits(s);
	whole = s->at;
	if (digits == 0 || (eg_jsonpos_one(s, ".") && scan_digits(s) == 0) || !scan_exponent(s, &exponent))
		return eg_jsonpos_fault(s, begin, "Write digits", "This number is not complete");
	if (digits > 1 && s->text[first] == '0')
		return eg_jsonpos_fault(s, begin, "Remove the zero", "A number can't begin with 0");
	if (s->at == whole ? digits > 19 || (digits == 19 &&
					     strncmp(s->text + first,
						     minus ? "9223372036854775808" : "9223372036854775807", 19) > 0) :
			     s->at - begin > NUMBER_MAX || exponent > EXPONENT_MAX)
		return eg_jsonpos_fault(s, begin, "Write a smaller one", "This number is too large");
	return 0;
}

int eg_jsonpos_scalar(struct eg_jsonpos_scanner *s)
{
	static const char *const words[] = {"true", "false", "null"};
	uint64_t hash = 0;
	char c;

	if (s->at >= s->len)
		return eg_jsonpos_fault_end(s);
	c = s->text[s->at];
	if (c == '"')
		return eg_jsonpos_string(s, &hash);
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		size_t len = strlen(words[i]);

		if (s->len - s->at >= len && !memcmp(s->text + s->at, words[i], len)) {
			s->at += len;
			return 0;
		}
	}
	return eg_jsonpos_unexpected(s, "a value");
}

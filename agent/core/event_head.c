// SPDX-License-Identifier: Apache-2.0
/*
 * Reads back the beginning of a line that event_json.c wrote. The order of the members is
 * fixed and host, type and app need no escapes, so this is not a JSON parser.
 */
#include "event_json.h"

struct cursor {
	const char *p;
	const char *end;
};

static bool skip(struct cursor *c, const char *expected, size_t len)
{
	if ((size_t)(c->end - c->p) < len || memcmp(c->p, expected, len) != 0)
		return false;
	c->p += len;
	return true;
}

#define SKIP(c, literal) skip((c), literal, sizeof(literal) - 1)

/* Up to the next quote, and past it. */
static bool take_string(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *quote = memchr(c->p, '"', (size_t)(c->end - c->p));

	if (!quote)
		return false;
	*ret = c->p;
	*ret_len = (size_t)(quote - c->p);
	c->p = quote + 1;
	return true;
}

static bool number(const char *s, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	if (!len || len > EG_OUT_U64_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (unsigned)(s[i] - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

/* HOST-EPOCH-N; a host may hold dashes. */
static bool event_id(const char *id, size_t len, struct eg_event_head *ret)
{
	const char *n = memrchr(id, '-', len);
	const char *epoch;

	if (!n)
		return false;
	epoch = memrchr(id, '-', (size_t)(n - id));
	return epoch && number(epoch + 1, (size_t)(n - epoch - 1), &ret->epoch) &&
	       number(n + 1, (size_t)(id + len - n - 1), &ret->n);
}

bool eg_event_head_parse(const char *line, size_t len, struct eg_event_head *ret)
{
	struct cursor c = {line, line + len};
	struct eg_event_head head = {0};
	const char *id, *host;
	size_t ts_len, id_len, host_len;

	if (!SKIP(&c, EG_EVENT_BEGIN) || !take_string(&c, &head.ts, &ts_len) || ts_len != EG_OUT_TS_MAX)
		return false;
	if (!SKIP(&c, ",\"type\":\"") || !take_string(&c, &head.type, &head.type_len))
		return false;
	if (!SKIP(&c, ",\"event_id\":\"") || !take_string(&c, &id, &id_len) || !event_id(id, id_len, &head))
		return false;
	if (!SKIP(&c, ",\"host\":\"") || !take_string(&c, &host, &host_len))
		return false;
	if (SKIP(&c, ",\"app\":\"") && !take_string(&c, &head.app, &head.app_len))
		return false;
	*ret = head;
	return true;
}

char *eg_event_renumber(char *p, struct eg_event_stamp *stamp, const char *line, size_t len)
{
	static const char before[] = ",\"event_id\":\"", after[] = "\",\"host\":\"";
	const char *id = memmem(line, len, before, sizeof(before) - 1);
	const char *rest = id ? memmem(id, (size_t)(line + len - id), after, sizeof(after) - 1) : NULL;

	/* The first of each are the head's: what is before them needs no escapes. */
	if (!rest)
		return eg_out_bytes(p, line, len);
	p = eg_out_bytes(p, line, (size_t)(id - line) - 1);
	p = eg_out_bytes(p, stamp->ids, stamp->ids_len);
	p = eg_out_u64(p, stamp->n++);
	return eg_out_bytes(p, rest, (size_t)(line + len - rest));
}

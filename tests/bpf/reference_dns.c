// SPDX-License-Identifier: Apache-2.0
/*
 * The message is taken apart into a list of records first, and judged then. Owners and targets are
 * passed over: 127 labels at most (RFC 1035, 2.3.4), and a pointer ends a name wherever it points.
 */
#include <string.h>

#include <egret/abi.h>

#include "reference.h"

#define RECORDS_MAX 256
#define PARAMS_MAX  32
#define HINTS_MAX   16
#define LABELS_MAX  127
#define QUERY_MAX   512

struct header {
	unsigned id, flags, questions, answers, authorities, additionals;
};

struct record {
	unsigned type, class;
	uint32_t ttl;
	size_t at, end; /* its data */
};

static unsigned get16(const uint8_t *msg, size_t at)
{
	return msg[at] * 256u + msg[at + 1];
}

static int get_header(const uint8_t *msg, size_t len, struct header *ret)
{
	if (len < 12)
		return -1;
	*ret = (struct header){get16(msg, 0), get16(msg, 2), get16(msg, 4),
			       get16(msg, 6), get16(msg, 8), get16(msg, 10)};
	return 0;
}

/* Where the name at `at` ends; 0: it doesn't within `len` bytes. */
static size_t past_name(const uint8_t *msg, size_t len, size_t at)
{
	for (int labels = 0; at < len; labels++) {
		if (msg[at] == 0)
			return labels <= LABELS_MAX ? at + 1 : 0;
		if (msg[at] >= 192)
			return labels <= LABELS_MAX && at + 2 <= len ? at + 2 : 0;
		if (msg[at] >= 64)
			return 0;
		at += 1u + msg[at];
	}
	return 0;
}

/* The fault that comes first decides: bytes that no host name has, or a message that ends too early. */
static int get_question(const uint8_t *msg, size_t len, struct px_found *ret, size_t *ret_end)
{
	uint8_t name[512];
	char ignored[256];
	size_t n = 0, at = 12;

	for (;;) {
		size_t size, here;

		if (at >= len || msg[at] >= 64)
			return EG_REASON_DNS_MALFORMED;
		size = msg[at++];
		if (!size)
			break;
		if (n)
			name[n++] = '.';
		if (n > EG_NAME_MAX)
			return EG_REASON_DNS_NAME;
		here = size < len - at ? size : len - at;
		memcpy(name + n, msg + at, here);
		if (memchr(name + n, '.', here) || reference_name(name, n + here, 1, ignored))
			return EG_REASON_DNS_NAME;
		n += here;
		at += here;
	}
	if (len - at < 4 || get16(msg, at + 2) != 1)
		return EG_REASON_DNS_MALFORMED;
	if (!n)
		return EG_REASON_DNS_NAME;
	ret->qtype = (uint16_t)get16(msg, at);
	strcpy(ret->name, ignored);
	*ret_end = at + 4;
	return EG_REASON_NONE;
}

void reference_dns_query(const uint8_t *msg, size_t len, struct px_found *ret)
{
	struct header h;
	size_t end;

	memset(ret, 0, sizeof(*ret));
	ret->result = EG_REASON_DNS_MALFORMED;
	if (get_header(msg, len, &h) || len < 12 + 5 || len > QUERY_MAX)
		return;
	if (h.flags & 0x8000 || (h.flags >> 11) % 16 != 0)
		return;
	if (h.questions != 1 || h.answers || h.authorities || h.additionals > 2)
		return;
	ret->id = (uint16_t)h.id;
	ret->result = get_question(msg, len, ret, &end);
}

static int add(struct px_found *ret, uint32_t ttl, const uint8_t *bytes, size_t size)
{
	uint8_t *to = ret->addr[ret->addr_count % PX_ADDR_MAX];

	if (ret->addr_count >= PX_ADDR_MAX)
		return -1;
	memcpy(to, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	memcpy(to + 16 - size, bytes, size);
	ret->ttl_s[ret->addr_count++] = ttl;
	return 0;
}

static int service(const uint8_t *msg, const struct record *rr, struct px_found *ret)
{
	size_t at = rr->at + 2;
	unsigned params = 0;

	if (rr->end - rr->at < 3)
		return -1;
	at = past_name(msg, rr->end, at);
	if (!at)
		return -1;
	while (at < rr->end) {
		unsigned key, size, each;

		if (rr->end - at < 4 || ++params > PARAMS_MAX)
			return -1;
		key = get16(msg, at);
		size = get16(msg, at + 2);
		at += 4;
		if (size > rr->end - at)
			return -1;
		each = key == 4 ? 4 : key == 6 ? 16 : 0;
		if (each && (size % each || size / each > HINTS_MAX))
			return -1;
		for (unsigned i = 0; each && i < size; i += each) {
			if (add(ret, rr->ttl, msg + at + i, each))
				return -1;
		}
		at += size;
	}
	return 0;
}

static int take(const uint8_t *msg, const struct record *rr, struct px_found *ret)
{
	size_t size = rr->end - rr->at;

	if (rr->class != 1)
		return 0;
	if (rr->type == 1)
		return size == 4 ? add(ret, rr->ttl, msg + rr->at, 4) : -1;
	if (rr->type == 28)
		return size == 16 ? add(ret, rr->ttl, msg + rr->at, 16) : -1;
	if (rr->type == 64 || rr->type == 65)
		return service(msg, rr, ret);
	return 0;
}

static int get_records(const uint8_t *msg, size_t len, size_t at, unsigned count, struct record *ret)
{
	for (; count--; ret++) {
		at = past_name(msg, len, at);
		if (!at || len - at < 10)
			return -1;
		ret->type = get16(msg, at);
		ret->class = get16(msg, at + 2);
		ret->ttl = (uint32_t)get16(msg, at + 4) << 16 | get16(msg, at + 6);
		if (ret->ttl > 0x7fffffff)
			ret->ttl = 0;
		ret->at = at + 10;
		ret->end = ret->at + get16(msg, at + 8);
		if (ret->end > len)
			return -1;
		at = ret->end;
	}
	return 0;
}

void reference_dns_answer(const uint8_t *msg, size_t len, struct px_found *ret)
{
	struct record records[RECORDS_MAX];
	struct header h;
	size_t end;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->result = EG_REASON_DNS_MALFORMED;
	if (get_header(msg, len, &h) || !(h.flags & 0x8000) || (h.flags >> 11) % 16 != 0)
		return;
	ret->id = (uint16_t)h.id;
	ret->rcode = h.flags % 16;
	if (h.questions == 0) {
		ret->bare = 1;
		if (ret->rcode && !h.answers)
			ret->result = EG_REASON_NONE;
		return;
	}
	if (h.questions != 1)
		return;
	r = get_question(msg, len, ret, &end);
	if (r == EG_REASON_NONE && (h.answers > RECORDS_MAX || get_records(msg, len, end, h.answers, records)))
		r = EG_REASON_DNS_MALFORMED;
	for (unsigned i = 0; r == EG_REASON_NONE && i < h.answers; i++) {
		if (take(msg, &records[i], ret))
			r = EG_REASON_DNS_MALFORMED;
	}
	ret->result = r;
}

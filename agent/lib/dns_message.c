// SPDX-License-Identifier: Apache-2.0
#include "dns_message.h"

#include <errno.h>
#include <string.h>

#include "addr.h"

#define HEADER_LEN 12
#define LABEL_MAX  63
#define WIRE_MAX   255 /* RFC 1035, 2.3.4 */
#define CLASS_IN   1
#define TYPE_OPT   41
#define TTL_MAX    0x7fffffffu /* RFC 2181, 8: above it is as 0 */

#define FLAG_ANSWER    0x8000u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSE   0x0100u
#define OPCODE(flags)  ((flags) >> 11 & 0xf)
#define RCODE(flags)   ((flags) & 0xf)

/* ---- Writing ------------------------------------------------------------------------------------ */

static uint8_t *put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return p + 2;
}

/* Labels with their lengths, and the root. NULL: no name. */
static uint8_t *put_name(uint8_t *p, const char *name)
{
	size_t len = strnlen(name, EG_NAME_SIZE);

	if (!len || len > EG_NAME_MAX)
		return NULL;
	for (const char *label = name;; label = strchr(label, '.') + 1) {
		size_t n = strcspn(label, ".");

		if (!n || n > LABEL_MAX)
			return NULL;
		*p++ = (uint8_t)n;
		memcpy(p, label, n);
		p += n;
		if (!label[n])
			break;
	}
	*p++ = 0;
	return p;
}

int eg_dns_query(const struct eg_dns_question *question, bool edns, uint8_t ret[EG_DNS_QUERY_MAX])
{
	uint8_t *p = ret;

	p = put16(p, question->id);
	p = put16(p, FLAG_RECURSE);
	p = put16(p, 1); /* questions */
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, edns); /* additional records */
	p = put_name(p, question->name);
	if (!p)
		return -EINVAL;
	p = put16(p, question->type);
	p = put16(p, CLASS_IN);
	if (edns) {
		*p++ = 0; /* the root's name */
		p = put16(p, TYPE_OPT);
		p = put16(p, EG_DNS_UDP_MAX);
		memset(p, 0, 6); /* no extended code, version 0, no flags, no options */
		p += 6;
	}
	return (int)(p - ret);
}

/* ---- Reading ------------------------------------------------------------------------------------ */

/* What is left of the message. Nothing is read before have() said that it is there. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static bool have(const struct reader *r, size_t n)
{
	return r->left >= n;
}

static void skip(struct reader *r, size_t n)
{
	r->at += n;
	r->left -= n;
}

static unsigned take16(struct reader *r)
{
	unsigned value = (unsigned)r->at[0] << 8 | r->at[1];

	skip(r, 2);
	return value;
}

static uint32_t take32(struct reader *r)
{
	uint32_t high = take16(r);

	return high << 16 | take16(r);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* The question has to stand there as we wrote it, but for its case. */
static bool take_question(struct reader *r, const struct eg_dns_question *question)
{
	uint8_t wire[EG_DNS_QUERY_MAX];
	const uint8_t *end = put_name(wire, question->name);
	size_t len = end ? (size_t)(end - wire) : 0;

	if (!len || !have(r, len + 4))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (lower(r->at[i]) != lower(wire[i]))
			return false;
	}
	skip(r, len);
	return take16(r) == question->type && take16(r) == CLASS_IN;
}

/* A record's own name is not looked at: a pointer ends it, and is not followed. */
static bool skip_name(struct reader *r)
{
	for (size_t wire = 0; have(r, 1);) {
		uint8_t n = r->at[0];

		if (n >= 0xc0) {
			if (!have(r, 2))
				return false;
			skip(r, 2);
			return true;
		}
		wire += (size_t)n + 1;
		if (n > LABEL_MAX || wire > WIRE_MAX || !have(r, (size_t)n + 1))
			return false;
		skip(r, (size_t)n + 1);
		if (!n)
			return true;
	}
	return false;
}

static void add(struct eg_dns_answer *answer, const uint8_t *data, size_t len, uint32_t ttl_s)
{
	struct eg_dns_address *address = &answer->addrs[answer->count];

	if (answer->count >= EG_DNS_ADDRS_MAX)
		return;
	memset(address, 0, sizeof(*address));
	if (len == 4)
		address->addr.b[10] = address->addr.b[11] = 0xff;
	memcpy(&address->addr.b[16 - len], data, len);
	address->ttl_s = ttl_s > TTL_MAX ? 0 : ttl_s;
	if (len == 16 && eg_addr_v4mapped(&address->addr)) /* IPv4 has records of its own */
		return;
	answer->count++;
}

/* One record of the answer section. False: it breaks off, or an address has not its length. */
static bool take_record(struct reader *r, uint16_t wanted, struct eg_dns_answer *answer)
{
	size_t address_len = wanted == EG_DNS_A ? 4 : 16, len;
	unsigned type, class;
	uint32_t ttl_s;

	if (!skip_name(r) || !have(r, 10))
		return false;
	type = take16(r);
	class = take16(r);
	ttl_s = take32(r);
	len = take16(r);
	if (!have(r, len))
		return false;
	if (class == CLASS_IN && type == wanted) {
		if (len != address_len)
			return false;
		add(answer, r->at, len, ttl_s);
	}
	skip(r, len);
	return true;
}

int eg_dns_answer_read(const uint8_t *message, size_t len, const struct eg_dns_question *question,
		       struct eg_dns_answer *ret)
{
	struct reader r = {.at = message, .left = len};
	struct eg_dns_answer answer = {0};
	unsigned id, flags, questions, records;

	if (!have(&r, HEADER_LEN))
		return -ENOMSG;
	id = take16(&r);
	flags = take16(&r);
	questions = take16(&r);
	records = take16(&r);
	skip(&r, 4); /* how many of the sections that don't matter */
	if (id != question->id || !(flags & FLAG_ANSWER) || OPCODE(flags) != 0 || questions > 1)
		return -ENOMSG;
	answer.rcode = (uint8_t)RCODE(flags);
	answer.truncated = flags & FLAG_TRUNCATED;
	if (!questions && !answer.rcode) /* some leave it out when they refuse */
		return -ENOMSG;
	if (questions && !take_question(&r, question))
		return -ENOMSG;
	for (unsigned i = 0; !answer.rcode && i < records; i++) {
		if (take_record(&r, question->type, &answer))
			continue;
		if (!answer.truncated)
			return -EBADMSG;
		break;
	}
	*ret = answer;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tls.h - the server_name of a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3)
 *
 * Theory of operation. The bytes are the first data of a connection, as much of it as one packet
 * has, at most EG_MSG_MAX. The head is read field by field, the extensions by a bpf_loop.
 *
 * - One record holds the hello and nothing else. RFC 8446 (5.1) allows it to be spread over
 *   several records, which no client does and which is how it is hidden from middleboxes: EG_HELLO_NOT.
 * - The packet may end before the hello does (16 KB of it, with GSO in packets of five segments): it
 *   is EG_HELLO_OK when server_name is whole in this one and all lengths agree. What is missing
 *   could hold a second server_name only; RFC 8446 (4.2) forbids that, and servers abort on it. To
 *   wait for the rest would be to wait for ever: TCP sends the same packet again.
 * - A name that doesn't lie within the first EG_MSG_MAX bytes is refused, for the same reason.
 * - Encrypted ClientHello: the name of the outer hello counts. It is what the server without the key
 *   believes; a server with the key belongs to the outer name's owner.
 * - Behind the hello may be anything (early data).
 */
#ifndef EG_BPF_TLS_H
#define EG_BPF_TLS_H

#include "hello.h"

#define EG_TLS_HANDSHAKE      22
#define EG_TLS_CLIENT_HELLO   1
#define EG_TLS_RECORD_MAX     16384
#define EG_TLS_SESSION_MAX    32
#define EG_TLS_SERVER_NAME    0
#define EG_TLS_HOST_NAME      0
#define EG_TLS_EXTENSIONS_MAX (EG_MSG_MAX / 4) /* each has a head of 4 bytes */

/* Versions as TLS 1.0 to 1.3 write them, the last as 1.2. */
static __always_inline bool eg_tls_version(__u32 version)
{
	return version >= 0x0301 && version <= 0x0303;
}

/* False: the message has no n more bytes, or they are not here; the result says which. */
static __always_inline bool eg_tls_has(struct eg_scratch *s, __u32 n)
{
	__u32 to = s->walk.at + n;

	if (to <= s->walk.end && to <= s->msg.len)
		return true;
	s->walk.result = to > s->walk.end ? EG_HELLO_NOT : EG_HELLO_HELD;
	return false;
}

/* A number of `size` bytes. False as above. */
static __always_inline bool eg_tls_number(struct eg_scratch *s, __u32 size, __u32 *ret)
{
	__u32 number = 0;

	if (!eg_tls_has(s, size))
		return false;
	for (__u32 i = 0; i < size; i++)
		number = number << 8 | eg_msg_u8(&s->msg, s->walk.at + i);
	s->walk.at += size;
	*ret = number;
	return true;
}

static __always_inline bool eg_tls_skip(struct eg_scratch *s, __u32 n)
{
	if (!eg_tls_has(s, n))
		return false;
	s->walk.at += n;
	return true;
}

static __always_inline bool eg_tls_bad(struct eg_scratch *s)
{
	s->walk.result = EG_HELLO_NOT;
	return false;
}

/* The record's head and the handshake's, which have to agree. */
static __always_inline bool eg_tls_record(struct eg_scratch *s)
{
	__u32 number, record;

	s->walk.end = EG_MSG_MAX; /* until it is known */
	if (!eg_tls_number(s, 1, &number))
		return false;
	if (number != EG_TLS_HANDSHAKE)
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 2, &number))
		return false;
	if (!eg_tls_version(number))
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 2, &record))
		return false;
	if (record > EG_TLS_RECORD_MAX)
		return eg_tls_bad(s);
	s->walk.end = s->walk.at + record;
	if (!eg_tls_number(s, 1, &number))
		return false;
	if (number != EG_TLS_CLIENT_HELLO)
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 3, &number))
		return false;
	return number + 4 == record || eg_tls_bad(s);
}

/* What comes before the extensions. */
static __always_inline bool eg_tls_head(struct eg_scratch *s)
{
	__u32 number;

	if (!eg_tls_number(s, 2, &number))
		return false;
	if (!eg_tls_version(number))
		return eg_tls_bad(s);
	if (!eg_tls_skip(s, 32) || !eg_tls_number(s, 1, &number)) /* random, session id */
		return false;
	if (number > EG_TLS_SESSION_MAX)
		return eg_tls_bad(s);
	if (!eg_tls_skip(s, number) || !eg_tls_number(s, 2, &number)) /* cipher suites */
		return false;
	if (number < 2 || number % 2)
		return eg_tls_bad(s);
	if (!eg_tls_skip(s, number) || !eg_tls_number(s, 1, &number)) /* compression methods */
		return false;
	if (!number)
		return eg_tls_bad(s);
	return eg_tls_skip(s, number);
}

/* The extension's data: a list of exactly one host name. */
static __always_inline bool eg_tls_server_name(struct eg_scratch *s, __u32 len)
{
	__u32 number;

	if (s->walk.name_len || len < 6 || s->walk.at + len > s->walk.end)
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 2, &number))
		return false;
	if (number + 2 != len)
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 1, &number))
		return false;
	if (number != EG_TLS_HOST_NAME)
		return eg_tls_bad(s);
	if (!eg_tls_number(s, 2, &number))
		return false;
	if (number + 5 != len || number > EG_NAME_MAX)
		return eg_tls_bad(s);
	if (!eg_tls_has(s, number))
		return false;
	s->walk.name_at = s->walk.at;
	s->walk.name_len = number;
	s->walk.at += number;
	return true;
}

static long eg_tls_extension(__u32 i, struct eg_on_scratch *ctx)
{
	struct eg_scratch *s = ctx->s;
	__u32 type, len;

	(void)i;
	if (s->walk.at == s->walk.end) {
		s->walk.result = EG_HELLO_UNNAMED;
		return 1;
	}
	if (!eg_tls_number(s, 2, &type) || !eg_tls_number(s, 2, &len))
		return 1;
	if (type == EG_TLS_SERVER_NAME)
		return !eg_tls_server_name(s, len);
	return !eg_tls_skip(s, len);
}

static long eg_tls_name_byte(__u32 i, struct eg_on_scratch *ctx)
{
	struct eg_scratch *s = ctx->s;

	if (i >= s->walk.name_len)
		return 1;
	if (eg_hello_put(s, eg_msg_u8(&s->msg, s->walk.name_at + i)))
		return 0;
	s->walk.result = EG_HELLO_NOT;
	return 1;
}

/* All extensions that are here. The result: NOT, HELD or UNNAMED, whether a name was seen or not. */
static __always_inline void eg_tls_extensions(struct eg_scratch *s, struct eg_on_scratch *ctx)
{
	__u32 len;

	if (s->walk.at == s->walk.end) {
		s->walk.result = EG_HELLO_UNNAMED;
		return;
	}
	if (!eg_tls_number(s, 2, &len))
		return;
	if (s->walk.at + len != s->walk.end) {
		s->walk.result = EG_HELLO_NOT;
		return;
	}
	bpf_loop(EG_TLS_EXTENSIONS_MAX, eg_tls_extension, ctx, 0);
}

/* enum eg_hello of s->msg. OK: the name is in s as eg_name_finish leaves it. */
EG_GLOBAL int eg_tls_hello(struct eg_scratch *s)
{
	struct eg_on_scratch ctx = {.s = s};

	if (!s)
		return EG_HELLO_NOT;
	eg_hello_begin(s);
	if (eg_tls_record(s) && eg_tls_head(s))
		eg_tls_extensions(s, &ctx);
	if (s->walk.result == EG_HELLO_NOT)
		return EG_HELLO_NOT;
	if (!s->walk.name_len)
		return s->walk.result == EG_HELLO_HELD && s->msg.len >= EG_MSG_MAX ? EG_HELLO_NOT : s->walk.result;
	bpf_loop(EG_NAME_MAX, eg_tls_name_byte, &ctx, 0);
	if (s->walk.result == EG_HELLO_NOT || !eg_hello_named(s))
		return EG_HELLO_NOT;
	return EG_HELLO_OK;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * name.h - a DNS name in the one form that the tables know
 *
 * Whoever reads a name (a query, a ClientHello, a CONNECT) puts its bytes one by one, which
 * makes them lower case and refuses what no host name has (RFC 1123, and '_'; a dot inside of
 * a label above all). eg_name_finish turns it around for the trie.
 *
 * Loops are bpf_loop callbacks: the verifier looks at each once, whatever the number of rounds.
 */
#ifndef EG_BPF_NAME_H
#define EG_BPF_NAME_H

#include "scratch.h"

#define EG_HASH_BEGIN 14695981039346656037ull /* FNV-1a */
#define EG_HASH_PRIME 1099511628211ull

static __always_inline void eg_name_begin(struct eg_scratch *s)
{
	s->text_len = 0;
	s->name_hash = EG_HASH_BEGIN;
}

static __always_inline bool eg_name_put_raw(struct eg_scratch *s, __u8 c)
{
	__u32 at = s->text_len;

	if (at >= EG_NAME_MAX)
		return false;
	s->text[EG_MASKED(at, 255)] = c;
	s->text_len = at + 1;
	s->name_hash = (s->name_hash ^ c) * EG_HASH_PRIME;
	return true;
}

/* One byte of a label. False: no name has it, or the name is too long. */
static __always_inline bool eg_name_put(struct eg_scratch *s, __u8 c)
{
	if (c >= 'A' && c <= 'Z')
		c |= 0x20;
	if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
		return false;
	return eg_name_put_raw(s, c);
}

/* Between two labels. */
static __always_inline bool eg_name_put_dot(struct eg_scratch *s)
{
	return eg_name_put_raw(s, '.');
}

static long eg_name_turn_byte(__u32 i, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	__u32 len = s->text_len;
	__u8 *text = (__u8 *)s->key.text;

	if (i >= len)
		return 1;
	text[EG_MASKED(len - 1 - i, 255)] = s->text[EG_MASKED(i, 255)];
	return 0;
}

/* Fills s->key but for its table. False: there is no name. */
static __always_inline bool eg_name_finish(struct eg_scratch *s)
{
	struct eg_on_scratch on = {.s = s};

	s->key.prefixlen = 8 * (sizeof(s->key.table_be) + sizeof(s->key.text));
	__builtin_memset(s->key.text, 0, sizeof(s->key.text));
	if (!s->text_len || s->text_len > EG_NAME_MAX)
		return false;
	bpf_loop(EG_NAME_MAX, eg_name_turn_byte, &on, 0);
	return true;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * http.h - the authority of an HTTP CONNECT (RFC 9110, 9.3.6; RFC 9112, 3.2.3)
 *
 * Only the request line counts, "CONNECT host:443 HTTP/1.1" and CR LF, and only in this one
 * spelling: a proxy has to take the target from there, whatever Host says. What RFC 9112 lets a
 * server tolerate (an empty line before, a lone LF, more spaces) no client sends. The host is a name;
 * an address would be a destination that no rule with names allows. The rest of the head may come later.
 */
#ifndef EG_BPF_HTTP_H
#define EG_BPF_HTTP_H

#include "hello.h"

#define EG_HTTP_METHOD "CONNECT "
#define EG_HTTP_TAIL   "443 HTTP/1.?\r\n" /* ?: 0 or 1 */

/* Whether `text` (a literal) is next: OK, HELD when the packet ends first, NOT. */
#define EG_HTTP_EXPECT(s, text)                                                                                        \
	({                                                                                                             \
		const char eg_text_[] = text;                                                                          \
		int eg_r_ = EG_HELLO_OK;                                                                               \
                                                                                                                       \
		_Pragma("unroll") for (__u32 eg_n_ = 0; eg_n_ < sizeof(text) - 1; eg_n_++) {                           \
			if (eg_r_ == EG_HELLO_OK)                                                                      \
				eg_r_ = eg_http_byte(s, eg_text_[eg_n_]);                                              \
		}                                                                                                      \
		eg_r_;                                                                                                 \
	})

static __always_inline int eg_http_byte(struct eg_scratch *s, char wanted)
{
	__u8 c;

	if (s->walk.at >= s->msg.len)
		return EG_HELLO_HELD;
	c = eg_msg_u8(&s->msg, s->walk.at);
	s->walk.at++;
	if (wanted == '?')
		return c == '0' || c == '1' ? EG_HELLO_OK : EG_HELLO_NOT;
	return c == (__u8)wanted ? EG_HELLO_OK : EG_HELLO_NOT;
}

static long eg_http_host_byte(__u32 i, struct eg_on_scratch *ctx)
{
	struct eg_scratch *s = ctx->s;
	__u8 c;

	(void)i;
	if (s->walk.at >= s->msg.len) {
		s->walk.result = EG_HELLO_HELD;
		return 1;
	}
	c = eg_msg_u8(&s->msg, s->walk.at);
	s->walk.at++;
	if (c == ':') {
		s->walk.result = EG_HELLO_OK;
		return 1;
	}
	return !eg_hello_put(s, c);
}

/* enum eg_hello of s->msg, never UNNAMED. OK: the name is in s as eg_name_finish leaves it. */
EG_GLOBAL int eg_http_connect(struct eg_scratch *s)
{
	struct eg_on_scratch ctx = {.s = s};
	int r;

	if (!s)
		return EG_HELLO_NOT;
	eg_hello_begin(s);
	r = EG_HTTP_EXPECT(s, EG_HTTP_METHOD);
	if (r != EG_HELLO_OK)
		return r;
	bpf_loop(EG_NAME_MAX + 1, eg_http_host_byte, &ctx, 0); /* and the colon */
	if (s->walk.result != EG_HELLO_OK)
		return s->walk.result;
	if (!eg_hello_named(s))
		return EG_HELLO_NOT;
	return EG_HTTP_EXPECT(s, EG_HTTP_TAIL);
}

#endif

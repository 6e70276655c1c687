/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * hello.h - what the first data of a connection says about where it goes
 *
 * tls.h and http.h answer with the same enum and read names by the same rules. Common to both:
 * a field is judged as soon as the last of its bytes is there, and a length is judged against
 * what contains it. So bytes that can't become a hello that we'd accept are told at once from
 * those of which more must come.
 */
#ifndef EG_BPF_HELLO_H
#define EG_BPF_HELLO_H

#include "name.h"

enum eg_hello {
	EG_HELLO_OK, /* the name is in the scratch */
	EG_HELLO_HELD, /* right so far, but the packet ends before the name: hold it back, TCP sends it again */
	EG_HELLO_NOT, /* something else, malformed, ambiguous, or the name is none */
	EG_HELLO_UNNAMED, /* a whole ClientHello that names no server */
};

#define EG_LABEL_MAX 63 /* RFC 1035 (2.3.4) */

static __always_inline void eg_hello_begin(struct eg_scratch *s)
{
	eg_name_begin(s);
	__builtin_memset(&s->walk, 0, sizeof(s->walk));
	s->walk.result = EG_HELLO_NOT;
}

/* One byte of a name that is written with dots. False: no name goes on like this. */
static __always_inline bool eg_hello_put(struct eg_scratch *s, __u8 c)
{
	struct eg_walk *w = &s->walk;

	if (c == '.') {
		if (!w->label)
			return false;
		w->label = 0;
		w->letters = 0;
		return eg_name_put_dot(s);
	}
	if (w->label >= EG_LABEL_MAX)
		return false;
	w->label++;
	if (c < '0' || c > '9')
		w->letters++;
	return eg_name_put(s, c);
}

/*
 * The name is whole. False: it ends with a dot (RFC 6066, 3), or its last label has digits only, so
 * that it is an IPv4 address: no such label is in the root zone, and none ever will be (RFC 3696, 2).
 */
static __always_inline bool eg_hello_named(struct eg_scratch *s)
{
	if (!s->walk.label || !s->walk.letters)
		return false;
	return eg_name_finish(s);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonpos_impl.h - the scanner's state, between its walk (jsonpos.c) and its tokens (jsonpos_token.c)
 */
#ifndef EG_LIB_JSONPOS_IMPL_H
#define EG_LIB_JSONPOS_IMPL_H

#include "jsonpos.h"

#define EG_JSONPOS_NO_KEY SIZE_MAX
#define EG_JSONPOS_PRIME  0x100000001b3ull /* of FNV-1a */
#define EG_JSONPOS_SHOWN  48 /* bytes of a word or key in a message */

struct eg_jsonpos_frame {
	bool object;
	uint64_t hash; /* of its path */
	size_t begin; /* offset of its bracket */
	size_t key; /* of an object: offset of the member's key, or EG_JSONPOS_NO_KEY */
	size_t index; /* of an array: the element's */
};

struct eg_jsonpos_scanner {
	const char *text;
	size_t len;
	size_t at;
	struct eg_jsonpos_frame stack[EG_JSONPOS_DEPTH];
	unsigned depth;
	struct eg_diag *fault; /* filled at the first fault */
	/* Shown each key and value, as it begins at `at`, with the hash of its path. */
	void (*visit)(void *userdata, const struct eg_jsonpos_scanner *s, uint64_t hash, bool key);
	void *userdata;
};

static inline uint64_t eg_jsonpos_hash(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * EG_JSONPOS_PRIME;
}

/* Line and column of an offset. */
void eg_jsonpos_place(const char *text, size_t offset, unsigned *ret_line, unsigned *ret_column);
/* A piece of the text for people: ends before a byte of stop, and no odd byte reaches their terminal. */
const char *eg_jsonpos_show(const struct eg_jsonpos_scanner *s, size_t offset, const char *stop,
			    char ret[EG_JSONPOS_SHOWN + 1]);
/* The path of where the scanner is: "egress[1].ports". */
void eg_jsonpos_path(const struct eg_jsonpos_scanner *s, char *ret, size_t size);

/* ---- jsonpos_token.c: what is at `at` ---------------------------------------------------------- */

/* These return -EINVAL, with s->fault filled if there is one. */
int eg_jsonpos_fault(struct eg_jsonpos_scanner *s, size_t offset, const char *fix, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int eg_jsonpos_fault_end(struct eg_jsonpos_scanner *s); /* the text ended too early */
int eg_jsonpos_unexpected(struct eg_jsonpos_scanner *s, const char *wanted);

/* From the opening quote to behind the closing one. Takes what it stands for into *hash. */
int eg_jsonpos_string(struct eg_jsonpos_scanner *s, uint64_t *hash);
/* Over a string, number, true, false or null. */
int eg_jsonpos_scalar(struct eg_jsonpos_scanner *s);
/* Over one byte, if it is one of these. */
bool eg_jsonpos_one(struct eg_jsonpos_scanner *s, const char *any);

#endif

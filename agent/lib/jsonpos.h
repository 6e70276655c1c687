/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonpos.h - where in a JSON text something stands
 *
 * jansson gives values without places. This scanner checks a text before jansson sees it, so
 * that every error has a line and a column, and afterwards finds the places of paths.
 */
#ifndef EG_LIB_JSONPOS_H
#define EG_LIB_JSONPOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"

#define EG_JSONPOS_DEPTH 16 /* objects and arrays within each other, at most */
#define EG_JSONPOS_ROOT  0xcbf29ce484222325ull /* hash of the root's path */

/* Hash of the path of a member, or of an element, of what has the path `parent`. */
uint64_t eg_jsonpos_key(uint64_t parent, const char *key);
uint64_t eg_jsonpos_index(uint64_t parent, size_t index);

struct eg_jsonpos_query {
	uint64_t hash; /* of the path */
	unsigned depth; /* of it: 0 is the root */
	bool key; /* the member's key is meant, not its value */
	size_t number; /* the caller's: a search sorts its queries */
	size_t offset; /* found, valid if line != 0 */
	unsigned line; /* from 1; 0: not in the text */
	unsigned column; /* from 1, in bytes */
};

/*
 * Whether the text is one JSON value in UTF-8, without byte order mark and NUL, nested at most
 * EG_JSONPOS_DEPTH deep, with numbers that fit. 0, or -EINVAL with *ret filled. Takes time
 * linear in len and no memory.
 */
int eg_jsonpos_check(const char *text, size_t len, struct eg_diag *ret);

/* One pass over a text that eg_jsonpos_check accepted answers all queries; sorts them by hash. */
void eg_jsonpos_find(const char *text, size_t len, struct eg_jsonpos_query *queries, size_t count);

/* An error about the last key that begins before `end` and is there twice; false if it isn't. */
bool eg_jsonpos_duplicate(const char *text, size_t len, size_t end, struct eg_diag *ret);

#endif

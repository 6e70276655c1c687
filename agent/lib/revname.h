/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revname.h - DNS names between people's form and the tables' (struct eg_name_key): backwards
 */
#ifndef EG_LIB_REVNAME_H
#define EG_LIB_REVNAME_H

#include <stddef.h>

#include <egret/abi.h>

/*
 * The name in people's form from at most size bytes of the tables' form, which end at a NUL or at
 * size. Any bytes may come (apps choose them): what is not visible ASCII, and what would need an
 * escape in JSON, becomes '?'. Writes at most size bytes at p, no NUL; returns how many.
 */
size_t eg_revname_put(char *p, const char *rev, size_t size);

/* The same as a string. Returns ret. */
const char *eg_revname_text(const char rev[EG_NAME_SIZE], char ret[EG_NAME_SIZE + 1]);

/*
 * The tables' form of a host name as people write it: case and one dot at its end don't matter.
 * Letters, digits, '-' and '_' in labels of 1 to 63 bytes, EG_NAME_MAX in all; no address. -EINVAL.
 */
int eg_revname_from_text(const char *text, size_t len, char ret[EG_NAME_SIZE]);

#endif

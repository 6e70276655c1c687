/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob.h - cgroup patterns: '*' (never crosses '/'), '?' (one byte but '/'), no classes
 */
#ifndef EG_LIB_GLOB_H
#define EG_LIB_GLOB_H

#include <stdbool.h>

/* Whether the pattern matches the whole path. Linear in their lengths' product, no recursion. */
bool eg_glob_match(const char *pattern, const char *path);
/* 0, or -EINVAL: empty, absolute, "." or ".." or empty part, '[' or backslash, control byte. */
int eg_glob_check(const char *pattern);

#endif

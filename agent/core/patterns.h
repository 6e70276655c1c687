/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patterns.h - which app's cgroup pattern matches a path, among many thousands
 *
 * Sorted by the text before the first wildcard: only patterns whose literal part begins the
 * path are tried. Not thread-safe.
 */
#ifndef EG_CORE_PATTERNS_H
#define EG_CORE_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_pattern {
	char *text;
	size_t literal; /* bytes before the first wildcard */
	uint32_t slot;
};

/* Zero-initialise. */
struct eg_patterns {
	struct eg_pattern *items;
	size_t count;
	size_t room;
	bool sorted;
};

/* Keeps a copy of text: a policy with the same patterns takes the place of another unseen. 0 or -ENOMEM. */
int eg_patterns_add(struct eg_patterns *patterns, const char *text, uint32_t slot);
/* Forgets them all, keeps the memory. */
void eg_patterns_empty(struct eg_patterns *patterns);
void eg_patterns_clear(struct eg_patterns *patterns);

enum eg_patterns_found { EG_PATTERNS_NONE, EG_PATTERNS_ONE, EG_PATTERNS_SEVERAL };

/* *ret_slot: the (first) app whose pattern matches the whole path; SEVERAL: those of two apps do. */
enum eg_patterns_found eg_patterns_match(struct eg_patterns *patterns, const char *path, uint32_t *ret_slot);

#endif

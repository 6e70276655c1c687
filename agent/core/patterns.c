// SPDX-License-Identifier: Apache-2.0
#include "patterns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/glob.h"

int eg_patterns_add(struct eg_patterns *patterns, const char *text, uint32_t slot)
{
	char *copy;

	if (patterns->count == patterns->room) {
		size_t room = patterns->room ? patterns->room * 2 : 64;
		struct eg_pattern *items = reallocarray(patterns->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		patterns->items = items;
		patterns->room = room;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	patterns->items[patterns->count++] = (struct eg_pattern){
		.text = copy,
		.literal = strcspn(text, "*?"),
		.slot = slot,
	};
	patterns->sorted = false;
	return 0;
}

void eg_patterns_empty(struct eg_patterns *patterns)
{
	while (patterns->count)
		free(patterns->items[--patterns->count].text);
}

void eg_patterns_clear(struct eg_patterns *patterns)
{
	eg_patterns_empty(patterns);
	free(patterns->items);
	*patterns = (struct eg_patterns){0};
}

/* By literal part: first by its length, so that those of one length are found by bisection. */
static int compare_literal(size_t a_length, const char *a, const struct eg_pattern *b)
{
	if (a_length != b->literal)
		return a_length < b->literal ? -1 : 1;
	return memcmp(a, b->text, a_length);
}

static int compare_patterns(const void *a, const void *b)
{
	const struct eg_pattern *x = a, *y = b;

	return compare_literal(x->literal, x->text, y);
}

/* First pattern that is not below (length, path). */
static size_t lower_bound(const struct eg_patterns *patterns, size_t length, const char *path)
{
	size_t low = 0, high = patterns->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_literal(length, path, &patterns->items[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum eg_patterns_found eg_patterns_match(struct eg_patterns *patterns, const char *path, uint32_t *ret_slot)
{
	enum eg_patterns_found found = EG_PATTERNS_NONE;
	size_t length = strlen(path);

	if (!patterns->sorted && patterns->count) {
		qsort(patterns->items, patterns->count, sizeof(*patterns->items), compare_patterns);
		patterns->sorted = true;
	}
	for (size_t n = 0; n <= length; n++) {
		for (size_t i = lower_bound(patterns, n, path); i < patterns->count; i++) {
			const struct eg_pattern *pattern = &patterns->items[i];

			if (compare_literal(n, path, pattern) != 0)
				break;
			if (!eg_glob_match(pattern->text, path))
				continue;
			if (found == EG_PATTERNS_ONE && pattern->slot != *ret_slot)
				return EG_PATTERNS_SEVERAL;
			*ret_slot = pattern->slot;
			found = EG_PATTERNS_ONE;
		}
	}
	return found;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.h - which stretches of a fixed array of entries are free
 *
 * First fit over a sorted list of free stretches; neighbours merge when freed. Not thread-safe, but for
 * eg_ranges_used.
 */
#ifndef EG_CORE_RANGES_H
#define EG_CORE_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct eg_range {
	uint32_t first;
	uint32_t count;
};

struct eg_ranges {
	struct eg_range *free;
	size_t length;
	size_t room;
	uint32_t total;
	uint32_t used;
};

/* All of 0 .. total - 1 is free. 0 or -ENOMEM. */
int eg_ranges_init(struct eg_ranges *ranges, uint32_t total);
void eg_ranges_clear(struct eg_ranges *ranges);

/* count entries in one piece. count 0 gives 0. -ENOSPC, -ENOMEM. */
int eg_ranges_take(struct eg_ranges *ranges, uint32_t count, uint32_t *ret_first);
/* Exactly these, which a former agent had taken. -EBUSY if one of them is taken, -ERANGE, -ENOMEM. */
int eg_ranges_take_at(struct eg_ranges *ranges, uint32_t first, uint32_t count);
/* What was taken before. -ENOMEM: it stays taken (lost until the next start). */
int eg_ranges_give(struct eg_ranges *ranges, uint32_t first, uint32_t count);

/* How many are taken, from any thread. */
uint32_t eg_ranges_used(const struct eg_ranges *ranges);

#endif

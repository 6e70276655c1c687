// SPDX-License-Identifier: Apache-2.0
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int eg_ranges_init(struct eg_ranges *ranges, uint32_t total)
{
	*ranges = (struct eg_ranges){.room = 16, .total = total};
	ranges->free = calloc(ranges->room, sizeof(*ranges->free));
	if (!ranges->free)
		return -ENOMEM;
	ranges->free[0] = (struct eg_range){0, total};
	ranges->length = total ? 1 : 0;
	return 0;
}

void eg_ranges_clear(struct eg_ranges *ranges)
{
	free(ranges->free);
	*ranges = (struct eg_ranges){0};
}

/* Makes room for one more stretch at index. */
static int insert_at(struct eg_ranges *ranges, size_t index, struct eg_range range)
{
	if (ranges->length == ranges->room) {
		struct eg_range *more = reallocarray(ranges->free, ranges->room * 2, sizeof(*more));

		if (!more)
			return -ENOMEM;
		ranges->free = more;
		ranges->room *= 2;
	}
	memmove(&ranges->free[index + 1], &ranges->free[index], (ranges->length - index) * sizeof(range));
	ranges->free[index] = range;
	ranges->length++;
	return 0;
}

static void remove_at(struct eg_ranges *ranges, size_t index)
{
	ranges->length--;
	memmove(&ranges->free[index], &ranges->free[index + 1], (ranges->length - index) * sizeof(struct eg_range));
}

int eg_ranges_take(struct eg_ranges *ranges, uint32_t count, uint32_t *ret_first)
{
	if (!count) {
		*ret_first = 0;
		return 0;
	}
	for (size_t i = 0; i < ranges->length; i++) {
		if (ranges->free[i].count < count)
			continue;
		*ret_first = ranges->free[i].first;
		ranges->free[i].first += count;
		ranges->free[i].count -= count;
		if (!ranges->free[i].count)
			remove_at(ranges, i);
		__atomic_add_fetch(&ranges->used, count, __ATOMIC_RELAXED);
		return 0;
	}
	return -ENOSPC;
}

int eg_ranges_take_at(struct eg_ranges *ranges, uint32_t first, uint32_t count)
{
	if (!count)
		return 0;
	if (first >= ranges->total || count > ranges->total - first)
		return -ERANGE;
	for (size_t i = 0; i < ranges->length; i++) {
		struct eg_range *range = &ranges->free[i];
		uint32_t end = range->first + range->count;
		int r;

		if (first < range->first || first + count > end)
			continue;
		if (first + count < end) {
			r = insert_at(ranges, i + 1, (struct eg_range){first + count, end - first - count});
			if (r)
				return r;
			range = &ranges->free[i];
		}
		range->count = first - range->first;
		if (!range->count)
			remove_at(ranges, i);
		__atomic_add_fetch(&ranges->used, count, __ATOMIC_RELAXED);
		return 0;
	}
	return -EBUSY;
}

int eg_ranges_give(struct eg_ranges *ranges, uint32_t first, uint32_t count)
{
	size_t i = 0;
	int r;

	if (!count)
		return 0;
	while (i < ranges->length && ranges->free[i].first < first)
		i++;
	r = insert_at(ranges, i, (struct eg_range){first, count});
	if (r)
		return r;
	__atomic_sub_fetch(&ranges->used, count, __ATOMIC_RELAXED);
	if (i + 1 < ranges->length && first + count == ranges->free[i + 1].first) {
		ranges->free[i].count += ranges->free[i + 1].count;
		remove_at(ranges, i + 1);
	}
	if (i && ranges->free[i - 1].first + ranges->free[i - 1].count == first) {
		ranges->free[i - 1].count += ranges->free[i].count;
		remove_at(ranges, i);
	}
	return 0;
}

uint32_t eg_ranges_used(const struct eg_ranges *ranges)
{
	return __atomic_load_n(&ranges->used, __ATOMIC_RELAXED);
}

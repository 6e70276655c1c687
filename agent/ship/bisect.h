/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bisect.h - which part of a batch to send next, when some of it is refused
 *
 * A refused range is cut in half, the first half is sent first. One bad item among n is found after
 * 2 log2 n requests, and everything else was delivered on the way, in order.
 */
#ifndef EG_SHIP_BISECT_H
#define EG_SHIP_BISECT_H

#include <stdbool.h>
#include <stddef.h>

#define EG_BISECT_DEPTH 33 /* halves of 2^32 items */

struct eg_range {
	size_t first;
	size_t count;
};

struct eg_bisect {
	struct eg_range stack[EG_BISECT_DEPTH];
	size_t depth;
};

void eg_bisect_begin(struct eg_bisect *bisect, size_t count);
/* The range to be sent now; false: there is none left. It stays until it is settled or split. */
bool eg_bisect_next(const struct eg_bisect *bisect, struct eg_range *ret);
void eg_bisect_settled(struct eg_bisect *bisect);
/* False: it is a single item, and stays. */
bool eg_bisect_split(struct eg_bisect *bisect);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "bisect.h"

void eg_bisect_begin(struct eg_bisect *bisect, size_t count)
{
	bisect->stack[0] = (struct eg_range){0, count};
	bisect->depth = count ? 1 : 0;
}

bool eg_bisect_next(const struct eg_bisect *bisect, struct eg_range *ret)
{
	if (!bisect->depth)
		return false;
	*ret = bisect->stack[bisect->depth - 1];
	return true;
}

void eg_bisect_settled(struct eg_bisect *bisect)
{
	bisect->depth--;
}

bool eg_bisect_split(struct eg_bisect *bisect)
{
	struct eg_range *top = &bisect->stack[bisect->depth - 1];
	struct eg_range left = {top->first, top->count / 2};

	if (top->count < 2 || bisect->depth == EG_BISECT_DEPTH)
		return false;
	top->first += left.count;
	top->count -= left.count;
	bisect->stack[bisect->depth++] = left;
	return true;
}

// SPDX-License-Identifier: Apache-2.0
#include "nearest.h"

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to put, take, change, or swap with the next one (optimal string alignment). Both are of EG_NEAREST_LEN at most. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][EG_NEAREST_LEN + 1];
	size_t *two = rows[0], *one = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		one[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = two;

		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = least(least(one[j], now[j - 1]) + 1, one[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two[j - 2] + 1);
		}
		two = one;
		one = now;
		now = spare;
	}
	return one[b_len];
}

/* A third of the letters may be wrong: fewer would miss slips, more would guess. */
void eg_nearest_try(struct eg_nearest *nearest, const char *candidate, size_t len)
{
	size_t most = nearest->len / 3, d;

	if (nearest->len > EG_NEAREST_LEN || len > EG_NEAREST_LEN)
		return;
	d = distance(nearest->word, nearest->len, candidate, len);
	if (d > most || (nearest->best && d >= nearest->distance))
		return;
	nearest->best = candidate;
	nearest->best_len = len;
	nearest->distance = d;
}

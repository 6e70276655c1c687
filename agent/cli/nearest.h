/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - which of the words that there are was meant by one that there is not
 */
#ifndef EG_CLI_NEAREST_H
#define EG_CLI_NEAREST_H

#include <stddef.h>

#define EG_NEAREST_LEN 32 /* longer words are like no other */

/* The best so far. Zero-initialise, with the word. */
struct eg_nearest {
	const char *word;
	size_t len;
	const char *best;
	size_t best_len;
	size_t distance;
};

/* Another candidate; what it points to has to stay. */
void eg_nearest_try(struct eg_nearest *nearest, const char *candidate, size_t len);

#endif

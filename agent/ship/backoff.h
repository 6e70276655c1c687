/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.h - how long to wait before the next try
 */
#ifndef EG_SHIP_BACKOFF_H
#define EG_SHIP_BACKOFF_H

#include <stdint.h>

struct eg_backoff {
	unsigned tries; /* that failed, one after the other */
};

/*
 * Of one more failure. Full jitter: evenly drawn from 0 to a ceiling that doubles from 1 s to 60 s, so that
 * a thousand hosts do not come back at once. floor_ns, what the receiver asked for, is never undercut, but
 * is believed up to an hour. random: any 64 bits.
 */
uint64_t eg_backoff_next(struct eg_backoff *backoff, uint64_t floor_ns, uint64_t random);
void eg_backoff_reset(struct eg_backoff *backoff);

#endif

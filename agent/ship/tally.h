/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.h - what became of the spool's records, as one sink counts them
 *
 * At any time: produced = delivered + filtered + spooled + dead_lettered + evicted. The settled ones are
 * kept with the cursor, in the same file, so that a count and the place it goes up to can't part.
 */
#ifndef EG_SHIP_TALLY_H
#define EG_SHIP_TALLY_H

#include <stdint.h>

struct eg_tally {
	uint64_t delivered; /* by themselves, or within a roll-up */
	uint64_t filtered; /* not for this sink */
	uint64_t dead_lettered; /* refused for what they are */
	uint64_t evicted; /* gone from the spool before their turn */
};

static inline uint64_t eg_tally_settled(const struct eg_tally *tally)
{
	return tally->delivered + tally->filtered + tally->dead_lettered + tally->evicted;
}

#endif

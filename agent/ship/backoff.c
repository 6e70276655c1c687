// SPDX-License-Identifier: Apache-2.0
#include "backoff.h"

#define NS_PER_S    1000000000ull
#define CEILING_MAX (60 * NS_PER_S)
#define FLOOR_MAX   (3600 * NS_PER_S)

uint64_t eg_backoff_next(struct eg_backoff *backoff, uint64_t floor_ns, uint64_t random)
{
	unsigned shift = backoff->tries < 6 ? backoff->tries : 6;
	uint64_t ceiling = NS_PER_S << shift, wait;

	if (ceiling > CEILING_MAX)
		ceiling = CEILING_MAX;
	backoff->tries++;
	if (floor_ns > FLOOR_MAX)
		floor_ns = FLOOR_MAX;
	wait = random % (ceiling + 1);
	/* A floor is the same for all who were told it: what was drawn goes on top. */
	return floor_ns ? floor_ns + wait % (NS_PER_S + 1) : wait;
}

void eg_backoff_reset(struct eg_backoff *backoff)
{
	backoff->tries = 0;
}

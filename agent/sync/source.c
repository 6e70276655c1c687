// SPDX-License-Identifier: Apache-2.0
#include "source.h"

#include <sys/random.h>
#include <time.h>

#define STEP_MS 200

/* Jitter, so that a fleet whose control plane comes back doesn't come all at once. */
static unsigned jittered(unsigned ms)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return ms;
	return ms / 2 + chance % (ms / 2 + 1);
}

int eg_source_pause(struct eg_sync *sync, unsigned *pause_ms)
{
	uint64_t end;
	int r = 0;

	if (*pause_ms < EG_SOURCE_PAUSE_MIN_MS)
		*pause_ms = EG_SOURCE_PAUSE_MIN_MS;
	end = eg_sync_now_ms() + jittered(*pause_ms);
	*pause_ms = *pause_ms * 2 > EG_SOURCE_PAUSE_MAX_MS ? EG_SOURCE_PAUSE_MAX_MS : *pause_ms * 2;
	while (!r && eg_sync_now_ms() < end) {
		const struct timespec step = {.tv_nsec = STEP_MS * 1000000};

		nanosleep(&step, NULL);
		r = eg_sync_idle(sync);
	}
	return r;
}

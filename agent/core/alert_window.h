/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert_window.h - how much a counter grew within the last so long
 *
 * Pure. Samples of a counter that only grows, spaced by a 60th of the window; so the answer is that
 * of a window up to a 60th longer than asked for, or a second: it never misses what happened within.
 */
#ifndef EG_CORE_ALERT_WINDOW_H
#define EG_CORE_ALERT_WINDOW_H

#include <stdint.h>

#define EG_ALERT_WINDOW_SAMPLES 62 /* 60 steps, the one before them, and the newest */

struct eg_alert_window {
	uint64_t per_ns;
	uint32_t first; /* the oldest sample */
	uint32_t count;
	uint64_t at_ns[EG_ALERT_WINDOW_SAMPLES];
	uint64_t value[EG_ALERT_WINDOW_SAMPLES];
};

/* It begins with this value at this time: what was before is of no window. */
void eg_alert_window_begin(struct eg_alert_window *w, uint64_t per_ns, uint64_t now_ns, uint64_t value);

/* The counter stands at value now; times never go back. How much it grew within the window. */
uint64_t eg_alert_window_add(struct eg_alert_window *w, uint64_t now_ns, uint64_t value);

#endif

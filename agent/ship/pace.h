/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - when a sink's backlog will be gone, by how it shrank in the last minute
 *
 * Measured is what is left, not what is sent: the rate is that of deliveries less that of new events, and
 * a receiver that takes half of what comes is told as one that never catches up. A minute is long enough for
 * receivers that take something every half minute only (Retry-After). One that has just come back is given the last
 * seconds as well: the minute before says nothing of it.
 */
#ifndef EG_SHIP_PACE_H
#define EG_SHIP_PACE_H

#include <stddef.h>
#include <stdint.h>

#define EG_PACE_SAMPLES	 61 /* a second apart, so the last minute */
#define EG_PACE_EVERY_NS 1000000000ull
#define EG_PACE_SHORT	 15 /* samples, where the whole minute did not shrink */
#define EG_PACE_LEAST_NS 5000000000ull /* before that nothing is said */
#define EG_PACE_LATE_MS	 10000u /* what waits for less than that is no backlog, but on its way */
#define EG_PACE_MOST_MS	 (30ull * 86400 * 1000) /* longer is as good as never */

enum eg_backlog {
	EG_BACKLOG_NONE,
	EG_BACKLOG_MEASURING,
	EG_BACKLOG_SHRINKING,
	EG_BACKLOG_NOT_SHRINKING,
	EG_BACKLOG_COUNT_
};

const char *eg_backlog_name(enum eg_backlog backlog);

/* What waited, and when. Zero-initialise. */
struct eg_pace {
	struct {
		uint64_t mono_ns;
		uint64_t events;
	} samples[EG_PACE_SAMPLES]; /* a ring */
	size_t next;
	size_t count;
};

/* events wait now, the oldest of them for lag_ms. *ret_eta_ms: until none does; 0 unless it is shrinking. */
enum eg_backlog eg_pace_look(struct eg_pace *pace, uint64_t mono_ns, uint64_t events, uint64_t lag_ms, uint64_t *ret_eta_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_mark.h - what an agent says about the batch that it is about to write, for the case that it is killed
 *
 * The mark lives as long as the rings do, in the host's words: records of the log up to `end` are of what was read up
 * to these places of the rings. Whoever finds such records in the log passes over what they were made of, and else
 * reads it again.
 */
#ifndef EG_CORE_EVENT_MARK_H
#define EG_CORE_EVENT_MARK_H

#include <stdint.h>

#include <egret/abi.h>

#include "../lib/spool.h"
#include "event_ring.h"

/* after: the number that the batch's last line is before. The end is taken back first and stored last. */
void eg_mark_set(struct eg_log_mark *mark, const struct eg_spool_pos *after, uint64_t events, uint64_t flow_events);

/*
 * What an agent before this one has written, and was killed before it could release it: if a log that goes on with
 * number `next` has the whole batch, its flows are passed over. Returns up to where the records of `events` are in the
 * log, or 0. Either ring may be NULL.
 */
uint64_t eg_mark_pass(const struct eg_log_mark *mark, const struct eg_spool_pos *next, const struct eg_event_ring *events,
		      struct eg_event_ring *flows);

#endif

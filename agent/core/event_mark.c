// SPDX-License-Identifier: Apache-2.0
#include "event_mark.h"

void eg_mark_set(struct eg_log_mark *mark, const struct eg_spool_pos *after, uint64_t events, uint64_t flow_events)
{
	__atomic_store_n(&mark->end, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mark->epoch, after->epoch, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mark->events, events, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mark->flow_events, flow_events, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mark->end, after->n, __ATOMIC_SEQ_CST);
}

uint64_t eg_mark_pass(const struct eg_log_mark *mark, const struct eg_spool_pos *next, const struct eg_event_ring *events,
		      struct eg_event_ring *flows)
{
	const struct eg_log_mark said = *mark;

	if (!said.end || said.epoch != next->epoch || said.end > next->n)
		return 0;
	if (flows && eg_event_ring_spans(flows, said.flow_events))
		eg_event_ring_pass(flows, said.flow_events);
	return events && eg_event_ring_spans(events, said.events) ? said.events : 0;
}

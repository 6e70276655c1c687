/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_query.h - one reader of the log: finds the newest lines, returns them, goes on
 *
 * Theory of operation. A query is a place in the spool. It begins at the log's end and goes back,
 * chunk by chunk, until it has passed as many matching records as were asked for, or older ones than
 * that; then it turns and returns what matches, up to where the log ended (or, following, for ever). Forward
 * it is a reader as any other process' (lib/spool.h) and shares nothing with the writer, so its pace is its
 * own. What the quota took before it came there shows in the numbers, and is told if it was written
 * after the query began.
 */
#ifndef EG_CORE_EVENT_QUERY_H
#define EG_CORE_EVENT_QUERY_H

#include "events.h"
#include "evlog.h"

/* owner is borrowed; host is copied, log is only asked. -EINVAL, -ENOMEM, or what eventfd(2) says. */
int eg_query_new(struct eg_evlog *log, struct eg_events *owner, const char *host,
		 const struct eg_events_filter *filter, uint64_t utc_ns, struct eg_events_query **ret);
void eg_query_free(struct eg_events_query *q);

/* As eg_events_query_read. */
int eg_query_read(struct eg_events_query *q, char *buf, size_t size, size_t *ret_len);
int eg_query_fd(const struct eg_events_query *q);
struct eg_events *eg_query_owner(const struct eg_events_query *q);

/* Something was written. Any thread, never blocks. */
void eg_query_notify(struct eg_events_query *q);
/* The next read says EG_QUERY_END. Any thread, never blocks. */
void eg_query_end(struct eg_events_query *q);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_query.h - one reader of the log: finds the newest lines, returns them, goes on
 *
 * Theory of operation. A query is a position in the segments. It begins at the log's end and
 * goes back, without copying anything, until it has passed as many matching lines as were
 * asked for, or older ones than that; then it turns and returns what matches, up to where the
 * log ended (or, following, for ever). It opens segments itself, and shares with the writer
 * nothing but a glance at where they end, so its pace is its own. A segment it holds open can
 * be read to the end also after the quota took it; one it had not reached is a gap, which shows
 * in the numbers of the lines, and is told.
 */
#ifndef EG_CORE_EVENT_QUERY_H
#define EG_CORE_EVENT_QUERY_H

#include "events.h"
#include "evlog.h"

/* log and owner are borrowed; host is copied. -EINVAL, -ENOMEM, or what eventfd(2) says. */
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

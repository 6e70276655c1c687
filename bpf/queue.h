/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * queue.h - what was judged leaves at once
 *
 * Theory of operation. A packet is judged before it is queued, and sch_fq lets its sender say when it
 * leaves the queue: by the packet's own time (SO_TXTIME), or by a rate of the socket's, down to a byte
 * a second (SO_MAX_PACING_RATE), which counts for packets that bring no time. Either way what was
 * queued before a kill would leave seconds, even minutes after it. Apps are refused both options
 * (option.h), but a socket can come with them. So each packet that isn't TCP's is given a time that is
 * long past, which leaves neither anything to say. TCP fills the time itself, from its own pacing, and
 * no more than two packets of a connection are queued ahead of it.
 */
#ifndef EG_BPF_QUEUE_H
#define EG_BPF_QUEUE_H

#include "maps.h"

#define EG_LONG_PAST 1 /* 0 is no time */

static __always_inline void eg_queue_at_once(struct __sk_buff *skb)
{
	skb->tstamp = EG_LONG_PAST;
}

#endif

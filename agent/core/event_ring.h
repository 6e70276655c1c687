/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_ring.h - a kernel ring whose records stay in it until they are written
 *
 * Theory of operation. libbpf's reader gives a record's room back as soon as it has shown it, so that an agent
 * which is killed takes with it what it has read and not yet written, and nobody can tell what that was. This one
 * has a place of its own: reading moves that, and the kernel's consumer follows when the caller says how far the
 * log has come. The next agent begins where the consumer stands.
 *
 * While records are held the ring is readable and the kernel wakes nobody, so whoever holds some looks again after a
 * moment instead of waiting for the fd.
 */
#ifndef EG_CORE_EVENT_RING_H
#define EG_CORE_EVENT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_event_ring;

/* fd of a BPF_MAP_TYPE_RINGBUF, needed only for this call. -errno. */
int eg_event_ring_new(int fd, struct eg_event_ring **ret);
void eg_event_ring_free(struct eg_event_ring *ring);

/* end: the place after the record, which is valid until that is released. False: no more for now. */
typedef bool eg_event_ring_fn(void *ctx, const void *record, size_t size, uint64_t end);

/* Shows the records that were not shown yet. One thread. */
void eg_event_ring_read(struct eg_event_ring *ring, eg_event_ring_fn *fn, void *ctx);

/* The place that reading has come to; the reading thread's. */
uint64_t eg_event_ring_at(const struct eg_event_ring *ring);

/* Whether records that were shown still have their room, and whether that is more than half of all; the same. */
bool eg_event_ring_holds(const struct eg_event_ring *ring);
bool eg_event_ring_holds_much(const struct eg_event_ring *ring);

/* What is before this place may be overwritten. A place that is released already is fine. Any thread. */
void eg_event_ring_release(struct eg_event_ring *ring, uint64_t to);

/* Goes on reading there, and releases what is before; the reading thread's. */
void eg_event_ring_pass(struct eg_event_ring *ring, uint64_t to);

/* Whether a record that is not released may end there. */
bool eg_event_ring_spans(const struct eg_event_ring *ring, uint64_t place);

#endif

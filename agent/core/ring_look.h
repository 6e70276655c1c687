/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_look.h - looks at the records of a kernel ring that somebody else consumes
 *
 * Theory of operation. A BPF ring buffer has one consumer, which frees what it has read. The pages can be mapped by
 * others as well: this one keeps a place of its own, and walks from there to where the kernel is. Whatever the consumer
 * does, or does not do while its disk stands still, is nothing to it. What was consumed may be overwritten meanwhile:
 * a record is copied first, and believed only if the kernel's place is still less than a ring ahead of it, with room
 * for one record that is being written. A look that comes too late begins again where the consumer is, and is counted.
 */
#ifndef EG_CORE_RING_LOOK_H
#define EG_CORE_RING_LOOK_H

#include <stddef.h>
#include <stdint.h>

struct eg_ring_look;

/* From now on. ring_fd is needed only for this call. -errno. */
int eg_ring_look_new(int ring_fd, struct eg_ring_look **ret);
void eg_ring_look_free(struct eg_ring_look *look);

/* Each record since the last call, or its first `size` bytes (the rest is zero); record is valid in the call only. */
void eg_ring_look_each(struct eg_ring_look *look, void *record, size_t size, void (*each)(void *ctx, const void *record),
		       void *ctx);
/* How often records were missed. */
uint64_t eg_ring_look_late(const struct eg_ring_look *look);

#endif

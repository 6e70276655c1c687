/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_queue.h - what waits to be written: bounded, many producers, one consumer
 *
 * Nobody waits here: a producer holds the lock for one copy, and is refused when there is no
 * room. Room is reserved by importance, so that a flood of the lesser leaves some for the
 * greater: denials may fill 7/8, kernel notices (cap, rate, kill, expire) 15/16, the agent's
 * own events all of it. Few records have names, so those are kept beside the queue, not in each of
 * its places: 7 MiB of places for 32768 items, and at worst 20 MiB of names.
 */
#ifndef EG_CORE_EVENT_QUEUE_H
#define EG_CORE_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

enum eg_queue_class { EG_QUEUE_DENY, EG_QUEUE_NOTICE, EG_QUEUE_POST, EG_QUEUE_CLASS_COUNT_ };

struct eg_queue_item {
	struct eg_event event; /* a kernel event, if post is NULL; else nothing of it counts */
	uint64_t utc_ns; /* of a post */
	uint64_t ring_end; /* where the record ends in its ring (event_ring.h); 0: it is in none */
	struct eg_event_named *named; /* owned, malloc: NULL, or the longer record that event is the beginning of */
	char *post; /* owned, malloc: type, NUL, members as for eg_event_json_members */
	size_t members_len;
};

struct eg_queue;

/* capacity: in items, 16 to 2^24. -EINVAL, -ENOMEM, or what eventfd(2) says. */
int eg_queue_new(uint32_t capacity, struct eg_queue **ret);

/* Frees the items that are left. NULL is fine. */
void eg_queue_free(struct eg_queue *q);

/* Which room a record of the kernel may use. */
enum eg_queue_class eg_queue_class_of(const struct eg_event *e);

/* Copies *item; owns what it points to on success only. -ENOBUFS: no room for this class. */
int eg_queue_push(struct eg_queue *q, enum eg_queue_class class, const struct eg_queue_item *item);

/* Moves the oldest to *ret, and what it owns with it; false: empty. */
bool eg_queue_take(struct eg_queue *q, struct eg_queue_item *ret);

/* An eventfd: readable after a push onto an empty queue, or eg_queue_wake; read it before taking. */
int eg_queue_fd(const struct eg_queue *q);
void eg_queue_wake(struct eg_queue *q);

uint32_t eg_queue_count(struct eg_queue *q);

/* Items pushed since the start, refused ones not counted. */
uint64_t eg_queue_pushed(struct eg_queue *q);

#endif

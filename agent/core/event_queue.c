// SPDX-License-Identifier: Apache-2.0
#include "event_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../lib/cleanup.h"

struct eg_queue {
	pthread_mutex_t lock;
	int fd;
	uint32_t capacity;
	uint32_t room[EG_QUEUE_CLASS_COUNT_]; /* items there may be after a push of that class */
	uint32_t head; /* oldest */
	uint32_t count;
	uint64_t pushed;
	struct eg_queue_item *items;
};

EG_DEFINE_CLEANUP(queue, struct eg_queue *, eg_queue_free);

int eg_queue_new(uint32_t capacity, struct eg_queue **ret)
{
	EG_CLEANUP(eg_cleanup_queue) struct eg_queue *q = NULL;

	if (capacity < 16 || capacity > 1u << 24)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	q->capacity = capacity;
	q->room[EG_QUEUE_DENY] = capacity - capacity / 8;
	q->room[EG_QUEUE_NOTICE] = capacity - capacity / 16;
	q->room[EG_QUEUE_POST] = capacity;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0)
		return -errno;
	q->items = calloc(capacity, sizeof(*q->items));
	if (!q->items)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(q);
	return 0;
}

void eg_queue_free(struct eg_queue *q)
{
	if (!q)
		return;
	for (uint32_t i = 0; i < q->count; i++) {
		free(q->items[(q->head + i) % q->capacity].post);
		free(q->items[(q->head + i) % q->capacity].named);
	}
	free(q->items);
	if (q->fd >= 0)
		close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

enum eg_queue_class eg_queue_class_of(const struct eg_event *e)
{
	switch (e->type) {
	case EG_EVENT_CAP:
	case EG_EVENT_RATE:
	case EG_EVENT_KILL:
	case EG_EVENT_EXPIRE:
		return EG_QUEUE_NOTICE;
	default:
		return EG_QUEUE_DENY;
	}
}

int eg_queue_push(struct eg_queue *q, enum eg_queue_class class, const struct eg_queue_item *item)
{
	bool was_empty;

	pthread_mutex_lock(&q->lock);
	if (q->count >= q->room[class]) {
		pthread_mutex_unlock(&q->lock);
		return -ENOBUFS;
	}
	was_empty = q->count == 0;
	q->items[(q->head + q->count) % q->capacity] = *item;
	q->count++;
	q->pushed++;
	pthread_mutex_unlock(&q->lock);
	if (was_empty)
		eg_queue_wake(q);
	return 0;
}

bool eg_queue_take(struct eg_queue *q, struct eg_queue_item *ret)
{
	bool any;

	pthread_mutex_lock(&q->lock);
	any = q->count > 0;
	if (any) {
		*ret = q->items[q->head];
		q->head = (q->head + 1) % q->capacity;
		q->count--;
	}
	pthread_mutex_unlock(&q->lock);
	return any;
}

int eg_queue_fd(const struct eg_queue *q)
{
	return q->fd;
}

void eg_queue_wake(struct eg_queue *q)
{
	uint64_t one = 1;

	/* EAGAIN would mean that it is readable already, which is all that is wanted. */
	if (write(q->fd, &one, sizeof(one)) < 0)
		return;
}

uint32_t eg_queue_count(struct eg_queue *q)
{
	uint32_t n;

	pthread_mutex_lock(&q->lock);
	n = q->count;
	pthread_mutex_unlock(&q->lock);
	return n;
}

uint64_t eg_queue_pushed(struct eg_queue *q)
{
	uint64_t n;

	pthread_mutex_lock(&q->lock);
	n = q->pushed;
	pthread_mutex_unlock(&q->lock);
	return n;
}

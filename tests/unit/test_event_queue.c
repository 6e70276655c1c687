// SPDX-License-Identifier: Apache-2.0
#include "events_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "../../agent/core/event_queue.h"

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void oldest_first(void **state)
{
	struct eg_queue_item item = {0};
	struct eg_queue *q;

	(void)state;
	assert_int_equal(eg_queue_new(16, &q), 0);
	for (uint64_t i = 1; i <= 40; i++) { /* round the ring more than twice */
		item.event.seq = i;
		assert_int_equal(eg_queue_push(q, EG_QUEUE_DENY, &item), 0);
		if (i > 3) {
			assert_true(eg_queue_take(q, &item));
			assert_int_equal(item.event.seq, i - 3);
		}
	}
	assert_int_equal(eg_queue_count(q), 3);
	assert_int_equal(eg_queue_pushed(q), 40);
	eg_queue_free(q);
}

static int fill(struct eg_queue *q, enum eg_queue_class class)
{
	struct eg_queue_item item = {0};
	int n = 0;

	while (eg_queue_push(q, class, &item) == 0)
		n++;
	return n;
}

static void room_is_reserved(void **state)
{
	struct eg_queue *q;

	(void)state;
	assert_int_equal(eg_queue_new(160, &q), 0);
	assert_int_equal(fill(q, EG_QUEUE_DENY), 140);
	assert_int_equal(fill(q, EG_QUEUE_NOTICE), 10);
	assert_int_equal(fill(q, EG_QUEUE_POST), 10);
	assert_int_equal(eg_queue_count(q), 160);
	assert_int_equal(eg_queue_pushed(q), 160);
	eg_queue_free(q);
}

static void classes(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct eg_event e = {.type = (__u8)type};
		bool notice = type == EG_EVENT_CAP || type == EG_EVENT_RATE || type == EG_EVENT_KILL ||
			      type == EG_EVENT_EXPIRE;

		assert_int_equal(eg_queue_class_of(&e), notice ? EG_QUEUE_NOTICE : EG_QUEUE_DENY);
	}
}

static void fd_says_when(void **state)
{
	struct eg_queue_item item = {0};
	struct eg_queue *q;
	uint64_t n;

	(void)state;
	assert_int_equal(eg_queue_new(16, &q), 0);
	assert_false(readable(eg_queue_fd(q)));
	assert_int_equal(eg_queue_push(q, EG_QUEUE_DENY, &item), 0);
	assert_true(readable(eg_queue_fd(q)));
	assert_int_equal(read(eg_queue_fd(q), &n, sizeof(n)), sizeof(n));
	assert_true(eg_queue_take(q, &item));
	assert_false(eg_queue_take(q, &item));
	eg_queue_wake(q);
	assert_true(readable(eg_queue_fd(q)));
	eg_queue_free(q);
}

static void posts_left_are_freed(void **state)
{
	struct eg_queue_item item = {.post = strdup("agent")}; /* a leak here fails under the sanitizer */
	struct eg_queue_item named = {.named = calloc(1, sizeof(*named.named))};
	struct eg_queue *q;

	(void)state;
	assert_int_equal(eg_queue_new(16, &q), 0);
	assert_int_equal(eg_queue_push(q, EG_QUEUE_POST, &item), 0);
	assert_int_equal(eg_queue_push(q, EG_QUEUE_DENY, &named), 0);
	eg_queue_free(q);
	eg_queue_free(NULL);
	assert_int_equal(eg_queue_new(15, &q), -EINVAL);
}

#define PRODUCERS 4
#define EACH      20000u

static void *produce(void *arg)
{
	struct eg_queue *q = ((void **)arg)[0];
	struct eg_queue_item item = {.event.app = (uint32_t)(uintptr_t)((void **)arg)[1]};

	for (uint64_t i = 1; i <= EACH; i++) {
		item.event.seq = i;
		while (eg_queue_push(q, EG_QUEUE_DENY, &item) < 0)
			sched_yield();
	}
	return NULL;
}

static void many_producers(void **state)
{
	uint64_t last[PRODUCERS] = {0}, total = 0;
	void *args[PRODUCERS][2];
	pthread_t threads[PRODUCERS];
	struct eg_queue_item item;
	struct eg_queue *q;

	(void)state;
	assert_int_equal(eg_queue_new(64, &q), 0);
	for (uintptr_t i = 0; i < PRODUCERS; i++) {
		args[i][0] = q;
		args[i][1] = (void *)i;
		assert_int_equal(pthread_create(&threads[i], NULL, produce, args[i]), 0);
	}
	while (total < PRODUCERS * EACH) {
		if (!eg_queue_take(q, &item)) {
			struct pollfd p = {.fd = eg_queue_fd(q), .events = POLLIN};
			uint64_t n;

			assert_int_equal(poll(&p, 1, 10000), 1);
			assert_int_equal(read(eg_queue_fd(q), &n, sizeof(n)), sizeof(n));
			continue;
		}
		assert_int_equal(item.event.seq, ++last[item.event.app]);
		total++;
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(eg_queue_count(q), 0);
	eg_queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_first),	       cmocka_unit_test(room_is_reserved),
		cmocka_unit_test(classes),	       cmocka_unit_test(fd_says_when),
		cmocka_unit_test(posts_left_are_freed), cmocka_unit_test(many_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

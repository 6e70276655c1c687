// SPDX-License-Identifier: Apache-2.0
/*
 * The byte cap of bpf/meters.h, built for this machine: threads take from one meter while its
 * windows end. It calls no helper, so that the very code that runs in the kernel runs here.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "../../bpf/meters.h"
#pragma GCC diagnostic pop

#define WINDOWS 2000000u
#define PER_NS  1000ull
#define SENDERS 6
#define LIMIT   8u /* packets of one byte */

static struct eg_meter meter;
static uint64_t now_ns;
static uint32_t given[WINDOWS + 2];
static const struct eg_meter_conf cap = {.limit = LIMIT, .per_ns = PER_NS, .kind = EG_METER_BYTES};

static uint64_t window_in_force(void)
{
	return __atomic_load_n(&meter.window, __ATOMIC_SEQ_CST);
}

/* Only the low 8 bits of the window that was charged are told: those who slept too long don't count. */
static void *take_all_the_time(void *ctx)
{
	uint64_t now;

	(void)ctx;
	while ((now = __atomic_add_fetch(&now_ns, PER_NS / 10, __ATOMIC_RELAXED)) < WINDOWS * PER_NS) {
		uint64_t before = window_in_force();
		int took = eg_meter_take_bytes(&meter, &cap, 1, now);
		uint64_t window = before + (((uint64_t)(took >> EG_TAKE_TAG_SHIFT) - before) & 0xff);

		if (!(took & EG_TAKE_DENIED) && window_in_force() - before < 0xff)
			__atomic_add_fetch(&given[window], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A thread that still knew the window before must not begin the count of this one again. */
static void no_window_is_counted_anew(void **state)
{
	pthread_t senders[SENDERS];
	unsigned filled = 0;

	(void)state;
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&senders[i], NULL, take_all_the_time, NULL), 0);
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_join(senders[i], NULL), 0);
	for (unsigned i = 0; i < WINDOWS; i++) {
		assert_in_range(given[i], 0, LIMIT);
		filled += given[i] == LIMIT;
	}
	assert_true(filled > WINDOWS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_window_is_counted_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

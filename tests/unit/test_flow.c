// SPDX-License-Identifier: Apache-2.0
/*
 * The flows of bpf/flow.h, built for this machine: what two CPUs do with one flow at once is
 * played in a fixed order, since the kernel's helpers are ours here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "../../bpf/flow.h"
#pragma GCC diagnostic pop

static struct eg_host_ctl host_value;
static struct eg_app app_value;
static struct eg_counters counters_value;
static struct eg_event told[8];
static unsigned told_count;

static struct eg_who who;
static struct eg_flow flow;
static const struct eg_view packet = {.proto = IPPROTO_UDP, .packets = 1, .bytes = 100};
static bool interrupted; /* by another CPU, at the next look-up */

static void *lookup(void *map, const void *key)
{
	(void)key;
	if (interrupted) {
		interrupted = false;
		eg_flow_account(&who, &flow, &packet, EG_DIR_EGRESS, 1);
	}
	if (map == &host_ctl)
		return &host_value;
	if (map == &apps)
		return &app_value;
	return map == &counters ? &counters_value : NULL;
}

static __u64 boot_ns(void)
{
	return 1;
}

static void *reserve(void *ring, __u64 size, __u64 flags)
{
	(void)ring;
	(void)size;
	(void)flags;
	return told_count < 8 ? &told[told_count++] : NULL;
}

static void submit(void *data, __u64 flags)
{
	(void)data;
	(void)flags;
}

static int setup(void **state)
{
	(void)state;
	bpf_map_lookup_elem = (void *)lookup;
	bpf_ktime_get_boot_ns = (void *)boot_ns;
	bpf_ringbuf_reserve = (void *)reserve;
	bpf_ringbuf_submit = (void *)submit;
	host_value.event_burst_ns = 1000;
	return 0;
}

/* The packet of a CPU that lost the claim must be neither forgotten nor told twice. */
static void what_is_counted_before_a_claimed_flow_has_begun_stays(void **state)
{
	(void)state;
	flow.id = EG_FLOW_CLAIMED;
	interrupted = true;
	eg_flow_begin(&who, &flow, &packet, EG_DIR_EGRESS, EG_DIR_EGRESS);
	assert_false(interrupted);
	assert_int_equal(told_count, 0);
	eg_flow_account(&who, &flow, &packet, EG_DIR_EGRESS, 1);
	assert_int_equal(counters_value.packets_out, 2);
	assert_int_equal(flow.seen.packets_out, 2);
	assert_int_equal(flow.seen.bytes_out, 200);
	assert_int_equal(counters_value.flows, 1);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].type, EG_EVENT_FLOW_START);
	assert_int_equal(told[0].seen.packets_out, 2);
}

/* A flow that was told in full begins with nothing. */
static void a_flow_that_begins_again_is_empty(void **state)
{
	(void)state;
	eg_flow_end(&who, &flow, 0, 0);
	eg_flow_begin(&who, &flow, &packet, EG_DIR_EGRESS, EG_DIR_EGRESS);
	assert_int_equal(flow.seen.packets_out, 0);
	assert_int_equal(flow.told.packets_out, 0);
	assert_int_equal(counters_value.flows, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_counted_before_a_claimed_flow_has_begun_stays),
		cmocka_unit_test(a_flow_that_begins_again_is_empty),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

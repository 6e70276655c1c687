// SPDX-License-Identifier: Apache-2.0
/* When a packet that was let through may leave the queue: at once. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define OUT "eg_egress"
#define APP "10.1.0.2"
#define SRV "10.1.0.3"
#define LATER_NS (1ull << 62)
#define EARLIER_NS 1700000000000000000ull

/* Sends the packet with a time of its own: the time that it has afterwards. */
static uint64_t sent(struct fx *fx, struct fx_packet p, uint64_t leaves_ns)
{
	p.leaves_ns = leaves_ns;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	return p.leaves_ns;
}

static void datagrams_leave_at_once(void **state)
{
	struct fx *fx = fx_reset(state);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 443, 443, 0);
	assert_int_equal(sent(fx, fx_udp(APP, 4000, SRV, 443, 10), LATER_NS), 1);
	assert_int_equal(sent(fx, fx_udp(APP, 4000, SRV, 443, 10), 0), 1); /* no time would leave it to the socket's rate */
	assert_int_equal(fx_counters(fx).packets_out, 2);
}

static void others_leave_at_once(void **state)
{
	struct fx *fx = fx_reset(state);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_ICMP, 8, 8, 0);
	assert_int_equal(sent(fx, fx_icmp(APP, SRV, 8), LATER_NS), 1);
}

/* How late it was is the receiver's to know. */
static void what_comes_in_keeps_its_time(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(SRV, 443, APP, 4000, 10);

	fx_rule(fx, EG_DIR_INGRESS, SRV, 32, IPPROTO_UDP, 4000, 4000, 0);
	p.leaves_ns = EARLIER_NS;
	assert_int_equal(fx_run(fx, "eg_ingress", &p), 1);
	assert_true(p.leaves_ns == EARLIER_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_leave_at_once),
		cmocka_unit_test(others_leave_at_once),
		cmocka_unit_test(what_comes_in_keeps_its_time),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

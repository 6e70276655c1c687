// SPDX-License-Identifier: Apache-2.0
/* ICMP through the loaded packet programs: errors that nobody asked for, and neighbour discovery. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define OUT "eg_egress"
#define IN  "eg_ingress"
#define APP "10.1.0.2"
#define SRV "10.1.0.3"
#define APP6 "fd00:1::2"
#define SRV6 "fd00:1::3"
#define SOLICITED "ff02::1:ff00:3"

/* An error whose quotation says nothing that this socket sent: judged like any packet. */
static void errors_nobody_asked_for_need_a_rule(void **state)
{
	struct fx *fx = fx_reset(state);
	const uint8_t types[] = {3, 11, 12}, types6[] = {1, 2, 3, 4};
	struct fx_packet p;
	struct eg_event e[16];

	for (unsigned i = 0; i < sizeof(types); i++) {
		p = fx_icmp(SRV, APP, types[i]);
		assert_int_equal(fx_run(fx, IN, &p), 0);
	}
	for (unsigned i = 0; i < sizeof(types6); i++) {
		p = fx_icmp(SRV6, APP6, types6[i]);
		assert_int_equal(fx_run(fx, IN, &p), 0);
	}
	assert_int_equal(fx_denied(fx, EG_DIR_INGRESS, EG_REASON_NO_INGRESS_RULE), 7);
	assert_int_equal(fx_counters(fx).packets_in, 0);
	assert_int_equal(fx_events(fx, e, 16), 7);
	assert_int_equal(e[0].type, EG_EVENT_DENY);
	assert_int_equal(e[0].dir, EG_DIR_INGRESS);
	fx_rule(fx, EG_DIR_INGRESS, SRV, 32, IPPROTO_ICMP, 3, 3, 0);
	p = fx_icmp(SRV, APP, 3);
	assert_int_equal(fx_run(fx, IN, &p), 1);
}

/* A message of neighbour discovery about target, with room for one option. */
static struct fx_packet neighbour(const char *src, const char *dst, uint8_t type, uint8_t hops, const char *target)
{
	struct fx_packet p = fx_icmp(src, dst, type);

	p.len = 14 + 40 + 32;
	p.data[14 + 5] = 32;
	p.data[14 + 7] = hops;
	assert_int_equal(inet_pton(AF_INET6, target, p.data + 14 + 40 + 8), 1);
	return p;
}

static int passes(struct fx *fx, struct fx_packet p)
{
	return fx_run(fx, OUT, &p);
}

/* A test packet's socket is one that sock_create never saw, as the kernel's own are. */
static void neighbour_discovery_stays_on_the_link(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet large = neighbour(APP6, SRV6, 135, 255, SRV6);

	assert_int_equal(passes(fx, neighbour("fe80::2", "ff02::2", 133, 255, "::")), 1); /* router solicitation */
	assert_int_equal(passes(fx, neighbour(APP6, SOLICITED, 135, 255, SRV6)), 1);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 135, 255, SRV6)), 1); /* is that neighbour still there? */
	assert_int_equal(passes(fx, neighbour("fe80::2", "fe80::3", 136, 255, APP6)), 1);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 136, 255, APP6)), 1); /* yes, I am */
	assert_int_equal(passes(fx, neighbour("fe80::2", "ff02::16", 143, 1, "::")), 1);
	assert_int_equal(fx_counters(fx).packets_out, 6);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 133, 255, SRV6)), 0);
	assert_int_equal(passes(fx, neighbour(APP6, "ff02::1", 134, 255, APP6)), 0); /* only routers do that */
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 135, 255, "fd00:1::4")), 0);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 136, 255, "fd00:1::4")), 0);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 135, 64, SRV6)), 0);
	assert_int_equal(passes(fx, neighbour(APP6, "ff05::1", 135, 255, SRV6)), 0);
	assert_int_equal(passes(fx, neighbour(APP6, SRV6, 143, 1, "::")), 0);
	large.len += 200;
	large.data[14 + 5] = 232;
	assert_int_equal(passes(fx, large), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 8);
	assert_int_equal(fx_counters(fx).packets_out, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_nobody_asked_for_need_a_rule),
		cmocka_unit_test(neighbour_discovery_stays_on_the_link),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

// SPDX-License-Identifier: Apache-2.0
/* Whose a packet is: tags in the loaded packet programs. */
#include <bpf/bpf.h>
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
#define SYN 0x02

static void tag_with(struct fx *fx, uint32_t gen, uint32_t flags)
{
	struct eg_cgroup cgroup = {.app = FX_SLOT, .gen = gen, .flags = flags};

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_CGROUPS), &fx->cgroup_id, &cgroup, 0),
			 0);
}

/* The slot has another app now: its policy must not open anything to what the former one left. */
static void a_tag_of_a_former_owner_of_the_slot_is_nobodys(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet out = fx_tcp(APP, 4000, SRV, 443, SYN, 0), in = fx_tcp(SRV, 443, APP, 4000, SYN, 0);
	struct eg_event e[8];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	assert_int_equal(fx_run(fx, OUT, &out), 1);
	fx_events(fx, e, 8);
	for (uint32_t flags = 0; flags <= EG_CGROUP_EXPLICIT; flags += EG_CGROUP_EXPLICIT) {
		tag_with(fx, FX_GEN - 1, flags);
		assert_int_equal(fx_run(fx, OUT, &out), 0);
		assert_int_equal(fx_run(fx, IN, &in), 0);
		assert_int_equal(fx_events(fx, e, 8), 2);
		assert_int_equal(e[0].type, EG_EVENT_DENY);
		assert_int_equal(e[0].reason, EG_REASON_POLICY_DELETED);
		assert_int_equal(e[0].app, EG_APP_UNKNOWN);
		assert_int_equal(e[0].cgroup_id, fx->cgroup_id);
	}
	assert_int_equal(fx_denied_at(fx, EG_APP_UNKNOWN, EG_DIR_EGRESS, EG_REASON_POLICY_DELETED), 2);
	assert_int_equal(fx_denied_at(fx, EG_APP_UNKNOWN, EG_DIR_INGRESS, EG_REASON_POLICY_DELETED), 2);
	assert_int_equal(fx_counters(fx).packets_out, 1);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_POLICY_DELETED), 0);
}

/* Where loopback is everybody's, only a socket of the app's own is `self`: there is none here. */
static void explain_knows_whose_loopback_it_is(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_question q = {.app = FX_SLOT, .dir = EG_DIR_EGRESS, .proto = IPPROTO_TCP, .port = 8080};

	q.peer.b[10] = q.peer.b[11] = 0xff;
	q.peer.b[12] = 127;
	q.peer.b[15] = 1;
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_NONE);
	assert_int_equal(q.rule, EG_RULE_SELF);
	q.host_netns = 1;
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_LOOPBACK);
	q.proto = IPPROTO_UDP;
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_LOOPBACK);
	q.dir = EG_DIR_INGRESS;
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_NO_INGRESS_RULE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_of_a_former_owner_of_the_slot_is_nobodys),
		cmocka_unit_test(explain_knows_whose_loopback_it_is),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

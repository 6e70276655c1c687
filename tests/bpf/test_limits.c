// SPDX-License-Identifier: Apache-2.0
/* Caps in the loaded packet programs: what they tell, whom they kill, and that no window gives a byte more. */
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define OUT "eg_egress"
#define APP "10.1.0.2"
#define SRV "10.1.0.3"
#define DAY_NS (86400ull * 1000000000ull)

/* An app that may send datagrams of 100 bytes, under a cap. */
static struct fx *capped(void **state, uint64_t limit, enum eg_cap_action action)
{
	struct fx *fx = fx_reset(state);
	struct eg_ruleset *ruleset = fx_ruleset(fx);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	ruleset->meters[0] = (struct eg_meter_conf){
		.limit = limit, .per_ns = DAY_NS, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES, .action = (uint8_t)action,
	};
	ruleset->meters_out = 1;
	return fx;
}

static struct fx_packet datagrams(unsigned count)
{
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 72);

	p.repeat = count;
	return p;
}

static unsigned count_type(const struct eg_event *e, unsigned n, enum eg_event_type type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += e[i].type == type;
	return count;
}

static void notices_spend_no_budget(void **state)
{
	struct fx *fx = capped(state, 1000, EG_CAP_KILL);
	struct fx_packet denied = fx_udp(APP, 4000, "10.1.0.9", 53, 72), p = datagrams(20);
	struct eg_event e[64];
	unsigned n;

	eg_kern_host(fx->kern)->event_ns = 3600ull * 1000000000ull;
	eg_kern_host(fx->kern)->event_burst_ns = 2 * 3600ull * 1000000000ull;
	denied.repeat = 10;
	assert_int_equal(fx_run(fx, OUT, &denied), 0);
	assert_int_equal(fx_events(fx, e, 64), 2);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	n = fx_events(fx, e, 64);
	assert_int_equal(count_type(e, n, EG_EVENT_CAP), 2);
	assert_int_equal(count_type(e, n, EG_EVENT_KILL), 1);
	assert_int_equal(n, 3);
	fx_ruleset(fx)->expires_utc_ns = 1;
	eg_kern_app(fx->kern, FX_SLOT)->ctl.auto_cleared = eg_kern_app(fx->kern, FX_SLOT)->state.auto_kill;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	n = fx_events(fx, e, 64);
	assert_int_equal(count_type(e, n, EG_EVENT_EXPIRE), 1);
	assert_int_equal(n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notices_spend_no_budget),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

// SPDX-License-Identifier: Apache-2.0
/* Caps in the loaded packet programs: what they tell, whom they kill, and that no window gives a byte more. */
#include <bpf/bpf.h>
#include <pthread.h>
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

/* ---- Kill by a cap ----------------------------------------------------------------------- */

static void a_kill_comes_again_while_the_cap_is_used_up(void **state)
{
	struct fx *fx = capped(state, 150, EG_CAP_KILL);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);
	struct fx_packet p = datagrams(4);
	struct eg_event e[64];
	unsigned n;

	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(app->state.auto_kill, 1);
	app->ctl.auto_cleared = 1; /* restored */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(app->state.auto_kill, 2);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 2); /* what killed, each time */
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 5);
	n = fx_events(fx, e, 64);
	assert_int_equal(count_type(e, n, EG_EVENT_KILL), 2);
	assert_int_equal(count_type(e, n, EG_EVENT_CAP), 1); /* once a window */
}

static void audit_and_relax_kill_nobody(void **state)
{
	struct fx *fx = capped(state, 150, EG_CAP_KILL);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);
	struct fx_packet p = datagrams(5);
	struct eg_event e[64];
	unsigned n;

	fx_ruleset(fx)->mode = EG_MODE_AUDIT;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	fx_ruleset(fx)->mode = EG_MODE_ENFORCE;
	app->ctl.relax_until_boot_ns = ~0ull;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(app->state.auto_kill, 0);
	assert_int_equal(fx_counters(fx).packets_out, 10);
	assert_int_equal(fx_audited(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 9);
	n = fx_events(fx, e, 64);
	assert_int_equal(count_type(e, n, EG_EVENT_CAP), 1);
	assert_int_equal(count_type(e, n, EG_EVENT_KILL), 0);
	app->ctl.relax_until_boot_ns = 0; /* over: the cap is used up */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(app->state.auto_kill, 1);
	n = fx_events(fx, e, 64);
	assert_int_equal(count_type(e, n, EG_EVENT_KILL), 1);
}

/* ---- Several CPUs ------------------------------------------------------------------------ */

#define SENDERS 2
#define EACH    400000u

struct sender {
	struct fx *fx;
	pthread_barrier_t *start;
	int verdict;
};

static void *send_many(void *arg)
{
	struct sender *sender = arg;
	struct fx_packet p = datagrams(EACH);

	pthread_barrier_wait(sender->start);
	sender->verdict = fx_run(sender->fx, OUT, &p);
	return NULL;
}

static void send_at_once(struct fx *fx, int verdict)
{
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	pthread_barrier_t start;

	assert_int_equal(pthread_barrier_init(&start, NULL, SENDERS), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.fx = fx, .start = &start};
		assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(senders[i].verdict, verdict);
	}
	pthread_barrier_destroy(&start);
}

/* A reservation that two CPUs make at once must not become one. */
static void no_cpus_use_is_lost(void **state)
{
	uint64_t all = 100ull * SENDERS * EACH;
	struct fx *fx = capped(state, all + 250, EG_CAP_DROP);
	struct fx_packet p = datagrams(1);

	send_at_once(fx, 1);
	assert_int_equal(fx_counters(fx).bytes_out, all);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 1);
}

static void a_contended_cap_gives_not_one_byte_more(void **state)
{
	uint64_t limit = 100ull * EACH / 2 + 50; /* each alone wants more */
	struct fx *fx = capped(state, limit, EG_CAP_DROP);
	uint64_t passed;

	send_at_once(fx, 0);
	passed = fx_counters(fx).bytes_out;
	assert_true(passed <= limit);
	assert_int_equal(passed + 100 * fx_denied(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 100ull * SENDERS * EACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notices_spend_no_budget),
		cmocka_unit_test(a_kill_comes_again_while_the_cap_is_used_up),
		cmocka_unit_test(audit_and_relax_kill_nobody),
		cmocka_unit_test(no_cpus_use_is_lost),
		cmocka_unit_test(a_contended_cap_gives_not_one_byte_more),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

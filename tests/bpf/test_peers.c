// SPDX-License-Identifier: Apache-2.0
/*
 * UDP peers for which the kernel had no timer, and program eg_reap that ends them. They are made by hand:
 * a kernel that has memory refuses none.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"

#define SECOND 1000000000ull
#define IDLE   (5 * SECOND)

/* As bpf/maps.h has it, where struct bpf_timer is the kernel's. */
struct peer {
	uint64_t timer[2];
	struct eg_who who;
	int32_t users;
	uint32_t dead; /* 1: dead, 2: it has no timer */
	struct eg_flow flow;
};

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static struct eg_peer_key key_of(uint16_t port)
{
	return (struct eg_peer_key){.cookie = 77, .port = htons(port), .proto = IPPROTO_UDP};
}

/* Its last packet was so long ago. */
static void put(struct fx *fx, uint16_t port, uint64_t silent_ns, int32_t users, uint32_t dead)
{
	struct eg_peer_key key = key_of(port);
	struct peer peer = {
		.who = {.app = FX_SLOT, .gen = FX_GEN},
		.users = users,
		.dead = dead,
		.flow = {.peer_port = htons(port), .proto = IPPROTO_UDP, .state = EG_FLOW_OPEN, .id = port, .start_boot_ns = 1,
			 .last_out_ns = boot_ns() - silent_ns, .seen = {.bytes_out = 100, .packets_out = 1}},
	};

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_PEERS), &key, &peer, BPF_ANY), 0);
}

static bool is_there(struct fx *fx, uint16_t port, struct peer *ret)
{
	struct eg_peer_key key = key_of(port);

	return bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_PEERS), &key, ret) == 0;
}

static void stand_in_line(struct fx *fx, uint16_t port)
{
	struct eg_peer_key key = key_of(port);

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_PEERS_UNTIMED), NULL, &key, BPF_ANY), 0);
}

static unsigned in_line(struct fx *fx, uint16_t *ret_first)
{
	struct eg_peer_key key;
	unsigned count = 0;

	while (bpf_map_lookup_and_delete_elem(eg_kern_map_fd(fx->kern, EG_MAP_PEERS_UNTIMED), NULL, &key) == 0) {
		if (!count++)
			*ret_first = ntohs(key.port);
	}
	return count;
}

static struct fx *begin(void **state, uint32_t untimed)
{
	struct fx *fx = fx_reset(state);
	struct eg_app_state *app = &eg_kern_app(fx->kern, FX_SLOT)->state;
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	uint16_t first;

	assert_int_equal(bpf_obj_get_info_by_fd(eg_kern_map_fd(fx->kern, EG_MAP_PEERS), &info, &len), 0);
	assert_int_equal(info.value_size, sizeof(struct peer));
	in_line(fx, &first);
	eg_kern_host(fx->kern)->udp_idle_ns = IDLE;
	app->peers = app->peers_untimed = untimed;
	return fx;
}

static void assert_left(struct fx *fx, uint32_t peers, uint32_t untimed)
{
	const struct eg_app_state *app = &eg_kern_app(fx->kern, FX_SLOT)->state;

	assert_int_equal(app->peers, peers);
	assert_int_equal(app->peers_untimed, untimed);
}

static void the_idle_ones_end(void **state)
{
	struct fx *fx = begin(state, 3);
	struct eg_event events[8];
	struct peer peer;
	uint16_t first;

	put(fx, 1, 2 * IDLE, 0, 2);
	put(fx, 2, 0, 0, 2);
	put(fx, 3, 2 * IDLE, 0, 2);
	for (uint16_t port = 1; port <= 3; port++)
		stand_in_line(fx, port);
	assert_int_equal(eg_kern_reap(fx->kern, 1), 0);
	assert_left(fx, 2, 2); /* one look, one end */
	assert_int_equal(eg_kern_reap(fx->kern, 2), 0);
	assert_left(fx, 1, 1);
	assert_false(is_there(fx, 1, &peer) || is_there(fx, 3, &peer));
	assert_true(is_there(fx, 2, &peer));
	assert_int_equal(peer.dead, 2);
	assert_int_equal(fx_events(fx, events, 8), 2);
	assert_int_equal(events[0].type, EG_EVENT_FLOW_END);
	assert_int_equal(events[0].flow_id, 1);
	assert_int_equal(events[0].seen.bytes_out, 100);
	assert_int_equal(events[1].flow_id, 3);
	assert_int_equal(in_line(fx, &first), 1);
	assert_int_equal(first, 2); /* it stands there again */
}

static void not_while_a_packet_is_counted_on_it(void **state)
{
	struct fx *fx = begin(state, 1);
	struct eg_event events[8];
	struct peer peer;

	put(fx, 1, 2 * IDLE, 1, 2);
	stand_in_line(fx, 1);
	assert_int_equal(eg_kern_reap(fx->kern, 1), 0);
	assert_left(fx, 1, 1);
	assert_true(is_there(fx, 1, &peer));
	assert_int_equal(peer.dead, 3); /* no other packet comes in */
	assert_int_equal(fx_events(fx, events, 8), 0);
	put(fx, 1, 0, 0, 3); /* it has left, later than that */
	assert_int_equal(eg_kern_reap(fx->kern, 1), 0);
	assert_left(fx, 0, 0);
	assert_false(is_there(fx, 1, &peer));
	assert_int_equal(fx_events(fx, events, 8), 1);
}

/* One that is gone, and another that came under its key and has a timer. */
static void who_has_no_business_in_the_line_leaves_it(void **state)
{
	struct fx *fx = begin(state, 0);
	struct eg_app_state *app = &eg_kern_app(fx->kern, FX_SLOT)->state;
	struct eg_event events[8];
	struct peer peer;
	uint16_t first;

	app->peers = 1;
	put(fx, 2, 2 * IDLE, 0, 0);
	stand_in_line(fx, 1);
	stand_in_line(fx, 2);
	assert_int_equal(eg_kern_reap(fx->kern, 4096), 0);
	assert_left(fx, 1, 0);
	assert_true(is_there(fx, 2, &peer));
	assert_int_equal(fx_events(fx, events, 8), 0);
	assert_int_equal(in_line(fx, &first), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_idle_ones_end),
		cmocka_unit_test(not_while_a_packet_is_counted_on_it),
		cmocka_unit_test(who_has_no_business_in_the_line_leaves_it),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

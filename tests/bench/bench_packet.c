// SPDX-License-Identifier: Apache-2.0
/*
 * An established packet through the packet hook, by BPF_PROG_TEST_RUN: nanoseconds beside a program
 * that only says yes, in turns, with one rule and with as many as the trie was made for.
 *
 * usage: bench_packet RULES APPS ROUNDS; prints "packet RULES APPS EMPTY_NS EGRET_NS MORE LEAST MOST", the
 * last three of the difference within a turn.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../bpf/fixture.h"
#include "bench.h"

static unsigned rules = 1, rounds = 15;

/* Addresses 10.x.y.z, the one that is asked for among them. */
static void fill_trie(struct fx *fx)
{
	struct eg_rule_span span = {.first = 0, .count = 1};
	int fd = eg_kern_map_fd(fx->kern, EG_MAP_RULES);

	for (unsigned i = 1; i < rules; i++) {
		struct eg_rule_key key = {.prefixlen = 160, .table_be = htonl(fx->uid * 2 + EG_DIR_EGRESS)};

		key.addr.b[10] = key.addr.b[11] = 0xff;
		key.addr.w_be[3] = htonl(0x0b000000u + i * 13);
		assert_int_equal(bpf_map_update_elem(fd, &key, &span, 0), 0);
	}
}

static void measure(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet packet = fx_tcp("10.0.0.2", 40000, "10.0.0.1", 443, 0x10, 100);
	uint32_t ours[BENCH_ROUNDS_MAX], empty[BENCH_ROUNDS_MAX], more[BENCH_ROUNDS_MAX];
	int empty_fd = bench_empty_program();

	assert_true(empty_fd >= 0);
	fx_rule(fx, EG_DIR_EGRESS, "10.0.0.1", 32, IPPROTO_TCP, 443, 443, 0);
	fill_trie(fx);
	for (unsigned i = 0; i < rounds; i++) {
		empty[i] = bench_run_ns(empty_fd, &packet);
		ours[i] = bench_run_ns(eg_kern_program_fd(fx->kern, "eg_egress"), &packet);
	}
	for (unsigned i = 0; i < rounds; i++)
		more[i] = ours[i] - empty[i];
	bench_sort(empty, rounds);
	bench_sort(ours, rounds);
	bench_sort(more, rounds);
	printf("packet %u %u %u %u %u %u %u\n", rules, fx_sizes.max_apps, empty[rounds / 2], ours[rounds / 2],
	       more[rounds / 2], more[0], more[rounds - 1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(measure)};

	if (argc > 1)
		rules = (unsigned)atoi(argv[1]);
	if (argc > 2)
		fx_sizes.max_apps = (uint32_t)atoi(argv[2]);
	if (argc > 3)
		rounds = (unsigned)atoi(argv[3]);
	if (!rules || !fx_sizes.max_apps || !rounds || rounds > BENCH_ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_packet RULES APPS ROUNDS\n");
		return 2;
	}
	fx_sizes.max_rules = rules + 1024;
	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

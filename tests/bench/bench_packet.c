// SPDX-License-Identifier: Apache-2.0
/*
 * An established packet through the packet hook, by BPF_PROG_TEST_RUN: nanoseconds beside a program
 * that only says yes, in turns, with one rule and with as many as the trie was made for.
 *
 * usage: bench_packet RULES APPS ROUNDS; prints "packet RULES APPS EMPTY_NS EGRET_NS".
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

#define REPEAT     200000
#define ROUNDS_MAX 101

static unsigned rules = 1, rounds = 15;

static int empty_program(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "empty", "GPL", insns, 2, NULL);
}

static uint32_t run_ns(int fd, struct fx_packet *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data, .data_size_in = packet->len, .repeat = REPEAT);

	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	assert_int_equal(opts.retval, 1);
	return opts.duration;
}

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

static int compare(const void *a, const void *b)
{
	return (int)*(const uint32_t *)a - (int)*(const uint32_t *)b;
}

static void measure(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet packet = fx_tcp("10.0.0.2", 40000, "10.0.0.1", 443, 0x10, 100);
	uint32_t ours[ROUNDS_MAX], empty[ROUNDS_MAX];
	int empty_fd = empty_program();

	assert_true(empty_fd >= 0);
	fx_rule(fx, EG_DIR_EGRESS, "10.0.0.1", 32, IPPROTO_TCP, 443, 443, 0);
	fill_trie(fx);
	for (unsigned i = 0; i < rounds; i++) {
		empty[i] = run_ns(empty_fd, &packet);
		ours[i] = run_ns(eg_kern_program_fd(fx->kern, "eg_egress"), &packet);
	}
	qsort(empty, rounds, sizeof(*empty), compare);
	qsort(ours, rounds, sizeof(*ours), compare);
	printf("packet %u %u %u %u\n", rules, fx_sizes.max_apps, empty[rounds / 2], ours[rounds / 2]);
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
	if (!rules || !fx_sizes.max_apps || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_packet RULES APPS ROUNDS\n");
		return 2;
	}
	fx_sizes.max_rules = rules + 1024;
	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

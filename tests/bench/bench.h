/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - what the benchmarks of packets share: the program to compare with, and one turn
 */
#ifndef EG_TESTS_BENCH_H
#define EG_TESTS_BENCH_H

#include <bpf/bpf.h>
#include <stdlib.h>

#include "../bpf/fixture.h"

#define BENCH_REPEAT     200000
#define BENCH_ROUNDS_MAX 101

/* A program that only says yes; its fd, or negative errno. */
static inline int bench_empty_program(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "empty", "GPL", insns, 2, NULL);
}

/* Mean nanoseconds of one turn; the packet must pass. */
static inline uint32_t bench_run_ns(int fd, struct fx_packet *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data, .data_size_in = packet->len,
		    .repeat = BENCH_REPEAT);

	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	assert_int_equal(opts.retval, 1);
	return opts.duration;
}

static inline int bench_compare(const void *a, const void *b)
{
	return (int)*(const uint32_t *)a - (int)*(const uint32_t *)b;
}

static inline void bench_sort(uint32_t *ns, unsigned count)
{
	qsort(ns, count, sizeof(*ns), bench_compare);
}

#endif

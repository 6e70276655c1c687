/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of the event path on the real kernel, and a program that puts records into a ring as the
 * hooks do. Needs root.
 */
#ifndef EG_TESTS_EVENTS_RINGS_H
#define EG_TESTS_EVENTS_RINGS_H

#include <errno.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <egret/abi.h>

/*
 * A classifier whose "packet" is a record of that size: it copies the packet into the ring. (A
 * syscall program's context can't be passed to the ring, and the longer record is no stack's.)
 */
static inline int ring_program(int ring_fd, size_t size)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		/* r7 = bpf_ringbuf_reserve(ring, size, 0), or return -EAGAIN */
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = ring_fd},
		{.code = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (__s32)size},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_reserve},
		{.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_0, .off = 2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -EAGAIN},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_7, .src_reg = BPF_REG_0},
		/* bpf_skb_load_bytes(ctx, 0, r7, size) */
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_7},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = (__s32)size},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_load_bytes},
		/* bpf_ringbuf_submit(r7, 0); return 0 */
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_7},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_submit},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "eg_test_ring", "GPL", code, sizeof(code) / sizeof(code[0]),
			     NULL);
}

/*
 * Submits a record of the program's size `times` times. What the last one returned: 0, or -EAGAIN if
 * the ring was full; or -errno.
 */
static inline int ring_submit(int prog_fd, const void *record, size_t size, int times)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = record, .data_size_in = (__u32)size, .repeat = times);

	if (bpf_prog_test_run_opts(prog_fd, &opts) < 0)
		return -errno;
	return (int)opts.retval;
}

static inline int ring_map(unsigned bytes)
{
	return bpf_map_create(BPF_MAP_TYPE_RINGBUF, "eg_test_ring", 0, 0, bytes, NULL);
}

static inline int losses_map(unsigned slots)
{
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "eg_test_losses", 4, sizeof(struct eg_losses), slots, NULL);
}

#endif

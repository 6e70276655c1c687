// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. bpf/pages.h reads the marks on a packet by two functions of the kernel's, which
 * 6.2 brought. Whether programs of the packet hooks may call them is tried with one that calls both and
 * is not kept, so that a kernel that refuses them costs the agent this one check and not its start.
 */
#include "kern_pages.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <egret/abi.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define CALL (BPF_JMP | BPF_CALL)

/* BTF ids; not above 0: there is none. */
struct ids {
	int32_t cast_to_kern_ctx;
	int32_t rdonly_cast;
	int32_t shared_info;
};

EG_DEFINE_CLEANUP(btf, struct btf *, btf__free);

static bool find(struct ids *ret)
{
	EG_CLEANUP(eg_cleanup_btf) struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return false;
	ret->cast_to_kern_ctx = btf__find_by_name_kind(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC);
	ret->rdonly_cast = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
	ret->shared_info = btf__find_by_name_kind(btf, "skb_shared_info", BTF_KIND_STRUCT);
	return ret->cast_to_kern_ctx > 0 && ret->rdonly_cast > 0 && ret->shared_info > 0;
}

static bool may_call(const struct ids *ids)
{
	const struct bpf_insn both[] = {
		{.code = CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = ids->cast_to_kern_ctx},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = ids->shared_info},
		{.code = CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = ids->rdonly_cast},
		{.code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
	EG_CLOSE int fd =
		bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "eg_probe", "GPL", both, sizeof(both) / sizeof(both[0]), &opts);

	return fd >= 0;
}

static void put(struct bpf_insn *insn, const struct ids *ids)
{
	int32_t id = insn->imm == EG_CALL_CAST_TO_KERN_CTX ? ids->cast_to_kern_ctx :
		     insn->imm == EG_CALL_RDONLY_CAST	   ? ids->rdonly_cast :
							     0;

	if (insn->code != CALL || insn->src_reg || !id)
		return;
	insn->src_reg = BPF_PSEUDO_KFUNC_CALL;
	insn->imm = id;
}

EG_DEFINE_CLEANUP(insns, struct bpf_insn *, free);

int eg_kern_pages_prepare(struct bpf_program *program, bool *ret)
{
	EG_CLEANUP(eg_cleanup_insns) struct bpf_insn *insns = NULL;
	size_t count = bpf_program__insn_cnt(program);
	struct ids ids = {0};

	*ret = find(&ids) && may_call(&ids);
	if (!*ret)
		return 0;
	insns = calloc(count, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	memcpy(insns, bpf_program__insns(program), count * sizeof(*insns));
	for (size_t i = 0; i < count; i++)
		put(&insns[i], &ids);
	return bpf_program__set_insns(program, insns, count);
}

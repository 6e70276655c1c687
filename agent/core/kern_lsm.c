// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. A program of BPF LSM loads and attaches also where BPF LSM is not among the
 * kernel's active security modules, and is then never run; so the list of these is read first: by
 * lsm_list_modules(2), which 6.8 brought, before that from securityfs, if that is mounted. Where it
 * is on, loading may still be refused (CAP_PERFMON, another policy of the host): that is tried with
 * a program that does nothing, so that it costs the agent this one hook and not all the others.
 */
#include "kern_lsm.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define LSM_LIST_MODULES 461 /* __NR_lsm_list_modules, the same on every architecture */
#define EG_LSM_ID_BPF	 109 /* LSM_ID_BPF of <linux/lsm.h>, which came with 6.8 */
#define EG_LSM_IDS_MAX	 64

/* 1, 0, or -errno: the kernel can't be asked. */
static int ask_kernel(void)
{
	uint64_t ids[EG_LSM_IDS_MAX];
	uint32_t size = sizeof(ids);
	long count = syscall(LSM_LIST_MODULES, ids, &size, 0);

	if (count < 0)
		return -errno;
	for (long i = 0; i < count; i++) {
		if (ids[i] == EG_LSM_ID_BPF)
			return 1;
	}
	return 0;
}

static bool securityfs_has_it(void)
{
	EG_FCLOSE FILE *file = fopen("/sys/kernel/security/lsm", "re");
	char line[256] = "", *save = NULL;

	if (!file || !fgets(line, sizeof(line), file))
		return false;
	for (char *name = strtok_r(line, ",\n", &save); name; name = strtok_r(NULL, ",\n", &save)) {
		if (strcmp(name, "bpf") == 0)
			return true;
	}
	return false;
}

bool eg_kern_lsm_is_on(void)
{
	int r = ask_kernel();

	return r < 0 ? securityfs_has_it() : r == 1;
}

int eg_kern_lsm_probe(void)
{
	static const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_LSM_CGROUP);
	EG_CLOSE int fd = -1;
	int hook;

	if (!eg_kern_lsm_is_on())
		return -EOPNOTSUPP;
	hook = libbpf_find_vmlinux_btf_id("socket_create", BPF_LSM_CGROUP);
	if (hook < 0)
		return hook;
	opts.attach_btf_id = (__u32)hook;
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "eg_probe", "GPL", allow, sizeof(allow) / sizeof(allow[0]), &opts);
	return fd < 0 ? fd : 0;
}

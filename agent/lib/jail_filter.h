/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_filter.h - the words in which the lists of system calls are written
 *
 * Each jail has a list of what its process may go on asking of the kernel (egretd itself in core/syscalls.c,
 * its children beside their own code). A list begins with ONLY_X86_64 and ends with what becomes of any
 * other call. Arguments are 64 bits wide; of those that are looked at the kernel uses the lower half only.
 */
#ifndef EG_LIB_JAIL_FILTER_H
#define EG_LIB_JAIL_FILTER_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "jail.h"

#define LOAD(member)	      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, member))
#define IS(value, yes, no)    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define HAS(bits, yes, no)    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (yes), (no))
#define FROM(value, yes, no)  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), (yes), (no))
#define PASS		      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE		      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN		      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)
#define END_IT		      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW(name)	      IS(SYS_##name, 0, 1), PASS

/* Calls of other architectures have other numbers; so have those of x32, which are from 0x40000000 on. */
#define ONLY_X86_64 LOAD(arch), IS(AUDIT_ARCH_X86_64, 1, 0), END_IT, LOAD(nr), FROM(0x40000000, 0, 1), END_IT

#define EG_JAIL_FILTER(array) ((struct eg_jail_filter){(array), sizeof(array) / sizeof((array)[0])})

#endif

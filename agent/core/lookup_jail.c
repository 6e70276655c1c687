// SPDX-License-Identifier: Apache-2.0
/*
 * lookup_jail.c - what the look-up helper gives up before it reads a byte of the network
 *
 * Its user is nobody in particular, without groups and capabilities, and can't become anything
 * else (no_new_privs, an empty bounding set). It can't be traced by others of that user, makes no
 * process, no file, no core. Of the system calls it keeps those on the list below: UDP and TCP
 * sockets, and what serves them (there is no bind(2), so nobody can connect to it). Any other ends it, and the agent counts that.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../lib/jail.h"
#include "lookup.h"

#define FDS_MAX    (EG_LOOKUP_AT_ONCE + 16)
#define MEMORY_MAX (256ul << 20) /* of address space: what the program itself takes, and some */

/* ---- System calls -------------------------------------------------------------------------------- */

#define DATA(member) ((uint32_t)offsetof(struct seccomp_data, member))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(member))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW(nr)    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), RETURN(SECCOMP_RET_ALLOW)

static int filter_syscalls(void)
{
	/* Arguments are 64 bits wide; the kernel looks at the lower half of those compared here. */
	static struct sock_filter filter[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		ALLOW(SYS_poll),
		ALLOW(SYS_recvfrom),
		ALLOW(SYS_sendto),
		ALLOW(SYS_connect),
		ALLOW(SYS_close),
		ALLOW(SYS_getrandom),
		ALLOW(SYS_clock_gettime), /* where the vDSO has to ask */
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_restart_syscall),
		ALLOW(SYS_exit_group),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		RETURN(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? -errno : 0;
}

int eg_lookup_jail(uint32_t uid, uint32_t gid)
{
	static const struct eg_jail_limit limits[] = {
		{RLIMIT_NOFILE, FDS_MAX}, {RLIMIT_NPROC, 0},   {RLIMIT_CORE, 0},    {RLIMIT_FSIZE, 0},
		{RLIMIT_MEMLOCK, 0},	  {RLIMIT_MSGQUEUE, 0}, {RLIMIT_AS, MEMORY_MAX},
	};
	int r = eg_jail_become(uid, gid);

	if (!r)
		r = eg_jail_limit(limits, sizeof(limits) / sizeof(limits[0]));
	return r ? r : filter_syscalls();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * sync_jail.c - what egret-sync gives up before it reads a byte of the network
 *
 * A user without privileges (lib/jail.h), and of the system calls those of a client with threads: sockets,
 * time, memory, and files for name services, certificates and its own directory. It runs no program, makes
 * no process, and can't wait on the network as a server. Others fail with EPERM, since libraries for TLS and
 * names try what nobody foresaw and have ways around it.
 */
#include "sync_jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../lib/jail.h"

#define FDS_MAX	   256
#define FILE_MAX   (256ul << 20) /* bytes of last-good.json, and some */
#define MEMORY_MAX (4ul << 30) /* of address space */

#define DATA(member) ((uint32_t)offsetof(struct seccomp_data, member))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(member))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define ALLOW(name)  IS(SYS_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define REFUSE	     RETURN(SECCOMP_RET_ERRNO | EPERM)

static int filter_syscalls(void)
{
	static struct sock_filter filter[] = {
		LOAD(arch),
		IS(AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
		RETURN(SECCOMP_RET_KILL_PROCESS),
		/* files */
		ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(lseek), ALLOW(openat), ALLOW(close),
		ALLOW(fstat), ALLOW(newfstatat), ALLOW(statx), ALLOW(access), ALLOW(readlink), ALLOW(getdents64), ALLOW(fcntl),
		ALLOW(fsync), ALLOW(renameat), ALLOW(renameat2),
		/* sockets, and waiting for them; ioctl: FIONREAD and FIONBIO of libraries */
		ALLOW(connect), ALLOW(bind), ALLOW(getsockname), ALLOW(getpeername), ALLOW(getsockopt), ALLOW(setsockopt),
		ALLOW(sendto), ALLOW(sendmsg), ALLOW(sendmmsg), ALLOW(recvfrom), ALLOW(recvmsg), ALLOW(shutdown),
		ALLOW(socketpair), ALLOW(pipe2), ALLOW(eventfd2), ALLOW(poll), ALLOW(ppoll), ALLOW(ioctl),
		/* memory and threads; clone3 is told as unknown, since its flags can't be seen here */
		ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(madvise), ALLOW(brk), ALLOW(futex),
		ALLOW(set_robust_list), ALLOW(rseq), ALLOW(sched_yield), ALLOW(sched_getaffinity), ALLOW(exit),
		ALLOW(exit_group), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(restart_syscall),
		ALLOW(gettid), ALLOW(getpid), ALLOW(tgkill),
		/* time, chance, and who we are */
		ALLOW(clock_gettime), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday), ALLOW(getrandom),
		ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid), ALLOW(getegid), ALLOW(uname), ALLOW(sysinfo),
		IS(SYS_clone3, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		/* A thread of this process, not a process. */
		IS(SYS_clone, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
		/* Members, name services, and what routes there are (name look-ups ask that). */
		IS(SYS_socket, 1, 0),
		REFUSE,
		LOAD(args[0]),
		IS(AF_UNIX, 3, 0),
		IS(AF_INET, 2, 0),
		IS(AF_INET6, 1, 0),
		IS(AF_NETLINK, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
	};
	const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? -errno : 0;
}

int eg_sync_jail(uint32_t uid, uint32_t gid)
{
	static const struct eg_jail_limit limits[] = {
		{RLIMIT_CORE, 0},    {RLIMIT_NOFILE, FDS_MAX}, {RLIMIT_FSIZE, FILE_MAX},
		{RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0},     {RLIMIT_AS, MEMORY_MAX},
	};
	int r = eg_jail_become(uid, gid);

	if (!r)
		r = eg_jail_limit(limits, sizeof(limits) / sizeof(limits[0]));
	return r ? r : filter_syscalls();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * ship_jail.c - what egret-ship gives up before it reads an event or a byte of the network
 *
 * Its user has no groups but its own and no capabilities, and can't become anything else. Others of that user
 * can't trace it, and it leaves no core, since tokens and keys are in its memory. Of the system calls it keeps
 * what files, sockets, threads and time need; it runs no program, makes no process, mounts, traces and
 * loads nothing.
 *
 * A call that is not on the list fails with EPERM rather than ending the process: the TLS and
 * name-service libraries of a host try calls that nobody foresaw, and have ways around them. What is granted
 * is the same in both cases.
 */
#include "ship_jail.h"

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

#define FDS_MAX 1024

#define DATA(member) ((uint32_t)offsetof(struct seccomp_data, member))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(member))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW(name)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define REFUSE	     RETURN(SECCOMP_RET_ERRNO | EPERM)

static int filter_syscalls(void)
{
	static struct sock_filter filter[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
		RETURN(SECCOMP_RET_KILL_PROCESS),
		/* files */
		ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64), ALLOW(preadv),
		ALLOW(pwritev), ALLOW(lseek), ALLOW(open), ALLOW(openat), ALLOW(close), ALLOW(close_range), ALLOW(stat),
		ALLOW(fstat), ALLOW(lstat), ALLOW(newfstatat), ALLOW(statx), ALLOW(access), ALLOW(faccessat),
		ALLOW(faccessat2), ALLOW(readlink), ALLOW(readlinkat), ALLOW(getdents64), ALLOW(getcwd), ALLOW(fcntl),
		ALLOW(flock), ALLOW(fsync), ALLOW(fdatasync), ALLOW(sync_file_range), ALLOW(fallocate), ALLOW(ftruncate),
		ALLOW(rename), ALLOW(renameat), ALLOW(renameat2), ALLOW(unlink), ALLOW(unlinkat), ALLOW(mkdir),
		ALLOW(mkdirat), ALLOW(fchmod), ALLOW(utimensat), ALLOW(fadvise64), ALLOW(dup), ALLOW(statfs), ALLOW(fstatfs),
		/* sockets, and waiting for them; ioctl: FIONREAD and FIONBIO of libraries */
		ALLOW(connect), ALLOW(bind), ALLOW(getsockname), ALLOW(getpeername), ALLOW(getsockopt), ALLOW(setsockopt),
		ALLOW(sendto), ALLOW(sendmsg), ALLOW(sendmmsg), ALLOW(recvfrom), ALLOW(recvmsg), ALLOW(recvmmsg),
		ALLOW(shutdown), ALLOW(socketpair), ALLOW(pipe2), ALLOW(eventfd2), ALLOW(poll), ALLOW(ppoll), ALLOW(select),
		ALLOW(pselect6), ALLOW(epoll_create1), ALLOW(epoll_ctl), ALLOW(epoll_wait), ALLOW(epoll_pwait),
		ALLOW(ioctl),
		/* memory and threads; clone3 is told as unknown, since its flags can't be seen here */
		ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(madvise), ALLOW(brk), ALLOW(futex),
		ALLOW(set_robust_list), ALLOW(rseq), ALLOW(sched_yield), ALLOW(sched_getaffinity), ALLOW(membarrier),
		ALLOW(exit), ALLOW(exit_group), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn),
		ALLOW(sigaltstack), ALLOW(restart_syscall), ALLOW(gettid), ALLOW(getpid), ALLOW(tgkill), ALLOW(set_tid_address),
		/* time, chance, and who we are */
		ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday),
		ALLOW(time), ALLOW(getrandom), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid), ALLOW(getegid), ALLOW(uname),
		ALLOW(sysinfo), ALLOW(getrusage), ALLOW(timerfd_create), ALLOW(timerfd_settime),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		/* A thread of this process, not a process. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
		/* The name of a thread. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_NAME, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
		/* Receivers, name services, and what routes there are (name look-ups ask that). */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
		REFUSE,
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
	};
	const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? -errno : 0;
}

int eg_ship_jail(uint32_t uid, uint32_t gid)
{
	static const struct eg_jail_limit limits[] = {
		{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, FDS_MAX}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0}};
	int r = eg_jail_become(uid, gid);

	if (!r)
		r = eg_jail_limit(limits, sizeof(limits) / sizeof(limits[0]));
	return r ? r : filter_syscalls();
}

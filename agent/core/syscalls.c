// SPDX-License-Identifier: Apache-2.0
/*
 * syscalls.c - what egretd may ask of the kernel
 *
 * egretd keeps CAP_SYS_ADMIN, with which most of the kernel would be open to whoever took it over. So it keeps only the
 * calls that it and its children make (their own lists, which are shorter, come on top), and of those with
 * many meanings the meanings: no mounts, modules, tracing, key rings, io_uring, other namespaces than of the network;
 * memory is never writable and executable. Any other call fails with EPERM, and one that is newer than this
 * list with ENOSYS, since libraries try what nobody foresaw and have ways around it.
 *
 * What a pointer points at can't be seen here. So clone3 is told as unknown, and the C library and offspring.c use clone;
 * of openat2, which cgroups are opened with, it does not matter.
 */
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "../lib/jail_filter.h"
#include "privileges.h"

#define NEWEST 462 /* the first number that is not looked at here */

#define AND(bits)     BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits))
#define BPF_MAY(what) IS(BPF_##what, 0, 1), PASS

#define OTHER_SPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

#ifndef SYS_lsm_list_modules
#define SYS_lsm_list_modules 461
#endif

static const struct sock_filter calls[] = {
	ONLY_X86_64,
	FROM(NEWEST, 0, 1),
	UNKNOWN,
	/* files; setxattr: the list of groups that may connect to the socket */
	ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64), ALLOW(preadv), ALLOW(pwritev),
	ALLOW(lseek), ALLOW(open), ALLOW(openat), ALLOW(openat2), ALLOW(close), ALLOW(close_range), ALLOW(stat), ALLOW(fstat),
	ALLOW(lstat), ALLOW(newfstatat), ALLOW(statx), ALLOW(access), ALLOW(faccessat), ALLOW(faccessat2), ALLOW(readlink),
	ALLOW(readlinkat), ALLOW(getdents64), ALLOW(getcwd), ALLOW(chdir), ALLOW(fchdir), ALLOW(fcntl), ALLOW(flock), ALLOW(fsync),
	ALLOW(fdatasync), ALLOW(sync_file_range), ALLOW(fallocate), ALLOW(ftruncate), ALLOW(rename), ALLOW(renameat),
	ALLOW(renameat2), ALLOW(link), ALLOW(linkat), ALLOW(unlink), ALLOW(unlinkat), ALLOW(mkdir), ALLOW(mkdirat), ALLOW(rmdir),
	ALLOW(chmod), ALLOW(fchmod), ALLOW(fchown), ALLOW(setxattr), ALLOW(utimensat), ALLOW(fadvise64), ALLOW(dup), ALLOW(dup2),
	ALLOW(dup3), ALLOW(statfs), ALLOW(fstatfs), ALLOW(umask), ALLOW(memfd_create), ALLOW(inotify_init1), ALLOW(inotify_add_watch),
	ALLOW(inotify_rm_watch), ALLOW(name_to_handle_at), ALLOW(open_by_handle_at), ALLOW(ioctl), ALLOW(sendfile),
	/* sockets, and waiting */
	ALLOW(connect), ALLOW(bind), ALLOW(listen), ALLOW(accept), ALLOW(accept4), ALLOW(getsockname), ALLOW(getpeername),
	ALLOW(getsockopt), ALLOW(setsockopt), ALLOW(sendto), ALLOW(sendmsg), ALLOW(sendmmsg), ALLOW(recvfrom), ALLOW(recvmsg),
	ALLOW(recvmmsg), ALLOW(shutdown), ALLOW(socketpair), ALLOW(pipe), ALLOW(pipe2), ALLOW(eventfd2), ALLOW(signalfd4),
	ALLOW(timerfd_create), ALLOW(timerfd_settime), ALLOW(poll), ALLOW(ppoll), ALLOW(select), ALLOW(pselect6),
	ALLOW(epoll_create1), ALLOW(epoll_ctl), ALLOW(epoll_wait), ALLOW(epoll_pwait),
	/* memory and threads */
	ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(brk), ALLOW(futex), ALLOW(set_robust_list), ALLOW(rseq),
	ALLOW(sched_yield), ALLOW(sched_getaffinity), ALLOW(sched_get_priority_min), ALLOW(membarrier), ALLOW(set_tid_address), ALLOW(arch_prctl),
	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(sigaltstack), ALLOW(restart_syscall), ALLOW(tgkill),
	ALLOW(exit), ALLOW(exit_group), ALLOW(pause),
	/* children: made, given fewer rights than these, watched and ended */
	ALLOW(execve), ALLOW(wait4), ALLOW(waitid), ALLOW(pidfd_open), ALLOW(pidfd_send_signal), ALLOW(setsid),
	ALLOW(setresuid), ALLOW(setresgid), ALLOW(setgroups), ALLOW(capget), ALLOW(capset), ALLOW(prlimit64), ALLOW(seccomp),
	/* other processes' sockets, and whether two of their threads share them */
	ALLOW(pidfd_getfd), ALLOW(kcmp),
	/* time, chance, and who and where we are */
	ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday), ALLOW(time),
	ALLOW(getrandom), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid), ALLOW(getegid), ALLOW(getpid), ALLOW(getppid), ALLOW(gettid),
	ALLOW(uname), ALLOW(sysinfo), ALLOW(getrusage), ALLOW(lsm_list_modules),

	/* Another process's network namespace, to ask for its sockets and devices; no other namespace. */
	IS(SYS_setns, 0, 4),
	LOAD(args[1]),
	IS(CLONE_NEWNET, 0, 1),
	PASS,
	REFUSE,
	/* A thread or a child in the namespaces that we are in. */
	IS(SYS_clone3, 0, 1),
	UNKNOWN,
	IS(SYS_clone, 0, 4),
	LOAD(args[0]),
	HAS(OTHER_SPACES, 1, 0),
	PASS,
	REFUSE,
	/* As urgent.c does. */
	IS(SYS_sched_setscheduler, 0, 5),
	LOAD(args[1]),
	IS(SCHED_RR, 1, 0),
	IS(SCHED_OTHER, 0, 1),
	PASS,
	REFUSE,
	/* Nothing that was written can be run. */
	IS(SYS_mmap, 0, 5),
	LOAD(args[2]),
	AND(PROT_WRITE | PROT_EXEC),
	IS(PROT_WRITE | PROT_EXEC, 1, 0),
	PASS,
	REFUSE,
	IS(SYS_mprotect, 0, 4),
	LOAD(args[2]),
	HAS(PROT_EXEC, 1, 0),
	PASS,
	REFUSE,
	/* The API and its clients, look-ups and receivers, and the kernel's sock_diag and rtnetlink. */
	IS(SYS_socket, 0, 7),
	LOAD(args[0]),
	IS(AF_UNIX, 3, 0),
	IS(AF_INET, 2, 0),
	IS(AF_INET6, 1, 0),
	IS(AF_NETLINK, 0, 1),
	PASS,
	REFUSE,
	/* Names of threads; the rest is what jails are made of. */
	IS(SYS_prctl, 0, 9),
	LOAD(args[0]),
	IS(PR_SET_NAME, 5, 0),
	IS(PR_CAPBSET_READ, 4, 0),
	IS(PR_CAPBSET_DROP, 3, 0),
	IS(PR_CAP_AMBIENT, 2, 0),
	IS(PR_SET_NO_NEW_PRIVS, 1, 0),
	IS(PR_SET_DUMPABLE, 0, 1),
	PASS,
	REFUSE,
	/* Programs on cgroups and interfaces, and their maps: no tracing, no iterators, no look around by ids. */
	IS(SYS_bpf, 1, 0),
	REFUSE,
	LOAD(args[0]),
	BPF_MAY(MAP_CREATE), BPF_MAY(MAP_LOOKUP_ELEM), BPF_MAY(MAP_UPDATE_ELEM), BPF_MAY(MAP_DELETE_ELEM),
	BPF_MAY(MAP_GET_NEXT_KEY), BPF_MAY(MAP_LOOKUP_BATCH), BPF_MAY(MAP_UPDATE_BATCH), BPF_MAY(MAP_FREEZE),
	BPF_MAY(MAP_GET_FD_BY_ID), BPF_MAY(PROG_LOAD), BPF_MAY(PROG_TEST_RUN), BPF_MAY(PROG_QUERY), BPF_MAY(PROG_GET_FD_BY_ID),
	BPF_MAY(PROG_BIND_MAP), BPF_MAY(OBJ_PIN), BPF_MAY(OBJ_GET), BPF_MAY(OBJ_GET_INFO_BY_FD), BPF_MAY(BTF_LOAD),
	BPF_MAY(LINK_CREATE), BPF_MAY(LINK_UPDATE), BPF_MAY(LINK_DETACH),
	REFUSE,
};

struct eg_jail_filter eg_syscalls_filter(void)
{
	return EG_JAIL_FILTER(calls);
}

struct eg_jail_filter eg_syscalls_idle_filter(void)
{
	static const struct sock_filter idle[] = {
		ONLY_X86_64, ALLOW(pause), ALLOW(restart_syscall), ALLOW(rt_sigreturn), ALLOW(exit), ALLOW(exit_group), END_IT,
	};

	return EG_JAIL_FILTER(idle);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * jail_client.c - the system calls of a client of the network with threads
 *
 * Sockets, time, memory, and files for name services, certificates and its own directories. It runs no
 * program, makes no process, mounts, traces and loads nothing, and can't wait on the network as a server.
 *
 * A call that is not on the list fails with EPERM rather than ending the process: the TLS and
 * name-service libraries of a host try calls that nobody foresaw, and have ways around them. What is granted
 * is the same in both cases.
 */
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "jail_filter.h"

#define FILTER_MAX   512
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int client_calls[] = {
	/* files */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_lseek, SYS_openat, SYS_close, SYS_fstat,
	SYS_newfstatat, SYS_statx, SYS_access, SYS_readlink, SYS_getdents64, SYS_fcntl, SYS_fsync, SYS_renameat,
	SYS_renameat2,
	/* sockets, and waiting for them; ioctl: FIONREAD and FIONBIO of libraries */
	SYS_connect, SYS_bind, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_sendmsg,
	SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg, SYS_shutdown, SYS_socketpair, SYS_pipe2, SYS_eventfd2, SYS_poll,
	SYS_ppoll, SYS_ioctl,
	/* memory and threads */
	SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_set_robust_list, SYS_rseq,
	SYS_sched_yield, SYS_sched_getaffinity, SYS_exit, SYS_exit_group, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_restart_syscall, SYS_gettid, SYS_getpid, SYS_tgkill,
	/* time, chance, and who we are */
	SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo,
};

static const struct sock_filter head[] = {ONLY_X86_64};

/* Those whose arguments decide, and to have less. */
static const struct sock_filter tail[] = {
	ALLOW(seccomp),
	/* clone3 is told as unknown, since its flags can't be seen here. */
	IS(SYS_clone3, 0, 1),
	UNKNOWN,
	/* A thread of this process, not a process. */
	IS(SYS_clone, 0, 4),
	LOAD(args[0]),
	HAS(CLONE_THREAD, 0, 1),
	PASS,
	REFUSE,
	/* The name of a thread. */
	IS(SYS_prctl, 0, 4),
	LOAD(args[0]),
	IS(PR_SET_NAME, 0, 1),
	PASS,
	REFUSE,
	/* Peers, name services, and what routes there are (name look-ups ask that). */
	IS(SYS_socket, 1, 0),
	REFUSE,
	LOAD(args[0]),
	IS(AF_UNIX, 3, 0),
	IS(AF_INET, 2, 0),
	IS(AF_INET6, 1, 0),
	IS(AF_NETLINK, 0, 1),
	PASS,
	REFUSE,
};

static size_t add_calls(struct sock_filter *filter, size_t at, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		filter[at++] = (struct sock_filter)IS((uint32_t)calls[i], 0, 1);
		filter[at++] = (struct sock_filter)PASS;
	}
	return at;
}

struct eg_jail_filter eg_jail_client_filter(const int *more, size_t count)
{
	static struct sock_filter filter[FILTER_MAX];
	size_t len = COUNT(head);

	if (COUNT(head) + 2 * (COUNT(client_calls) + count) + COUNT(tail) > FILTER_MAX)
		return (struct eg_jail_filter){0}; /* which the kernel refuses */
	memcpy(filter, head, sizeof(head));
	len = add_calls(filter, len, client_calls, COUNT(client_calls));
	len = add_calls(filter, len, more, count);
	memcpy(filter + len, tail, sizeof(tail));
	return (struct eg_jail_filter){filter, (unsigned short)(len + COUNT(tail))};
}

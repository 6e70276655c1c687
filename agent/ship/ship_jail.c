// SPDX-License-Identifier: Apache-2.0
/*
 * ship_jail.c - what egret-ship gives up before it reads an event or a byte of the network
 *
 * A user without privileges who leaves no core, since tokens and keys are in its memory (lib/jail.h). Beside
 * the system calls of a client it keeps those of a writer of files: what its sink "file" and its spill and
 * dead-letter files need.
 */
#include "ship_jail.h"

#include <sys/syscall.h>

#define FDS_MAX 1024

struct eg_jail_filter eg_ship_filter(void)
{
	static const int calls[] = {
		/* files, by old names too: those of libraries of this host */
		SYS_preadv, SYS_pwritev, SYS_pwrite64, SYS_open, SYS_close_range, SYS_stat, SYS_lstat, SYS_faccessat,
		SYS_faccessat2, SYS_readlinkat, SYS_getcwd, SYS_flock, SYS_fdatasync, SYS_sync_file_range, SYS_fallocate,
		SYS_ftruncate, SYS_rename, SYS_unlink, SYS_unlinkat, SYS_mkdir, SYS_mkdirat, SYS_fchmod, SYS_utimensat,
		SYS_fadvise64, SYS_dup, SYS_statfs, SYS_fstatfs,
		/* sockets, and waiting for them */
		SYS_recvmmsg, SYS_select, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait,
		SYS_timerfd_create, SYS_timerfd_settime,
		/* the rest */
		SYS_membarrier, SYS_sigaltstack, SYS_set_tid_address, SYS_clock_getres, SYS_time, SYS_getrusage,
	};

	return eg_jail_client_filter(calls, sizeof(calls) / sizeof(calls[0]));
}

int eg_ship_jail(uint32_t uid, uint32_t gid)
{
	static const struct eg_jail_limit limits[] = {
		{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, FDS_MAX}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0}};
	int r = eg_jail_become(uid, gid);

	if (!r)
		r = eg_jail_limit(limits, sizeof(limits) / sizeof(limits[0]));
	if (!r)
		r = eg_jail_filter(eg_ship_filter());
	return r ? r : eg_jail_hush_clone3();
}

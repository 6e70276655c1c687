// SPDX-License-Identifier: Apache-2.0
/*
 * lookup_jail.c - what the look-up helper gives up before it reads a byte of the network
 *
 * Its user is nobody in particular, without groups and capabilities, and can't become anything
 * else (no_new_privs, an empty bounding set). It can't be traced by others of that user, makes no
 * process, no file, no core. Of the system calls it keeps those on the list below: UDP and TCP
 * sockets, and what serves them (there is no bind(2), so nobody can connect to it). Any other ends it, and
 * the agent counts that.
 */
#include <sys/socket.h>

#include "../lib/jail_filter.h"
#include "lookup.h"

#define FDS_MAX    (EG_LOOKUP_AT_ONCE + 16)
#define MEMORY_MAX (256ul << 20) /* of address space: what the program itself takes, and some */

/* ---- System calls -------------------------------------------------------------------------------- */

struct eg_jail_filter eg_lookup_filter(void)
{
	static const struct sock_filter calls[] = {
		ONLY_X86_64,
		ALLOW(poll),
		ALLOW(recvfrom),
		ALLOW(sendto),
		ALLOW(connect),
		ALLOW(close),
		ALLOW(getrandom),
		ALLOW(clock_gettime), /* where the vDSO has to ask */
		ALLOW(rt_sigreturn),
		ALLOW(restart_syscall),
		ALLOW(exit_group),
		IS(SYS_socket, 1, 0),
		END_IT,
		LOAD(args[0]),
		IS(AF_INET, 2, 0),
		IS(AF_INET6, 1, 0),
		END_IT,
		LOAD(args[1]),
		IS(SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 2, 0),
		IS(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 1, 0),
		END_IT,
		LOAD(args[2]),
		IS(0, 1, 0),
		END_IT,
		PASS,
	};

	return EG_JAIL_FILTER(calls);
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
	return r ? r : eg_jail_filter(eg_lookup_filter());
}

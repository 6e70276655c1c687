// SPDX-License-Identifier: Apache-2.0
/*
 * sync_jail.c - what egret-sync gives up before it reads a byte of the network
 *
 * A user without privileges (lib/jail.h), with the system calls of a client and no others.
 */
#include "sync_jail.h"

#define FDS_MAX	   256
#define FILE_MAX   (256ul << 20) /* bytes of last-good.json, and some */
#define MEMORY_MAX (4ul << 30) /* of address space */

struct eg_jail_filter eg_sync_filter(void)
{
	return eg_jail_client_filter(NULL, 0);
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
	if (!r)
		r = eg_jail_filter(eg_sync_filter());
	return r ? r : eg_jail_hush_clone3();
}

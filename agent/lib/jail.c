// SPDX-License-Identifier: Apache-2.0
#include "jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	return syscall(SYS_capset, &head, none) ? -errno : 0;
}

static int change_user(uint32_t uid, uint32_t gid)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return -errno;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

int eg_jail_become(uint32_t uid, uint32_t gid)
{
	int r;

	if (!uid || !gid)
		return -EPERM;
	r = getuid() == uid && geteuid() == uid ? 0 : change_user(uid, gid);
	if (!r)
		r = drop_capabilities();
	if (!r && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		r = -errno;
	return r;
}

int eg_jail_limit(const struct eg_jail_limit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rlimit limit = {.rlim_cur = limits[i].max, .rlim_max = limits[i].max};

		if (setrlimit(limits[i].what, &limit))
			return -errno;
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "jail.h"
#include "jail_filter.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int eg_jail_limit_children(uint64_t caps)
{
	for (unsigned int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(caps & 1ull << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return -errno;
	}
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ? -errno : 0;
}

static int change_user(uint32_t uid, uint32_t gid)
{
	int r = eg_jail_limit_children(0);

	if (!r && (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
		r = -errno;
	return r;
}

int eg_jail_keep(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct kept[2] = {
		{.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
		{.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)},
	};

	if (syscall(SYS_capset, &head, kept) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}

int eg_jail_become(uint32_t uid, uint32_t gid)
{
	int r;

	if (!uid || !gid)
		return -EPERM;
	r = getuid() == uid && geteuid() == uid ? 0 : change_user(uid, gid);
	return r ? r : eg_jail_keep(0);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/*
 * A build with a sanitizer needs more: terabytes of address space, and as it ends that of addresses looks for leaks, by
 * a process that stops its threads and reads their memory.
 */
static struct eg_jail_filter as_built(struct eg_jail_filter filter)
{
	static const struct sock_filter more[] = {
		LOAD(nr), ALLOW(ptrace), ALLOW(prctl), ALLOW(clone), ALLOW(wait4), ALLOW(getppid), ALLOW(getdents),
		ALLOW(sigaltstack), ALLOW(sched_yield), ALLOW(openat), ALLOW(open), ALLOW(read), ALLOW(readlink),
		ALLOW(mmap), ALLOW(munmap), ALLOW(madvise),
	};
	static struct sock_filter both[1024];
	const size_t before = sizeof(more) / sizeof(more[0]);

	memcpy(both, more, sizeof(more));
	memcpy(both + before, filter.code, filter.count * sizeof(both[0]));
	return (struct eg_jail_filter){both, (unsigned short)(before + filter.count)};
}

static bool fits(__rlimit_resource_t what)
{
	return what != RLIMIT_AS;
}
#else
static struct eg_jail_filter as_built(struct eg_jail_filter filter)
{
	return filter;
}

static bool fits(__rlimit_resource_t what)
{
	(void)what;
	return true;
}
#endif

static int add_filter(struct eg_jail_filter filter, unsigned int flags)
{
	const struct eg_jail_filter whole = as_built(filter);
	const struct sock_fprog program = {.len = whole.count, .filter = (struct sock_filter *)whole.code};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) ? -errno : 0;
}

int eg_jail_filter(struct eg_jail_filter filter)
{
	return add_filter(filter, SECCOMP_FILTER_FLAG_LOG);
}

/* Of filters that agree on what to do the newest is asked whether to log it. */
int eg_jail_hush_clone3(void)
{
	static const struct sock_filter hush[] = {LOAD(nr), IS(SYS_clone3, 0, 1), UNKNOWN, PASS};

	return add_filter(EG_JAIL_FILTER(hush), 0);
}

int eg_jail_limit(const struct eg_jail_limit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rlimit limit = {.rlim_cur = limits[i].max, .rlim_max = limits[i].max};

		if (fits(limits[i].what) && setrlimit(limits[i].what, &limit))
			return -errno;
	}
	return 0;
}

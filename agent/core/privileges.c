// SPDX-License-Identifier: Apache-2.0
#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { NEEDED, WANTED, SHARED };

struct privilege {
	unsigned int cap;
	enum kind kind;
	const char *name;
	const char *why;
};

static const struct privilege privileges[] = {
#define EG_PRIVILEGE(name, kind, why) {CAP_##name, kind, "CAP_" #name, why},
#include "privileges.def"
#undef EG_PRIVILEGE
};

#define COUNT (sizeof(privileges) / sizeof(privileges[0]))

/* Of these kinds. */
static uint64_t bits_of(unsigned int kinds)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < COUNT; i++) {
		if (kinds & 1u << privileges[i].kind)
			bits |= 1ull << privileges[i].cap;
	}
	return bits;
}

static int get_permitted(uint64_t *ret)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];

	if (syscall(SYS_capget, &head, have))
		return -errno;
	*ret = have[0].permitted | (uint64_t)have[1].permitted << 32;
	return 0;
}

static int check(uint64_t have, struct eg_error *err)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (privileges[i].kind != WANTED && !(have & 1ull << privileges[i].cap))
			return eg_error_set(err, 500, "no_privilege", "egretd lacks %s, which it needs for %s",
					    privileges[i].name, privileges[i].why);
	}
	return 0;
}

int eg_privileges_drop(struct eg_error *err)
{
	uint64_t have = 0;
	int r;

	if (geteuid() != 0)
		return eg_error_set(err, 500, "no_root", "egretd needs root: it loads BPF programs and attaches them to cgroups");
	r = get_permitted(&have);
	if (r)
		return eg_error_set(err, 500, "no_privilege", "egretd's capabilities can't be read: %s", strerror(-r));
	r = check(have, err);
	if (r)
		return r;
	r = eg_jail_limit_children(bits_of(1u << SHARED)); /* by CAP_SETPCAP, which children need, too */
	if (!r)
		r = eg_jail_keep(have & bits_of(1u << NEEDED | 1u << WANTED | 1u << SHARED));
	if (r)
		return eg_error_set(err, 500, "no_privilege", "egretd's privileges can't be given up: %s", strerror(-r));
	r = eg_jail_filter(eg_syscalls_filter());
	if (!r)
		r = eg_jail_hush_clone3();
	return r ? eg_error_set(err, 500, "no_seccomp", "the system calls that egretd does not need can't be given up (%s): "
				"the kernel has to have CONFIG_SECCOMP_FILTER", strerror(-r)) : 0;
}

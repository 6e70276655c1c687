// SPDX-License-Identifier: Apache-2.0
/*
 * The lists of system calls, run over every number and the arguments that matter, and what a process has left that
 * gave up its privileges.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/lookup.h"
#include "../../agent/core/privileges.h"
#include "../../agent/ship/ship_jail.h"
#include "../../agent/sync/sync_jail.h"

#define CALLS  600 /* more than there are */
#define EPERMS (SECCOMP_RET_ERRNO | EPERM)

/* ---- A list, as the kernel runs it --------------------------------------------------------------- */

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
	uint32_t word;

	assert_true(at % 4 == 0 && at + 4 <= sizeof(*data));
	memcpy(&word, (const char *)data + at, sizeof(word));
	return word;
}

static uint32_t run(struct eg_jail_filter filter, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < filter.count; pc++) {
		const struct sock_filter *op = &filter.code[pc];

		switch (op->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(data, op->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= op->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == op->k ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= op->k ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & op->k ? op->jt : op->jf;
			break;
		case BPF_RET | BPF_K:
			return op->k;
		default:
			fail_msg("an instruction that the lists don't use: %#x", op->code);
		}
	}
	fail_msg("the list has no end");
	return 0;
}

static uint32_t ask(struct eg_jail_filter filter, int call, uint64_t first, uint64_t second, uint64_t third)
{
	const struct seccomp_data data = {.nr = call, .arch = AUDIT_ARCH_X86_64, .args = {first, second, third}};

	return run(filter, &data);
}

static uint32_t agent(int call, uint64_t first, uint64_t second, uint64_t third)
{
	return ask(eg_syscalls_filter(), call, first, second, third);
}

/* Arguments that any list looks at, and one that is none of those. */
static const uint64_t arguments[] = {0, 1, 2, 3, 4, 7, 10, 16, 17, 38, 47, 0x3d0f00, CLONE_THREAD, CLONE_NEWNET, SOCK_STREAM,
				     SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK};

#define ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

/* Calls fn for every call and arguments that the list allows. */
static size_t each_allowed(struct eg_jail_filter filter, void (*fn)(int call, uint64_t first, uint64_t second))
{
	size_t allowed = 0;

	for (int call = 0; call < CALLS; call++) {
		for (size_t i = 0; i < ARGUMENTS * ARGUMENTS; i++) {
			uint64_t first = arguments[i / ARGUMENTS], second = arguments[i % ARGUMENTS];

			if (ask(filter, call, first, second, 0) != SECCOMP_RET_ALLOW)
				continue;
			fn(call, first, second);
			allowed++;
		}
	}
	return allowed;
}

/* ---- Lists ---------------------------------------------------------------------------------------- */

static void agent_allows_it(int call, uint64_t first, uint64_t second)
{
	if (agent(call, first, second, 0) != SECCOMP_RET_ALLOW)
		fail_msg("a child may make call %d (%#lx, %#lx), but not under the agent's list", call, first, second);
}

/* Children have the agent's list as well: what theirs allows and it doesn't, they can't do. */
static void what_children_may_the_agent_may(void **state)
{
	(void)state;
	assert_true(each_allowed(eg_ship_filter(), agent_allows_it) > 0);
	assert_true(each_allowed(eg_sync_filter(), agent_allows_it) > 0);
	assert_true(each_allowed(eg_lookup_filter(), agent_allows_it) > 0);
	assert_true(each_allowed(eg_syscalls_idle_filter(), agent_allows_it) > 0);
}

/* With CAP_SYS_ADMIN, CAP_BPF and CAP_SYS_PTRACE each of these would be a way to everything else. */
static void what_opens_the_rest_of_the_kernel_is_refused(void **state)
{
	static const int refused[] = {
		SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
		SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_fspick, SYS_mount_setattr, SYS_unshare,
		SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_swapon,
		SYS_swapoff, SYS_iopl, SYS_ioperm, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl, SYS_add_key, SYS_request_key,
		SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
		SYS_sethostname, SYS_setdomainname, SYS_acct, SYS_quotactl, SYS_syslog, SYS_personality, SYS_mknod, SYS_mknodat,
		SYS_fanotify_init, SYS_execveat, SYS_fork, SYS_vfork, SYS_kill, SYS_tkill, SYS_setuid, SYS_setreuid, SYS_shmat,
		SYS_pkey_mprotect, SYS_modify_ldt,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (agent(refused[i], 0, 0, 0) != EPERMS)
			fail_msg("call %d is not refused", refused[i]);
	}
	assert_int_equal(agent(CALLS, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS); /* newer than the list: libraries fall back */
}

static void of_calls_with_many_meanings_few_are_left(void **state)
{
	static const uint64_t spaces[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
					  CLONE_NEWNET};

	(void)state;
	assert_int_equal(agent(SYS_setns, 3, CLONE_NEWNET, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_setns, 3, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_setns, 3, CLONE_NEWNS, 0), EPERMS);
	assert_int_equal(agent(SYS_setns, 3, CLONE_NEWNET | CLONE_NEWUSER, 0), EPERMS);
	assert_int_equal(agent(SYS_clone3, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS); /* its flags can't be seen */
	assert_int_equal(agent(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_clone, SIGCHLD, 0, 0), SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		assert_int_equal(agent(SYS_clone, spaces[i] | SIGCHLD, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_sched_setscheduler, 0, SCHED_RR, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_sched_setscheduler, 0, SCHED_OTHER, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_sched_setscheduler, 0, SCHED_FIFO, 0), EPERMS);
	assert_int_equal(agent(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EPERMS);
	assert_int_equal(agent(SYS_mprotect, 0, 4096, PROT_READ), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC), EPERMS);
	for (uint64_t family = 0; family < AF_MAX; family++)
		assert_int_equal(agent(SYS_socket, family, SOCK_DGRAM, 0),
				 family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK
					 ? SECCOMP_RET_ALLOW : EPERMS);
	assert_int_equal(agent(SYS_prctl, PR_SET_NAME, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_prctl, PR_SET_MM, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_prctl, PR_SET_PTRACER, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_prctl, PR_SET_SECUREBITS, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_bpf, BPF_PROG_LOAD, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_bpf, BPF_LINK_UPDATE, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(agent(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_bpf, BPF_ITER_CREATE, 0, 0), EPERMS);
	assert_int_equal(agent(SYS_bpf, BPF_PROG_GET_NEXT_ID, 0, 0), EPERMS);
}

static void calls_of_other_architectures_end_it(void **state)
{
	struct eg_jail_filter (*const lists[])(void) = {eg_syscalls_filter, eg_ship_filter, eg_sync_filter, eg_lookup_filter,
							eg_syscalls_idle_filter};
	const struct seccomp_data i386 = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};
	const struct seccomp_data x32 = {.nr = 0x40000000 | SYS_read, .arch = AUDIT_ARCH_X86_64};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		assert_int_equal(run(lists[i](), &i386), SECCOMP_RET_KILL_PROCESS);
		assert_int_equal(run(lists[i](), &x32), SECCOMP_RET_KILL_PROCESS);
	}
}

/* ---- Giving up ---------------------------------------------------------------------------------------- */

static uint64_t status_bits(const char *key)
{
	unsigned long long bits = ~0ull;
	char line[256];
	FILE *file = fopen("/proc/thread-self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), " %llx", &bits);
	}
	if (file)
		fclose(file);
	return bits;
}

/* 0, or the number of the line that found something else. */
#define WANT(what) do { if (!(what)) return __LINE__; } while (0)

static int what_is_left(void)
{
	struct eg_error err = {0};
	enum { NEEDED, WANTED, SHARED };
	uint64_t table = 0, children = 0;

#define EG_PRIVILEGE(name, kind, why) table |= 1ull << CAP_##name; children |= (kind) == SHARED ? 1ull << CAP_##name : 0;
#include "../../agent/core/privileges.def"
#undef EG_PRIVILEGE
	WANT(eg_privileges_drop(&err) == 0);
	WANT(status_bits("CapPrm:") == table && status_bits("CapEff:") == table);
	WANT(status_bits("CapBnd:") == children && status_bits("CapAmb:") == 0 && status_bits("CapInh:") == 0);
	WANT(status_bits("NoNewPrivs:") == 1 && status_bits("Seccomp:") == 2);
	WANT(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	WANT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 && errno == EPERM);
	WANT(syscall(SYS_add_key, "user", "egret", "", 0, 0) == -1 && errno == EPERM);
	WANT(unshare(CLONE_NEWNS) == -1 && errno == EPERM);
	WANT(syscall(SYS_chroot, "/") == -1 && errno == EPERM);
	return 0;
}

static pid_t child; /* the last one */

static int in_child(int (*fn)(void))
{
	int status = -1;

	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int line = fn();

		_exit(line < 256 ? line : 255);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void what_egretd_has_is_the_table(void **state)
{
	(void)state;
	assert_int_equal(in_child(what_is_left), 0);
}

static int lacks_one(void)
{
	struct eg_error err = {0};

	WANT(eg_jail_keep(status_bits("CapPrm:") & ~(1ull << CAP_SYS_PTRACE)) == 0);
	WANT(eg_privileges_drop(&err) < 0);
	WANT(strstr(err.message, "lacks CAP_SYS_PTRACE, which it needs for "));
	WANT(status_bits("Seccomp:") == 0);
	return 0;
}

static void a_missing_capability_is_named(void **state)
{
	(void)state;
	assert_int_equal(in_child(lacks_one), 0);
}

static int lacks_what_is_wanted(void)
{
	const uint64_t nice = 1ull << CAP_SYS_NICE;
	struct eg_error err = {0};

	WANT(eg_jail_keep(status_bits("CapPrm:") & ~nice) == 0);
	WANT(eg_privileges_drop(&err) == 0);
	WANT(!(status_bits("CapPrm:") & nice) && status_bits("Seccomp:") == 2);
	return 0;
}

static void what_is_only_wanted_may_be_missing(void **state)
{
	(void)state;
	assert_int_equal(in_child(lacks_what_is_wanted), 0);
}

static int is_nobody(void)
{
	struct eg_error err = {0};

	WANT(eg_jail_become(65534, 65534) == 0);
	WANT(eg_privileges_drop(&err) < 0 && strstr(err.message, "needs root"));
	return 0;
}

static void another_user_is_told_that_root_is_needed(void **state)
{
	(void)state;
	assert_int_equal(in_child(is_nobody), 0);
}

/* The kernel refuses a filter to who could gain privileges and has no CAP_SYS_ADMIN: the start fails with it. */
static int can_not_filter(void)
{
	static const struct sock_filter no_more[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct eg_error err = {0};

	WANT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	WANT(eg_jail_filter((struct eg_jail_filter){no_more, sizeof(no_more) / sizeof(no_more[0])}) == 0);
	WANT(eg_privileges_drop(&err) < 0 && strstr(err.message, "CONFIG_SECCOMP_FILTER"));
	return 0;
}

/* clone3 is what the C library tries for each thread, and no news; the other one nobody foresaw. */
static int makes_two_calls(void)
{
	struct eg_error err = {0};

	WANT(eg_privileges_drop(&err) == 0);
	WANT(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
	WANT(syscall(SYS_add_key, "user", "egret", "", 0, 0) == -1 && errno == EPERM);
	return 0;
}

/* The kernel tells whoever listens; what goes to its log or to auditd. Of others' calls as well. */
static int open_audit(void)
{
	const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = 1u << (AUDIT_NLGRP_READLOG - 1)};
	const struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	assert_true(fd >= 0 && bind(fd, (const struct sockaddr *)&group, sizeof(group)) == 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

/* The next record of a call that was refused to the child. */
static void next_refusal(int audit, char *ret_text, size_t size)
{
	union {
		struct nlmsghdr head;
		char bytes[8192];
	} message;
	char pid[32];

	snprintf(pid, sizeof(pid), " pid=%d ", child);
	do {
		ssize_t n = recv(audit, &message, sizeof(message) - 1, 0);

		assert_true(n >= (ssize_t)sizeof(message.head));
		message.bytes[n] = '\0';
		snprintf(ret_text, size, "%s", message.bytes + NLMSG_HDRLEN);
	} while (message.head.nlmsg_type != AUDIT_SECCOMP || !strstr(ret_text, pid));
}

static void a_refused_call_is_told(void **state)
{
	int audit = open_audit();
	char text[8192], call[32];

	(void)state;
	assert_int_equal(in_child(makes_two_calls), 0);
	next_refusal(audit, text, sizeof(text));
	snprintf(call, sizeof(call), " syscall=%d ", SYS_add_key);
	assert_true(strstr(text, call) && strstr(text, " sig=0 "));
	close(audit);
}

static void a_kernel_that_can_not_filter_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(in_child(can_not_filter), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_children_may_the_agent_may),
		cmocka_unit_test(what_opens_the_rest_of_the_kernel_is_refused),
		cmocka_unit_test(of_calls_with_many_meanings_few_are_left),
		cmocka_unit_test(calls_of_other_architectures_end_it),
		cmocka_unit_test(what_egretd_has_is_the_table),
		cmocka_unit_test(a_missing_capability_is_named),
		cmocka_unit_test(what_is_only_wanted_may_be_missing),
		cmocka_unit_test(another_user_is_told_that_root_is_needed),
		cmocka_unit_test(a_refused_call_is_told),
		cmocka_unit_test(a_kernel_that_can_not_filter_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

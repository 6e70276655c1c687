// SPDX-License-Identifier: Apache-2.0
/* As root, in a network namespace of its own that plays the host's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/link/vxlan.h>

#include "../../agent/core/netns.h"

static int setup(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET);
}

static void write_file(const char *path, const char *text)
{
	EG_CLOSE int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(1);
}

static void drop_caps(bool bounding)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (unsigned long cap = 0; bounding && cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &head, none))
		_exit(1);
}

static void own_namespaces(int flags)
{
	if (unshare(flags))
		_exit(1);
	if (flags & CLONE_NEWUSER) {
		write_file("/proc/self/setgroups", "deny");
		write_file("/proc/self/uid_map", "0 0 1");
	}
}

static void as_nobody(void)
{
	if (setresuid(65534, 65534, 65534))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* ---- The children: what they are, and whether they could rewrite their packets -------- */

static void in_the_hosts(void) {}
static void root_elsewhere(void) { own_namespaces(CLONE_NEWNET); }
static void root_of_own_user_namespace(void) { own_namespaces(CLONE_NEWUSER | CLONE_NEWNET); }
static void nobody_elsewhere(void)
{
	own_namespaces(CLONE_NEWNET);
	as_nobody();
}
static void container_root(void) /* what a container runtime leaves: no CAP_NET_ADMIN at all */
{
	own_namespaces(CLONE_NEWNET);
	drop_caps(true);
}
static void caps_put_aside(void) /* execve gives them back */
{
	own_namespaces(CLONE_NEWUSER | CLONE_NEWNET);
	drop_caps(false);
}
static void caps_gone_for_good(void)
{
	own_namespaces(CLONE_NEWUSER | CLONE_NEWNET);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	drop_caps(false);
}
static void root_of_a_user_namespace_beside(void) /* its network namespace belongs to the host's root */
{
	own_namespaces(CLONE_NEWNET);
	own_namespaces(CLONE_NEWUSER);
}

static pid_t start(void (*become)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void who_has_rights(void **state)
{
	static const struct {
		void (*become)(void);
		unsigned int rights;
	} cases[] = {
		{ in_the_hosts, EG_NETNS_RAW_HERE },
		{ root_elsewhere, EG_NETNS_ADMIN | EG_NETNS_RAW },
		{ root_of_own_user_namespace, EG_NETNS_ADMIN | EG_NETNS_RAW },
		{ nobody_elsewhere, 0 },
		{ container_root, 0 },
		{ caps_put_aside, EG_NETNS_ADMIN | EG_NETNS_RAW },
		{ caps_gone_for_good, 0 },
		{ root_of_a_user_namespace_beside, 0 },
	};
	unsigned int rights;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t pid = start(cases[i].become);
		int r = eg_netns_rights(pid, &rights);

		end(pid);
		assert_int_equal(r, 0);
		if (rights != cases[i].rights)
			fail_msg("case %zu: %u", i, rights);
	}
	assert_int_equal(eg_netns_rights(1 << 22, &rights), -ESRCH);
}

static int cookie_here(void *ctx)
{
	return eg_netns_cookie(ctx);
}

static void each_namespace_once(void **state)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = { 0 };
	pid_t pid = start(root_elsewhere);
	uint64_t here, there = 0, again;
	int self = eg_netns_open_self();

	(void)state;
	assert_int_equal(eg_netns_set_add_fd(&set, self), 1);
	assert_int_equal(eg_netns_set_add_fd(&set, self), 0);
	assert_int_equal(eg_netns_set_add_pid(&set, getpid()), 0);
	assert_int_equal(set.count, 1);
	assert_int_equal(eg_netns_set_add_pid(&set, pid), 0);
	assert_int_equal(set.count, 2);
	end(pid);
	assert_int_equal(eg_netns_cookie(&here), 0);
	assert_int_equal(eg_netns_run(set.items[1].fd, cookie_here, &there), 0); /* lives on by its fd */
	assert_int_equal(eg_netns_run(set.items[0].fd, cookie_here, &again), 0);
	assert_int_not_equal(here, there);
	assert_int_equal(here, again);
	assert_int_equal(eg_netns_set_add_pid(&set, pid), -ESRCH);
	assert_int_not_equal(eg_netns_run(STDIN_FILENO, cookie_here, &again), 0);
	close(self);
}

/* An app may make more of them than we have descriptors for. */
static void few_are_held(void **state)
{
	enum { COUNT = EG_NETNS_HELD + 4 };
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = { 0 }, small = { .most = 2 };
	pid_t pids[COUNT];
	uint64_t inode;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		pids[i] = start(root_elsewhere);
		assert_int_equal(eg_netns_set_add_pid(&set, pids[i]), 0);
		assert_int_equal(set.items[i].fd >= 0, i < EG_NETNS_HELD);
		assert_int_equal(eg_netns_set_add_pid(&small, pids[i]), i < 2 ? 0 : -E2BIG);
	}
	assert_int_equal(set.count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		EG_CLOSE int fd = eg_netns_open(&set.items[i]);

		assert_int_equal(eg_netns_inode(fd, &inode), 0);
		assert_int_equal(inode, set.items[i].inode);
	}
	set.items[COUNT - 1].tid = set.items[COUNT - 1].pid = getpid(); /* as if it had gone elsewhere */
	assert_int_equal(eg_netns_open(&set.items[COUNT - 1]), -ESRCH);
	for (int i = 0; i < COUNT; i++)
		end(pids[i]);
	assert_int_equal(eg_netns_open(&set.items[COUNT - 2]), -ESRCH);
}

static void make_veth(const char *name, const char *peer, pid_t pid)
{
	struct nl_sock *sock = nl_socket_alloc();

	assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
	assert_int_equal(rtnl_link_veth_add(sock, name, peer, pid), 0);
	nl_socket_free(sock);
}

static void ways_out(void **state)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = { 0 };
	EG_FREE struct eg_netns_uplink *links = NULL;
	pid_t pid = start(root_elsewhere), beside = start(root_elsewhere);
	size_t count = 0, veths = 0;

	(void)state;
	assert_int_equal(eg_netns_set_add_pid(&set, pid), 0);
	make_veth("egt0", "egt1", pid);
	make_veth("egt2", "egt3", pid);
	make_veth("egt4", "egt5", beside); /* leads elsewhere */
	assert_int_equal(eg_netns_uplinks(set.items[0].fd, &links, &count), 0);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(links[i].kind, "veth") != 0)
			continue; /* tunnels that the kernel makes in every namespace */
		veths++;
		assert_true(strcmp(links[i].name, "egt1") == 0 || strcmp(links[i].name, "egt3") == 0);
		assert_int_equal(links[i].host_ifindex,
				 if_nametoindex(strcmp(links[i].name, "egt1") == 0 ? "egt0" : "egt2"));
		assert_true(links[i].ifindex > 1);
	}
	assert_int_equal(veths, 2);
	end(pid);
	end(beside);
}

/* A tunnel, in the namespace of pid; made from here, it goes on sending here. */
static int make_vxlan(struct nl_sock *sock, const char *name, uint32_t id, pid_t pid)
{
	struct rtnl_link *link = rtnl_link_vxlan_alloc();
	int r;

	rtnl_link_set_name(link, name);
	rtnl_link_vxlan_set_id(link, id);
	if (pid)
		rtnl_link_set_ns_pid(link, pid);
	r = rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	return r;
}

static int make_inside(void *ctx)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r = nl_connect(sock, NETLINK_ROUTE);

	(void)ctx;
	if (!r)
		r = make_vxlan(sock, "egin0", 7, 0);
	if (!r)
		r = rtnl_link_bridge_add(sock, "egin1");
	nl_socket_free(sock);
	return r;
}

static void tunnels_are_inner_unless_they_send_elsewhere(void **state)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = { 0 };
	EG_FREE struct eg_netns_uplink *links = NULL;
	pid_t pid = start(root_elsewhere);
	struct nl_sock *sock = nl_socket_alloc();
	size_t count = 0, inner = 0, outer = 0;

	(void)state;
	assert_int_equal(eg_netns_set_add_pid(&set, pid), 0);
	assert_int_equal(eg_netns_run(set.items[0].fd, make_inside, NULL), 0);
	assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
	assert_int_equal(make_vxlan(sock, "egout0", 8, pid), 0);
	make_veth("egt6", "egout1", pid);
	assert_int_equal(eg_netns_uplinks(set.items[0].fd, &links, &count), 0);
	for (size_t i = 0; i < count; i++) {
		if (strncmp(links[i].name, "egin", 4) == 0)
			inner += links[i].inner;
		if (strncmp(links[i].name, "egout", 5) == 0)
			outer += !links[i].inner;
	}
	assert_int_equal(inner, 2);
	assert_int_equal(outer, 2);
	nl_socket_free(sock);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_rights),
		cmocka_unit_test(each_namespace_once),
		cmocka_unit_test(few_are_held),
		cmocka_unit_test(ways_out),
		cmocka_unit_test(tunnels_are_inner_unless_they_send_elsewhere),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

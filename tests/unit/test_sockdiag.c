// SPDX-License-Identifier: Apache-2.0
/*
 * On the real kernel, as root: a namespace and cgroups of its own. A socket belongs to
 * the cgroup its maker was in at that moment, so one process can play every part.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/cgroupfs.h"
#include "../../agent/core/netns.h"
#include "../../agent/core/sockdiag.h"

#define FLOWS 50 /* of each family */

static struct eg_cgroupfs *fs;
static char home[PATH_MAX]; /* cgroup we came from */
static char top[64], app[80], nested[96], other[80];
static uint64_t app_id;
static int home_netns = -1;
static int first_fd; /* of those that a test opens */

static int move_to(const char *path)
{
	EG_CLOSE int dir = eg_cgroupfs_open_dir(fs, path, false);
	EG_CLOSE int procs = dir < 0 ? -1 : openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	return procs >= 0 && write(procs, "0", 1) == 1 ? 0 : -1;
}

static int loopback_up(void)
{
	EG_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	return ioctl(fd, SIOCSIFFLAGS, &req);
}

union addr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(union addr *addr, int family, uint16_t port)
{
	memset(addr, 0, sizeof(*addr));
	addr->any.sa_family = (sa_family_t)family;
	if (family == AF_INET6) {
		addr->in6.sin6_addr = in6addr_loopback;
		addr->in6.sin6_port = htons(port);
		return sizeof(addr->in6);
	}
	addr->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr->in.sin_port = htons(port);
	return sizeof(addr->in);
}

/* Bound to the loopback address; for TCP listening. Returns the fd, and the port. */
static int bound(int family, int type, int backlog, uint16_t *ret_port)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	union addr addr;
	socklen_t len = loopback(&addr, family, 0);

	if (fd < 0 || bind(fd, &addr.any, len) || (type == SOCK_STREAM && listen(fd, backlog)) ||
	    getsockname(fd, &addr.any, &len))
		return -1;
	*ret_port = ntohs(family == AF_INET6 ? addr.in6.sin6_port : addr.in.sin_port);
	return fd;
}

static int connected(int family, int type, uint16_t port)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	union addr addr;
	socklen_t len = loopback(&addr, family, port);

	return fd >= 0 && connect(fd, &addr.any, len) == 0 ? fd : -1;
}

/* What a reader sees now: 0 nothing, -ECONNABORTED cut, 1 data or end. */
static int seen(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n >= 0 ? 1 : errno == EAGAIN ? 0 : -errno;
}

static void wait_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, 5000), 1);
}

static struct eg_cut cut_app(void)
{
	struct eg_cut_request request = { .cgroup_ids = &app_id, .cgroup_count = 1 };
	struct eg_cut cut;

	assert_int_equal(eg_sockdiag_cut(fs, &request, &cut), 0);
	return cut;
}

static int setup_group(void **state)
{
	(void)state;
	if (eg_cgroupfs_open(NULL, &fs) || eg_cgroupfs_of_pid(getpid(), home))
		return -1;
	snprintf(top, sizeof(top), "egret-sockdiag-%d", (int)getpid());
	snprintf(app, sizeof(app), "%s/app", top);
	snprintf(nested, sizeof(nested), "%s/app/nested", top);
	snprintf(other, sizeof(other), "%s/other", top);
	home_netns = eg_netns_open_self();
	if (home_netns < 0 || eg_cgroupfs_make(fs, nested) || eg_cgroupfs_make(fs, other) ||
	    eg_cgroupfs_id(fs, app, &app_id))
		return -1;
	first_fd = dup(home_netns); /* the lowest one free, and all above it are */
	return first_fd < 0 || close(first_fd) || unshare(CLONE_NEWNET) || loopback_up();
}

static int teardown_group(void **state)
{
	(void)state;
	move_to(home);
	eg_cgroupfs_remove(fs, nested);
	eg_cgroupfs_remove(fs, app);
	eg_cgroupfs_remove(fs, other);
	if (eg_cgroupfs_remove(fs, top) || setns(home_netns, CLONE_NEWNET))
		return -1;
	close(home_netns);
	eg_cgroupfs_close(fs);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_range((unsigned int)first_fd, ~0u, 0); /* the sockets of the test, also of one that failed */
	return move_to(home);
}

static void cuts_every_flow_of_nested_cgroups_and_nothing_else(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int client[2 * FLOWS], server[2 * FLOWS], listener[2];
	uint16_t port[2];
	struct eg_cut cut;

	(void)state;
	for (int f = 0; f < 2; f++) {
		assert_int_equal(move_to(other), 0);
		listener[f] = bound(families[f], SOCK_STREAM, FLOWS, &port[f]);
		assert_int_equal(move_to(nested), 0);
		for (int i = f * FLOWS; i < (f + 1) * FLOWS; i++) {
			client[i] = connected(families[f], SOCK_STREAM, port[f]);
			server[i] = accept(listener[f], NULL, NULL);
			assert_true(client[i] >= 0 && server[i] >= 0);
		}
	}
	cut = cut_app();
	print_message("%u flows cut in %lu us\n", cut.flows, (unsigned long)cut.took_ns / 1000);
	assert_int_equal(cut.sockets, 2 * FLOWS);
	assert_int_equal(cut.flows, 2 * FLOWS);
	assert_int_equal(cut.tcp, 2 * FLOWS);
	assert_int_equal(cut.udp + cut.missed + cut.gone, 0);
	for (int i = 0; i < 2 * FLOWS; i++) {
		assert_int_equal(seen(client[i]), -ECONNABORTED);
		wait_readable(server[i]);
		assert_int_equal(seen(server[i]), -ECONNRESET);
	}
	assert_int_equal(move_to(other), 0);
	for (int f = 0; f < 2; f++)
		assert_true(connected(families[f], SOCK_STREAM, port[f]) >= 0);
	assert_int_equal(cut_app().sockets, 0);
}

static void cuts_listeners_their_queue_and_connecting_sockets(void **state)
{
	uint16_t port, full_port;
	int listener, waiting, full, connecting;
	union addr addr;
	socklen_t len;
	struct eg_cut cut;

	(void)state;
	assert_int_equal(move_to(nested), 0);
	listener = bound(AF_INET, SOCK_STREAM, 8, &port);
	assert_int_equal(move_to(other), 0);
	waiting = connected(AF_INET, SOCK_STREAM, port); /* never accepted */
	full = bound(AF_INET, SOCK_STREAM, 0, &full_port);
	assert_true(connected(AF_INET, SOCK_STREAM, full_port) >= 0);
	assert_int_equal(move_to(app), 0);
	connecting = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	len = loopback(&addr, AF_INET, full_port); /* no place in the queue: the SYN stays unanswered */
	assert_int_equal(connect(connecting, &addr.any, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_true(listener >= 0 && waiting >= 0 && full >= 0);

	cut = cut_app();
	assert_int_equal(cut.sockets, 3); /* the listener, its child and the connecting one */
	assert_int_equal(cut.flows, 1);
	wait_readable(waiting);
	assert_int_equal(seen(waiting), -ECONNRESET);
	assert_int_equal(seen(connecting), -ECONNABORTED);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(move_to(other), 0);
	assert_int_equal(connected(AF_INET, SOCK_STREAM, port), -1);
}

static void cuts_udp_unless_told_not_to(void **state)
{
	struct eg_cut_request tcp_only = { .cgroup_ids = &app_id, .cgroup_count = 1, .tcp_only = true };
	int listening, talking4, talking6;
	struct eg_cut cut;
	uint16_t port;

	(void)state;
	assert_int_equal(move_to(app), 0);
	listening = bound(AF_INET, SOCK_DGRAM, 0, &port);
	talking4 = connected(AF_INET, SOCK_DGRAM, port);
	talking6 = connected(AF_INET6, SOCK_DGRAM, 9);
	assert_true(listening >= 0 && talking4 >= 0 && talking6 >= 0);
	assert_int_equal(eg_sockdiag_cut(fs, &tcp_only, &cut), 0);
	assert_int_equal(cut.sockets, 0);
	assert_int_equal(seen(talking4), 0);

	cut = cut_app();
	assert_int_equal(cut.udp, 3);
	assert_int_equal(cut.sockets, 3);
	assert_int_equal(cut.flows, 2);
	assert_int_equal(seen(listening), -ECONNABORTED);
	assert_int_equal(seen(talking4), -ECONNABORTED);
	assert_int_equal(seen(talking6), -ECONNABORTED);
}

static bool is_port(void *ctx, const struct eg_sockdiag_sock *sock)
{
	static const unsigned char loopback4[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };

	return sock->peer_port == *(uint16_t *)ctx && sock->proto == IPPROTO_TCP && sock->family == AF_INET &&
	       memcmp(sock->peer.b, loopback4, sizeof(loopback4)) == 0 &&
	       memcmp(sock->local.b, loopback4, sizeof(loopback4)) == 0;
}

static void filter_decides(void **state)
{
	struct eg_cut_request request = { .cgroup_ids = &app_id, .cgroup_count = 1, .filter = is_port };
	uint16_t denied, allowed;
	int to_denied, to_allowed;
	struct eg_cut cut;

	(void)state;
	assert_int_equal(move_to(other), 0);
	assert_true(bound(AF_INET, SOCK_STREAM, 4, &denied) >= 0);
	assert_true(bound(AF_INET, SOCK_STREAM, 4, &allowed) >= 0);
	assert_int_equal(move_to(app), 0);
	to_denied = connected(AF_INET, SOCK_STREAM, denied);
	to_allowed = connected(AF_INET, SOCK_STREAM, allowed);
	request.filter_ctx = &denied;
	assert_int_equal(eg_sockdiag_cut(fs, &request, &cut), 0);
	assert_int_equal(cut.sockets, 1);
	assert_int_equal(seen(to_denied), -ECONNABORTED);
	assert_int_equal(seen(to_allowed), 0);
}

static void many_cgroups_are_filtered_here(void **state)
{
	uint64_t ids[200];
	struct eg_cut_request request = { .cgroup_ids = ids, .cgroup_count = 200 };
	uint16_t port;
	struct eg_cut cut;
	int theirs;

	(void)state;
	assert_int_equal(move_to(other), 0);
	theirs = bound(AF_INET, SOCK_DGRAM, 0, &port);
	assert_int_equal(move_to(app), 0);
	for (uint64_t i = 0; i < 200; i++)
		ids[i] = (1ull << 48) + i; /* no such cgroup: as good as removed */
	for (size_t n = 0; n < 200; n += 50) { /* 1 .. 151 ids: both sides of the limit, every place in the chain */
		int mine = bound(AF_INET, SOCK_DGRAM, 0, &port);

		ids[n] = app_id;
		request.cgroup_count = n + 1;
		assert_int_equal(eg_sockdiag_cut(fs, &request, &cut), 0);
		assert_int_equal(cut.sockets, 1);
		assert_int_equal(seen(mine), -ECONNABORTED);
		ids[n] = 1ull << 49;
	}
	assert_int_equal(seen(theirs), 0);
}

static void sockets_of_a_removed_cgroup(void **state)
{
	struct eg_cut_request request = { .cgroup_count = 1 };
	char path[120];
	uint64_t id;
	struct eg_cut cut;
	uint16_t port;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/gone", app);
	assert_int_equal(eg_cgroupfs_make(fs, path), 0);
	assert_int_equal(eg_cgroupfs_id(fs, path, &id), 0);
	assert_int_equal(move_to(path), 0);
	fd = bound(AF_INET6, SOCK_STREAM, 1, &port);
	assert_int_equal(move_to(home), 0);
	assert_int_equal(eg_cgroupfs_remove(fs, path), 0);
	request.cgroup_ids = &id;
	assert_int_equal(eg_sockdiag_cut(fs, &request, &cut), 0);
	assert_int_equal(cut.sockets, 1);
	assert_int_equal(connected(AF_INET6, SOCK_STREAM, port), -1);
	assert_true(fd >= 0);
}

static void a_shared_udp_port_is_cut_or_counted(void **state)
{
	int one = 1, fd[3];
	uint16_t port = 0;
	union addr addr;
	socklen_t len;
	struct eg_cut cut;

	(void)state;
	assert_int_equal(move_to(app), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		len = loopback(&addr, AF_INET, port);
		assert_int_equal(bind(fd[i], &addr.any, len), 0);
		assert_int_equal(getsockname(fd[i], &addr.any, &len), 0);
		port = ntohs(addr.in.sin_port);
	}
	cut = cut_app();
	assert_int_equal(cut.sockets + cut.missed, 3);
	assert_int_equal(cut.gone, 0);
	assert_int_equal((seen(fd[0]) < 0) + (seen(fd[1]) < 0) + (seen(fd[2]) < 0), cut.sockets);
}

/* ---- Other tasks ------------------------------------------------------------------- */

/* A child that makes a connection to itself somewhere, says so, and later tells what it sees. */
struct child {
	pid_t pid;
	int fd;
};

enum { IN_OWN_NAMESPACE, IN_NAMESPACE_LEFT, IN_THREAD, FOREIGN };

static int self_connection(void)
{
	uint16_t port;
	int listener = bound(AF_INET, SOCK_STREAM, 1, &port), fd = connected(AF_INET, SOCK_STREAM, port);

	return accept(listener, NULL, NULL) >= 0 ? fd : -1;
}

static void *connection_in_a_namespace(void *ret_fd)
{
	*(int *)ret_fd = unshare(CLONE_NEWNET) || loopback_up() ? -1 : self_connection();
	return NULL;
}

static void *thread_with_a_namespace(void *ret_fd)
{
	int fd;

	connection_in_a_namespace(&fd);
	__atomic_store_n((int *)ret_fd, fd, __ATOMIC_SEQ_CST);
	pause();
	return NULL;
}

static void child_main(int how, int fd)
{
	int sock = -2, mine = -1, answer[2];
	pthread_t thread;
	char byte = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (move_to(how == FOREIGN ? other : app))
		_exit(1);
	if (how == IN_THREAD) {
		pthread_create(&thread, NULL, thread_with_a_namespace, &sock);
		while (__atomic_load_n(&sock, __ATOMIC_SEQ_CST) == -2)
			sched_yield();
	} else {
		connection_in_a_namespace(&sock);
	}
	if (how == IN_NAMESPACE_LEFT && unshare(CLONE_NEWNET))
		_exit(1);
	if (how == FOREIGN) {
		if (move_to(app))
			_exit(1);
		mine = self_connection();
	}
	if (sock < 0 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		_exit(1);
	answer[0] = seen(sock);
	answer[1] = mine >= 0 ? seen(mine) : 0;
	_exit(write(fd, answer, sizeof(answer)) != sizeof(answer));
}

static struct child child_start(int how)
{
	struct child child;
	int pair[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	child.pid = fork();
	if (child.pid == 0) {
		close(pair[0]);
		child_main(how, pair[1]);
	}
	close(pair[1]);
	child.fd = pair[0];
	assert_int_equal(read(child.fd, &byte, 1), 1);
	return child;
}

static void child_end(struct child child, int ret_seen[2])
{
	int status;

	assert_int_equal(write(child.fd, "x", 1), 1);
	assert_int_equal(read(child.fd, ret_seen, 2 * sizeof(int)), 2 * sizeof(int));
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_int_equal(status, 0);
}

static void other_namespaces(void **state)
{
	uint64_t before, after;
	int fd = eg_netns_open_self();

	(void)state;
	assert_int_equal(eg_netns_inode(fd, &before), 0);
	close(fd);
	for (int how = IN_OWN_NAMESPACE; how <= IN_THREAD; how++) {
		struct child child = child_start(how);
		struct eg_cut cut = cut_app();
		int answer[2];

		child_end(child, answer);
		/* Listener, client, server; the end that is cut first resets the other. */
		assert_int_equal(cut.sockets + cut.gone, 3);
		assert_true(answer[0] == -ECONNABORTED || answer[0] == -ECONNRESET);
		assert_int_equal(cut.namespaces, how == IN_OWN_NAMESPACE || how == IN_THREAD ? 2 : 3);
	}
	fd = eg_netns_open_self();
	assert_int_equal(eg_netns_inode(fd, &after), 0);
	close(fd);
	assert_int_equal(before, after);
}

static void foreign_sockets_only(void **state)
{
	struct eg_cut_request request = { .cgroup_ids = &app_id, .cgroup_count = 1 };
	struct child child = child_start(FOREIGN);
	struct eg_cut cut;
	int answer[2];

	(void)state;
	assert_int_equal(eg_sockdiag_cut_foreign(fs, &request, &cut), 0);
	child_end(child, answer);
	assert_true(answer[0] == -ECONNABORTED || answer[0] == -ECONNRESET);
	assert_int_equal(answer[1], 0);
	assert_int_equal(cut.sockets + cut.gone, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(cuts_every_flow_of_nested_cgroups_and_nothing_else, teardown),
		cmocka_unit_test_teardown(cuts_listeners_their_queue_and_connecting_sockets, teardown),
		cmocka_unit_test_teardown(cuts_udp_unless_told_not_to, teardown),
		cmocka_unit_test_teardown(filter_decides, teardown),
		cmocka_unit_test_teardown(many_cgroups_are_filtered_here, teardown),
		cmocka_unit_test_teardown(sockets_of_a_removed_cgroup, teardown),
		cmocka_unit_test_teardown(a_shared_udp_port_is_cut_or_counted, teardown),
		cmocka_unit_test_teardown(other_namespaces, teardown),
		cmocka_unit_test_teardown(foreign_sockets_only, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

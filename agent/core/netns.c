// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cgroupfs.h"
#include "tasksock.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

void eg_netns_set_clear(struct eg_netns_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].fd >= 0)
			close(set->items[i].fd);
	free(set->items);
	*set = (struct eg_netns_set){ 0 };
}

static bool set_has(const struct eg_netns_set *set, uint64_t inode)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].inode == inode)
			return true;
	return false;
}

/* found: with an fd, which is taken, also when it fails. 1 if it is new, 0 if it is there already, -errno. */
static int set_take(struct eg_netns_set *set, struct eg_netns found)
{
	EG_CLOSE int owned = found.fd;
	int r = eg_netns_inode(owned, &found.inode);

	if (r)
		return r;
	if (set_has(set, found.inode))
		return 0;
	if (set->most && set->count == set->most)
		return -E2BIG;
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 8;
		struct eg_netns *items = reallocarray(set->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		set->items = items;
		set->room = room;
	}
	found.fd = set->count < EG_NETNS_HELD ? EG_TAKE_FD(owned) : -1;
	set->items[set->count++] = found;
	return 1;
}

int eg_netns_set_add_fd(struct eg_netns_set *set, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : set_take(set, (struct eg_netns){.fd = copy, .sock = -1});
}

static int open_of_task(pid_t pid, pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", (int)pid, (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) /* a thread that has ended, or a zombie */
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

static int open_of_socket(pid_t pid, pid_t tid, int fd)
{
	EG_CLOSE int sock = eg_tasksock_get(pid, tid, fd);
	int ns = sock < 0 ? -1 : ioctl(sock, SIOCGSKNS);

	return ns < 0 ? -ESRCH : ns; /* closed meanwhile, or a table that this kernel doesn't open to us */
}

int eg_netns_open(const struct eg_netns *netns)
{
	EG_CLOSE int fd = -1;
	uint64_t inode = 0;
	int r;

	if (netns->fd >= 0)
		fd = fcntl(netns->fd, F_DUPFD_CLOEXEC, 3);
	else if (netns->sock >= 0)
		fd = open_of_socket(netns->pid, netns->tid, netns->sock);
	else
		fd = open_of_task(netns->pid, netns->tid);
	if (fd < 0)
		return netns->fd >= 0 ? -errno : fd;
	r = eg_netns_inode(fd, &inode);
	if (r)
		return r;
	return inode == netns->inode ? EG_TAKE_FD(fd) : -ESRCH;
}

struct add_task {
	struct eg_netns_set *set;
	pid_t pid;
};

static int add_task(void *ctx, pid_t tid)
{
	struct add_task *add = ctx;
	char path[64];
	struct stat st;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", (int)add->pid, (int)tid);
	if (stat(path, &st) == 0 && set_has(add->set, st.st_ino))
		return 0;
	fd = open_of_task(add->pid, tid);
	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	r = set_take(add->set, (struct eg_netns){.fd = fd, .pid = add->pid, .tid = tid, .sock = -1});
	return r < 0 ? r : 0;
}

int eg_netns_set_add_pid(struct eg_netns_set *set, pid_t pid)
{
	struct add_task add = { .set = set, .pid = pid };

	return eg_tasksock_each_task(pid, add_task, &add);
}

int eg_netns_set_add_cgroup(struct eg_netns_set *set, int cgroup_fd)
{
	EG_FREE pid_t *pids = NULL;
	size_t count = 0;
	int r = eg_cgroupfs_procs(cgroup_fd, &pids, &count), first = 0;

	if (r)
		return r;
	for (size_t i = 0; i < count; i++) {
		r = eg_netns_set_add_pid(set, pids[i]);
		if (r && r != -ESRCH && !first)
			first = r;
	}
	return first;
}

static int add_socket(void *ctx, pid_t tid, int fd, uint32_t inode)
{
	struct add_task *add = ctx;
	int ns = open_of_socket(add->pid, tid, fd), r;

	(void)inode;
	if (ns < 0)
		return 0;
	r = set_take(add->set, (struct eg_netns){.fd = ns, .pid = add->pid, .tid = tid, .sock = fd});
	return r < 0 ? r : 0;
}

int eg_netns_set_add_pid_sockets(struct eg_netns_set *set, pid_t pid)
{
	struct add_task add = { .set = set, .pid = pid };

	return eg_tasksock_each(pid, add_socket, &add);
}

int eg_netns_open_self(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int eg_netns_inode(int fd, uint64_t *ret_inode)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*ret_inode = st.st_ino;
	return 0;
}

int eg_netns_cookie(uint64_t *ret_cookie)
{
	EG_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_cookie);
	uint64_t cookie;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return -errno;
	*ret_cookie = cookie;
	return 0;
}

struct run {
	int fd;
	int (*fn)(void *ctx);
	void *ctx;
	int r;
};

static void *run_thread(void *arg)
{
	struct run *run = arg;

	run->r = setns(run->fd, CLONE_NEWNET) ? -errno : run->fn(run->ctx);
	return NULL;
}

int eg_netns_run(int fd, int (*fn)(void *ctx), void *ctx)
{
	struct run run = { .fd = fd, .fn = fn, .ctx = ctx };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run_thread, &run);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return run.r;
}

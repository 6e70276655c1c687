// SPDX-License-Identifier: Apache-2.0
#include "tasksock.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "../lib/cleanup.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static DIR *open_proc(const char *format, pid_t pid, pid_t tid)
{
	char path[64];
	int n = snprintf(path, sizeof(path), format, (int)pid, (int)tid);

	return n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;
}

int eg_tasksock_each_task(pid_t pid, eg_tasksock_task_fn fn, void *ctx)
{
	EG_CLOSEDIR DIR *tasks = open_proc("/proc/%d/task", pid, 0);
	struct dirent *entry;
	int r = 0;

	if (!tasks)
		return errno == ENOENT ? -ESRCH : -errno;
	while (r == 0 && (entry = readdir(tasks))) {
		int tid = atoi(entry->d_name);

		if (tid > 0)
			r = fn(ctx, tid);
	}
	return r;
}

static int each_in_table(DIR *fds, pid_t tid, eg_tasksock_fn fn, void *ctx)
{
	struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(fds))) {
		char link[64];
		ssize_t len = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = '\0';
		if (strncmp(link, "socket:[", 8) == 0)
			r = fn(ctx, tid, atoi(entry->d_name), (uint32_t)strtoul(link + 8, NULL, 10));
	}
	return r;
}

struct each {
	pid_t pid;
	eg_tasksock_fn fn;
	void *ctx;
};

/* True if known to be the leader's table. Without kcmp it is read again: slower, not wrong. */
static bool shares_table(pid_t pid, pid_t tid)
{
	return tid != pid && syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) == 0;
}

static int each_of_task(void *ctx, pid_t tid)
{
	const struct each *each = ctx;
	EG_CLOSEDIR DIR *fds = NULL;

	if (shares_table(each->pid, tid))
		return 0;
	fds = open_proc("/proc/%d/task/%d/fd", each->pid, tid);
	if (!fds) /* a thread that has ended */
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	return each_in_table(fds, tid, each->fn, each->ctx);
}

int eg_tasksock_each(pid_t pid, eg_tasksock_fn fn, void *ctx)
{
	struct each each = { .pid = pid, .fn = fn, .ctx = ctx };

	return eg_tasksock_each_task(pid, each_of_task, &each);
}

int eg_tasksock_get(pid_t pid, pid_t tid, int fd)
{
	EG_CLOSE int pidfd = pidfd_open(tid, tid == pid ? 0 : PIDFD_THREAD);
	int copy;

	if (pidfd < 0)
		return errno == EINVAL && tid != pid ? -ENOTSUP : -errno;
	copy = pidfd_getfd(pidfd, fd, 0);
	return copy < 0 ? -errno : copy;
}

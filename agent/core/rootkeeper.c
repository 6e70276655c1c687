// SPDX-License-Identifier: Apache-2.0
#include "rootkeeper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/jail.h"
#include "offspring.h"
#include "privileges.h"

#define KEEPER_NAME   "egret-keeper" /* argv[0] and comm */
#define START_WAIT_MS 1000
#define STOP_WAIT_MS  2000

struct eg_rootkeeper {
	const struct eg_cgroupfs *fs;
	char *path;
	char *leaf;
	uint64_t id;
	int pidfd; /* -1: no keeper process */
};

/* ---- The keeper process -------------------------------------------------------------- */

static int drop_everything(void)
{
	int r = setgroups(0, NULL) ? -errno : eg_jail_limit_children(0); /* of whoever started egretd by hand */

	if (!r)
		r = eg_jail_keep(0);
	return r ? r : eg_jail_filter(eg_syscalls_idle_filter());
}

void eg_rootkeeper_main(int argc, char **argv)
{
	int fd;

	if (argc < 1 || strcmp(argv[0], KEEPER_NAME) != 0)
		return;
	(void)prctl(PR_SET_NAME, KEEPER_NAME, 0, 0, 0);
	setsid();
	if (chdir("/"))
		_exit(1);
	fd = open("/dev/null", O_RDWR);
	for (int std = 0; std <= 2; std++) /* whoever reads the agent's output must see its end */
		if (dup2(fd, std) < 0)
			_exit(1);
	close_range(3, ~0u, 0);
	if (drop_everything())
		_exit(1);
	for (;;)
		pause();
}

/* After clone without exec: async-signal-safe calls only. */
static void become_keeper(const char *path, int procs_fd, int errno_fd)
{
	char name[] = KEEPER_NAME;
	char *argv[] = { name, (char *)path, NULL }, *envp[] = { NULL };
	int error;

	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	if (write(procs_fd, "0", 1) == 1)
		execve("/proc/self/exe", argv, envp);
	error = errno;
	(void)!write(errno_fd, &error, sizeof(error));
	_exit(127);
}

/* ---- The agent's side ------------------------------------------------------------------ */

static void reap(int pidfd)
{
	siginfo_t info;

	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG); /* ECHILD: not our child */
}

static bool is_dead(int pidfd)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

/* 0 once the child has executed. Frozen with its root it may not get there: then it keeps the root as well. */
static int wait_for_exec(int errno_fd)
{
	struct pollfd fd = { .fd = errno_fd, .events = POLLIN };
	int error;

	if (poll(&fd, 1, START_WAIT_MS) <= 0)
		return 0;
	return read(errno_fd, &error, sizeof(error)) == (ssize_t)sizeof(error) ? -error : 0;
}

static int open_procs(const struct eg_rootkeeper *k)
{
	EG_CLOSE int leaf = eg_cgroupfs_open_dir(k->fs, k->leaf, false);
	int fd = leaf < 0 ? leaf : openat(leaf, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 && leaf >= 0 ? -errno : fd;
}

static int spawn(struct eg_rootkeeper *k)
{
	EG_CLOSE int procs = open_procs(k), errno_read = -1, errno_write = -1, pidfd = -1;
	int ends[2], r;
	pid_t pid;

	if (procs < 0)
		return procs;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	errno_read = ends[0];
	errno_write = ends[1];
	pid = eg_offspring_clone(&pidfd);
	if (pid < 0)
		return pid;
	if (pid == 0)
		become_keeper(k->path, procs, errno_write);
	close(EG_TAKE_FD(errno_write));
	r = wait_for_exec(errno_read);
	if (r) {
		reap(pidfd);
		return r;
	}
	k->pidfd = EG_TAKE_FD(pidfd);
	return 0;
}

/* A keeper that an agent before us has left. */
static bool adopt(struct eg_rootkeeper *k)
{
	EG_CLOSE int leaf = eg_cgroupfs_open_dir(k->fs, k->leaf, true);
	EG_FREE pid_t *pids = NULL;
	size_t count = 0;

	if (leaf < 0 || eg_cgroupfs_procs(leaf, &pids, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		EG_CLOSE int pidfd = pidfd_open(pids[i], 0);

		if (pidfd < 0 || is_dead(pidfd))
			continue;
		k->pidfd = EG_TAKE_FD(pidfd);
		return true;
	}
	return false;
}

static int ensure_keeper(struct eg_rootkeeper *k)
{
	int r;

	if (k->pidfd >= 0 && !is_dead(k->pidfd))
		return 0;
	if (k->pidfd >= 0) {
		reap(k->pidfd);
		close(EG_TAKE_FD(k->pidfd));
	}
	r = eg_cgroupfs_make(k->fs, k->leaf);
	if (r || adopt(k))
		return r;
	return spawn(k);
}

int eg_rootkeeper_start(const struct eg_cgroupfs *fs, const char *path, bool create,
			struct eg_rootkeeper **ret_keeper)
{
	EG_CLEANUP(eg_cleanup_rootkeeper) struct eg_rootkeeper *k = calloc(1, sizeof(*k));
	uint64_t id;
	int r;

	if (!k)
		return -ENOMEM;
	k->fs = fs;
	k->pidfd = -1;
	k->path = strdup(path);
	if (!k->path || asprintf(&k->leaf, "%s/" EG_ROOTKEEPER_LEAF, path) < 0) {
		k->leaf = NULL;
		return -ENOMEM;
	}
	r = eg_rootkeeper_renew(k, create, &id);
	if (r && k->id == 0)
		return r;
	*ret_keeper = EG_TAKE_PTR(k);
	return 0;
}

int eg_rootkeeper_renew(struct eg_rootkeeper *k, bool create, uint64_t *ret_id)
{
	int r = create ? eg_cgroupfs_make(k->fs, k->path) : 0;
	uint64_t id = 0;

	if (r == 0)
		r = eg_cgroupfs_id(k->fs, k->path, &id);
	if (r)
		return r;
	if (id != k->id && k->pidfd >= 0) { /* keeps, at best, something else */
		reap(k->pidfd);
		close(EG_TAKE_FD(k->pidfd));
	}
	k->id = *ret_id = id;
	return ensure_keeper(k);
}

int eg_rootkeeper_check(struct eg_rootkeeper *k)
{
	uint64_t id = 0;
	int r = eg_cgroupfs_id(k->fs, k->path, &id);

	if (r)
		return r;
	return id == k->id ? ensure_keeper(k) : -ESTALE;
}

int eg_rootkeeper_fd(const struct eg_rootkeeper *k)
{
	return k->pidfd;
}

uint64_t eg_rootkeeper_id(const struct eg_rootkeeper *k)
{
	return k->id;
}

const char *eg_rootkeeper_path(const struct eg_rootkeeper *k)
{
	return k->path;
}

/* A process leaves its cgroup a moment after its end is told. */
static int remove_leaf(const struct eg_rootkeeper *k)
{
	const struct timespec pause_time = { .tv_nsec = 1000000 };
	int r = eg_cgroupfs_remove(k->fs, k->leaf);

	for (int i = 0; i < STOP_WAIT_MS && r == -EBUSY; i++) {
		nanosleep(&pause_time, NULL);
		r = eg_cgroupfs_remove(k->fs, k->leaf);
	}
	return r == -ENOENT ? 0 : r;
}

int eg_rootkeeper_stop(struct eg_rootkeeper *k)
{
	struct pollfd fd = { .fd = k->pidfd, .events = POLLIN };

	if (k->pidfd >= 0) {
		if (pidfd_send_signal(k->pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
			return -errno;
		if (poll(&fd, 1, STOP_WAIT_MS) == 0)
			return -ETIMEDOUT;
		reap(k->pidfd);
		close(EG_TAKE_FD(k->pidfd));
	}
	return remove_leaf(k);
}

void eg_rootkeeper_free(struct eg_rootkeeper *k)
{
	if (!k)
		return;
	if (k->pidfd >= 0)
		close(k->pidfd);
	free(k->path);
	free(k->leaf);
	free(k);
}

// SPDX-License-Identifier: Apache-2.0
#include "control_child.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../lib/cleanup.h"
#include "../sync/setup.h"

#define TERM_WAIT_MS 1000
#define KILL_WAIT_MS 2000

/* All that the child needs, made before it is: there, nothing may be allocated. */
struct start {
	char uid[16];
	char gid[16];
	char path[PATH_MAX];
	int setup_fd;
	int door_fd;
	int state_fd;
};

static int find_user(const char *user, struct start *ret, uid_t *ret_uid, gid_t *ret_gid)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	int r = getpwnam_r(user, &entry, buffer, sizeof(buffer), &found);

	if (!found)
		return r ? -r : -ESRCH;
	if (!entry.pw_uid || !entry.pw_gid)
		return -EPERM;
	snprintf(ret->uid, sizeof(ret->uid), "%u", entry.pw_uid);
	snprintf(ret->gid, sizeof(ret->gid), "%u", entry.pw_gid);
	*ret_uid = entry.pw_uid;
	*ret_gid = entry.pw_gid;
	return 0;
}

/* Beside our own program, wherever that was installed or replaced. */
static int find_program(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret[n] = '\0';
	slash = strrchr(ret, '/');
	if (!slash || (size_t)(slash - ret) + sizeof("/" EG_SYNC_NAME) > PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(slash + 1, EG_SYNC_NAME);
	return access(ret, X_OK) ? -errno : 0;
}

/* Its own directory below the agent's, of which it can reach nothing else. */
static int open_state(const char *state_dir, uid_t uid, gid_t gid, int *ret)
{
	char path[PATH_MAX];
	EG_CLOSE int fd = -1;

	if (snprintf(path, sizeof(path), "%s/sync", state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fchown(fd, uid, gid))
		return -errno;
	*ret = EG_TAKE_FD(fd);
	return 0;
}

static int write_setup(const json_t *setup, int *ret)
{
	EG_CLOSE int fd = memfd_create("setup", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (json_dumpfd(setup, fd, JSON_COMPACT) || lseek(fd, 0, SEEK_SET))
		return -EIO;
	*ret = EG_TAKE_FD(fd);
	return 0;
}

/* After clone3: async-signal-safe calls only. A new image holds nothing of the agent's memory. */
static void become_child(struct start *start)
{
	char name[] = EG_SYNC_NAME;
	char *argv[] = {name, start->uid, start->gid, NULL}, *envp[] = {NULL};
	/* Out of the way of the numbers that they get. */
	int setup = fcntl(start->setup_fd, F_DUPFD, 16), door = fcntl(start->door_fd, F_DUPFD, 16),
	    state = fcntl(start->state_fd, F_DUPFD, 16);

	if (dup2(setup, 0) < 0 || dup2(2, 1) < 0 || dup2(door, EG_SYNC_DOOR_FD) < 0 ||
	    dup2(state, EG_SYNC_STATE_FD) < 0)
		_exit(127);
	close_range(EG_SYNC_STATE_FD + 1, ~0u, 0);
	execve(start->path, argv, envp);
	_exit(127);
}

static int start_process(struct start *start, struct eg_control_child *child)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_child(start);
	child->pid = (pid_t)pid;
	child->pidfd = pidfd;
	return 0;
}

int eg_control_child_start(const char *user, const char *state_dir, const json_t *setup, struct eg_control_child *child,
			   int *ret_door)
{
	EG_CLOSE int setup_fd = -1, state_fd = -1, ours = -1, theirs = -1;
	struct start start;
	gid_t gid = 0;
	int ends[2], r;

	r = find_user(user, &start, &child->uid, &gid);
	if (!r)
		r = find_program(start.path);
	if (!r)
		r = open_state(state_dir, child->uid, gid, &state_fd);
	if (!r)
		r = write_setup(setup, &setup_fd);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	start.setup_fd = setup_fd;
	start.state_fd = state_fd;
	start.door_fd = theirs;
	r = start_process(&start, child);
	if (!r)
		*ret_door = EG_TAKE_FD(ours);
	return r;
}

static bool reap(struct eg_control_child *child, int timeout_ms, int *ret_status)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};

	if (poll(&end, 1, timeout_ms) <= 0 || waitpid(child->pid, ret_status, WNOHANG) != child->pid)
		return false;
	close(EG_TAKE_FD(child->pidfd));
	child->pid = 0;
	return true;
}

bool eg_control_child_ended(struct eg_control_child *child, int *ret_status)
{
	return child->pid && reap(child, 0, ret_status);
}

void eg_control_child_stop(struct eg_control_child *child)
{
	int status;

	if (!child->pid)
		return;
	pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0);
	if (reap(child, TERM_WAIT_MS, &status))
		return;
	pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	reap(child, KILL_WAIT_MS, &status);
}

// SPDX-License-Identifier: Apache-2.0
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child_setup.h"
#include "../lib/chmod.h"
#include "../lib/cleanup.h"
#include "offspring.h"

#define KILL_WAIT_MS 2000
#define HIGH_FD	     32 /* above those that the child finds its descriptors at */
#define FDS_MAX	     (2 + EG_CHILD_DIRS_MAX)

/* All that the child needs, made before it is: there, nothing may be allocated. */
struct image {
	char path[PATH_MAX];
	char name[32];
	char journal[96]; /* "JOURNAL_STREAM=..." of this process, so that its lines are marked, too */
	int fds[FDS_MAX]; /* in the order of child_setup.h */
	int fd_count;
};

/* ---- What it gets --------------------------------------------------------------------------------- */

int eg_child_user(const char *name, struct eg_child_user *ret)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	int r = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);

	if (!found)
		return r ? -r : -ESRCH;
	if (!entry.pw_uid || !entry.pw_gid)
		return -EPERM;
	*ret = (struct eg_child_user){entry.pw_uid, entry.pw_gid};
	return 0;
}

int eg_child_dir(const char *parent_dir, const char *name, const struct eg_child_user *user, int *ret_fd)
{
	EG_CLOSE int parent = open(parent_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	int r;

	if (parent < 0 || (mkdirat(parent, name, 0700) && errno != EEXIST))
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, user->uid, user->gid))
		return -errno;
	r = eg_chmod(fd, 0700);
	if (!r)
		*ret_fd = EG_TAKE_FD(fd);
	return r;
}

/* As it is, and whom to become. */
static json_t *setup_of(const struct eg_child_start *start)
{
	json_t *whom = json_pack("{s:I,s:I}", "uid", (json_int_t)start->user->uid, "gid", (json_int_t)start->user->gid);
	json_t *setup = json_copy((json_t *)start->setup);

	if (!whom || !setup || json_object_update(setup, whom)) {
		json_decref(setup);
		setup = NULL;
	}
	json_decref(whom);
	return setup;
}

static int write_setup(const struct eg_child_start *start, int *ret_fd)
{
	EG_CLOSE int fd = memfd_create("setup", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	json_t *setup = setup_of(start);

	if (!r && (!setup || json_dumpfd(setup, fd, JSON_COMPACT) || lseek(fd, 0, SEEK_SET)))
		r = setup ? -EIO : -ENOMEM;
	json_decref(setup);
	if (!r)
		*ret_fd = EG_TAKE_FD(fd);
	return r;
}

/* Beside our own program, wherever that was installed or replaced. */
static int find_program(const char *name, char ret[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (len < 0)
		return -errno;
	ret[len] = '\0';
	slash = strrchr(ret, '/');
	if (!slash || (size_t)(slash - ret) + strlen(name) + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(slash + 1, name);
	return access(ret, X_OK) ? -errno : 0;
}

static int make_image(const struct eg_child_start *start, struct image *image)
{
	const char *stream = getenv("JOURNAL_STREAM");

	if (strlen(start->name) >= sizeof(image->name))
		return -ENAMETOOLONG;
	strcpy(image->name, start->name);
	if (stream && strlen(stream) < 64)
		snprintf(image->journal, sizeof(image->journal), "JOURNAL_STREAM=%s", stream);
	return find_program(start->name, image->path);
}

/* ---- Starting ------------------------------------------------------------------------------------- */

/* After clone: async-signal-safe calls only. A new image holds nothing of the agent's memory. */
static void become_child(struct image *image)
{
	char flag[] = EG_CHILD_FLAG;
	char *argv[] = {image->name, flag, NULL}, *envp[] = {image->journal[0] ? image->journal : NULL, NULL};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), high[FDS_MAX];

	if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
		_exit(127);
	for (int i = 0; i < image->fd_count; i++) /* out of the way of the numbers that they get */
		high[i] = fcntl(image->fds[i], F_DUPFD_CLOEXEC, HIGH_FD);
	for (int i = 0; i < image->fd_count; i++) {
		if (high[i] < 0 || dup2(high[i], EG_CHILD_SOCKET_FD + i) < 0)
			_exit(127);
	}
	close_range((unsigned)(EG_CHILD_SOCKET_FD + image->fd_count), ~0u, 0);
	execve(image->path, argv, envp);
	_exit(127);
}

static int spawn(struct image *image, struct eg_child *ret)
{
	int pidfd = -1;
	pid_t pid = eg_offspring_clone(&pidfd);

	if (pid < 0)
		return pid;
	if (pid == 0)
		become_child(image);
	*ret = (struct eg_child){.pid = pid, .pidfd = pidfd};
	return 0;
}

int eg_child_start(const struct eg_child_start *start, struct eg_child *ret, int *ret_socket)
{
	EG_CLOSE int ours = -1, theirs = -1, setup = -1;
	struct image image = {0};
	int ends[2], r = make_image(start, &image);

	if (!r)
		r = write_setup(start, &setup);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | start->socket_flags, 0, ends))
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	image.fds[image.fd_count++] = theirs;
	image.fds[image.fd_count++] = setup;
	for (size_t i = 0; i < start->dir_count; i++)
		image.fds[image.fd_count++] = start->dirs[i];
	r = spawn(&image, ret);
	if (!r)
		*ret_socket = EG_TAKE_FD(ours);
	return r;
}

/* ---- Ending --------------------------------------------------------------------------------------- */

bool eg_child_ended(struct eg_child *child, int timeout_ms, int *ret_status)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};

	if (!child->pid || poll(&end, 1, timeout_ms) <= 0 || waitpid(child->pid, ret_status, WNOHANG) != child->pid)
		return false;
	close(EG_TAKE_FD(child->pidfd));
	child->pid = 0;
	return true;
}

void eg_child_stop(struct eg_child *child, int term_ms, int *ret_status)
{
	if (!child->pid)
		return;
	pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0);
	if (eg_child_ended(child, term_ms, ret_status))
		return;
	pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	eg_child_ended(child, KILL_WAIT_MS, ret_status);
}

// SPDX-License-Identifier: Apache-2.0
#include "lookup.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../lib/cleanup.h"
#include "child.h"
#include "lookup_impl.h"
#include "offspring.h"

#define STOP_WAIT_MS 2000

/* ---- Starting --------------------------------------------------------------------------------- */

/* The user as its numbers in text, made before the child is: there, nothing may be allocated. */
struct as_user {
	char uid[16];
	char gid[16];
};

static int find_user(const char *name, struct as_user *ret)
{
	struct eg_child_user user = {0};
	int r = eg_child_user(name, &user);

	if (r)
		return r;
	snprintf(ret->uid, sizeof(ret->uid), "%u", user.uid);
	snprintf(ret->gid, sizeof(ret->gid), "%u", user.gid);
	return 0;
}

/* After clone: async-signal-safe calls only. A new image holds nothing of the agent's memory. */
static void become_helper(int fd, struct as_user *user)
{
	char name[] = EG_LOOKUP_NAME;
	char *argv[] = {name, user->uid, user->gid, NULL}, *envp[] = {NULL};

	if (fd == EG_LOOKUP_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, EG_LOOKUP_FD) < 0)
		_exit(127);
	close_range(EG_LOOKUP_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

int eg_lookup_start(struct eg_lookup *lookup, const char *user)
{
	EG_CLOSE int mine = -1, theirs = -1, pidfd = -1;
	struct as_user numbers;
	int ends[2], r;
	pid_t pid;

	r = find_user(user, &numbers);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return -errno;
	mine = ends[0];
	theirs = ends[1];
	pid = eg_offspring_clone(&pidfd);
	if (pid < 0)
		return pid;
	if (pid == 0)
		become_helper(theirs, &numbers);
	lookup->fd = EG_TAKE_FD(mine);
	lookup->pidfd = EG_TAKE_FD(pidfd);
	lookup->pid = pid;
	return 0;
}

void eg_lookup_stop(struct eg_lookup *lookup)
{
	struct pollfd end = {.fd = lookup->pidfd, .events = POLLIN};
	siginfo_t info;

	if (lookup->fd < 0)
		return;
	close(EG_TAKE_FD(lookup->fd));
	pidfd_send_signal(lookup->pidfd, SIGKILL, NULL, 0);
	poll(&end, 1, STOP_WAIT_MS);
	waitid(P_PIDFD, (id_t)lookup->pidfd, &info, WEXITED | WNOHANG);
	close(EG_TAKE_FD(lookup->pidfd));
	lookup->pid = 0;
}

/* ---- Talking ------------------------------------------------------------------------------------ */

int eg_lookup_send(const struct eg_lookup *lookup, const struct eg_lookup_ask *ask)
{
	return send(lookup->fd, ask, sizeof(*ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int eg_lookup_receive(const struct eg_lookup *lookup, struct eg_lookup_told *ret)
{
	ssize_t n = recv(lookup->fd, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	if (n != (ssize_t)sizeof(*ret) || ret->end >= EG_LOOKUP_COUNT_ || ret->answer.count > EG_DNS_ADDRS_MAX)
		return -EPROTO;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_child.c - egret-ship as a child: what it is given, and how it is ended
 *
 * It gets descriptors rather than paths (see lib/ship_setup.h): the spool, which its group may read, and the
 * directory of its cursors, which is its own. It finds nothing else of the agent's directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../lib/cleanup.h"
#include "../lib/ship_setup.h"
#include "agent_impl.h"
#include "shipper.h"

#define PROGRAM	     "egret-ship"
#define STOP_WAIT_MS 6000 /* it needs up to five seconds */
#define KILL_WAIT_MS 2000
#define HIGH_FD	     32 /* above those that the child finds its descriptors at */

int eg_ship_user(const char *name, struct eg_ship_user *ret, struct eg_error *err)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];

	(void)getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
	if (!found)
		return eg_error_set(err, 500, "no_ship_user",
				    "there is no user %.64s to run egret-ship as: make it (useradd --system %.64s) or set ship_user", name,
				    name);
	if (!entry.pw_uid || !entry.pw_gid)
		return eg_error_set(err, 500, "no_ship_user", "egret-ship does not run as %.64s, which is root's: set ship_user",
				    name);
	*ret = (struct eg_ship_user){entry.pw_uid, entry.pw_gid};
	return 0;
}

/* ---- What it may reach ------------------------------------------------------------------------- */

/* Its group was let in when the log was opened (events.h, log_shared). */
static int open_spool(const char *log_dir, gid_t gid, struct eg_error *err)
{
	EG_CLOSE int fd = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return eg_error_set(err, 500, "no_spool", "egret-ship can't be let into %s: %s", log_dir, strerror(errno));
	if (st.st_gid != gid)
		return eg_error_set(err, 500, "no_spool",
				    "egret-ship can't read %s: restart egretd, its user was not there when egretd started", log_dir);
	return EG_TAKE_FD(fd);
}

static int open_cursors(const char *state_dir, const struct eg_ship_user *user, struct eg_error *err)
{
	EG_CLOSE int state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (state_fd >= 0 && (mkdirat(state_fd, EG_SHIP_CURSOR_DIR, 0700) == 0 || errno == EEXIST))
		fd = openat(state_fd, EG_SHIP_CURSOR_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, user->uid, user->gid) || fchmod(fd, 0700))
		return eg_error_set(err, 500, "no_cursors", "%s/" EG_SHIP_CURSOR_DIR " can't be made: %s", state_dir,
				    strerror(errno));
	return EG_TAKE_FD(fd);
}

static int write_setup(const struct eg_config *config, const struct eg_ship_user *user, struct eg_error *err)
{
	json_t *setup = json_pack("{s:O, s:s, s:I, s:I}", "sinks", config->sinks, "host", config->host, "uid",
				  (json_int_t)user->uid, "gid", (json_int_t)user->gid);
	EG_FREE char *text = json_dumps(setup, JSON_COMPACT);
	EG_CLOSE int fd = memfd_create("egret-ship-setup", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;

	json_decref(setup);
	if (!text || fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))
		return eg_error_set(err, 500, "no_setup", "the setup of egret-ship can't be written: %s", strerror(errno));
	return EG_TAKE_FD(fd);
}

/* Beside this program, so that both are of one version. */
static int find_program(char ret[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", ret, PATH_MAX - sizeof("/" PROGRAM));
	char *slash;

	if (len < 0)
		return -errno;
	ret[len] = '\0';
	slash = strrchr(ret, '/');
	if (!slash)
		return -ENOENT;
	strcpy(slash, "/" PROGRAM);
	return access(ret, X_OK) ? -errno : 0;
}

/* ---- Starting ------------------------------------------------------------------------------------- */

struct start {
	char program[PATH_MAX];
	char journal[96]; /* "JOURNAL_STREAM=..." of this process, so that its lines are marked, too */
	int fds[EG_SHIP_FDS_END - EG_SHIP_CONTROL_FD]; /* in the order of ship_setup.h, all of them high */
};

/* After clone3: async-signal-safe calls only. */
static void become_ship(const struct start *start)
{
	char name[] = PROGRAM, flag[] = EG_SHIP_CHILD_FLAG;
	char *argv[] = {name, flag, NULL}, *envp[] = {start->journal[0] ? (char *)start->journal : NULL, NULL};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0)
		_exit(127);
	for (int i = 0; i < EG_SHIP_FDS_END - EG_SHIP_CONTROL_FD; i++) {
		if (dup2(start->fds[i], EG_SHIP_CONTROL_FD + i) < 0)
			_exit(127);
	}
	close_range(EG_SHIP_FDS_END, ~0u, CLOSE_RANGE_CLOEXEC);
	execve(start->program, argv, envp);
	_exit(127);
}

static int spawn(struct eg_ship_child *child, const struct start *start, int control_fd)
{
	EG_CLOSE int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_ship(start);
	*child = (struct eg_ship_child){.control_fd = control_fd, .pidfd = EG_TAKE_FD(pidfd), .pid = (int)pid};
	return 0;
}

static int raise_fd(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

static void note_journal(struct start *start)
{
	const char *stream = getenv("JOURNAL_STREAM");

	if (stream && strlen(stream) < 64)
		snprintf(start->journal, sizeof(start->journal), "JOURNAL_STREAM=%s", stream);
}

/* Takes control_fd on success. */
static int start_with(struct eg_ship_child *child, const struct eg_config *config, const struct eg_ship_user *user, int control_fd,
		      int theirs_given, struct eg_error *err)
{
	EG_CLOSE int theirs = theirs_given, setup = -1, spool = -1, cursors = -1;
	struct start start = {0};
	int r;

	setup = write_setup(config, user, err);
	if (setup >= 0)
		spool = open_spool(config->log_dir, user->gid, err);
	if (spool >= 0)
		cursors = open_cursors(config->state_dir, user, err);
	if (cursors < 0)
		return -EINVAL;
	r = find_program(start.program);
	if (r)
		return eg_error_set(err, 500, "no_program", "%s can't be run: %s", start.program, strerror(-r));
	note_journal(&start);
	r = raise_fd(&theirs);
	if (!r)
		r = raise_fd(&setup);
	if (!r)
		r = raise_fd(&spool);
	if (!r)
		r = raise_fd(&cursors);
	memcpy(start.fds, (int[]){theirs, setup, spool, cursors}, sizeof(start.fds));
	if (!r)
		r = spawn(child, &start, control_fd);
	return r ? eg_error_set(err, 500, "no_child", "egret-ship can't be started: %s", strerror(-r)) : 0;
}

int eg_ship_child_start(struct eg_ship_child *child, const struct eg_agent *agent, struct eg_error *err)
{
	const struct eg_config *config = __atomic_load_n(&agent->config, __ATOMIC_ACQUIRE);
	struct eg_ship_user user;
	int ends[2], r = eg_ship_user(config->ship_user, &user, err);

	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return eg_error_set(err, 500, "no_child", "egret-ship can't be started: %s", strerror(errno));
	r = start_with(child, config, &user, ends[0], ends[1], err);
	if (r)
		close(ends[0]);
	return r;
}

/* ---- Ending --------------------------------------------------------------------------------------------- */

void eg_ship_child_stop(struct eg_ship_child *child, char *ret_how, size_t size)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
	siginfo_t info = {0};

	if (child->control_fd < 0)
		return;
	pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0);
	if (poll(&end, 1, STOP_WAIT_MS) <= 0) {
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
		poll(&end, 1, KILL_WAIT_MS);
	}
	waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG);
	snprintf(ret_how, size, info.si_code == CLD_EXITED ? "status %d" : "signal %d", info.si_status);
	close(EG_TAKE_FD(child->control_fd));
	close(EG_TAKE_FD(child->pidfd));
	child->pid = 0;
}

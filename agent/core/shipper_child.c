// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_child.c - egret-ship as a child: what it is given, and how it is ended
 *
 * It gets descriptors rather than paths (see lib/ship_setup.h): the spool, which its group may read, and the
 * directory of its cursors, which is its own. It finds nothing else of the agent's directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../lib/cleanup.h"
#include "../lib/ship_setup.h"
#include "agent_impl.h"
#include "shipper.h"

#define STOP_WAIT_MS 6000 /* it needs up to five seconds */

int eg_ship_user(const char *name, struct eg_child_user *ret, struct eg_error *err)
{
	int r = eg_child_user(name, ret);

	if (r == -EPERM)
		return eg_error_set(err, 500, "no_ship_user", "egret-ship does not run as %.64s, which is root's: set ship_user",
				    name);
	if (r)
		return eg_error_set(err, 500, "no_ship_user",
				    "there is no user %.64s to run egret-ship as: make it (useradd --system %.64s) or set ship_user", name,
				    name);
	return 0;
}

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

static int start_with(struct eg_ship_child *child, const struct eg_config *config, const struct eg_child_user *user,
		      const json_t *setup, struct eg_error *err)
{
	EG_CLOSE int spool = open_spool(config->log_dir, user->gid, err), cursors = -1;
	struct eg_child_start start = {
		.name = EG_SHIP_NAME, .user = user, .setup = setup, .socket_flags = SOCK_NONBLOCK, .dir_count = 2};
	int r;

	if (spool < 0)
		return spool;
	r = eg_child_dir(config->state_dir, EG_SHIP_CURSOR_DIR, user, &cursors);
	if (r)
		return eg_error_set(err, 500, "no_cursors", "%s/" EG_SHIP_CURSOR_DIR " can't be made: %s", config->state_dir,
				    strerror(-r));
	start.dirs[EG_SHIP_SPOOL_FD - EG_CHILD_DIR_FD] = spool;
	start.dirs[EG_SHIP_CURSOR_FD - EG_CHILD_DIR_FD] = cursors;
	r = eg_child_start(&start, &child->process, &child->control_fd);
	return r ? eg_error_set(err, 500, "no_child", EG_SHIP_NAME " can't be started: %s", strerror(-r)) : 0;
}

int eg_ship_child_start(struct eg_ship_child *child, const struct eg_agent *agent, struct eg_error *err)
{
	const struct eg_config *config = eg_agent_config(agent);
	struct eg_child_user user;
	json_t *setup;
	int r = eg_ship_user(config->ship_user, &user, err);

	if (r)
		return r;
	setup = json_pack("{s:O,s:O,s:s}", "sinks", config->sinks, "routes", config->routes, "host", config->host);
	r = start_with(child, config, &user, setup, err);
	json_decref(setup);
	return r;
}

void eg_ship_child_stop(struct eg_ship_child *child, char *ret_how, size_t size)
{
	int status = 0;

	if (child->control_fd < 0)
		return;
	eg_child_stop(&child->process, STOP_WAIT_MS, &status);
	snprintf(ret_how, size, WIFEXITED(status) ? "status %d" : "signal %d",
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	close(EG_TAKE_FD(child->control_fd));
}

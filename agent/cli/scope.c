// SPDX-License-Identifier: Apache-2.0
#include "scope.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/cleanup.h"

#define NAMES_TRIED 100
#define GONE_MS     1000

/* ---- Where ------------------------------------------------------------------------------- */

/* MOUNT/PATH without a slash at its end; an absolute path stays. */
static char *absolute(const char *mount, const char *path)
{
	size_t len = strlen(path);
	char *text;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (asprintf(&text, "%s%s%.*s", path[0] == '/' ? "" : mount, path[0] == '/' ? "" : "/", (int)len, path) < 0)
		return NULL;
	return text;
}

static bool goes_up(const char *path)
{
	size_t len = strlen(path);

	return strstr(path, "/../") || (len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

static bool is_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return strncmp(path, root, len) == 0 && (path[len] == '\0' || path[len] == '/') && !goes_up(path);
}

char *eg_scope_root(const char *mount, const json_t *roots, const char *wanted, char *message, size_t size)
{
	EG_FREE char *want = NULL;
	json_t *root;
	size_t i;

	if (!mount || !json_array_size(roots)) {
		snprintf(message, size, "the agent's status names no cgroup2 mount and no managed root");
		return NULL;
	}
	if (wanted && !(want = absolute(mount, wanted))) {
		snprintf(message, size, "out of memory");
		return NULL;
	}
	json_array_foreach(roots, i, root) {
		const char *name = json_string_value(json_object_get(root, "root"));
		EG_FREE char *path = name ? absolute(mount, name) : NULL;

		if (!path || (want && !is_below(want, path)))
			continue;
		if (!json_is_true(json_object_get(root, "attached"))) {
			snprintf(message, size, "enforcement is not on at %s: see 'egret doctor'", path);
			return NULL;
		}
		return EG_TAKE_PTR(*(want ? &want : &path));
	}
	snprintf(message, size, "%s is not below a managed root: 'egret status' lists them", wanted ? wanted : "?");
	return NULL;
}

/* ---- The cgroup ------------------------------------------------------------------------------ */

int eg_scope_make(const char *root, const char *app, pid_t pid, char **ret_cgroup)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		char number[16] = "";
		char *path;

		if (i)
			snprintf(number, sizeof(number), "-%d", i);
		if (asprintf(&path, "%s/%s-%d%s.scope", root, app, (int)pid, number) < 0)
			return -ENOMEM;
		if (mkdir(path, 0755) == 0) {
			*ret_cgroup = path;
			return 0;
		}
		free(path);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int open_in(const char *cgroup, const char *name, int flags)
{
	EG_FREE char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", cgroup, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int eg_scope_enter(const char *cgroup)
{
	EG_CLOSE int fd = open_in(cgroup, "cgroup.procs", O_WRONLY);

	if (fd < 0)
		return fd;
	return write(fd, "0", 1) == 1 ? 0 : -errno;
}

static bool has_processes(const char *cgroup)
{
	EG_CLOSE int fd = open_in(cgroup, "cgroup.procs", O_RDONLY);
	char byte;

	return fd >= 0 && read(fd, &byte, 1) == 1;
}

/*
 * A process that was waited for may still count for a moment, until it is off its CPU. If none is
 * listed, waits for the kernel to say that the cgroup is empty. The first read arms the poll.
 */
static void wait_until_gone(const char *cgroup)
{
	EG_CLOSE int fd = open_in(cgroup, "cgroup.events", O_RDONLY);
	struct pollfd poller = {.fd = fd, .events = POLLPRI};
	char text[256];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0 || has_processes(cgroup))
		return;
	text[n] = '\0';
	if (strstr(text, "populated 1"))
		poll(&poller, 1, GONE_MS);
}

int eg_scope_remove(const char *cgroup)
{
	if (rmdir(cgroup) == 0)
		return 0;
	if (errno != EBUSY)
		return -errno;
	wait_until_gone(cgroup);
	return rmdir(cgroup) == 0 ? 0 : -errno;
}

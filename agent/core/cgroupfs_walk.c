// SPDX-License-Identifier: Apache-2.0
#include "cgroupfs.h"

#include <fcntl.h>
#include <string.h>

struct walk {
	eg_cgroupfs_walk_fn fn;
	void *ctx;
	char path[PATH_MAX];
};

/* Takes fd. The path buffer is shared: each level appends its name and cuts it again. */
static int walk_dir(struct walk *walk, int fd, size_t path_len, int depth)
{
	EG_CLOSEDIR DIR *dir = fdopendir(fd);
	struct dirent *entry;
	uint64_t id;
	int r;

	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	r = eg_cgroupfs_fd_id(fd, &id);
	if (r == 0)
		r = walk->fn(walk->ctx, walk->path, fd, id);
	if (r || depth == 0)
		return r;
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), slash = path_len > 0;
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (path_len + slash + len >= sizeof(walk->path))
			return -ENAMETOOLONG;
		child = eg_cgroupfs_open_at(fd, entry->d_name, true);
		if (child == -ENOENT)
			continue;
		if (child < 0)
			return child;
		if (slash)
			walk->path[path_len] = '/';
		memcpy(walk->path + path_len + slash, entry->d_name, len + 1);
		r = walk_dir(walk, child, path_len + slash + len, depth - 1);
		walk->path[path_len] = '\0';
		if (r)
			return r;
	}
	return 0;
}

int eg_cgroupfs_walk(int dir_fd, eg_cgroupfs_walk_fn fn, void *ctx)
{
	EG_FREE struct walk *walk = calloc(1, sizeof(*walk));
	int fd;

	if (!walk)
		return -ENOMEM;
	fd = eg_cgroupfs_open_at(dir_fd, "", true);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	walk->fn = fn;
	walk->ctx = ctx;
	return walk_dir(walk, fd, 0, EG_CGROUPFS_DEPTH);
}

struct pid_list {
	pid_t *pids;
	size_t count;
	size_t room;
};

static int add_pid(struct pid_list *list, pid_t pid)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *pids = reallocarray(list->pids, room, sizeof(*pids));

		if (!pids)
			return -ENOMEM;
		list->pids = pids;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

/* -EOPNOTSUPP: cgroup.procs of a threaded cgroup. */
static int add_pids_of(struct pid_list *list, int cgroup_fd, const char *file)
{
	EG_CLOSE int fd = openat(cgroup_fd, file, O_RDONLY | O_CLOEXEC);
	EG_FCLOSE FILE *f = NULL;
	int pid, r = 0;

	if (fd < 0)
		return -errno;
	f = fdopen(fd, "r");
	if (!f)
		return -errno;
	fd = -1; /* f has it */
	errno = 0;
	while (r == 0 && fscanf(f, "%d", &pid) == 1)
		if (pid > 0) /* of another pid namespace: 0 */
			r = add_pid(list, pid);
	if (r)
		return r;
	return ferror(f) ? -errno : 0;
}

static int add_procs(void *ctx, const char *path, int fd, uint64_t id)
{
	int r = add_pids_of(ctx, fd, "cgroup.procs");

	(void)path;
	(void)id;
	if (r == -EOPNOTSUPP)
		r = add_pids_of(ctx, fd, "cgroup.threads");
	return r == -ENOENT || r == -ENODEV ? 0 : r; /* removed meanwhile */
}

int eg_cgroupfs_procs(int dir_fd, pid_t **ret_pids, size_t *ret_count)
{
	struct pid_list list = { 0 };
	int r = eg_cgroupfs_walk(dir_fd, add_procs, &list);

	if (r) {
		free(list.pids);
		return r;
	}
	*ret_pids = list.pids;
	*ret_count = list.count;
	return 0;
}

int eg_cgroupfs_of_pid(pid_t pid, char ret_path[PATH_MAX])
{
	EG_FCLOSE FILE *f = NULL;
	EG_FREE char *line = NULL;
	size_t room = 0;
	ssize_t len;
	char file[64];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	f = fopen(file, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((len = getline(&line, &room, f)) > 0) {
		static const char deleted[] = " (deleted)\n";
		size_t tail = sizeof(deleted) - 1;

		if (strncmp(line, "0::/", 4) != 0)
			continue;
		if ((size_t)len > tail && strcmp(line + len - tail, deleted) == 0)
			return -ENOENT;
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line + 4, "..", 2) == 0 && (line[6] == '/' || line[6] == '\0'))
			return -EXDEV;
		if ((size_t)len >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(ret_path, line + 4);
		return 0;
	}
	return ferror(f) ? -ESRCH : -ENOENT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * snapshot_tasks.c - the processes of an app, as /proc shows them
 *
 * Processes come and go meanwhile: what can't be read any more is left out. A process's environment
 * is never read, as secrets are kept there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/cleanup.h"
#include "bytes_json.h"
#include "snapshot.h"

#define ARGS_MAX   8192 /* bytes of a command line */
#define STATUS_MAX 8192

static ssize_t slurp(pid_t pid, const char *name, char *ret, size_t size)
{
	EG_CLOSE int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
	return n;
}

static json_t *args_of(pid_t pid)
{
	EG_FREE char *buffer = malloc(ARGS_MAX);
	json_t *list = json_array();
	ssize_t n = buffer ? slurp(pid, "cmdline", buffer, ARGS_MAX) : -1;

	for (ssize_t at = 0; at < n;) {
		size_t len = strnlen(buffer + at, (size_t)(n - at));

		json_array_append_new(list, eg_bytes_json(buffer + at, len));
		at += (ssize_t)len + 1;
	}
	return list;
}

static void add_link(json_t *task, pid_t pid, const char *name, const char *key)
{
	char path[64], target[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	n = readlink(path, target, sizeof(target));
	if (n > 0)
		json_object_set_new(task, key, eg_bytes_json(target, (size_t)n));
}

/* The lines of /proc/PID/status that say who it is and what it may do. */
static void add_status(json_t *task, const char *status)
{
	static const struct {
		const char *line;
		const char *key;
	} wanted[] = {
		{"Name:", "comm"},	   {"PPid:", "ppid"},	      {"Uid:", "uids"},
		{"Gid:", "gids"},	   {"Groups:", "groups"},     {"NSpid:", "ns_pids"},
		{"CapEff:", "cap_eff"},	   {"CapPrm:", "cap_prm"},    {"CapBnd:", "cap_bnd"},
		{"CapAmb:", "cap_amb"},	   {"NoNewPrivs:", "no_new_privs"}, {"Seccomp:", "seccomp"},
		{"Threads:", "threads"},
	};

	for (const char *line = status; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			size_t len = strlen(wanted[i].line);
			const char *value;

			if (strncmp(line, wanted[i].line, len) != 0)
				continue;
			value = line + len + strspn(line + len, " \t");
			json_object_set_new(task, wanted[i].key, eg_bytes_json(value, strcspn(value, "\n")));
		}
	}
}

/* Version 2's line; beside it, version 1 may have one for each of its hierarchies. */
static void add_cgroup(json_t *task, const char *lines)
{
	for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, "0::", 3) == 0)
			json_object_set_new(task, "cgroup", eg_bytes_json(line, strcspn(line, "\n")));
	}
}

static json_t *task_of(pid_t pid)
{
	char status[STATUS_MAX];
	json_t *task;

	if (slurp(pid, "status", status, sizeof(status)) <= 0)
		return NULL;
	task = json_pack("{s:i,s:o}", "pid", (int)pid, "args", args_of(pid));
	if (!task)
		return NULL;
	add_status(task, status);
	add_link(task, pid, "exe", "exe");
	add_link(task, pid, "cwd", "cwd");
	add_link(task, pid, "root", "root");
	add_link(task, pid, "ns/net", "netns");
	add_link(task, pid, "ns/user", "userns");
	add_link(task, pid, "ns/mnt", "mntns");
	if (slurp(pid, "cgroup", status, sizeof(status)) > 0)
		add_cgroup(task, status);
	return task;
}

json_t *eg_snapshot_tasks(const struct eg_cgroupfs *fs, const uint64_t *cgroup_ids, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		EG_CLOSE int fd = eg_cgroupfs_open_id(fs, cgroup_ids[i]);
		EG_FREE pid_t *pids = NULL;
		size_t pid_count = 0;

		if (fd < 0 || eg_cgroupfs_procs(fd, &pids, &pid_count))
			continue; /* removed */
		for (size_t j = 0; j < pid_count && json_array_size(list) < EG_SNAPSHOT_TASKS; j++) {
			json_t *task = task_of(pids[j]);

			if (task)
				json_array_append_new(list, task);
		}
	}
	return list;
}

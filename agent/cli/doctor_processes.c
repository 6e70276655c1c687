// SPDX-License-Identifier: Apache-2.0
#include "doctor_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "cli.h"

static bool read_process(int pid, struct eg_process *ret)
{
	EG_FCLOSE FILE *status = NULL, *cgroup = NULL;
	char path[64], line[600];
	int seen = 0;

	*ret = (struct eg_process){.pid = pid};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && seen < 2 && fgets(line, sizeof(line), status))
		seen += sscanf(line, "Name: %31s", ret->comm) == 1 || sscanf(line, "Uid: %u", &ret->uid) == 1;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	cgroup = fopen(path, "re");
	while (cgroup && fgets(line, sizeof(line), cgroup)) {
		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret->cgroup, sizeof(ret->cgroup), "%.500s", line + 4);
		return seen == 2;
	}
	return false;
}

void eg_processes_list(struct eg_processes *ret)
{
	EG_CLOSEDIR DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t room = 0;

	*ret = (struct eg_processes){0};
	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (ret->count == room) {
			struct eg_process *more = reallocarray(ret->items, room + 256, sizeof(*more));

			if (!more)
				return;
			ret->items = more;
			room += 256;
		}
		ret->count += read_process(atoi(entry->d_name), &ret->items[ret->count]);
	}
}

void eg_processes_clear(struct eg_processes *all)
{
	free(all->items);
	*all = (struct eg_processes){0};
}

static bool is_below(const char *path, const char *cgroup)
{
	size_t len;

	cgroup += cgroup[0] == '/';
	len = strlen(cgroup);
	return strncmp(path, cgroup, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

bool eg_process_is_below(const struct eg_process *process, const json_t *cgroups, const char *member)
{
	json_t *item;
	size_t i;

	json_array_foreach(cgroups, i, item) {
		const char *cgroup = member ? eg_json_text(item, member) : json_string_value(item);

		if (cgroup && is_below(process->cgroup, cgroup))
			return true;
	}
	return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "starting.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int executable_of(pid_t pid, struct stat *ret)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat(path, ret) ? -errno : 0;
}

int eg_starting_add(struct eg_starting *starting, pid_t pid)
{
	size_t at = starting->next++ % EG_STARTING_MAX;
	struct stat st;
	int r = executable_of(pid, &st);

	if (r)
		return r;
	starting->items[at].pid = pid;
	starting->items[at].dev = st.st_dev;
	starting->items[at].ino = st.st_ino;
	return 0;
}

bool eg_starting_has(struct eg_starting *starting, pid_t pid)
{
	struct stat st;

	for (size_t i = 0; i < EG_STARTING_MAX; i++) {
		if (starting->items[i].pid != pid)
			continue;
		if (!executable_of(pid, &st) && st.st_dev == starting->items[i].dev && st.st_ino == starting->items[i].ino)
			return true;
		starting->items[i].pid = 0;
	}
	return false;
}

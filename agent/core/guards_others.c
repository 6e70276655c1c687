// SPDX-License-Identifier: Apache-2.0
/*
 * guards_others.c - who else lives in a namespace
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent_impl.h"
#include "clock.h"
#include "guards_impl.h"
#include "tasksock.h"

/* Slot of the app that the process belongs to; 0: of none. */
static uint32_t slot_of(struct eg_agent *agent, pid_t pid)
{
	char path[PATH_MAX], *slash;
	uint32_t slot = 0;

	if (eg_cgroupfs_of_pid(pid, path) < 0)
		return 0;
	for (;;) {
		uint64_t id;

		if (eg_cgroupfs_id(agent->cgroupfs, path, &id) == 0) {
			const struct eg_tagged *tagged;

			pthread_mutex_lock(&agent->lock);
			tagged = eg_tags_find(agent, id);
			slot = tagged ? tagged->slot : 0;
			pthread_mutex_unlock(&agent->lock);
		}
		slash = strrchr(path, '/');
		if (slot || !slash)
			return slot;
		*slash = '\0';
	}
}

static void name_of(struct eg_agent *agent, uint32_t slot, char ret[EG_APP_NAME_LEN])
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, slot, 0);
	snprintf(ret, EG_APP_NAME_LEN, "%s", entry ? entry->name : "");
	pthread_mutex_unlock(&agent->lock);
}

static int one_is_enough(void *ctx, pid_t tid, int fd, uint32_t inode)
{
	(void)ctx;
	(void)tid;
	(void)fd;
	(void)inode;
	return 1;
}

static void meet(struct eg_guards *guards, struct eg_guards_space *space, pid_t pid)
{
	uint32_t slot = slot_of(guards->agent, pid);

	if (slot == space->owner.slot) {
		space->living = true;
		return;
	}
	if (space->stranger || (!slot && eg_tasksock_each(pid, one_is_enough, NULL) != 1))
		return;
	space->stranger = pid;
	name_of(guards->agent, slot, space->stranger_app);
}

static bool is_due(const struct eg_guards_space *space, const struct eg_guards_space *only)
{
	return space == only || (!only && space->others_ns);
}

/* Another app's process stays; one of no app may just have dropped in, and takes off no guard at first sight. */
static bool is_shared(const struct eg_guards *guards, const struct eg_guards_space *space, pid_t before)
{
	if (!space->stranger)
		return false;
	return space->stranger_app[0] || space->stranger == before || !eg_guards_has(guards, space->inode);
}

static void meet_all(struct eg_guards *guards, DIR *proc, const struct eg_guards_space *only)
{
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		if (pid <= 0 || stat(path, &st))
			continue;
		for (size_t i = eg_guards_first(guards, st.st_ino); i < guards->space_count; i++) {
			if (guards->spaces[i].inode != st.st_ino)
				break;
			if (is_due(&guards->spaces[i], only))
				meet(guards, &guards->spaces[i], pid);
		}
	}
}

void eg_guards_look_for_others(struct eg_guards *guards, struct eg_guards_space *only)
{
	EG_FREE pid_t *before = calloc(guards->space_count + 1, sizeof(*before));
	EG_CLOSEDIR DIR *proc = opendir("/proc");
	uint64_t now = eg_clock_boot_ns();

	if (!before || !proc)
		return; /* what was known stays */
	for (size_t i = 0; i < guards->space_count; i++) {
		struct eg_guards_space *space = &guards->spaces[i];

		if (!is_due(space, only))
			continue;
		before[i] = space->stranger;
		space->stranger = 0;
		space->stranger_app[0] = '\0';
		space->living = false;
		space->others_ns = now;
	}
	meet_all(guards, proc, only);
	for (size_t i = 0; i < guards->space_count; i++) {
		if (is_due(&guards->spaces[i], only))
			guards->spaces[i].shared = is_shared(guards, &guards->spaces[i], before[i]);
	}
}

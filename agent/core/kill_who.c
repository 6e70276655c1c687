// SPDX-License-Identifier: Apache-2.0
/*
 * kill_who.c - whom a kill hit: the app's cgroups, and the users of the processes in them
 *
 * For who disables accounts on a kill. Only the first few, and only what is quick to read: the whole list is in the
 * snapshot that follows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "agent_impl.h"
#include "bytes_json.h"
#include "kill_who.h"

#define CGROUPS_MAX 16
#define USERS_MAX   16
#define TASKS_MAX   128 /* that are looked at */

static void add_user(json_t *users, long uid)
{
	json_t *known;
	size_t i;

	json_array_foreach(users, i, known) {
		if (json_integer_value(known) == uid)
			return;
	}
	if (i < USERS_MAX)
		json_array_append_new(users, json_integer(uid));
}

/* The real user: /proc/PID itself belongs to root where a process can't be traced. */
static void add_user_of(json_t *users, pid_t pid)
{
	char path[64], line[256];
	FILE *status;
	long uid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "Uid: %ld", &uid) == 1) {
			add_user(users, uid);
			break;
		}
	}
	if (status)
		fclose(status);
}

static json_t *users_of(const struct eg_agent *agent, const uint64_t *ids, size_t count)
{
	json_t *users = json_array();
	size_t looked = 0;

	for (size_t i = 0; i < count; i++) {
		EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, ids[i]);
		EG_FREE pid_t *pids = NULL;
		size_t pid_count = 0;

		if (fd < 0 || eg_cgroupfs_procs(fd, &pids, &pid_count))
			continue; /* removed */
		for (size_t j = 0; j < pid_count && looked < TASKS_MAX; j++, looked++)
			add_user_of(users, pids[j]);
	}
	return users;
}

void eg_kill_who(struct eg_agent *agent, const char *app, json_t *fields)
{
	EG_FREE uint64_t *ids = NULL;
	const struct eg_entry *entry;
	json_t *cgroups = json_array();
	size_t count = 0;
	char path[1024];

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry && eg_tags_ids(agent, entry->slot, true, &ids, &count) < 0)
		count = 0;
	pthread_mutex_unlock(&agent->lock);
	if (count > CGROUPS_MAX)
		count = CGROUPS_MAX;
	for (size_t i = 0; i < count; i++) {
		if (eg_tags_path(agent, ids[i], path, sizeof(path)))
			json_array_append_new(cgroups, eg_bytes_json(path, strlen(path)));
	}
	json_object_set_new(fields, "cgroups", cgroups);
	json_object_set_new(fields, "uids", users_of(agent, ids, count));
}

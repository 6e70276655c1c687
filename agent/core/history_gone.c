// SPDX-License-Identifier: Apache-2.0
/*
 * history_gone.c - the histories of apps that have no policy any more: kept for a time, and not too many
 *
 * A history outlives its policy, so that it can be said afterwards what an app was allowed. The file .gone in
 * its directory says since when there is none: it is made by the first sweep that finds the app without a
 * policy, and removed by one that finds it with one. So a store that could not be read costs no history
 * before it has been away for all of that time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"

#define MARK	  ".gone"
#define EVERY_NS  (3600 * EG_NS_PER_S)
#define KEEP_S	  (90 * 86400ll)
#define KEEP_APPS 1000
#define AT_ONCE	  64 /* removed by one sweep; the next goes on */

struct gone {
	char app[EG_APP_NAME_LEN];
	int64_t since_s; /* UTC */
};

struct list {
	struct gone *items;
	size_t count;
	size_t room;
};

static void list_clear(struct list *list)
{
	free(list->items);
}

static int list_add(struct list *list, const char *app, int64_t since_s)
{
	struct gone *one;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct gone *items = reallocarray(list->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	one = &list->items[list->count++];
	snprintf(one->app, sizeof(one->app), "%.63s", app);
	one->since_s = since_s;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	return x->since_s < y->since_s ? -1 : x->since_s > y->since_s;
}

/* NULL: errno. */
static DIR *open_list(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

static bool has_policy(struct eg_agent *agent, const char *app)
{
	const struct eg_entry *entry = eg_registry_find(agent, app);

	return entry && entry->now && !entry->deleted;
}

/* Since when, by its mark, which is made if there is none. -errno. */
static int64_t read_mark(int dir_fd)
{
	EG_CLOSE int fd = openat(dir_fd, MARK, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	return fd < 0 || fstat(fd, &st) ? -errno : st.st_mtim.tv_sec;
}

static int look_at(struct eg_agent *agent, int history_fd, const char *app, struct list *list)
{
	EG_CLOSE int fd = openat(history_fd, app, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int64_t since_s;

	if (fd < 0)
		return 0;
	if (has_policy(agent, app)) {
		unlinkat(fd, MARK, 0);
		return 0;
	}
	since_s = read_mark(fd);
	return since_s < 0 ? 0 : list_add(list, app, since_s);
}

static int find_gone(struct eg_agent *agent, int history_fd, struct list *list)
{
	EG_CLOSEDIR DIR *dir = open_list(history_fd, ".");
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (entry = readdir(dir))) {
		if (eg_policy_app_name(entry->d_name))
			r = look_at(agent, history_fd, entry->d_name, list);
	}
	return r;
}

/* It has nothing in it but files of ours. */
static int remove_history(int history_fd, const char *app)
{
	EG_CLOSEDIR DIR *dir = open_list(history_fd, app);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	return unlinkat(history_fd, app, AT_REMOVEDIR) ? -errno : 0;
}

/* The number removed; AT_ONCE: there may be more. */
static int remove_old(int history_fd, struct list *list)
{
	int64_t now_s = (int64_t)(eg_clock_utc_ns() / EG_NS_PER_S);
	int removed = 0;

	qsort(list->items, list->count, sizeof(*list->items), by_age);
	for (size_t i = 0; i < list->count && removed < AT_ONCE; i++) {
		const struct gone *gone = &list->items[i];
		int r;

		if (list->count - i <= KEEP_APPS && now_s - gone->since_s < KEEP_S)
			break;
		r = remove_history(history_fd, gone->app);
		if (r)
			eg_log_err("the history of %s, which has no policy any more, can't be removed: %s", gone->app,
				   strerror(-r));
		else
			removed++;
	}
	return removed;
}

void eg_history_sweep(struct eg_agent *agent)
{
	EG_CLEANUP(list_clear) struct list list = {0};
	EG_CLOSE int state_fd = -1, history_fd = -1;
	uint64_t now = eg_clock_mono_ns();

	if (now < agent->history_next_ns)
		return;
	agent->history_next_ns = now + EVERY_NS;
	state_fd = open(eg_agent_config(agent)->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	history_fd = state_fd < 0 ? -1 : openat(state_fd, EG_HISTORY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (history_fd < 0 || find_gone(agent, history_fd, &list) || !list.count)
		return;
	if (remove_old(history_fd, &list) == AT_ONCE)
		agent->history_next_ns = now;
}

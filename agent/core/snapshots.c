// SPDX-License-Identifier: Apache-2.0
/*
 * snapshots.c - the thread that takes snapshots behind kills, and the directory that keeps them
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../lib/log.h"
#include "clock.h"
#include "snapshot.h"

struct wish {
	char app[EG_APP_NAME_LEN];
	char why[256];
	char actor[64];
	struct eg_socket_notes notes; /* owned */
	struct wish *next;
};

struct eg_snapshots {
	struct eg_agent *agent;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t more;
	bool stopping;
	struct wish *first;
	struct wish **last;
	size_t count;
};

/* ---- Files ------------------------------------------------------------------------------------------ */

static int open_dir(struct eg_agent *agent)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", eg_agent_config(agent)->state_dir, EG_SNAPSHOT_DIR) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* By the time in their names, which is at the end and of one length. */
static const char *time_of(const char *name)
{
	size_t len = strlen(name), tail = strlen("20260101T000000.000000000Z.json");

	return len > tail && !strcmp(name + len - 5, ".json") && name[len - tail - 1] == '-' ? name + len - tail : NULL;
}

static int ours(const struct dirent *entry)
{
	return time_of(entry->d_name) != NULL;
}

static int older(const struct dirent **a, const struct dirent **b)
{
	return strcmp(time_of((*a)->d_name), time_of((*b)->d_name));
}

static void make_room(int dir_fd)
{
	struct dirent **names = NULL;
	int count = scandirat(dir_fd, ".", &names, ours, older);

	for (int i = 0; i < count; i++) {
		if (i + EG_SNAPSHOT_FILES <= count)
			unlinkat(dir_fd, names[i]->d_name, 0);
		free(names[i]);
	}
	free(names);
}

static void name_of(const char *app, char *ret, size_t size)
{
	uint64_t now = eg_clock_utc_ns();
	time_t seconds = (time_t)(now / EG_NS_PER_S);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
	snprintf(ret, size, "%s-%s.%09lluZ.json", app, text, (unsigned long long)(now % EG_NS_PER_S));
}

/* Whole or not at all, as a reader sees it. 0 or -errno. */
static int keep(struct eg_agent *agent, const char *app, const json_t *snapshot, char *ret_path, size_t size)
{
	EG_CLOSE int dir_fd = open_dir(agent);
	EG_CLOSE int fd = -1;
	char name[128], draft[136];
	int r = 0;

	if (dir_fd < 0)
		return dir_fd;
	make_room(dir_fd);
	name_of(app, name, sizeof(name));
	snprintf(draft, sizeof(draft), ".%s.new", name);
	fd = openat(dir_fd, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (json_dumpfd(snapshot, fd, JSON_INDENT(2)) || fsync(fd) || renameat(dir_fd, draft, dir_fd, name))
		r = errno ? -errno : -EIO;
	if (r)
		unlinkat(dir_fd, draft, 0);
	else
		(void)fsync(dir_fd); /* its text is on disk; a name lost with the power is no harm to what runs */
	snprintf(ret_path, size, "%s/%s/%s", eg_agent_config(agent)->state_dir, EG_SNAPSHOT_DIR, name);
	return r;
}

static void tell(struct eg_agent *agent, const char *app, const char *path, int r)
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	eg_notice(agent, "agent", entry, app,
		  json_pack("{s:s,s:s*,s:s*}", "action", r ? "snapshot_failed" : "snapshot", "file", r ? NULL : path, "error",
			    r ? strerror(-r) : NULL));
	pthread_mutex_unlock(&agent->lock);
	if (r)
		eg_log_err("the snapshot of %s can't be kept: %s", app, strerror(-r));
}

int eg_agent_snapshot(struct eg_agent *agent, const char *app, const char *reason, const struct eg_actor *actor,
		      json_t **ret, struct eg_error *err)
{
	char who[64], path[4200];
	json_t *snapshot;
	int r;

	eg_actor_text(actor, who, sizeof(who));
	snapshot = eg_snapshot_gather(agent, app, reason ? reason : "", who, NULL);
	if (!snapshot)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	r = keep(agent, app, snapshot, path, sizeof(path));
	tell(agent, app, path, r);
	if (r) {
		json_decref(snapshot);
		return eg_error_set(err, 500, "no_disk", "The snapshot can't be kept in %s/%s: %s.",
				    eg_agent_config(agent)->state_dir, EG_SNAPSHOT_DIR, strerror(-r));
	}
	json_object_set_new(snapshot, "file", json_string(path));
	*ret = snapshot;
	return 0;
}

/* ---- Behind a kill -------------------------------------------------------------------------------------- */

static void wish_free(struct wish *wish)
{
	eg_socket_notes_clear(&wish->notes);
	free(wish);
}

void eg_snapshots_want(struct eg_snapshots *s, const char *app, const char *why, const char *actor,
		       struct eg_socket_notes *notes)
{
	struct wish *wish = s ? calloc(1, sizeof(*wish)) : NULL;
	bool full = true;

	if (wish) {
		snprintf(wish->app, sizeof(wish->app), "%s", app);
		snprintf(wish->why, sizeof(wish->why), "%s", why);
		snprintf(wish->actor, sizeof(wish->actor), "%s", actor);
		wish->notes = *notes;
		*notes = (struct eg_socket_notes){0};
		pthread_mutex_lock(&s->lock);
		full = s->stopping || s->count >= EG_SNAPSHOT_WAITING;
		if (!full) {
			*s->last = wish;
			s->last = &wish->next;
			s->count++;
			pthread_cond_signal(&s->more);
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (!full)
		return;
	if (wish)
		wish_free(wish);
	if (s)
		eg_log_warning("kill %s: too many at once, or egretd ends: no snapshot is taken of it", app);
}

/* NULL: the end. */
static struct wish *take(struct eg_snapshots *s)
{
	struct wish *wish;

	pthread_mutex_lock(&s->lock);
	while (!s->first && !s->stopping)
		pthread_cond_wait(&s->more, &s->lock);
	wish = s->first;
	if (wish) {
		s->first = wish->next;
		s->count--;
		if (!s->first)
			s->last = &s->first;
	}
	pthread_mutex_unlock(&s->lock);
	return wish;
}

static void *run(void *ctx)
{
	struct eg_snapshots *s = ctx;
	struct wish *wish;

	pthread_setname_np(pthread_self(), "egret-snapshot");
	while ((wish = take(s))) {
		json_t *snapshot = eg_snapshot_gather(s->agent, wish->app, wish->why, wish->actor, &wish->notes);
		char path[4200];

		int r;

		if (snapshot) { /* an app that was not seen yet has nothing to show */
			r = keep(s->agent, wish->app, snapshot, path, sizeof(path));
			tell(s->agent, wish->app, path, r);
		}
		json_decref(snapshot);
		wish_free(wish);
	}
	return NULL;
}

int eg_snapshots_start(struct eg_agent *agent, struct eg_snapshots **ret)
{
	struct eg_snapshots *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->agent = agent;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		free(s);
		return -r;
	}
	*ret = s;
	return 0;
}

void eg_snapshots_stop(struct eg_snapshots *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
}

void eg_snapshots_free(struct eg_snapshots *s)
{
	if (!s)
		return;
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

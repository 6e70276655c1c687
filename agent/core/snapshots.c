// SPDX-License-Identifier: Apache-2.0
/*
 * snapshots.c - the thread that takes snapshots behind kills; and what was kept, told
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/log.h"
#include "clock.h"
#include "snapshot.h"
#include "snapshot_files.h"

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
	struct eg_snapshots_stats stats;
	uint64_t young_boot_ns; /* when one went that was younger than a day; 0: never */
	pthread_mutex_t keeping; /* of the directory; held over writes to disk */
};

/* ---- Keeping ---------------------------------------------------------------------------------------- */

static int open_dir(struct eg_agent *agent, bool make)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", eg_agent_config(agent)->state_dir, EG_SNAPSHOT_DIR) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void count(struct eg_snapshots *s, const struct eg_snapshot_room *room)
{
	pthread_mutex_lock(&s->lock);
	s->stats.files = room->files;
	s->stats.bytes = room->bytes;
	s->stats.evicted += room->gone;
	if (room->gone_young)
		s->young_boot_ns = eg_clock_boot_ns();
	pthread_mutex_unlock(&s->lock);
}

/* Whole or not at all, as a reader sees it. 0 or -errno; *room is right in both cases. */
static int keep(struct eg_agent *agent, const char *app, const json_t *snapshot, char *ret_path, size_t size,
		struct eg_snapshot_room *room)
{
	const struct eg_config *config = eg_agent_config(agent);
	EG_CLOSE int dir_fd = open_dir(agent, true);
	char name[EG_SNAPSHOT_NAME_LEN];
	int r;

	*room = (struct eg_snapshot_room){.quota_bytes = config->snapshot_quota_bytes, .now_utc_ns = eg_clock_utc_ns()};
	if (dir_fd < 0)
		return dir_fd;
	pthread_mutex_lock(&agent->snapshots->keeping);
	eg_snapshot_name(app, eg_clock_utc_ns(), name);
	r = eg_snapshot_write(dir_fd, name, snapshot, room);
	count(agent->snapshots, room);
	pthread_mutex_unlock(&agent->snapshots->keeping);
	snprintf(ret_path, size, "%s/%s/%s", config->state_dir, EG_SNAPSHOT_DIR, name);
	return r;
}

static void tell(struct eg_agent *agent, const char *app, const char *path, int r, const struct eg_snapshot_room *room)
{
	const struct eg_entry *entry;

	if (room->gone) {
		eg_log_notice("snapshots: the %zu oldest (%llu bytes) were deleted for a new one: %d files and snapshot_quota are kept",
			      room->gone, (unsigned long long)room->gone_bytes, EG_SNAPSHOT_FILES);
		eg_notice(agent, "agent", NULL, NULL,
			  json_pack("{s:s,s:I,s:I,s:s}", "action", "snapshots_evicted", "files", (json_int_t)room->gone, "bytes",
				    (json_int_t)room->gone_bytes, "newest", room->gone_newest));
	}
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
	struct eg_snapshot_room room;
	char who[64], path[4200];
	json_t *snapshot;
	int r;

	eg_actor_text(actor, who, sizeof(who));
	snapshot = eg_snapshot_gather(agent, app, reason ? reason : "", who, NULL);
	if (!snapshot)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	r = keep(agent, app, snapshot, path, sizeof(path), &room);
	tell(agent, app, path, r, &room);
	if (r) {
		json_decref(snapshot);
		return eg_error_set(err, 500, "no_disk", "The snapshot can't be kept in %s/%s: %s.",
				    eg_agent_config(agent)->state_dir, EG_SNAPSHOT_DIR, strerror(-r));
	}
	json_object_set_new(snapshot, "file", json_string(path));
	*ret = snapshot;
	return 0;
}

void eg_snapshots_stats(struct eg_snapshots *s, struct eg_snapshots_stats *ret)
{
	*ret = (struct eg_snapshots_stats){0};
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	ret->evicted_young = s->young_boot_ns && eg_clock_boot_ns() - s->young_boot_ns < EG_SNAPSHOT_YOUNG_NS;
	pthread_mutex_unlock(&s->lock);
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
		struct eg_snapshot_room room;
		char path[4200];
		int r;

		if (snapshot) { /* an app that was not seen yet has nothing to show */
			r = keep(s->agent, wish->app, snapshot, path, sizeof(path), &room);
			tell(s->agent, wish->app, path, r, &room);
		}
		json_decref(snapshot);
		wish_free(wish);
	}
	return NULL;
}

/* What one that was killed left half-written goes; what there is, is counted. */
static void look_at_files(struct eg_snapshots *s)
{
	EG_CLOSE int dir_fd = open_dir(s->agent, false);
	struct eg_snapshot_room room = {0};

	if (dir_fd >= 0)
		eg_snapshot_mend(dir_fd, &room);
	count(s, &room);
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
	pthread_mutex_init(&s->keeping, NULL);
	pthread_cond_init(&s->more, NULL);
	look_at_files(s);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		eg_snapshots_free(s);
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
	pthread_mutex_destroy(&s->keeping);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * polidir.c - the watched directory of policies
 *
 * Theory of operation. inotify says only that something happened; what happened is found by
 * looking at every *.json file's identity and time, so that nothing depends on the order or
 * the loss of notices. A file that can't be used leaves what is in force; a file that is gone
 * takes its app's policy with it, a second later, since editors and deployments replace files
 * in two steps; polidir_gone.c decides that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "../lib/log.h"
#include "../lib/policy.h"
#include "clock.h"
#include "polidir_impl.h"

#define LOOK_ANYWAY_NS  (30 * EG_NS_PER_S) /* notices can be lost, as on network filesystems */

const struct eg_actor eg_polidir_actor = {.role = EG_ROLE_ADMIN, .via = "directory"};

/* ---- Files -------------------------------------------------------------------------------- */

static int compare_name(const void *name, const void *file)
{
	return strcmp(name, (*(struct eg_polifile *const *)file)->name);
}

static struct eg_polifile *file_find(const struct eg_polidir *dir, const char *name)
{
	struct eg_polifile **found = NULL;

	if (dir->sorted)
		found = bsearch(name, dir->files, dir->sorted, sizeof(*dir->files), compare_name);
	return found ? *found : NULL;
}

void eg_polifile_free(struct eg_polifile *file)
{
	json_decref(file->diagnostics);
	free(file->name);
	free(file);
}

static struct eg_polifile *file_add(struct eg_polidir *dir, const char *name)
{
	struct eg_polifile **files = reallocarray(dir->files, dir->count + 1, sizeof(*files));
	struct eg_polifile *file = calloc(1, sizeof(*file));

	if (files)
		dir->files = files;
	if (!files || !file || !(file->name = strdup(name))) {
		free(file);
		return NULL;
	}
	dir->files[dir->count++] = file;
	return file;
}

static bool still_there(void *ctx, const char *origin)
{
	const struct eg_polidir *dir = ctx;
	const struct eg_polifile *file = file_find(dir, origin);

	return file && file->seen && file->app[0];
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Says it in the log when it is new. */
static void file_bad(struct eg_polifile *file, bool retry, const char *message, json_t *diagnostics)
{
	if (!file->bad || strcmp(file->message, message) != 0)
		eg_log_err("%s%s", message, file->app[0] ? "; what was in force stays" : "");
	file->bad = true;
	file->retry = retry;
	snprintf(file->message, sizeof(file->message), "%s", message);
	json_decref(file->diagnostics);
	file->diagnostics = json_incref(diagnostics);
}

static void file_good(struct eg_polifile *file)
{
	file->bad = false;
	file->retry = false;
	file->message[0] = '\0';
	json_decref(file->diagnostics);
	file->diagnostics = NULL;
}

void eg_polidir_drop_app(struct eg_polidir *dir, const char *app, const char *origin, const char *why)
{
	struct eg_entry *entry = eg_registry_find(dir->agent, app);
	struct eg_error err = {0};
	uint32_t reset;

	if (!entry || entry->deleted || !entry->now || entry->now->source != EG_SOURCE_DIRECTORY ||
	    !entry->now->origin || strcmp(entry->now->origin, origin) != 0)
		return;
	if (eg_policies_drop(dir->agent, entry, &eg_polidir_actor, why, &reset, &err) < 0)
		eg_log_err("%s", err.message);
	eg_error_clear(&err);
}

static void file_apply(struct eg_polidir *dir, struct eg_polifile *file, const char *text, size_t len)
{
	const struct eg_policy_write write = {
		.file = file->name,
		.text = text,
		.len = len,
		.at_start = !dir->scanned,
		.from = {.source = EG_SOURCE_DIRECTORY,
			 .origin = file->name,
			 .number = (uint64_t)file->st.st_mtim.tv_sec},
		.actor = &eg_polidir_actor,
		.still_there = still_there,
		.ctx = dir,
	};
	struct eg_policy_written written;
	struct eg_error err = {0};
	int r = eg_policies_write(dir->agent, &write, &written, &err);

	if (r < 0) {
		file_bad(file, r == -EEXIST || r == -ENOSPC || r == -EDQUOT, err.message, err.details);
		eg_error_clear(&err);
		return;
	}
	json_decref(written.warnings);
	if (file->app[0] && strcmp(file->app, written.app) != 0)
		eg_polidir_drop_app(dir, file->app, file->name, "its file is for another app now");
	snprintf(file->app, sizeof(file->app), "%s", written.app);
	file_good(file);
}

static void file_read(struct eg_polidir *dir, int dir_fd, struct eg_polifile *file, const struct stat *st)
{
	EG_FREE char *text = NULL;
	char message[320];
	size_t len = 0;
	int r;

	file->st = *st;
	r = eg_store_read_file(dir_fd, file->name, EG_POLICY_BYTES_MAX, &text, &len);
	if (r == -EFBIG)
		snprintf(message, sizeof(message), "%s: the file has %lld bytes, a policy may have %u", file->name,
			 (long long)st->st_size, EG_POLICY_BYTES_MAX);
	else if (r < 0)
		snprintf(message, sizeof(message), "%s: the file can't be read: %s", file->name,
			 r == -EINVAL ? "not a regular file" : strerror(-r));
	if (r < 0)
		file_bad(file, true, message, NULL);
	else
		file_apply(dir, file, text, len);
}

/* ---- Looking ---------------------------------------------------------------------------------------- */

static bool is_policy_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".json") == 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct eg_polifile *const *)a)->name, (*(struct eg_polifile *const *)b)->name);
}

/* First every name, so that a renamed file is not taken for a second one; then the contents. */
static void look_at_names(struct eg_polidir *dir, DIR *stream)
{
	struct dirent *entry;

	for (size_t i = 0; i < dir->count; i++)
		dir->files[i]->seen = false;
	while ((entry = readdir(stream))) {
		struct eg_polifile *file;

		if (!is_policy_name(entry->d_name))
			continue;
		file = file_find(dir, entry->d_name);
		if (!file)
			file = file_add(dir, entry->d_name);
		if (file)
			file->seen = true;
	}
	if (dir->count)
		qsort(dir->files, dir->count, sizeof(*dir->files), compare_names);
	dir->sorted = dir->count;
}

static void look_at_contents(struct eg_polidir *dir, int dir_fd)
{
	uint64_t now = eg_clock_mono_ns();

	dir->pending = false;
	for (size_t i = 0; i < dir->count; i++) {
		struct eg_polifile *file = dir->files[i];
		struct stat st;

		if (file->seen && fstatat(dir_fd, file->name, &st, 0))
			file->seen = false;
		if (!file->seen) {
			if (!file->gone_ns)
				file->gone_ns = now ? now : 1;
			dir->pending = true;
			continue;
		}
		file->gone_ns = 0;
		file->held = false;
		if (!same_file(&file->st, &st) || file->retry)
			file_read(dir, dir_fd, file, &st);
		dir->pending |= file->retry;
	}
}

static void publish_errors(struct eg_polidir *dir)
{
	struct eg_agent *agent = dir->agent;
	struct eg_policy_error *errors = calloc(dir->count + 1, sizeof(*errors)), *old;
	size_t count = 0, old_count;

	for (size_t i = 0; errors && i < dir->count; i++) {
		const struct eg_polifile *file = dir->files[i];

		if (!file->bad || file->gone_ns)
			continue;
		errors[count].file = strdup(file->name);
		snprintf(errors[count].message, sizeof(errors[count].message), "%s", file->message);
		errors[count++].diagnostics = json_incref(file->diagnostics);
	}
	pthread_mutex_lock(&agent->lock);
	old = agent->policy_errors;
	old_count = agent->policy_error_count;
	agent->policy_errors = errors;
	agent->policy_error_count = count;
	pthread_mutex_unlock(&agent->lock);
	for (size_t i = 0; i < old_count; i++) {
		free(old[i].file);
		json_decref(old[i].diagnostics);
	}
	free(old);
}

/* The directory is not there, or another filesystem lies over it. */
static void say_missing(struct eg_polidir *dir, int error)
{
	char why[256];
	bool harm = eg_polidir_in_force(dir) || eg_polidir_orphans(dir->agent);

	if (!dir->missing_said)
		eg_log(harm ? EG_LOG_ERR : EG_LOG_NOTICE, "policy directory %s: %s", dir->path, strerror(error));
	dir->missing_said = true;
	if (!harm)
		return;
	snprintf(why, sizeof(why), "the policy directory %s can't be read (%s): what was in force stays", dir->path,
		 strerror(error));
	eg_polidir_pause(dir->agent, why);
}

/* Where it fails the directory is looked at every second, and this is tried again. */
static void watch(struct eg_polidir *dir, const struct stat *st)
{
	if (dir->inotify_fd < 0)
		dir->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (dir->watch >= 0 && dir->dev == st->st_dev && dir->ino == st->st_ino)
		return;
	dir->dev = st->st_dev;
	dir->ino = st->st_ino;
	dir->watch = inotify_add_watch(dir->inotify_fd, dir->path,
				       IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR);
}

static bool is_due(const struct eg_polidir *dir)
{
	return !dir->scanned || dir->noticed || dir->pending || dir->watch < 0 || dir->missing_said ||
	       eg_clock_mono_ns() - dir->scanned_ns >= LOOK_ANYWAY_NS;
}

void eg_polidir_scan(struct eg_polidir *dir)
{
	EG_CLOSEDIR DIR *stream = NULL;
	bool was_missing = dir->missing_said;
	char why[256] = "";
	struct stat st;

	if (!is_due(dir))
		return;
	dir->noticed = false;
	dir->scanned_ns = eg_clock_mono_ns();
	stream = opendir(dir->path);
	if (!stream || fstat(dirfd(stream), &st)) {
		say_missing(dir, errno);
		dir->watch = -1;
		dir->scanned = true;
		return;
	}
	dir->missing_said = false;
	watch(dir, &st);
	look_at_names(dir, stream);
	look_at_contents(dir, dirfd(stream));
	eg_polidir_delete_gone(dir, was_missing, why, sizeof(why));
	publish_errors(dir);
	dir->scanned = true;
	eg_polidir_drop_orphans(dir, why, sizeof(why));
	eg_polidir_pause(dir->agent, why);
}

void eg_polidir_scan_all(struct eg_polidir *dir)
{
	dir->noticed = true;
	eg_polidir_scan(dir);
}

/* ---- Outside ---------------------------------------------------------------------------------------------- */

int eg_polidir_open(struct eg_agent *agent, const char *path, struct eg_polidir **ret)
{
	struct eg_polidir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return -ENOMEM;
	dir->agent = agent;
	dir->inotify_fd = dir->watch = -1;
	dir->path = strdup(path);
	if (!dir->path) {
		eg_polidir_close(dir);
		return -ENOMEM;
	}
	*ret = dir;
	return 0;
}

void eg_polidir_close(struct eg_polidir *dir)
{
	if (!dir)
		return;
	for (size_t i = 0; i < dir->count; i++)
		eg_polifile_free(dir->files[i]);
	if (dir->inotify_fd >= 0)
		close(dir->inotify_fd);
	free(dir->files);
	free(dir->path);
	free(dir);
}

int eg_polidir_fd(const struct eg_polidir *dir)
{
	return dir->inotify_fd;
}

void eg_polidir_notice(struct eg_polidir *dir)
{
	char buffer[4096] __attribute__((aligned(8)));

	while (read(dir->inotify_fd, buffer, sizeof(buffer)) > 0)
		dir->noticed = true;
}

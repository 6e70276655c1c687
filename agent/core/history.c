// SPDX-License-Identifier: Apache-2.0
/*
 * history.c - every revision that was put in force, kept in the state directory
 *
 * One file for each, history/APP/TIME-REV.json: an object that says who, when and from where, with
 * the policy in it. TIME is in ns with leading zeros, so that names sort by age. The oldest are
 * removed beyond a number and a size, those of apps without a policy after a time (history_gone.c). It
 * is not what enforcement stands on: a revision that can't be recorded is in force all the same, which
 * the log says; and nothing waits for the disk here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/log.h"
#include "../lib/units.h"
#include "agent_impl.h"
#include "clock.h"

#define RECORDS_MAX  50 /* of an app */
#define BYTES_MAX    (16u << 20) /* of an app, the newest always kept */
#define RECORD_BYTES (EG_POLICY_BYTES_MAX + (1u << 20))
#define TIME_DIGITS  20

/* ---- Files ------------------------------------------------------------------------------- */

/* The app's directory, made if `make`. -errno. */
static int open_dir(const struct eg_agent *agent, const char *app, bool make)
{
	char path[PATH_MAX];
	int fd, n = snprintf(path, sizeof(path), "%s/" EG_HISTORY_DIR, eg_agent_config(agent)->state_dir);

	if (n < 0 || (size_t)n + EG_APP_NAME_LEN + 2 > sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	snprintf(path + n, sizeof(path) - (size_t)n, "/%s", app);
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int is_record(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return strspn(entry->d_name, "0123456789") == TIME_DIGITS && entry->d_name[TIME_DIGITS] == '-' &&
	       len > TIME_DIGITS + 6 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

struct names {
	struct dirent **list; /* oldest first */
	int count;
};

static void names_clear(struct names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static int names_read(int dir_fd, struct names *ret)
{
	ret->count = scandirat(dir_fd, ".", &ret->list, is_record, alphasort);
	if (ret->count >= 0)
		return 0;
	ret->count = 0;
	return -errno;
}

/* The revision in a record's name. */
static void rev_of(const char *name, char ret[EG_REV_LEN])
{
	snprintf(ret, EG_REV_LEN, "%.*s", (int)(strlen(name) - TIME_DIGITS - 6), name + TIME_DIGITS + 1);
}

static void prune(int dir_fd, const struct names *names)
{
	uint64_t bytes = 0;

	for (int i = names->count - 1, kept = 0; i >= 0; i--) {
		struct stat st = {0};

		fstatat(dir_fd, names->list[i]->d_name, &st, AT_SYMLINK_NOFOLLOW);
		bytes += (uint64_t)st.st_size;
		if (kept && (kept >= RECORDS_MAX || bytes > BYTES_MAX))
			unlinkat(dir_fd, names->list[i]->d_name, 0);
		else
			kept++;
	}
}

static int write_record(int dir_fd, const char *name, const json_t *record)
{
	EG_CLOSE int fd = openat(dir_fd, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	errno = 0;
	if (json_dumpfd(record, fd, JSON_COMPACT))
		return errno ? -errno : -ENOMEM;
	return renameat(dir_fd, ".new", dir_fd, name) ? -errno : 0;
}

/* ---- Writing ---------------------------------------------------------------------------------- */

/* write NULL: it was in force before anything was recorded. */
static json_t *record_json(const struct eg_applied *applied, const struct eg_policy_write *write,
			   const char *rev_before)
{
	char actor[64] = "", hash[65];

	if (write)
		eg_actor_text(write->actor, actor, sizeof(actor));
	for (size_t i = 0; i < sizeof(applied->hash); i++)
		snprintf(hash + 2 * i, 3, "%02x", applied->hash[i]);
	return json_pack("{s:s,s:s,s:o,s:s,s:s*,s:s*,s:s,s:s*,s:s*,s:o,s:o}", "policy_rev", applied->rev, "sha256",
			 hash, "time", eg_time_json(eg_clock_utc_ns()), "source", eg_source_name(applied->source),
			 "file", applied->origin, "actor", write ? actor : NULL, "action",
			 !write          ? "found"
			 : write->action ? write->action
					 : "apply",
			 "of", write ? write->of_rev : NULL, "previous_rev", rev_before, "expires",
			 eg_time_json(applied->expires_utc_ns), "policy",
			 json_loadb(applied->text, applied->text_len, 0, NULL));
}

static int add_record(int dir_fd, uint64_t utc_ns, const struct eg_applied *applied,
		      const struct eg_policy_write *write, const char *rev_before)
{
	char name[TIME_DIGITS + EG_REV_LEN + 16];
	json_t *json = record_json(applied, write, rev_before);
	int r = -ENOMEM;

	snprintf(name, sizeof(name), "%0*" PRIu64 "-%s.json", TIME_DIGITS, utc_ns, applied->rev);
	if (json)
		r = write_record(dir_fd, name, json);
	json_decref(json);
	return r;
}

static int record(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_policy_write *write,
		  const char *rev_before)
{
	EG_CLEANUP(names_clear) struct names before = {0}, after = {0};
	EG_CLOSE int dir_fd = open_dir(agent, entry->name, true);
	uint64_t now_ns = eg_clock_utc_ns();
	char last[EG_REV_LEN] = "";
	int r = dir_fd < 0 ? dir_fd : names_read(dir_fd, &before);

	if (r < 0)
		return r;
	if (before.count)
		rev_of(before.list[before.count - 1]->d_name, last);
	if (strcmp(last, entry->now->rev) == 0)
		return 0; /* it was in force before the start */
	if (!before.count && entry->before && rev_before)
		r = add_record(dir_fd, now_ns - 1, entry->before, NULL, NULL);
	if (!r)
		r = add_record(dir_fd, now_ns, entry->now, write, rev_before);
	if (!r && before.count && !names_read(dir_fd, &after))
		prune(dir_fd, &after);
	return r;
}

void eg_history_note(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_policy_write *write,
		     const char *rev_before)
{
	int r = record(agent, entry, write, rev_before);

	if (r < 0)
		eg_log_err("app %s: revision %s is in force, but not in its history (%s)", entry->name, entry->now->rev,
			   strerror(-r));
}

/* ---- Reading ------------------------------------------------------------------------------------ */

static json_t *read_record(int dir_fd, const char *name)
{
	EG_FREE char *text = NULL;
	size_t len;

	return eg_store_read_file(dir_fd, name, RECORD_BYTES, &text, &len) ? NULL : json_loadb(text, len, 0, NULL);
}

int eg_history_find(struct eg_agent *agent, const char *app, const char *rev, const char *other_than, json_t **ret)
{
	EG_CLEANUP(names_clear) struct names names = {0};
	EG_CLOSE int dir_fd = open_dir(agent, app, false);
	int r = dir_fd < 0 ? dir_fd : names_read(dir_fd, &names);

	for (int i = names.count - 1; !r && i >= 0; i--) {
		const char *name = names.list[i]->d_name;
		char here[EG_REV_LEN];

		rev_of(name, here);
		/* of a rollback two revisions have one text: their hash is behind the number */
		if (rev ? strcmp(rev, here) != 0 : strcmp(strchrnul(here, '-'), strchrnul(other_than, '-')) == 0)
			continue;
		*ret = read_record(dir_fd, name);
		return *ret ? 0 : -EBADMSG;
	}
	return r ? r : -ENOENT;
}

int eg_history_list(struct eg_agent *agent, const char *app, json_t **ret)
{
	EG_CLEANUP(names_clear) struct names names = {0};
	EG_CLOSE int dir_fd = open_dir(agent, app, false);
	int r = dir_fd < 0 ? dir_fd : names_read(dir_fd, &names);
	json_t *list = json_array();

	for (int i = names.count - 1; !r && i >= 0; i--) {
		json_t *one = read_record(dir_fd, names.list[i]->d_name);

		json_object_del(one, "policy");
		if (one)
			json_array_append_new(list, one);
	}
	if (r && r != -ENOENT) {
		json_decref(list);
		return r;
	}
	*ret = list;
	return 0;
}

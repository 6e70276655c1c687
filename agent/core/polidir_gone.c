// SPDX-License-Identifier: Apache-2.0
/*
 * polidir_gone.c - when a policy file that is gone takes its app's policy with it
 *
 * A second later, since editors and deployments replace files in two steps. When all go, or
 * several at once that are more than a tenth, or the directory itself, somebody's mount or sync
 * has failed: then nothing is deleted, and it is said, until each file is back or its app is
 * deleted by hand. One file of several can always be deleted, though it be more than a tenth.
 * The same goes for what went while no agent ran, as the adopted maps tell.
 */
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "clock.h"
#include "polidir_impl.h"

#define DELETE_AFTER_NS EG_NS_PER_S

/* Whether the file's policy is the one in force. */
static bool in_force(const struct eg_polidir *dir, const struct eg_polifile *file)
{
	const struct eg_entry *entry = file->app[0] ? eg_registry_find(dir->agent, file->app) : NULL;

	return entry && !entry->deleted && entry->now && entry->now->source == EG_SOURCE_DIRECTORY &&
	       entry->now->origin && strcmp(entry->now->origin, file->name) == 0;
}

static bool is_lost(const struct eg_polidir *dir, const struct eg_polifile *file)
{
	return file->gone_ns && in_force(dir, file);
}

size_t eg_polidir_in_force(const struct eg_polidir *dir)
{
	size_t count = 0;

	for (size_t i = 0; i < dir->count; i++)
		count += in_force(dir, dir->files[i]);
	return count;
}

static bool is_orphan(struct eg_agent *agent, const struct eg_entry *entry)
{
	return !entry->now && !entry->deleted && eg_entry_ctl(agent, entry)->ruleset;
}

size_t eg_polidir_orphans(struct eg_agent *agent)
{
	size_t count = 0;

	for (size_t i = 0; i < agent->count; i++)
		count += is_orphan(agent, agent->by_name[i]);
	return count;
}

static bool too_many(size_t gone, size_t all)
{
	return gone && (gone >= all || (gone >= 2 && gone * 10 > all));
}

void eg_polidir_pause(struct eg_agent *agent, const char *why)
{
	if (strcmp(agent->paused_why, why) == 0)
		return;
	pthread_mutex_lock(&agent->lock);
	snprintf(agent->paused_why, sizeof(agent->paused_why), "%s", why);
	pthread_mutex_unlock(&agent->lock);
	if (!why[0]) {
		eg_log_notice("deletions of policies go on");
		return;
	}
	eg_log_err("%s", why);
	eg_notice(agent, "alert", NULL, NULL, json_pack("{s:s,s:s}", "action", "deletions_paused", "cause", why));
}

static void file_forget(struct eg_polidir *dir, size_t i)
{
	struct eg_polifile *file = dir->files[i];

	dir->count--;
	dir->sorted--;
	memmove(dir->files + i, dir->files + i + 1, (dir->count - i) * sizeof(*dir->files));
	if (file->app[0])
		eg_polidir_drop_app(dir, file->app, file->name, "its file is gone");
	eg_polifile_free(file);
}

#define WAY_OUT "nothing is deleted until %s, or each app is deleted with `egret policy delete APP --take-over`"

/* Holds what went with too many others, once the first of them would be deleted. Returns how many are held. */
static size_t hold_lost(struct eg_polidir *dir, bool at_once)
{
	uint64_t now = eg_clock_mono_ns();
	size_t lost = 0, held = 0;
	bool due = at_once;

	for (size_t i = 0; i < dir->count; i++) {
		const struct eg_polifile *file = dir->files[i];

		if (!is_lost(dir, file))
			continue;
		lost++;
		held += file->held;
		due |= now - file->gone_ns >= DELETE_AFTER_NS;
	}
	if (!held && !(due && too_many(lost, eg_polidir_in_force(dir))))
		return 0;
	for (size_t i = 0; i < dir->count; i++)
		dir->files[i]->held = is_lost(dir, dir->files[i]);
	return lost;
}

void eg_polidir_delete_gone(struct eg_polidir *dir, bool at_once, char *why, size_t size)
{
	size_t held = hold_lost(dir, at_once);
	uint64_t now = eg_clock_mono_ns();

	if (held)
		snprintf(why, size, "%zu of %zu policy files are gone from %s at once: " WAY_OUT, held,
			 eg_polidir_in_force(dir), dir->path, "they are back");
	for (size_t i = dir->count; i-- > 0;) {
		const struct eg_polifile *file = dir->files[i];

		if (file->gone_ns &&
		    (!is_lost(dir, file) || (!file->held && now - file->gone_ns >= DELETE_AFTER_NS)))
			file_forget(dir, i);
	}
}

static void drop_orphan(struct eg_agent *agent, struct eg_entry *entry)
{
	struct eg_error err = {0};
	uint32_t reset;

	if (eg_policies_drop(agent, entry, &eg_polidir_actor, "no source has its policy any more", &reset, &err))
		eg_log_err("%s", err.message);
	eg_error_clear(&err);
}

void eg_polidir_drop_orphans(struct eg_polidir *dir, char *why, size_t size)
{
	struct eg_agent *agent = dir->agent;
	size_t count = eg_polidir_orphans(agent);
	bool readable = !agent->store_damaged;

	for (size_t i = 0; i < dir->count; i++)
		readable = readable && !dir->files[i]->bad;
	if (!count || !readable)
		return;
	if (!dir->orphans_held)
		dir->orphans_held = too_many(count, agent->count) || !eg_polidir_in_force(dir);
	if (dir->orphans_held) {
		dir->pending = true;
		if (!why[0])
			snprintf(why, size, "the policies of %zu of %zu apps went while no agent ran: " WAY_OUT, count,
				 agent->count, "they come from their source again");
		return;
	}
	for (size_t i = agent->count; i-- > 0;) {
		if (is_orphan(agent, agent->by_name[i]))
			drop_orphan(agent, agent->by_name[i]);
	}
}

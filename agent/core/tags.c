// SPDX-License-Identifier: Apache-2.0
/*
 * tags.c - which cgroup belongs to which app
 *
 * Theory of operation. Every cgroup below a managed root is known by its id. One that a
 * policy's pattern matches is tagged in map `cgroups`; the kernel walks a socket's cgroups from
 * the top, so what lies below is covered, and has no tag of its own. A tag that root gave by
 * hand stays. One whose policy no longer matches it stays, too, until another policy's does:
 * what was an app is never "unknown" again. Two policies for one cgroup: denied, until one of them is left.
 *
 * A cgroup that died keeps its tag for a while, since its sockets may live on (data not yet
 * acknowledged); its id is never used again. Everything here runs under `apply`.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/glob.h"
#include "../lib/log.h"
#include "agent_impl.h"
#include "bytes_json.h"

/* ---- What is known ------------------------------------------------------------------ */

static size_t tag_place(const struct eg_agent *agent, uint64_t id, bool *ret_found)
{
	size_t low = 0, high = agent->tag_count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t at = agent->tags[middle]->id;

		if (at == id) {
			*ret_found = true;
			return middle;
		}
		if (id < at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct eg_tagged *eg_tags_find(struct eg_agent *agent, uint64_t id)
{
	bool found;
	size_t place = tag_place(agent, id, &found);

	return found ? agent->tags[place] : NULL;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct eg_tagged *)a)->path, ((const struct eg_tagged *)b)->path);
}

static struct eg_tagged *find_path(struct eg_agent *agent, char *path)
{
	struct eg_tagged wanted = {.path = path};
	struct eg_tagged **found = tfind(&wanted, &agent->tags_by_path, compare_paths);

	return found ? *found : NULL;
}

static void tagged_free(struct eg_tagged *tagged)
{
	if (tagged)
		free(tagged->path);
	free(tagged);
}

/* Takes lock. NULL without memory. */
static struct eg_tagged *tagged_new(struct eg_agent *agent, const char *path, uint64_t id)
{
	struct eg_tagged *tagged = calloc(1, sizeof(*tagged));
	bool found;
	size_t place;

	if (!tagged || !(tagged->path = strdup(path))) {
		tagged_free(tagged);
		return NULL;
	}
	tagged->id = id;
	pthread_mutex_lock(&agent->lock);
	if (agent->tag_count == agent->tag_room) {
		size_t room = agent->tag_room ? agent->tag_room * 2 : 256;
		struct eg_tagged **tags = reallocarray(agent->tags, room, sizeof(*tags));

		if (!tags) {
			pthread_mutex_unlock(&agent->lock);
			tagged_free(tagged);
			return NULL;
		}
		agent->tags = tags;
		agent->tag_room = room;
	}
	place = tag_place(agent, id, &found);
	memmove(agent->tags + place + 1, agent->tags + place, (agent->tag_count - place) * sizeof(*agent->tags));
	agent->tags[place] = tagged;
	agent->tag_count++;
	pthread_mutex_unlock(&agent->lock);
	tsearch(tagged, &agent->tags_by_path, compare_paths);
	return tagged;
}

/* ---- What the kernel is told ---------------------------------------------------------- */

/* Cached tags are looked up again. */
static void raise_epoch(struct eg_agent *agent)
{
	__atomic_add_fetch(&eg_kern_host(agent->kern)->tag_epoch, 1, __ATOMIC_SEQ_CST);
}

/* Not all that is some app's can be told from what is nobody's: that is denied, too, whatever the roots let it do else. */
static void set_full(struct eg_agent *agent, bool full)
{
	pthread_mutex_lock(&agent->lock);
	agent->cgroups_full = full;
	pthread_mutex_unlock(&agent->lock);
	eg_roots_tell(agent);
}

static int kernel_tell(struct eg_agent *agent, struct eg_tagged *tagged)
{
	const struct eg_entry *entry = eg_registry_at(agent, tagged->slot, 0);
	struct eg_cgroup value = {
		.app = tagged->slot,
		.gen = entry ? entry->gen : 0,
		.flags = (tagged->ambiguous ? EG_CGROUP_AMBIGUOUS : 0) | (tagged->explicit_tag ? EG_CGROUP_EXPLICIT : 0),
	};
	int r;

	if (!tagged->slot && !tagged->ambiguous) {
		eg_cgroups_forget(agent, tagged->id);
		tagged->untold = false;
		return 0;
	}
	r = eg_cgroups_put(agent, tagged->id, &value);
	tagged->untold = r < 0;
	if (r < 0 && !agent->cgroups_full) {
		set_full(agent, true);
		eg_log_err("cgroup %s can't be tagged (%s), so it is denied everything, as all unknown ones are", tagged->path,
			   eg_cgroups_error(r));
	}
	return r;
}

static void say_ambiguous(struct eg_agent *agent, const struct eg_tagged *tagged)
{
	eg_log_warning("cgroup %s is matched by two policies: it is denied everything until one of them is changed or deleted",
		       tagged->path);
	eg_notice(agent, "agent", NULL, NULL,
		  json_pack("{s:s,s:o,s:s}", "action", "ambiguous_cgroup", "cgroup",
			    eg_bytes_json(tagged->path, strlen(tagged->path)), "verdict", "deny"));
}

/* Takes lock. */
static void tagged_set(struct eg_agent *agent, struct eg_tagged *tagged, uint32_t slot, bool ambiguous, bool by_hand)
{
	pthread_mutex_lock(&agent->lock);
	tagged->slot = slot;
	tagged->ambiguous = ambiguous;
	tagged->explicit_tag = by_hand;
	pthread_mutex_unlock(&agent->lock);
}

/* Gives the cgroup to the app in that slot (0: nobody). Takes lock. Returns whether that is new. */
static bool retag(struct eg_agent *agent, struct eg_tagged *tagged, uint32_t slot, bool ambiguous, bool by_hand)
{
	if (tagged->slot == slot && tagged->ambiguous == ambiguous && tagged->explicit_tag == by_hand)
		return false;
	tagged_set(agent, tagged, slot, ambiguous, by_hand);
	kernel_tell(agent, tagged);
	if (ambiguous)
		say_ambiguous(agent, tagged);
	return true;
}

/* ---- Whose is it? ------------------------------------------------------------------------ */

/* 0 or -ENOMEM. */
static int patterns_refresh(struct eg_agent *agent)
{
	if (!agent->patterns_stale)
		return 0;
	eg_patterns_empty(&agent->patterns);
	for (size_t i = 0; i < agent->count; i++) {
		const struct eg_entry *entry = agent->by_name[i];

		for (size_t j = 0; entry->now && !entry->deleted && j < entry->now->cgroup_count; j++) {
			if (eg_patterns_add(&agent->patterns, entry->now->cgroups[j], entry->slot) < 0) {
				eg_log_err("out of memory: which cgroups are whose can't be told of new ones, so they are denied");
				return -ENOMEM;
			}
		}
	}
	agent->patterns_stale = false;
	return 0;
}

/* Whether a cgroup above it is some app's. */
static bool is_covered(struct eg_agent *agent, const struct eg_tagged *tagged)
{
	EG_FREE char *path = strdup(tagged->path);
	char *slash;

	while (path && (slash = strrchr(path, '/'))) {
		const struct eg_tagged *above;

		*slash = '\0';
		above = find_path(agent, path);
		if (above && (above->slot || above->ambiguous))
			return true;
	}
	return false;
}

/* Looks at the patterns again. Returns whether the tag has changed. */
static bool reconsider(struct eg_agent *agent, struct eg_tagged *tagged)
{
	enum eg_patterns_found found;
	uint32_t slot = 0;

	if (tagged->root || tagged->explicit_tag)
		return false;
	if (is_covered(agent, tagged))
		return retag(agent, tagged, 0, false, false);
	if (patterns_refresh(agent)) {
		agent->tags_due = true;
		return false;
	}
	found = eg_patterns_match(&agent->patterns, tagged->path, &slot);
	if (found == EG_PATTERNS_SEVERAL)
		return retag(agent, tagged, 0, true, false);
	if (found == EG_PATTERNS_NONE && (tagged->slot || tagged->ambiguous))
		return false;
	return retag(agent, tagged, slot, false, false);
}

/* ---- Births and deaths --------------------------------------------------------------------- */

static bool is_keeper(const char *path)
{
	const char *leaf = strrchr(path, '/');

	return leaf && strcmp(leaf + 1, EG_ROOTKEEPER_LEAF) == 0;
}

/* What maps of an agent before this one say of a cgroup, if it still holds. */
static void recall(struct eg_agent *agent, struct eg_tagged *tagged)
{
	struct eg_cgroup value;
	const struct eg_entry *entry;

	if (!agent->adopted ||
	    bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &tagged->id, &value) ||
	    value.flags & EG_CGROUP_ROOT)
		return;
	entry = eg_registry_at(agent, value.app, value.gen);
	if (!entry && !(value.flags & EG_CGROUP_AMBIGUOUS))
		return;
	pthread_mutex_lock(&agent->lock);
	tagged->slot = entry ? entry->slot : 0;
	tagged->ambiguous = value.flags & EG_CGROUP_AMBIGUOUS;
	tagged->explicit_tag = value.flags & EG_CGROUP_EXPLICIT;
	pthread_mutex_unlock(&agent->lock);
}

static int born(void *ctx, const char *path, uint64_t id)
{
	struct eg_agent *agent = ctx;
	struct eg_tagged *tagged;

	if (is_keeper(path) || eg_tags_find(agent, id))
		return 0;
	tagged = tagged_new(agent, path, id);
	if (!tagged) {
		eg_log_err("out of memory: cgroup %s is unknown, so denied, until there is some", path);
		return -ENOMEM;
	}
	tagged->root = eg_roots_has_id(agent, id);
	recall(agent, tagged);
	if (reconsider(agent, tagged) && tagged->slot)
		eg_reaper_look_later(agent->reaper, id);
	return 0;
}

static void died(void *ctx, const char *path, uint64_t id)
{
	struct eg_agent *agent = ctx;
	struct eg_tagged *tagged;
	bool found;
	size_t place = tag_place(agent, id, &found);

	(void)path;
	if (!found)
		return;
	tagged = agent->tags[place];
	tdelete(tagged, &agent->tags_by_path, compare_paths);
	pthread_mutex_lock(&agent->lock);
	agent->tag_count--;
	memmove(agent->tags + place, agent->tags + place + 1, (agent->tag_count - place) * sizeof(*agent->tags));
	pthread_mutex_unlock(&agent->lock);
	if (tagged->root) {
		tagged_free(tagged); /* roots.c looks after it */
		return;
	}
	eg_cgroups_bury(agent, tagged);
}

const struct eg_cgwatch_ops eg_tags_watch_ops = {.born = born, .died = died};

/* ---- Policies and hands ------------------------------------------------------------------------ */

static bool any_match(const struct eg_applied *applied, const char *path)
{
	for (size_t i = 0; applied && i < applied->cgroup_count; i++) {
		if (eg_glob_match(applied->cgroups[i], path))
			return true;
	}
	return false;
}

static bool same_patterns(const struct eg_applied *a, const struct eg_applied *b)
{
	if ((a ? a->cgroup_count : 0) != (b ? b->cgroup_count : 0))
		return false;
	for (size_t i = 0; a && i < a->cgroup_count; i++) {
		if (strcmp(a->cgroups[i], b->cgroups[i]) != 0)
			return false;
	}
	return true;
}

/* By depth: what is above is decided first. */
static int compare_depth(const void *a, const void *b)
{
	const struct eg_tagged *x = *(struct eg_tagged *const *)a, *y = *(struct eg_tagged *const *)b;
	unsigned int dx = eg_cgroupfs_level(x->path), dy = eg_cgroupfs_level(y->path);

	return dx < dy ? -1 : dx > dy;
}

/* 0, or -ENOMEM with nothing changed. */
static int look_again(struct eg_agent *agent, const struct eg_applied *before, const struct eg_applied *now, bool at_all)
{
	EG_FREE struct eg_tagged **hit = calloc(agent->tag_count + 1, sizeof(*hit));
	size_t count = 0;
	bool changed = false;

	if (!hit)
		return -ENOMEM;
	for (size_t i = 0; i < agent->tag_count; i++) {
		if (at_all || any_match(before, agent->tags[i]->path) || any_match(now, agent->tags[i]->path))
			hit[count++] = agent->tags[i];
	}
	qsort(hit, count, sizeof(*hit), compare_depth);
	for (size_t i = 0; i < count; i++) {
		if (!reconsider(agent, hit[i]))
			continue;
		changed = true;
		if (hit[i]->slot)
			eg_reaper_look_later(agent->reaper, hit[i]->id);
	}
	if (changed)
		raise_epoch(agent);
	return 0;
}

void eg_tags_patterns_changed(struct eg_agent *agent, const struct eg_applied *before, const struct eg_applied *now)
{
	if (same_patterns(before, now) && !agent->patterns_stale)
		return;
	agent->patterns_stale = true;
	if (look_again(agent, before, now, false))
		agent->tags_due = true;
}

void eg_tags_make_up(struct eg_agent *agent)
{
	if (!agent->tags_due)
		return;
	agent->tags_due = false;
	if (look_again(agent, NULL, NULL, true))
		agent->tags_due = true;
}

int eg_tags_give(struct eg_agent *agent, const char *path, uint64_t id, struct eg_entry *entry)
{
	struct eg_tagged *tagged = eg_tags_find(agent, id);
	struct eg_tagged before;
	int r;

	if (!tagged)
		tagged = tagged_new(agent, path, id);
	if (!tagged)
		return -ENOMEM;
	before = *tagged;
	tagged_set(agent, tagged, entry->slot, false, true);
	r = kernel_tell(agent, tagged);
	if (r < 0) {
		tagged_set(agent, tagged, before.slot, before.ambiguous, before.explicit_tag);
		tagged->untold = before.untold;
	}
	raise_epoch(agent);
	return r;
}

void eg_tags_tell_again(struct eg_agent *agent)
{
	bool any = false, full = false;

	if (!agent->cgroups_full)
		return;
	for (size_t i = 0; i < agent->tag_count && !full; i++) {
		struct eg_tagged *tagged = agent->tags[i];

		if (!tagged->untold)
			continue;
		full = kernel_tell(agent, tagged) < 0;
		any = any || !full;
	}
	if (any)
		raise_epoch(agent);
	if (full)
		return;
	set_full(agent, false);
	eg_log_notice("every cgroup has its tag again");
}

/* ---- For others --------------------------------------------------------------------------------------- */

int eg_tags_ids(struct eg_agent *agent, uint32_t slot, bool live_only, uint64_t **ret_ids, size_t *ret_count)
{
	uint64_t *ids = calloc(agent->tag_count + EG_DEAD_CGROUPS + 1, sizeof(*ids));
	size_t count = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < agent->tag_count; i++) {
		if (agent->tags[i]->slot == slot)
			ids[count++] = agent->tags[i]->id;
	}
	for (size_t i = 0; !live_only && i < EG_DEAD_CGROUPS; i++) {
		if (agent->dead[i].id && agent->dead[i].slot == slot)
			ids[count++] = agent->dead[i].id;
	}
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

bool eg_tags_path(struct eg_agent *agent, uint64_t id, char *ret, size_t size)
{
	const struct eg_tagged *tagged;
	bool found;

	pthread_mutex_lock(&agent->lock);
	tagged = eg_tags_find(agent, id);
	if (!tagged)
		tagged = eg_cgroups_find_dead(agent, id);
	found = tagged;
	if (found)
		snprintf(ret, size, "%s", tagged->path);
	pthread_mutex_unlock(&agent->lock);
	return found;
}

static void free_nothing(void *node)
{
	(void)node;
}

void eg_tags_clear(struct eg_agent *agent)
{
	tdestroy(EG_TAKE_PTR(agent->tags_by_path), free_nothing);
	for (size_t i = 0; i < agent->tag_count; i++)
		tagged_free(agent->tags[i]);
	for (size_t i = 0; i < EG_DEAD_CGROUPS; i++)
		free(agent->dead[i].path);
	for (size_t i = 0; i < EG_DEAD_UNTAGGED; i++)
		free(agent->dead_untagged[i].path);
	free(EG_TAKE_PTR(agent->tags));
	agent->tag_count = 0;
	eg_patterns_clear(&agent->patterns);
}

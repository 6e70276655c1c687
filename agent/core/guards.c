// SPDX-License-Identifier: Apache-2.0
/*
 * guards.c - which namespaces are guarded, and for whom
 *
 * Theory of operation. The guard knows an app by the interface that a packet comes from, so a
 * namespace has to be that app's alone. A space is a namespace as one app uses it. When it is
 * first seen, and now and then, its interfaces are listed and the processes of the host are
 * looked through for others that live in it: another app's, or one of no app that has a socket
 * (a container's "pause" has none). Beside others there is no guard, and an administrator in it
 * is refused. A process that just drops in, as for debugging, takes no guard off: it has to be
 * seen twice.
 *
 * A guard stays while the interface is there and the app has a live cgroup, also without a process
 * in the namespace: what the app left there (a tunnel, a rewritten route) may still send.
 */
#include "guards_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "kern_guard.h"
#include "netns.h"

#define LINKS_NS      (30 * EG_NS_PER_S) /* list a namespace's links again, where there is no administrator */
#define OTHERS_NS     (5 * EG_NS_PER_S) /* look for others again */
#define FORGET_NS     (60 * EG_NS_PER_S) /* a space that the app was not seen in for so long */
#define CHECK_AT_ONCE 256

/* ---- Guards ----------------------------------------------------------------------------------- */

static struct eg_guards_item *guard_find(struct eg_guards *guards, uint32_t ifindex)
{
	for (size_t i = 0; i < guards->count; i++) {
		if (guards->items[i].ifindex == ifindex)
			return &guards->items[i];
	}
	return NULL;
}

static struct eg_guards_item *guard_add(struct eg_guards *guards)
{
	if (guards->count == guards->room) {
		size_t room = guards->room ? guards->room * 2 : 16;
		struct eg_guards_item *items = reallocarray(guards->items, room, sizeof(*items));

		if (!items)
			return NULL;
		guards->items = items;
		guards->room = room;
	}
	return &guards->items[guards->count++];
}

/* What was known of the namespace doesn't hold any more, but for one app (or NULL): the next look finds out. */
static void mark_stale(struct eg_guards *guards, uint64_t inode, const struct eg_guards_owner *but)
{
	for (size_t i = eg_guards_first(guards, inode); i < guards->space_count && guards->spaces[i].inode == inode; i++) {
		if (!but || !eg_guards_same_owner(&guards->spaces[i].owner, but))
			guards->spaces[i].covered = false;
	}
}

static int guard_attach(struct eg_guards *guards, uint32_t ifindex, const struct eg_guards_owner *owner, uint64_t inode)
{
	const struct eg_guard value = {.app = owner->slot, .gen = owner->gen};
	struct eg_guards_item *guard = guard_find(guards, ifindex);
	char name[IF_NAMESIZE];
	int r;

	if (!if_indextoname(ifindex, name))
		return -errno;
	r = eg_kern_guard_attach(guards->agent->kern, ifindex, &value);
	if (r < 0)
		return r;
	if (guard)
		mark_stale(guards, guard->inode, owner);
	pthread_mutex_lock(&guards->lock);
	if (!guard)
		guard = guard_add(guards);
	if (guard) {
		*guard = (struct eg_guards_item){.ifindex = ifindex, .owner = *owner, .inode = inode};
		memcpy(guard->name, name, sizeof(guard->name));
	}
	pthread_mutex_unlock(&guards->lock);
	if (!guard) {
		eg_kern_guard_detach(guards->agent->kern, ifindex);
		return -ENOMEM;
	}
	return 0;
}

static void guard_forget(struct eg_guards *guards, struct eg_guards_item *guard)
{
	mark_stale(guards, guard->inode, NULL);
	pthread_mutex_lock(&guards->lock);
	*guard = guards->items[--guards->count];
	pthread_mutex_unlock(&guards->lock);
}

/* Leaves it in the list if it can't be taken off: the next check tries again. */
static void guard_detach(struct eg_guards *guards, struct eg_guards_item *guard, const char *why)
{
	int r = eg_kern_guard_detach(guards->agent->kern, guard->ifindex);

	if (r < 0) {
		eg_log_warning("the guard of %s can't be taken off: %s", guard->name, strerror(-r));
		return;
	}
	eg_log_info("the guard of %s is taken off: %s", guard->name, why);
	guard_forget(guards, guard);
}

/* ---- Spaces ---------------------------------------------------------------------------------------------- */

static struct eg_guards_space *space_get(struct eg_guards *guards, const struct eg_guards_owner *owner, uint64_t inode)
{
	size_t place = eg_guards_first(guards, inode);

	for (size_t i = place; i < guards->space_count && guards->spaces[i].inode == inode; i++) {
		if (eg_guards_same_owner(&guards->spaces[i].owner, owner))
			return &guards->spaces[i];
	}
	if (guards->space_count == guards->space_room) {
		size_t room = guards->space_room ? guards->space_room * 2 : 16;
		struct eg_guards_space *spaces = reallocarray(guards->spaces, room, sizeof(*spaces));

		if (!spaces)
			return NULL;
		guards->spaces = spaces;
		guards->space_room = room;
	}
	memmove(guards->spaces + place + 1, guards->spaces + place, (guards->space_count - place) * sizeof(*guards->spaces));
	guards->space_count++;
	guards->spaces[place] = (struct eg_guards_space){.inode = inode, .owner = *owner};
	return &guards->spaces[place];
}

static bool is_guardable(const struct eg_netns_uplink *link)
{
	return link->host_ifindex && strcmp(link->kind, "veth") == 0;
}

/* Puts a guard on the interface unless it is there. False, and why: it can't be. */
static bool guard_link(struct eg_guards *guards, struct eg_guards_space *space, const struct eg_netns_uplink *link)
{
	const struct eg_guards_item *guard = guard_find(guards, link->host_ifindex);
	int r;

	if (guard && guard->inode == space->inode && eg_guards_same_owner(&guard->owner, &space->owner))
		return true;
	r = guard_attach(guards, link->host_ifindex, &space->owner, space->inode);
	if (r < 0) {
		snprintf(space->why, sizeof(space->why), "and no guard can be put on the other end of its interface %s: %s",
			 link->name, strerror(-r));
		return false;
	}
	eg_log_info("%s is guarded: it is the other end of %s in a namespace of an app's own",
		    guard_find(guards, link->host_ifindex)->name, link->name);
	return true;
}

/* A guard of an agent before this one: now it is known of which namespace. */
static void recognise(struct eg_guards *guards, const struct eg_guards_space *space, uint32_t ifindex)
{
	struct eg_guards_item *guard = guard_find(guards, ifindex);

	if (guard && !guard->inode && eg_guards_same_owner(&guard->owner, &space->owner))
		guard->inode = space->inode;
}

/* The other app's view of it is out of date, too. */
static void say_shared(struct eg_guards *guards, struct eg_guards_space *space)
{
	size_t i = eg_guards_first(guards, space->inode);

	for (; space->stranger_app[0] && i < guards->space_count && guards->spaces[i].inode == space->inode; i++)
		guards->spaces[i].shared = true;
	snprintf(space->why, sizeof(space->why), "which it shares with process %d%s%s, and no guard can tell them apart",
		 (int)space->stranger, space->stranger_app[0] ? " of app " : "", space->stranger_app);
}

/* Lists the ways out and guards them. */
static void look(struct eg_guards *guards, struct eg_guards_space *space, const struct eg_netns *netns)
{
	EG_FREE struct eg_netns_uplink *links = NULL;
	EG_CLOSE int fd = eg_netns_open(netns);
	size_t count = 0, guardable = 0;
	int r = fd < 0 ? fd : eg_netns_uplinks(fd, &links, &count);

	space->looked_ns = eg_clock_boot_ns();
	space->covered = r == 0;
	space->why[0] = '\0';
	if (r < 0)
		snprintf(space->why, sizeof(space->why), "whose interfaces can't be listed: %s", strerror(-r));
	for (size_t i = 0; i < count; i++) {
		if (is_guardable(&links[i])) {
			guardable++;
			recognise(guards, space, links[i].host_ifindex);
			continue;
		}
		if (links[i].inner)
			continue;
		space->covered = false;
		snprintf(space->why, sizeof(space->why), "which has the interface %s (%s), whose other end can't be guarded",
			 links[i].name, links[i].kind[0] ? links[i].kind : "hardware");
	}
	if (guardable && (!space->others_ns || space->shared))
		eg_guards_look_for_others(guards, space);
	if (guardable && space->shared) {
		space->covered = false;
		say_shared(guards, space);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (is_guardable(&links[i]) && !guard_link(guards, space, &links[i]))
			space->covered = false;
	}
}

bool eg_guards_cover(struct eg_guards *guards, const struct eg_guards_owner *owner, const struct eg_netns *netns,
		     bool anew, char *why, size_t size)
{
	struct eg_guards_space *space = space_get(guards, owner, netns->inode);
	uint64_t now = eg_clock_boot_ns();

	if (!space) {
		snprintf(why, size, "and there is no memory to guard it");
		return false;
	}
	space->seen_ns = now;
	if (anew || !space->looked_ns || !space->covered || space->shared || now > space->looked_ns + LINKS_NS)
		look(guards, space, netns);
	snprintf(why, size, "%s", space->why);
	return space->covered;
}

void eg_guards_release(struct eg_guards *guards, const struct eg_guards_owner *owner)
{
	for (size_t i = 0; i < guards->space_count; i++) {
		const struct eg_guards_space *space = &guards->spaces[i];

		if (!space->shared || space->covered || !eg_guards_same_owner(&space->owner, owner))
			continue;
		for (size_t j = guards->count; j-- > 0;) {
			if (guards->items[j].inode == space->inode && eg_guards_same_owner(&guards->items[j].owner, owner))
				guard_detach(guards, &guards->items[j], "its namespace is shared with others");
		}
	}
}

/* ---- Every second ---------------------------------------------------------------------------------------------- */

static bool owner_lives(struct eg_agent *agent, const struct eg_guards_owner *owner)
{
	bool lives = false;

	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; eg_registry_at(agent, owner->slot, owner->gen) && !lives && i < agent->tag_count; i++)
		lives = agent->tags[i]->slot == owner->slot;
	pthread_mutex_unlock(&agent->lock);
	return lives;
}

static void restore(struct eg_guards *guards, struct eg_guards_item *guard)
{
	struct eg_agent *agent = guards->agent;
	char name[IF_NAMESIZE];
	int r = guard_attach(guards, guard->ifindex, &guard->owner, guard->inode);

	memcpy(name, guard->name, sizeof(name));
	if (r < 0)
		eg_log_err("the guard of %s was taken off and can't be put back: %s", name, strerror(-r));
	else
		eg_log_warning("the guard of %s was taken off; it is back", name);
	pthread_mutex_lock(&agent->lock);
	eg_notice(agent, "alert", eg_registry_at(agent, guard->owner.slot, guard->owner.gen), NULL,
		  json_pack("{s:s,s:s}", "action", r < 0 ? "guard_lost" : "guard_restored", "interface", name));
	pthread_mutex_unlock(&agent->lock);
	pthread_mutex_lock(&guards->lock);
	guards->restored += r == 0;
	pthread_mutex_unlock(&guards->lock);
	if (r < 0)
		guard_forget(guards, guard);
}

/* Nobody of the app is in it, and others are: it has passed on to them. */
static bool has_passed_on(const struct eg_guards *guards, const struct eg_guards_item *guard)
{
	for (size_t i = eg_guards_first(guards, guard->inode); i < guards->space_count; i++) {
		const struct eg_guards_space *space = &guards->spaces[i];

		if (space->inode == guard->inode && eg_guards_same_owner(&space->owner, &guard->owner))
			return space->shared && !space->living;
	}
	return false;
}

static void check_guard(struct eg_guards *guards, struct eg_guards_item *guard)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(guard->ifindex, name)) {
		eg_kern_guard_detach(guards->agent->kern, guard->ifindex);
		guard_forget(guards, guard);
	} else if (!owner_lives(guards->agent, &guard->owner)) {
		guard_detach(guards, guard, "its app has no cgroup any more");
	} else if (has_passed_on(guards, guard)) {
		guard_detach(guards, guard, "its namespace has passed on to others");
	} else if (!eg_kern_guard_attached(guards->agent->kern, guard->ifindex)) {
		restore(guards, guard);
	}
}

static void forget_spaces(struct eg_guards *guards, uint64_t now)
{
	for (size_t i = guards->space_count; i-- > 0;) {
		const struct eg_guards_space *space = &guards->spaces[i];

		if (now < space->seen_ns + FORGET_NS || eg_guards_has(guards, space->inode))
			continue;
		guards->space_count--;
		memmove(guards->spaces + i, guards->spaces + i + 1, (guards->space_count - i) * sizeof(*guards->spaces));
	}
}

static bool others_are_due(const struct eg_guards *guards, uint64_t now)
{
	for (size_t i = 0; i < guards->space_count; i++) {
		if (guards->spaces[i].others_ns && now > guards->spaces[i].others_ns + OTHERS_NS)
			return true;
	}
	return false;
}

void eg_guards_check(struct eg_guards *guards)
{
	uint64_t now = eg_clock_boot_ns();
	size_t n = guards->count < CHECK_AT_ONCE ? guards->count : CHECK_AT_ONCE;

	if (others_are_due(guards, now))
		eg_guards_look_for_others(guards, NULL);
	for (; n && guards->count; n--) {
		guards->next = guards->next ? (guards->next - 1) % guards->count : guards->count - 1;
		check_guard(guards, &guards->items[guards->next]);
	}
	forget_spaces(guards, now);
}

/* ---- Life and readers ---------------------------------------------------------------------------------------------- */

int eg_guards_new(struct eg_agent *agent, struct eg_guards **ret)
{
	uint32_t max = eg_kern_map_max(agent->kern, EG_MAP_GUARDS);
	EG_FREE uint32_t *ifindexes = calloc(max, sizeof(*ifindexes));
	EG_FREE struct eg_guard *values = calloc(max, sizeof(*values));
	struct eg_guards *guards = calloc(1, sizeof(*guards));
	size_t count;

	if (!guards || !ifindexes || !values) {
		free(guards);
		return -ENOMEM;
	}
	guards->agent = agent;
	pthread_mutex_init(&guards->lock, NULL);
	count = eg_kern_guard_list(agent->kern, ifindexes, values, max);
	for (size_t i = 0; i < count; i++) {
		const struct eg_guards_owner owner = {.slot = values[i].app, .gen = values[i].gen};
		int r = guard_attach(guards, ifindexes[i], &owner, 0);

		if (r == -ENXIO || r == -ENODEV)
			eg_kern_guard_detach(agent->kern, ifindexes[i]);
		else if (r < 0)
			eg_log_warning("the guard of interface %u can't be taken over: %s", ifindexes[i], strerror(-r));
	}
	*ret = guards;
	return 0;
}

void eg_guards_free(struct eg_guards *guards)
{
	if (!guards)
		return;
	pthread_mutex_destroy(&guards->lock);
	free(guards->spaces);
	free(guards->items);
	free(guards);
}

size_t eg_guards_count(struct eg_guards *guards)
{
	size_t count;

	if (!guards)
		return 0;
	pthread_mutex_lock(&guards->lock);
	count = guards->count;
	pthread_mutex_unlock(&guards->lock);
	return count;
}

uint64_t eg_guards_restored(struct eg_guards *guards)
{
	uint64_t restored;

	if (!guards)
		return 0;
	pthread_mutex_lock(&guards->lock);
	restored = guards->restored;
	pthread_mutex_unlock(&guards->lock);
	return restored;
}

json_t *eg_guards_json(struct eg_guards *guards, uint32_t slot, uint32_t gen)
{
	const struct eg_guards_owner owner = {.slot = slot, .gen = gen};
	json_t *names = json_array();

	if (!guards)
		return names;
	pthread_mutex_lock(&guards->lock);
	for (size_t i = 0; i < guards->count; i++) {
		if (eg_guards_same_owner(&guards->items[i].owner, &owner))
			json_array_append_new(names, json_string(guards->items[i].name));
	}
	pthread_mutex_unlock(&guards->lock);
	return names;
}

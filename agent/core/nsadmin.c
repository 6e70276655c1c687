// SPDX-License-Identifier: Apache-2.0
/*
 * nsadmin.c - apps that could rewrite their packets after they were judged: guarded, or refused
 *
 * Theory of operation. Who has CAP_NET_ADMIN over a network namespace with a way out can change a
 * packet's destination behind the packet hook (an nft netdev egress rule, tc, a tunnel). So every
 * namespace of an app's own is guarded where that is possible (guards.c), whether there is an
 * administrator yet or not. An app with an administrator in one that is not guarded is denied
 * everything (`netns_admin`), unless its policy says allow_netns_admin; when the last such process
 * is gone, or the guard is there, the refusal ends.
 *
 * No guard helps where the policy has names. The administrator can forge the answer to the app's own
 * question inside the namespace (a DNAT, a packet from a tap), which the packet hook takes for the
 * resolver's; and the guard trusts the grants that came of it. So such an app is refused as well.
 *
 * CAP_NET_RAW is enough to write frames past the packet hook (AF_PACKET). Containers have it by default,
 * so nothing is refused for it: it is found here, and told by `egret doctor`, what judges those frames.
 *
 * An app has as many threads as it likes, and a look at all of them takes as long. So no lock is held while
 * /proc is read: two looks may go on at once, also at one app, and the one that began later has the word.
 *
 * A thread of its own looks at the apps in turn, at most PROCS_AT_ONCE processes a second, so
 * that ten thousand apps cost no more than a few. That is a look, not a hook: a process that
 * becomes administrator is refused within a second on a host with a few hundred processes in
 * apps, later on a larger one. POST /v1/tags looks at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "guards.h"
#include "netns.h"
#include "sockdiag.h"
#include "starting.h"

#define PROCS_AT_ONCE 2048
#define SPACES_MAX    1024 /* of one app: each takes tenths of a millisecond, and others wait meanwhile */

struct eg_nsadmin {
	struct eg_agent *agent;
	uint32_t next; /* slot to look at */
	uint64_t looks; /* begun; under agent->lock */
	uint64_t here; /* inode of our own namespace */
	pthread_mutex_t work; /* of what follows, and of agent->guards; agent->lock comes after */
	struct eg_starting starting;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
};

/* One app, as it was when it was looked up. */
struct subject {
	char name[EG_APP_NAME_LEN];
	uint32_t slot;
	uint32_t gen;
	uint64_t *ids;
	size_t count;
	bool may; /* the policy says allow_netns_admin */
	bool names; /* the policy has names */
	bool admin; /* it had an administrator at the last look */
	uint64_t look; /* its number */
};

struct space {
	uint64_t inode;
	bool covered;
	char why[160];
};

/* What was seen of it. */
struct sight {
	pid_t *pids;
	size_t pid_count;
	struct eg_netns_set spaces;
	struct space *seen; /* [spaces.count], until all are by their inodes */
	bool admin;
	bool refused;
	enum eg_frames frames;
	char cause[240];
};

/* ---- Looking --------------------------------------------------------------------------------- */

static void sight_clear(struct sight *sight)
{
	free(sight->pids);
	eg_netns_set_clear(&sight->spaces);
	free(sight->seen);
}

static void add_processes(struct eg_agent *agent, uint64_t id, struct sight *sight)
{
	EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, id);
	EG_FREE pid_t *pids = NULL;
	size_t count = 0;
	pid_t *all;

	if (fd < 0 || eg_cgroupfs_procs(fd, &pids, &count) < 0 || !count)
		return;
	all = reallocarray(sight->pids, sight->pid_count + count, sizeof(*all));
	if (!all)
		return;
	memcpy(all + sight->pid_count, pids, count * sizeof(*pids));
	sight->pids = all;
	sight->pid_count += count;
}

/* Guards the namespaces that came last, while whoever was found in them is there. */
static void cover_new(struct eg_nsadmin *ns, const struct subject *subject, struct sight *sight, size_t from)
{
	const struct eg_guards_owner owner = {.slot = subject->slot, .gen = subject->gen};

	if (from == sight->spaces.count)
		return;
	pthread_mutex_lock(&ns->work);
	for (size_t i = from; i < sight->spaces.count; i++) {
		struct space *space = &sight->seen[i];

		*space = (struct space){.inode = sight->spaces.items[i].inode};
		space->covered = space->inode == ns->here ||
				 eg_guards_cover(ns->agent->guards, &owner, &sight->spaces.items[i], subject->admin,
						 space->why, sizeof(space->why));
	}
	pthread_mutex_unlock(&ns->work);
}

static int by_inode(const void *a, const void *b)
{
	const struct space *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* Guards the namespaces that the app's processes are in. */
static void cover(struct eg_nsadmin *ns, const struct subject *subject, struct sight *sight)
{
	sight->spaces.most = SPACES_MAX;
	sight->seen = calloc(SPACES_MAX, sizeof(*sight->seen));
	for (size_t i = 0; sight->seen && i < sight->pid_count; i++) {
		size_t from = sight->spaces.count;

		eg_netns_set_add_pid(&sight->spaces, sight->pids[i]); /* what fails is found uncovered */
		cover_new(ns, subject, sight, from);
	}
	if (sight->seen && sight->spaces.count)
		qsort(sight->seen, sight->spaces.count, sizeof(*sight->seen), by_inode);
}

/* Why a namespace of the process is not guarded: a clause about it. NULL: all are, or are ours. */
static const char *find_uncovered(const struct eg_nsadmin *ns, const struct sight *sight, pid_t pid)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set own = {.most = SPACES_MAX};
	int r = eg_netns_set_add_pid(&own, pid);

	for (size_t i = 0; i < own.count; i++) {
		const struct space key = {.inode = own.items[i].inode};
		const struct space *found = sight->seen ? bsearch(&key, sight->seen, sight->spaces.count, sizeof(key), by_inode) : NULL;

		if (key.inode != ns->here && (!found || !found->covered))
			return found ? found->why : "and its app has more of them than can be guarded";
	}
	return r && r != -ESRCH ? "and not all of its namespaces can be looked at" : NULL;
}

static void refuse_names(struct sight *sight, pid_t pid)
{
	sight->refused = true;
	snprintf(sight->cause, sizeof(sight->cause),
		 "process %d administers its network namespace, where it can forge answers to DNS questions, so the names in "
		 "the policy can't be trusted", (int)pid);
}

static void find_admin(struct sight *sight, pid_t pid, const char *bare, bool names)
{
	sight->admin = true;
	if (!bare && names)
		refuse_names(sight, pid);
	if (!bare)
		return;
	sight->refused = true;
	snprintf(sight->cause, sizeof(sight->cause), "process %d administers its network namespace, %s", (int)pid, bare);
}

static void find_frames(struct eg_nsadmin *ns, struct sight *sight, unsigned int rights, const char *bare, bool names)
{
	enum eg_frames frames = names ? EG_FRAMES_NAMES : EG_FRAMES_GUARDED;

	if (!(rights & (EG_NETNS_RAW | EG_NETNS_RAW_HERE)))
		return;
	if (!eg_kern_families(ns->agent->kern))
		frames = EG_FRAMES_REFUSED;
	else if (rights & EG_NETNS_RAW_HERE || bare)
		frames = EG_FRAMES_OPEN;
	if (frames > sight->frames)
		sight->frames = frames;
}

/* Where we are short of what it takes to look, it may have any: nobody hides by making us so. */
static unsigned int rights_of(pid_t pid)
{
	unsigned int rights = 0;
	int r = eg_netns_rights(pid, &rights);

	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return EG_NETNS_ADMIN | EG_NETNS_RAW;
	return r < 0 ? 0 : rights;
}

static bool is_starting(struct eg_nsadmin *ns, pid_t pid)
{
	bool is;

	pthread_mutex_lock(&ns->work);
	is = eg_starting_has(&ns->starting, pid);
	pthread_mutex_unlock(&ns->work);
	return is;
}

static void find_rights(struct eg_nsadmin *ns, bool names, struct sight *sight)
{
	for (size_t i = 0; i < sight->pid_count; i++) {
		unsigned int rights = rights_of(sight->pids[i]);
		const char *bare;

		if (!rights || is_starting(ns, sight->pids[i]))
			continue;
		bare = find_uncovered(ns, sight, sight->pids[i]);
		find_frames(ns, sight, rights, bare, names);
		if (rights & EG_NETNS_ADMIN && !sight->refused)
			find_admin(sight, sight->pids[i], bare, names);
	}
}

/* Under lock. */
static bool take_subject(struct eg_nsadmin *ns, const struct eg_entry *entry, struct subject *ret)
{
	struct eg_agent *agent = ns->agent;

	*ret = (struct subject){.slot = entry->slot, .gen = entry->gen, .look = ++ns->looks};
	memcpy(ret->name, entry->name, sizeof(ret->name));
	ret->admin = entry->netns_admin;
	ret->may = entry->now && entry->now->allow_netns_admin;
	ret->names = eg_entry_names(agent, entry);
	return eg_tags_ids(agent, entry->slot, true, &ret->ids, &ret->count) == 0;
}

/* The next app, from the cursor on. False: no more slots. */
static bool next_subject(struct eg_nsadmin *ns, struct subject *ret)
{
	struct eg_agent *agent = ns->agent;
	bool found = false;

	pthread_mutex_lock(&agent->lock);
	for (; !found && ns->next < agent->slots_used; ns->next++) {
		if (agent->by_slot[ns->next])
			found = take_subject(ns, agent->by_slot[ns->next], ret);
	}
	pthread_mutex_unlock(&agent->lock);
	return found;
}

/* ---- Refusing ----------------------------------------------------------------------------------- */

/* Returns whether that is new. */
static bool set_refused(struct eg_agent *agent, const struct subject *subject, const struct sight *sight)
{
	bool refused = sight->refused && !subject->may, changed = false;
	struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, subject->slot, subject->gen);
	if (entry && entry->netns_look > subject->look)
		entry = NULL;
	if (entry) {
		entry->netns_look = subject->look;
		entry->netns_admin = sight->admin;
		entry->frames = sight->frames;
		snprintf(entry->netns_why, sizeof(entry->netns_why), "%s", sight->cause);
	}
	if (entry && entry->netns_refused != refused) {
		struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);

		changed = true;
		entry->netns_refused = refused;
		if (refused)
			__atomic_or_fetch(&ctl->flags, EG_APP_NETNS_ADMIN, __ATOMIC_SEQ_CST);
		else
			__atomic_and_fetch(&ctl->flags, ~EG_APP_NETNS_ADMIN, __ATOMIC_SEQ_CST);
		eg_notice(agent, "alert", entry, NULL,
			  json_pack("{s:s,s:s*}", "action", refused ? "netns_admin" : "netns_admin_end", "cause",
				    refused ? sight->cause : NULL));
	}
	pthread_mutex_unlock(&agent->lock);
	return changed;
}

/* Frees what the subject has. Returns how many processes were looked at. */
static size_t judge(struct eg_nsadmin *ns, struct subject *subject)
{
	const struct eg_guards_owner owner = {.slot = subject->slot, .gen = subject->gen};
	struct eg_agent *agent = ns->agent;
	EG_CLEANUP(sight_clear) struct sight sight = {0};
	struct eg_cut done;
	bool changed;

	for (size_t i = 0; i < subject->count; i++)
		add_processes(agent, subject->ids[i], &sight);
	free(EG_TAKE_PTR(subject->ids));
	cover(ns, subject, &sight);
	find_rights(ns, subject->names, &sight);
	pthread_mutex_lock(&ns->work);
	changed = set_refused(agent, subject, &sight);
	eg_guards_release(agent->guards, &owner);
	pthread_mutex_unlock(&ns->work);
	if (changed && sight.refused && !subject->may) {
		eg_log_warning("app %s: %s; so everything is denied. allow_netns_admin in its policy would let it", subject->name,
			       sight.cause);
		eg_cut_app(agent, subject->name, false, &done);
	} else if (changed) {
		eg_log_notice("app %s: no process of it is refused for administering a network namespace any more", subject->name);
	}
	return sight.pid_count;
}

static void look(struct eg_nsadmin *ns)
{
	size_t budget = PROCS_AT_ONCE;
	struct subject subject;

	pthread_mutex_lock(&ns->work);
	eg_guards_check(ns->agent->guards);
	pthread_mutex_unlock(&ns->work);
	while (budget && next_subject(ns, &subject)) {
		size_t count = judge(ns, &subject);

		budget = budget > count ? budget - count : 0;
	}
	if (budget)
		ns->next = 1;
}

int eg_nsadmin_starting(struct eg_nsadmin *ns, pid_t pid)
{
	int r;

	if (!ns)
		return 0;
	pthread_mutex_lock(&ns->work);
	r = eg_starting_add(&ns->starting, pid);
	pthread_mutex_unlock(&ns->work);
	return r;
}

void eg_nsadmin_look_at(struct eg_nsadmin *ns, const char *app)
{
	const struct eg_entry *entry;
	struct subject subject;
	bool found;

	if (!ns)
		return;
	pthread_mutex_lock(&ns->agent->lock);
	entry = eg_registry_find(ns->agent, app);
	found = entry && take_subject(ns, entry, &subject);
	pthread_mutex_unlock(&ns->agent->lock);
	if (found)
		judge(ns, &subject);
}

/* ---- The thread ------------------------------------------------------------------------------------ */

static void *run(void *ctx)
{
	struct eg_nsadmin *ns = ctx;

	pthread_mutex_lock(&ns->lock);
	while (!ns->stopping) {
		struct timespec until;

		pthread_mutex_unlock(&ns->lock);
		look(ns);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		pthread_mutex_lock(&ns->lock);
		if (!ns->stopping)
			pthread_cond_clockwait(&ns->stop, &ns->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&ns->lock);
	return NULL;
}

static int find_here(uint64_t *ret_inode)
{
	EG_CLOSE int fd = eg_netns_open_self();

	return fd < 0 ? fd : eg_netns_inode(fd, ret_inode);
}

int eg_nsadmin_start(struct eg_agent *agent, struct eg_nsadmin **ret)
{
	struct eg_nsadmin *ns = calloc(1, sizeof(*ns));
	int r;

	if (!ns)
		return -ENOMEM;
	ns->agent = agent;
	ns->next = 1;
	r = find_here(&ns->here);
	if (!r)
		r = eg_guards_new(agent, &agent->guards);
	if (r < 0) {
		free(ns);
		return r;
	}
	pthread_mutex_init(&ns->work, NULL);
	pthread_mutex_init(&ns->lock, NULL);
	pthread_cond_init(&ns->stop, NULL);
	r = pthread_create(&ns->thread, NULL, run, ns);
	if (r) {
		free(ns);
		return -r;
	}
	*ret = ns;
	return 0;
}

void eg_nsadmin_stop(struct eg_nsadmin *ns)
{
	if (!ns)
		return;
	pthread_mutex_lock(&ns->lock);
	ns->stopping = true;
	pthread_cond_signal(&ns->stop);
	pthread_mutex_unlock(&ns->lock);
	pthread_join(ns->thread, NULL);
	pthread_cond_destroy(&ns->stop);
	pthread_mutex_destroy(&ns->lock);
	pthread_mutex_destroy(&ns->work);
	free(ns);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * nsadmin.c - refuses apps that could rewrite their packets after they were judged
 *
 * Theory of operation. Who has CAP_NET_ADMIN over a network namespace with a way out can change a
 * packet's destination behind the packet hook (an nft netdev egress rule, tc pedit, a tunnel). So
 * an app with such a process is denied everything (`netns_admin`), unless its policy says
 * allow_netns_admin; when the last such process is gone, the refusal ends.
 *
 * A thread of its own looks at the apps in turn, at most PROCS_AT_ONCE processes a second, so
 * that ten thousand apps cost no more than a few. That is a look, not a hook: a process that
 * becomes administrator is refused within a second on a host with a few hundred processes in
 * apps, later on a larger one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "netns.h"
#include "sockdiag.h"

#define PROCS_AT_ONCE 2048

struct eg_nsadmin {
	struct eg_agent *agent;
	uint32_t next; /* slot to look at */
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
};

/* ---- Looking --------------------------------------------------------------------------------- */

/* The name of an interface that leads out of the process' network namespace; false: none. */
static bool find_uplink(pid_t pid, char *ret, size_t size)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = {0};
	bool found = false;

	if (eg_netns_set_add_pid(&set, pid) < 0)
		return false;
	for (size_t i = 0; !found && i < set.count; i++) {
		EG_FREE struct eg_netns_uplink *links = NULL;
		size_t count = 0;

		if (eg_netns_uplinks(set.items[i].fd, &links, &count) < 0 || !count)
			continue;
		snprintf(ret, size, "%s", links[0].name);
		found = true;
	}
	return found;
}

/* Whether a process in the cgroup or below can rewrite what leaves. *budget: processes left to look at. */
static bool look_at_cgroup(struct eg_agent *agent, uint64_t id, size_t *budget, char *why, size_t size)
{
	EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, id);
	EG_FREE pid_t *pids = NULL;
	size_t count = 0;

	if (fd < 0 || eg_cgroupfs_procs(fd, &pids, &count) < 0)
		return false;
	*budget = *budget > count ? *budget - count : 0;
	for (size_t i = 0; i < count; i++) {
		char uplink[16];
		bool admin = false;

		if (eg_netns_is_admin(pids[i], &admin) < 0 || !admin || !find_uplink(pids[i], uplink, sizeof(uplink)))
			continue;
		snprintf(why, size, "process %d administers its network namespace, which has the interface %s", (int)pids[i],
			 uplink);
		return true;
	}
	return false;
}

/* The next app, from the cursor on, that has cgroups and no leave to administer. False: no more slots. */
static bool next_subject(struct eg_nsadmin *ns, struct subject *ret)
{
	struct eg_agent *agent = ns->agent;
	bool found = false;

	pthread_mutex_lock(&agent->lock);
	for (; !found && ns->next < agent->slots_used; ns->next++) {
		const struct eg_entry *entry = agent->by_slot[ns->next];

		if (!entry || entry->deleted)
			continue;
		*ret = (struct subject){.slot = entry->slot, .gen = entry->gen};
		memcpy(ret->name, entry->name, sizeof(ret->name));
		if (entry->now && entry->now->allow_netns_admin && !entry->netns_refused)
			continue;
		if (!(entry->now && entry->now->allow_netns_admin) &&
		    eg_tags_ids(agent, entry->slot, true, &ret->ids, &ret->count) < 0)
			continue;
		found = true;
	}
	pthread_mutex_unlock(&agent->lock);
	return found;
}

/* ---- Refusing ----------------------------------------------------------------------------------- */

/* Returns whether that is new. */
static bool set_refused(struct eg_agent *agent, const struct subject *subject, bool refused, const char *why)
{
	struct eg_entry *entry;
	bool changed = false;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, subject->slot, subject->gen);
	if (entry && entry->netns_refused != refused) {
		struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);

		changed = true;
		entry->netns_refused = refused;
		snprintf(entry->netns_why, sizeof(entry->netns_why), "%s", why);
		if (refused)
			__atomic_or_fetch(&ctl->flags, EG_APP_NETNS_ADMIN, __ATOMIC_SEQ_CST);
		else
			__atomic_and_fetch(&ctl->flags, ~EG_APP_NETNS_ADMIN, __ATOMIC_SEQ_CST);
		eg_notice(agent, "alert", entry, NULL,
			  json_pack("{s:s,s:s*}", "action", refused ? "netns_admin" : "netns_admin_end", "cause",
				    why[0] ? why : NULL));
	}
	pthread_mutex_unlock(&agent->lock);
	return changed;
}

static void judge(struct eg_agent *agent, struct subject *subject, size_t *budget)
{
	char why[160] = "";
	struct eg_cut done;
	bool refused = false;

	for (size_t i = 0; !refused && i < subject->count; i++)
		refused = look_at_cgroup(agent, subject->ids[i], budget, why, sizeof(why));
	free(subject->ids);
	if (!set_refused(agent, subject, refused, why))
		return;
	if (!refused) {
		eg_log_notice("app %s: no process administers its network namespace any more", subject->name);
		return;
	}
	eg_log_warning("app %s: %s, so everything is denied; allow_netns_admin in its policy would let it", subject->name,
		       why);
	eg_cut_app(agent, subject->name, false, &done);
}

static void look(struct eg_nsadmin *ns)
{
	size_t budget = PROCS_AT_ONCE;
	struct subject subject;

	while (budget && next_subject(ns, &subject))
		judge(ns->agent, &subject, &budget);
	if (budget)
		ns->next = 1;
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
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_mutex_lock(&ns->lock);
		if (!ns->stopping)
			pthread_cond_timedwait(&ns->stop, &ns->lock, &until);
	}
	pthread_mutex_unlock(&ns->lock);
	return NULL;
}

int eg_nsadmin_start(struct eg_agent *agent, struct eg_nsadmin **ret)
{
	struct eg_nsadmin *ns = calloc(1, sizeof(*ns));
	int r;

	if (!ns)
		return -ENOMEM;
	ns->agent = agent;
	ns->next = 1;
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
	free(ns);
}

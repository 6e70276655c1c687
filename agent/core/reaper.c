// SPDX-License-Identifier: Apache-2.0
/*
 * reaper.c - what follows an event of the kernel: recording a kill, resetting sockets
 *
 * Theory of operation. The thread that drains the rings hands over what it saw and goes on.
 * The list of work is short, each thing in it once, and it may overflow, as an event may be
 * lost: kills by a cap, caps that are used up and policies that expired are in the kernel's own
 * words, too, which are looked at every few seconds. Until then a socket that was not reset
 * stalls, since its packets are dropped all the same.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "bytes_json.h"
#include "clock.h"
#include "sockdiag.h"

#define WORK_MAX        16384
#define STALL_NS        (30 * EG_NS_PER_S) /* a capped connection that would stall longer is reset */
#define LOOK_AGAIN_NS   (2 * EG_NS_PER_S)
#define LOOK_AT_ONCE_NS (EG_NS_PER_S / 10)
#define CAPS_EVERY      3 /* looks: every meter is read by a system call */

enum work_kind { WORK_AUTO_KILL, WORK_EXPIRED, WORK_CAP, WORK_FOREIGN };

struct work {
	enum work_kind kind;
	uint64_t due_ns; /* boot */
	uint64_t cgroup_id;
	uint32_t slot;
	uint32_t gen;
	uint32_t rule;
	bool again; /* FOREIGN: look once more, later */
};

struct eg_reaper {
	struct eg_agent *agent;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct work list[WORK_MAX];
	size_t count;
	unsigned looks; /* main thread's */
	bool stopping;
};

/* ---- The list --------------------------------------------------------------------------- */

static bool same_work(const struct work *a, const struct work *b)
{
	return a->kind == b->kind && a->cgroup_id == b->cgroup_id && a->slot == b->slot && a->gen == b->gen &&
	       a->rule == b->rule;
}

static void add(struct eg_reaper *reaper, const struct work *work)
{
	pthread_mutex_lock(&reaper->lock);
	for (size_t i = 0; i < reaper->count; i++) {
		if (same_work(&reaper->list[i], work)) {
			pthread_mutex_unlock(&reaper->lock);
			return;
		}
	}
	if (reaper->count < WORK_MAX) {
		reaper->list[reaper->count++] = *work;
		pthread_cond_signal(&reaper->more);
	}
	pthread_mutex_unlock(&reaper->lock);
}

/* Waits for the work that is due first. False: the agent stops. */
static bool take(struct eg_reaper *reaper, struct work *ret)
{
	pthread_mutex_lock(&reaper->lock);
	while (!reaper->stopping) {
		size_t first = 0;
		struct timespec until;

		if (!reaper->count) {
			pthread_cond_wait(&reaper->more, &reaper->lock);
			continue;
		}
		for (size_t i = 1; i < reaper->count; i++) {
			if (reaper->list[i].due_ns < reaper->list[first].due_ns)
				first = i;
		}
		if (reaper->list[first].due_ns <= eg_clock_boot_ns()) {
			*ret = reaper->list[first];
			reaper->list[first] = reaper->list[--reaper->count];
			pthread_mutex_unlock(&reaper->lock);
			return true;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)(EG_NS_PER_S / 20);
		if (until.tv_nsec >= (long)EG_NS_PER_S) {
			until.tv_nsec -= (long)EG_NS_PER_S;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&reaper->more, &reaper->lock, &until);
	}
	pthread_mutex_unlock(&reaper->lock);
	return false;
}

/* ---- The work ------------------------------------------------------------------------------ */

static bool name_of(struct eg_agent *agent, const struct work *work, char name[EG_APP_NAME_LEN])
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, work->slot, work->gen);
	if (entry)
		memcpy(name, entry->name, EG_APP_NAME_LEN);
	pthread_mutex_unlock(&agent->lock);
	return entry;
}

static void cut_foreign(struct eg_reaper *reaper, const struct work *work)
{
	char path[512] = "?";
	uint32_t count = eg_cut_foreign(reaper->agent, work->cgroup_id);
	struct work again = *work;

	if (count && eg_tags_path(reaper->agent, work->cgroup_id, path, sizeof(path)))
		eg_notice(reaper->agent, "agent", NULL, NULL,
			  json_pack("{s:s,s:o,s:i}", "action", "cut_foreign_sockets", "cgroup",
				    eg_bytes_json(path, strlen(path)), "sockets", count));
	if (!work->again)
		return;
	again.again = false;
	again.due_ns = eg_clock_boot_ns() + LOOK_AGAIN_NS;
	add(reaper, &again);
}

static void do_work(struct eg_reaper *reaper, const struct work *work)
{
	char name[EG_APP_NAME_LEN];
	struct eg_cut done;

	if (work->kind == WORK_FOREIGN) {
		cut_foreign(reaper, work);
		return;
	}
	if (!name_of(reaper->agent, work, name))
		return;
	if (work->kind == WORK_AUTO_KILL)
		eg_kill_record_auto(reaper->agent, name);
	else if (work->kind == WORK_CAP && work->rule == EG_RULE_NONE)
		eg_cut_live(reaper->agent, name);
	else if (work->kind == WORK_CAP)
		eg_cut_rule(reaper->agent, name, work->rule);
	else
		eg_cut_app(reaper->agent, name, true, &done);
}

static void *run(void *ctx)
{
	struct eg_reaper *reaper = ctx;
	struct work work;

	while (take(reaper, &work))
		do_work(reaper, &work);
	return NULL;
}

/* ---- Outside ---------------------------------------------------------------------------------- */

/* Whether the meter that the event tells of refuses packets; an alert, or audit, lets them through. */
static bool cap_drops(struct eg_agent *agent, const struct eg_event *e)
{
	enum eg_dir dir = e->reason == EG_REASON_CAP_EGRESS ? EG_DIR_EGRESS : EG_DIR_INGRESS;
	const struct eg_entry *entry;
	bool drops = false;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, e->app, e->gen);
	for (size_t i = 0; entry && entry->now && i < entry->now->meter_count; i++) {
		const struct eg_meter_conf *conf = &entry->now->meters[i].conf;

		if (conf->kind == EG_METER_BYTES && conf->dir == dir && conf->rule == e->rule &&
		    conf->per_ns == e->window_ns)
			drops = conf->action == EG_CAP_DROP;
	}
	if (drops)
		drops = strcmp(eg_registry_state(agent, entry), "audit") != 0;
	pthread_mutex_unlock(&agent->lock);
	return drops;
}

static bool stalls_long(const struct eg_event *e)
{
	return e->percent == 100 && (e->reason == EG_REASON_CAP_EGRESS || e->reason == EG_REASON_CAP_INGRESS) &&
	       e->window_end_utc_ns > e->boot_ns + (uint64_t)eg_clock_utc_offset_ns() + STALL_NS;
}

void eg_reaper_observe(struct eg_reaper *reaper, const struct eg_event *e)
{
	struct work work = {.slot = e->app, .gen = e->gen, .rule = EG_RULE_NONE};

	switch (e->type) {
	case EG_EVENT_KILL:
		work.kind = WORK_AUTO_KILL;
		break;
	case EG_EVENT_EXPIRE:
		work.kind = WORK_EXPIRED;
		break;
	case EG_EVENT_CAP:
		if (!stalls_long(e) || !cap_drops(reaper->agent, e))
			return;
		work.kind = WORK_CAP;
		work.rule = e->rule;
		break;
	default:
		return;
	}
	add(reaper, &work);
}

void eg_reaper_look_later(struct eg_reaper *reaper, uint64_t cgroup_id)
{
	struct work work = {
		.kind = WORK_FOREIGN,
		.cgroup_id = cgroup_id,
		.due_ns = eg_clock_boot_ns() + LOOK_AT_ONCE_NS,
		.again = true,
	};

	if (reaper)
		add(reaper, &work);
}

/* ---- What no event told -------------------------------------------------------------------------- */

/* Whether the cap refuses packets for longer than a connection should stall. */
static bool is_used_up(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_meter_conf *conf)
{
	uint32_t key = entry->slot * EG_METERS_PER_APP + conf->state;
	struct eg_meter meter;

	if (conf->kind != EG_METER_BYTES || conf->action != EG_CAP_DROP ||
	    bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_METERS), &key, &meter))
		return false;
	return (meter.announced | EG_METER_WARNED) ==
		       (EG_METER_SAYS(meter.window, conf->limit) | EG_METER_FULL | EG_METER_WARNED) &&
	       meter.window_end_utc_ns > eg_clock_utc_ns() + STALL_NS;
}

static uint64_t refused_by_caps(struct eg_agent *agent, uint32_t slot)
{
	struct eg_reasons all;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_REASONS), &slot, &all))
		return 0;
	for (int dir = 0; dir < EG_DIR_COUNT_; dir++)
		sum += all.by[dir][EG_REASON_CAP_EGRESS].denied + all.by[dir][EG_REASON_CAP_INGRESS].denied;
	return sum;
}

/*
 * The event of a cap cuts at once, but it comes once a window. Connections that were refused
 * packets since (accepted ones are not stopped at connect) are cut here.
 */
static void check_caps(struct eg_reaper *reaper, struct eg_entry *entry)
{
	struct eg_agent *agent = reaper->agent;
	uint64_t refused = 0;

	if (strcmp(eg_registry_state(agent, entry), "enforce") != 0)
		return;
	for (size_t i = 0; i < entry->now->meter_count; i++) {
		const struct eg_meter_conf *conf = &entry->now->meters[i].conf;
		struct work work = {
			.kind = WORK_CAP, .slot = entry->slot, .gen = entry->gen, .rule = conf->rule};

		if (!is_used_up(agent, entry, conf))
			continue;
		if (!refused && (refused = refused_by_caps(agent, entry->slot)) == entry->cut_refused)
			return;
		add(reaper, &work);
	}
	if (refused)
		entry->cut_refused = refused;
}

static void check_entry(void *ctx, struct eg_entry *entry)
{
	struct eg_reaper *reaper = ctx;
	struct eg_agent *agent = reaper->agent;
	const struct eg_app_state *state = eg_entry_state(agent, entry);
	struct work work = {.kind = WORK_AUTO_KILL, .slot = entry->slot, .gen = entry->gen, .rule = EG_RULE_NONE};

	if (state->auto_kill > eg_entry_ctl(agent, entry)->auto_cleared)
		add(reaper, &work);
	if (!entry->now)
		return;
	if (state->expired_uid == entry->now->uid && entry->cut_expired != entry->now->uid) {
		entry->cut_expired = entry->now->uid;
		work.kind = WORK_EXPIRED;
		add(reaper, &work);
	}
	if (reaper->looks % CAPS_EVERY == 0)
		check_caps(reaper, entry);
}

void eg_reaper_check(struct eg_reaper *reaper)
{
	reaper->looks++;
	eg_apps_each(reaper->agent, check_entry, reaper);
}

int eg_reaper_start(struct eg_agent *agent, struct eg_reaper **ret)
{
	struct eg_reaper *reaper = calloc(1, sizeof(*reaper));
	pthread_condattr_t attr;
	int r;

	if (!reaper)
		return -ENOMEM;
	reaper->agent = agent;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&reaper->more, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&reaper->thread, NULL, run, reaper);
	if (r) {
		free(reaper);
		return -r;
	}
	*ret = reaper;
	return 0;
}

void eg_reaper_stop(struct eg_reaper *reaper)
{
	if (!reaper)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->stopping = true;
	pthread_cond_signal(&reaper->more);
	pthread_mutex_unlock(&reaper->lock);
	pthread_join(reaper->thread, NULL);
}

void eg_reaper_free(struct eg_reaper *reaper)
{
	if (!reaper)
		return;
	pthread_cond_destroy(&reaper->more);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}

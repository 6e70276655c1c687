// SPDX-License-Identifier: Apache-2.0
/*
 * kill.c - kill: the kernel's words, the holds, the sockets
 *
 * The order of a kill: the word in the kernel, the record on its way to disk, the sockets, the
 * wait for the disk, until 100 ms after the beginning. Nothing before the word can block.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/labels.h"
#include "../lib/log.h"
#include "../lib/policy.h"
#include "agent_impl.h"
#include "clock.h"
#include "kill_who.h"
#include "snapshot.h"
#include "urgent.h"

#define DURABLE_WAIT_MS 100
#define WHO_MAX		8 /* apps killed at once, of which is told who is in them */

/* ---- Words ------------------------------------------------------------------------------- */

static void raise_all(struct eg_agent *agent, uint32_t layers)
{
	__atomic_or_fetch(&eg_kern_host(agent->kern)->kill_all, layers, __ATOMIC_SEQ_CST);
}

/* ---- Whom ----------------------------------------------------------------------------------- */

struct target {
	char name[EG_APP_NAME_LEN];
	bool seen;
	bool already;
	uint32_t sockets;
};

struct targets {
	struct target *items;
	size_t count;
};

static int targets_add(struct targets *targets, const char *name)
{
	struct target *items = reallocarray(targets->items, targets->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	targets->items = items;
	targets->items[targets->count] = (struct target){0};
	snprintf(targets->items[targets->count++].name, EG_APP_NAME_LEN, "%s", name);
	return 0;
}

static int targets_by_label(struct eg_agent *agent, const char *text, struct targets *ret, struct eg_error *err)
{
	struct eg_labels *selector;
	char why[200];
	int r = eg_labels_parse(text, &selector, why, sizeof(why));

	if (r < 0)
		return eg_error_set(err, 400, "bad_selector", "The label selector can't be used: %s", why);
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; !r && i < agent->count; i++) {
		const struct eg_entry *entry = agent->by_name[i];

		if (entry->now && eg_labels_match(selector, entry->now->labels))
			r = targets_add(ret, entry->name);
	}
	pthread_mutex_unlock(&agent->lock);
	eg_labels_free(selector);
	return r < 0 ? eg_error_set(err, 500, "no_memory", "Out of memory.") : 0;
}

static int targets_all(struct eg_agent *agent, struct targets *ret, struct eg_error *err)
{
	int r = 0;

	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; !r && i < agent->count; i++)
		r = targets_add(ret, agent->by_name[i]->name);
	pthread_mutex_unlock(&agent->lock);
	return r < 0 ? eg_error_set(err, 500, "no_memory", "Out of memory.") : 0;
}

static int targets_find(struct eg_agent *agent, const struct eg_selector *which, struct targets *ret,
			struct eg_error *err)
{
	if (which->all)
		return targets_all(agent, ret, err);
	if (which->labels)
		return targets_by_label(agent, which->labels, ret, err);
	if (!which->app || !eg_policy_app_name(which->app))
		return eg_error_set(err, 400, "bad_name", "An app's name is [a-z0-9][a-z0-9._-]{0,62}.");
	if (targets_add(ret, which->app) < 0)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	return 0;
}

static void targets_look(struct eg_agent *agent, struct targets *targets)
{
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < targets->count; i++) {
		struct target *target = &targets->items[i];
		const struct eg_entry *entry = eg_registry_find(agent, target->name);

		target->seen = entry;
		target->already = eg_holds_layers(agent->holds, target->name) & EG_HOLD_LOCAL;
		target->sockets = entry ? eg_entry_state(agent, entry)->sockets : 0;
	}
	pthread_mutex_unlock(&agent->lock);
}

/* ---- Kill ------------------------------------------------------------------------------------- */

void eg_kill_hold(struct eg_hold *hold, const char *app, uint32_t layer, const struct eg_actor *actor,
		  const char *reason, const char *ticket)
{
	char text[64];

	*hold = (struct eg_hold){.layer = layer, .time_utc_ns = eg_clock_utc_ns(), .uid = actor->uid};
	snprintf(hold->app, sizeof(hold->app), "%s", app);
	eg_actor_text(actor, text, sizeof(text));
	eg_hold_set_text(hold->actor, sizeof(hold->actor), text);
	eg_hold_set_text(hold->reason, sizeof(hold->reason), reason);
	eg_hold_set_text(hold->ticket, sizeof(hold->ticket), ticket);
}

static void store_words(struct eg_agent *agent, const struct targets *targets, bool all)
{
	if (all) {
		raise_all(agent, EG_HOLD_LOCAL);
		return;
	}
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < targets->count; i++) {
		const struct eg_entry *entry = eg_registry_find(agent, targets->items[i].name);

		if (entry)
			eg_registry_raise(agent, entry, EG_HOLD_LOCAL);
	}
	pthread_mutex_unlock(&agent->lock);
}

/* Records the holds; *ret_ticket covers them all. -errno: some are in force in the kernel only. */
static int record(struct eg_agent *agent, const struct targets *targets, const struct eg_kill_request *req,
		  const struct eg_actor *actor, uint64_t *ret_ticket)
{
	size_t count = req->which.all ? 1 : targets->count;
	int result = 0;

	*ret_ticket = 0;
	for (size_t i = 0; i < count; i++) {
		const char *name = req->which.all ? EG_HOLD_ALL_APPS : targets->items[i].name;
		struct eg_hold hold;
		uint64_t ticket = 0;
		bool already;
		int r;

		eg_kill_hold(&hold, name, EG_HOLD_LOCAL, actor, req->reason, req->ticket);
		r = eg_holds_add(agent->holds, &hold, &already, &ticket);
		if (r < 0)
			result = r;
		if (ticket > *ret_ticket)
			*ret_ticket = ticket;
	}
	return result;
}

/* One dump for all of them, whatever their number. */
static void cut_targets(struct eg_agent *agent, const struct targets *targets, bool all, struct eg_socket_notes *notes,
			struct eg_cut *ret)
{
	EG_FREE uint64_t *ids = NULL;
	struct eg_cut_request request = {.filter = eg_socket_note, .filter_ctx = notes};

	*ret = (struct eg_cut){0};
	if (all) {
		eg_cut_all(agent, notes, ret);
		return;
	}
	if (targets->count == 1) {
		eg_cut_app_noting(agent, targets->items[0].name, notes, ret);
		return;
	}
	pthread_mutex_lock(&agent->lock);
	ids = calloc(agent->tag_count + EG_DEAD_CGROUPS + 1, sizeof(*ids));
	for (size_t i = 0; ids && i < targets->count; i++) {
		const struct eg_entry *entry = eg_registry_find(agent, targets->items[i].name);
		EG_FREE uint64_t *own = NULL;
		size_t count = 0;

		if (!entry || eg_tags_ids(agent, entry->slot, false, &own, &count) < 0)
			continue;
		memcpy(ids + request.cgroup_count, own, count * sizeof(*own));
		request.cgroup_count += count;
	}
	pthread_mutex_unlock(&agent->lock);
	request.cgroup_ids = ids;
	if (request.cgroup_count)
		eg_sockdiag_cut(agent->cgroupfs, &request, ret);
}

struct kill_result {
	bool durable;
	uint64_t stored_us;
	uint64_t took_us;
	struct eg_cut cut;
};

/* of_many: one of so many apps that who is in them is left to their snapshots. */
static void tell_kill(struct eg_agent *agent, const char *name, const struct eg_hold *hold,
		      const struct kill_result *result, bool of_many)
{
	bool all = strcmp(name, EG_HOLD_ALL_APPS) == 0;
	/* nobody waited for the disk: see eg_kill_control */
	json_t *durable = hold->layer == EG_HOLD_CONTROL ? NULL : json_boolean(result->durable);
	json_t *fields = json_pack("{s:s,s:s,s:s*,s:s*,s:b,s:o*,s:i,s:i,s:I,s:I}", "layer", eg_hold_layer_name(hold->layer),
				   "actor", hold->actor, "cause", hold->reason[0] ? hold->reason : NULL, "ticket",
				   hold->ticket[0] ? hold->ticket : NULL, "all", all, "durable", durable, "sockets",
				   result->cut.sockets, "flows", result->cut.flows, "stored_us",
				   (json_int_t)result->stored_us, "took_us", (json_int_t)result->took_us);
	const struct eg_entry *entry;

	if (!all && !of_many && fields)
		eg_kill_who(agent, name, fields);
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, name);
	eg_notice(agent, "kill", entry, all ? NULL : name, fields);
	pthread_mutex_unlock(&agent->lock);
	eg_log_notice("kill %s: %u sockets reset in %llu us, by %s%s%s", name, result->cut.sockets,
		      (unsigned long long)result->took_us, hold->actor, hold->reason[0] ? ": " : "", hold->reason);
}

static json_t *kill_json(const struct targets *targets, const struct eg_kill_request *req,
			 const struct kill_result *result)
{
	json_t *apps = json_array();

	for (size_t i = 0; i < targets->count; i++) {
		const struct target *target = &targets->items[i];
		bool only = targets->count == 1 && !req->dry_run;

		json_array_append_new(apps, json_pack("{s:s,s:b,s:b,s:i,s:i}", "app", target->name, "already",
						      target->already, "seen", target->seen, "sockets",
						      only ? result->cut.sockets : target->sockets, "flows",
						      only ? result->cut.flows : 0));
	}
	return json_pack("{s:o,s:i,s:b,s:b,s:b,s:I,s:I,s:i,s:i,s:i}", "apps", apps, "count", (int)targets->count,
			 "dry_run", req->dry_run, "all", req->which.all, "durable", result->durable, "stored_us",
			 (json_int_t)result->stored_us, "took_us", (json_int_t)result->took_us, "sockets",
			 result->cut.sockets, "flows", result->cut.flows, "missed", result->cut.missed);
}

/* Of each app that was there. Those of a kill of many share the notes, so each gets a copy. */
static void want_snapshots(struct eg_agent *agent, const struct targets *targets, const struct eg_hold *hold,
			   struct eg_socket_notes *notes)
{
	for (size_t i = 0; i < targets->count; i++) {
		struct eg_socket_notes own = {.of_many = targets->count > 1};

		if (!targets->items[i].seen)
			continue;
		for (size_t j = 0; j < notes->count; j++)
			eg_socket_note(&own, &notes->items[j]);
		own.left_out += notes->left_out;
		eg_snapshots_want(agent->snapshots, targets->items[i].name, hold->reason, hold->actor, &own);
		eg_socket_notes_clear(&own);
	}
}

static void do_kill(struct eg_agent *agent, const struct targets *targets, const struct eg_kill_request *req,
		    const struct eg_actor *actor, struct kill_result *result)
{
	EG_CLEANUP(eg_socket_notes_clear) struct eg_socket_notes notes = {0};
	uint64_t start = eg_clock_mono_ns(), ticket;
	struct eg_hold hold;
	int r;

	store_words(agent, targets, req->which.all);
	result->stored_us = (eg_clock_mono_ns() - start) / 1000;
	eg_urgent_leave();
	r = record(agent, targets, req, actor, &ticket);
	store_words(agent, targets, req->which.all); /* a restore between the two lowered it again */
	cut_targets(agent, targets, req->which.all, &notes, &result->cut);
	result->durable = eg_holds_wait_durable(agent->holds, ticket,
						eg_clock_ms_left(start, eg_clock_mono_ns(), DURABLE_WAIT_MS)) &&
			  r == 0;
	result->took_us = (eg_clock_mono_ns() - start) / 1000;
	if (!result->durable)
		eg_log_err("a kill is in force but not on disk yet: it would not outlive a reboot");
	for (size_t i = 0; i < (req->which.all ? 1 : targets->count); i++) {
		const char *name = req->which.all ? EG_HOLD_ALL_APPS : targets->items[i].name;

		eg_kill_hold(&hold, name, EG_HOLD_LOCAL, actor, req->reason, req->ticket);
		tell_kill(agent, name, &hold, result, targets->count > WHO_MAX);
	}
	want_snapshots(agent, targets, &hold, &notes);
}

int eg_agent_kill(struct eg_agent *agent, const struct eg_kill_request *req, const struct eg_actor *actor, json_t **ret,
		  struct eg_error *err)
{
	struct targets targets = {0};
	struct kill_result result = {0};
	int r = targets_find(agent, &req->which, &targets, err);

	if (!r && req->expect >= 0 && (size_t)req->expect != targets.count)
		r = eg_error_set(err, 409, "count_changed",
				 "%zu apps are meant now, not %lld as was confirmed: look at the list again.",
				 targets.count, (long long)req->expect);
	if (!r) {
		targets_look(agent, &targets);
		if (!req->dry_run)
			do_kill(agent, &targets, req, actor, &result);
		*ret = kill_json(&targets, req, &result);
	}
	free(targets.items);
	return r;
}

/* The word and the sockets of a hold that has its record already. */
static void put_in_force(struct eg_agent *agent, const struct eg_hold *hold, struct eg_socket_notes *notes,
			 struct kill_result *result)
{
	uint64_t start = eg_clock_mono_ns();
	const struct eg_entry *entry;

	if (strcmp(hold->app, EG_HOLD_ALL_APPS) == 0) {
		raise_all(agent, hold->layer);
		eg_urgent_leave();
		eg_cut_all(agent, NULL, &result->cut);
	} else {
		pthread_mutex_lock(&agent->lock);
		entry = eg_registry_find(agent, hold->app);
		if (entry)
			eg_registry_raise(agent, entry, hold->layer);
		pthread_mutex_unlock(&agent->lock);
		eg_urgent_leave();
		eg_cut_app_noting(agent, hold->app, notes, &result->cut);
	}
	result->took_us = (eg_clock_mono_ns() - start) / 1000;
}

void eg_kill_enforce(struct eg_agent *agent, const struct eg_hold *hold)
{
	EG_CLEANUP(eg_socket_notes_clear) struct eg_socket_notes notes = {0};
	struct kill_result result = {.durable = true};

	put_in_force(agent, hold, &notes, &result);
	tell_kill(agent, hold->app, hold, &result, false);
	eg_snapshots_want(agent->snapshots, hold->app, hold->reason, hold->actor, &notes);
}

/* What comes by is newer than what an admin passes over. */
static void end_override(struct eg_agent *agent, const char *app)
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry)
		eg_override_end(agent, entry, "the control plane killed it again");
	pthread_mutex_unlock(&agent->lock);
}

/*
 * The record comes before the word here: it says whether the kill is newer than what is known, and it
 * only queues. A kill that was in force already is cut again all the same.
 *
 * The disk is not waited for here. Kills of many apps come one after the other, and the last must not wait for the
 * records of all before it. The control plane hears of them by this host's state, and that waits, once for all
 * of them (control_report.c).
 */
int eg_kill_control(struct eg_agent *agent, const struct eg_hold *hold, json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_socket_notes_clear) struct eg_socket_notes notes = {0};
	struct kill_result result = {0};
	uint64_t ticket = 0;
	bool already = false;
	int r = eg_holds_add(agent->holds, hold, &already, &ticket);

	if (r == -ESTALE) {
		eg_error_set(err, 409, "stale_generation",
			     "The kill of %s has the generation %llu, and a newer word on it is known: it was ignored.",
			     hold->app, (unsigned long long)hold->generation);
		return r;
	}
	end_override(agent, hold->app);
	put_in_force(agent, hold, &notes, &result); /* also if it can't be recorded */
	result.durable = r == 0 && eg_holds_wait_durable(agent->holds, ticket, 0);
	if (r < 0)
		eg_log_err("the control plane's kill of %s is in force, but can't be recorded: %s", hold->app, strerror(-r));
	if (!already) {
		tell_kill(agent, hold->app, hold, &result, false);
		eg_snapshots_want(agent->snapshots, hold->app, hold->reason, hold->actor, &notes);
	}
	*ret = json_pack("{s:s,s:b,s:b,s:b,s:i,s:i}", "app", hold->app, "killed", 1, "already", already, "durable",
			 result.durable, "sockets", result.cut.sockets, "flows", result.cut.flows);
	return 0;
}

static const struct eg_actor the_agent = {.role = EG_ROLE_ADMIN, .via = "agent"};

/* Under lock, so that a restore comes before all of this, or after it. */
static int add_auto(struct eg_agent *agent, const struct eg_hold *hold, bool *ret_new)
{
	const struct eg_entry *entry = eg_registry_find(agent, hold->app);
	bool already = true;
	uint64_t ticket;
	int r;

	*ret_new = false;
	if (!entry || eg_entry_state(agent, entry)->auto_kill <= eg_entry_ctl(agent, entry)->auto_cleared ||
	    eg_holds_layers(agent->holds, hold->app) & EG_HOLD_AUTO)
		return 0;
	r = eg_holds_add(agent->holds, hold, &already, &ticket);
	*ret_new = !already;
	return r;
}

void eg_kill_record_auto(struct eg_agent *agent, const char *app)
{
	struct eg_hold hold;
	bool is_new;
	int r;

	eg_kill_hold(&hold, app, EG_HOLD_AUTO, &the_agent, "a volume cap whose action is kill was reached", NULL);
	pthread_mutex_lock(&agent->lock);
	r = add_auto(agent, &hold, &is_new);
	pthread_mutex_unlock(&agent->lock);
	if (r < 0)
		eg_log_err("app %s: its kill by a cap can't be recorded: %s", app, strerror(-r));
	if (is_new || r < 0)
		eg_kill_enforce(agent, &hold);
}

/* The word first, as of any kill; who was killed by the agent before keeps that record. */
void eg_kill_auto(struct eg_agent *agent, const char *app, const char *reason)
{
	const struct eg_entry *entry;
	struct eg_hold hold;
	bool already = false;
	uint64_t ticket;
	int r;

	eg_kill_hold(&hold, app, EG_HOLD_AUTO, &the_agent, reason, NULL);
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry)
		eg_registry_raise(agent, entry, EG_HOLD_AUTO);
	r = eg_holds_add(agent->holds, &hold, &already, &ticket);
	pthread_mutex_unlock(&agent->lock);
	if (r < 0)
		eg_log_err("app %s: its kill can't be recorded: %s", app, strerror(-r));
	if (!already)
		eg_kill_enforce(agent, &hold);
}

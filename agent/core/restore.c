// SPDX-License-Identifier: Apache-2.0
/*
 * restore.c - restore and relax: what gives an app back its network, or more than its policy does
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/units.h"
#include "agent_impl.h"
#include "agent_run.h"
#include "clock.h"
#include "sockdiag.h"

#define DURABLE_WAIT_MS 100
#define RELAX_MIN_NS    (60 * EG_NS_PER_S)
#define RELAX_MAX_NS    (24 * 3600 * EG_NS_PER_S)

/* ---- Restore -------------------------------------------------------------------------------------- */

static const uint32_t liftable[] = {EG_HOLD_LOCAL, EG_HOLD_AUTO, EG_HOLD_CONTROL};

struct lifted {
	json_t *names;
	uint32_t layers;
	uint64_t ticket; /* of the last record */
	bool refused; /* there was something that the actor may not lift */
};

/* Where no control plane is configured any more, nobody else is left who could. */
static bool may_lift_control(struct eg_agent *agent, const struct eg_actor *actor)
{
	return actor->role == EG_ROLE_ADMIN && !eg_agent_config(agent)->control;
}

/* Lifts what this actor may. */
static void lift(struct eg_agent *agent, const char *name, const char *reason, const struct eg_actor *actor,
		 struct lifted *ret)
{
	char text[64];

	*ret = (struct lifted){.names = json_array()};
	eg_actor_text(actor, text, sizeof(text));
	for (size_t i = 0; i < sizeof(liftable) / sizeof(liftable[0]); i++) {
		struct eg_hold_lift wanted = {
			.app = name,
			.layer = liftable[i],
			.role = actor->role == EG_ROLE_ADMIN ? EG_HOLD_BY_ADMIN : EG_HOLD_BY_RESPONDER,
			.uid = actor->uid,
			.now_utc_ns = eg_clock_utc_ns(),
			.actor = text,
			.reason = reason,
		};
		uint64_t ticket = 0;
		int r;

		if (liftable[i] == EG_HOLD_CONTROL && !may_lift_control(agent, actor))
			continue;
		if (liftable[i] == EG_HOLD_CONTROL)
			wanted.role = EG_HOLD_BY_CONTROL;
		r = eg_holds_lift(agent->holds, &wanted, &ticket);
		if (r == -EPERM)
			ret->refused = true;
		if (r < 0)
			continue;
		json_array_append_new(ret->names, json_string(eg_hold_layer_name(liftable[i])));
		ret->layers |= liftable[i];
		ret->ticket = ticket;
	}
}

/* The words lose what was lifted. Under lock. */
static void lower_words(struct eg_agent *agent, const char *name, uint32_t lifted)
{
	struct eg_entry *entry;

	if (strcmp(name, EG_HOLD_ALL_APPS) == 0) {
		__u64 *all = &eg_kern_host(agent->kern)->kill_all;

		__atomic_and_fetch(all, ~(__u64)(lifted & ~eg_holds_layers(agent->holds, name)), __ATOMIC_SEQ_CST);
		return;
	}
	entry = eg_registry_find(agent, name);
	if (!entry)
		return;
	if (lifted & EG_HOLD_AUTO)
		__atomic_store_n(&eg_entry_ctl(agent, entry)->auto_cleared, eg_entry_state(agent, entry)->auto_kill,
				 __ATOMIC_SEQ_CST);
	eg_registry_lower(agent, entry, lifted);
}

json_t *eg_hold_json(const struct eg_hold_info *info)
{
	const struct eg_hold *hold = &info->hold;

	return json_pack("{s:s,s:s,s:I,s:s,s:o,s:o,s:o,s:b}", "app", hold->app, "layer", eg_hold_layer_name(hold->layer),
			 "generation", (json_int_t)hold->generation, "actor", hold->actor, "reason",
			 hold->reason[0] ? json_string(hold->reason) : json_null(), "ticket",
			 hold->ticket[0] ? json_string(hold->ticket) : json_null(), "time",
			 eg_time_json(hold->time_utc_ns), "durable", info->durable);
}

json_t *eg_holds_json(struct eg_agent *agent, const char *name)
{
	struct eg_hold_info infos[EG_HOLD_LAYERS];
	size_t count = eg_holds_of(agent->holds, name, infos);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, eg_hold_json(&infos[i]));
	return list;
}

static void tell_restore(struct eg_agent *agent, const char *name, const struct eg_entry *entry, const char *reason,
			 const struct eg_actor *actor, json_t *lifted)
{
	char text[64];

	eg_actor_text(actor, text, sizeof(text));
	eg_notice(agent, "restore", entry, entry ? entry->name : NULL,
		  json_pack("{s:s,s:s*,s:O,s:b}", "actor", text, "cause", reason, "lifted", lifted, "all",
			    strcmp(name, EG_HOLD_ALL_APPS) == 0));
	eg_log_notice("restore %s: by %s", name, text);
}

int eg_agent_restore(struct eg_agent *agent, const char *app, const char *reason, const struct eg_actor *actor,
		     json_t **ret, struct eg_error *err)
{
	const char *name = app ? app : EG_HOLD_ALL_APPS;
	const struct eg_entry *entry;
	struct lifted lifted;
	bool durable;

	/* a kill made without the agent is the actor's to lift or not, as any other: it has to be known */
	eg_agent_merge_direct(agent);
	/* under lock, so that the words and the holds go down together; a lift does not wait */
	pthread_mutex_lock(&agent->lock);
	lift(agent, name, reason, actor, &lifted);
	if (!lifted.layers) {
		pthread_mutex_unlock(&agent->lock);
		json_decref(lifted.names);
		if (lifted.refused)
			return eg_error_set(err, 403, "hold_not_yours",
					    "The hold is not yours to lift: a responder lifts an own hold within 15 "
					    "minutes; ask an administrator.");
		return eg_error_set(err, 409, "not_killed", "No hold that you could lift is in force for %s.",
				    app ? app : "all apps");
	}
	lower_words(agent, name, lifted.layers);
	entry = app ? eg_registry_find(agent, app) : NULL;
	tell_restore(agent, name, entry, reason, actor, lifted.names);
	pthread_mutex_unlock(&agent->lock);

	durable = eg_holds_wait_durable(agent->holds, lifted.ticket, DURABLE_WAIT_MS);
	pthread_mutex_lock(&agent->lock);
	entry = app ? eg_registry_find(agent, app) : NULL;
	*ret = json_pack("{s:s,s:o,s:o,s:b,s:s*}", "app", name, "lifted", lifted.names, "remaining",
			 eg_holds_json(agent, name), "durable", durable, "state",
			 entry ? eg_registry_state(agent, entry) : NULL);
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

/* The same for the layer control; a lift of what is not in force is remembered, by its generation. */
int eg_restore_control(struct eg_agent *agent, const struct eg_control_hold *lift, const struct eg_actor *actor,
		       json_t **ret, struct eg_error *err)
{
	const bool all = strcmp(lift->app, EG_HOLD_ALL_APPS) == 0;
	struct eg_hold_lift wanted = {
		.app = lift->app,
		.layer = EG_HOLD_CONTROL,
		.role = EG_HOLD_BY_CONTROL,
		.generation = lift->generation,
		.now_utc_ns = eg_clock_utc_ns(),
		.reason = lift->reason,
	};
	uint64_t ticket = 0;
	char text[64];
	bool durable;
	int r;

	eg_actor_text(actor, text, sizeof(text));
	wanted.actor = text;
	pthread_mutex_lock(&agent->lock);
	r = eg_holds_lift(agent->holds, &wanted, &ticket);
	if (r == 0) {
		json_t *lifted = json_pack("[s]", eg_hold_layer_name(EG_HOLD_CONTROL));

		lower_words(agent, lift->app, EG_HOLD_CONTROL);
		tell_restore(agent, lift->app, all ? NULL : eg_registry_find(agent, lift->app), lift->reason, actor, lifted);
		json_decref(lifted);
	}
	pthread_mutex_unlock(&agent->lock);
	if (r == -ESTALE) {
		eg_error_set(err, 409, "stale_generation",
			     "The restore of %s has the generation %llu, and a newer word on it is known: it was ignored.",
			     lift->app, (unsigned long long)lift->generation);
		return r;
	}
	if (r < 0 && r != -ENOENT)
		return eg_error_set(err, 500, "not_stored", "The restore of %s can't be recorded: %s.", lift->app,
				    strerror(-r));
	durable = r == 0 && eg_holds_wait_durable(agent->holds, ticket, 0); /* as of its kills: eg_kill_control */
	*ret = json_pack("{s:s,s:b,s:b,s:b}", "app", lift->app, "killed", 0, "already", r == -ENOENT, "durable", durable);
	return 0;
}

/* ---- Relax: audit for a while ------------------------------------------------------------------------- */

static int relax_check(const char *app, uint64_t for_ns, const char *reason, struct eg_error *err)
{
	if (!reason || !reason[0])
		return eg_error_set(err, 400, "reason_required", "Say why %s is to be relaxed: a reason is required.", app);
	if (for_ns && (for_ns < RELAX_MIN_NS || for_ns > RELAX_MAX_NS))
		return eg_error_set(err, 400, "bad_value", "An app can be relaxed for 1 minute to 24 hours.");
	return 0;
}

int eg_agent_relax(struct eg_agent *agent, const char *app, uint64_t for_ns, const char *reason,
		   const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	const struct eg_entry *entry;
	uint32_t reset = 0;
	uint64_t until_utc = for_ns ? eg_clock_utc_ns() + for_ns : 0;
	char text[64], span[32];
	int r = relax_check(app, for_ns, reason, err);

	if (r < 0)
		return r;
	eg_actor_text(actor, text, sizeof(text));
	eg_units_span_text(for_ns, span, sizeof(span));
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry) {
		__atomic_store_n(&eg_entry_ctl(agent, entry)->relax_until_boot_ns,
				 for_ns ? eg_clock_boot_ns() + for_ns : 0, __ATOMIC_SEQ_CST);
		eg_notice(agent, "alert", entry, NULL,
			  json_pack("{s:s,s:s,s:s,s:o}", "action", for_ns ? "relax" : "relax_end", "actor", text, "cause",
				    reason, "until", for_ns ? eg_time_json(until_utc) : json_null()));
	}
	pthread_mutex_unlock(&agent->lock);
	if (!entry)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	eg_log_warning("relax %s: %s, by %s: %s", app, for_ns ? span : "ended", text, reason);
	if (!for_ns)
		reset = eg_cut_denied(agent, app);
	*ret = json_pack("{s:s,s:o,s:i}", "app", app, "relax_until", for_ns ? eg_time_json(until_utc) : json_null(),
			 "reset_sockets", (int)reset);
	return 0;
}

/* ---- At start ------------------------------------------------------------------------------------------ */

static const struct eg_actor found_in_kernel = {.role = EG_ROLE_ADMIN, .via = "direct"};

/* A kill that is in the kernel's word but has no record: somebody's --direct whose record failed. */
static void keep_unrecorded(struct eg_agent *agent, const char *name, uint32_t in_force)
{
	uint32_t missing = in_force & ~eg_holds_layers(agent->holds, name);

	for (uint32_t bit = 0; bit < EG_HOLD_LAYERS; bit++) {
		struct eg_hold hold;
		uint64_t ticket;
		bool already;

		if (!(missing >> bit & 1))
			continue;
		eg_kill_hold(&hold, name, 1u << bit, &found_in_kernel, "found in force without a record", NULL);
		eg_log_warning("%s: a kill is in force that has no record; it is kept and recorded now", name);
		eg_holds_add(agent->holds, &hold, &already, &ticket);
	}
}

void eg_kill_load(struct eg_agent *agent)
{
	struct eg_host_ctl *host = eg_kern_host(agent->kern);

	keep_unrecorded(agent, EG_HOLD_ALL_APPS, (uint32_t)host->kill_all);
	pthread_mutex_lock(&agent->lock);
	__atomic_or_fetch(&host->kill_all, eg_holds_layers(agent->holds, EG_HOLD_ALL_APPS), __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < agent->count; i++) {
		uint64_t word = eg_entry_ctl(agent, agent->by_name[i])->kill;

		if (word >> 32 == agent->by_name[i]->gen)
			keep_unrecorded(agent, agent->by_name[i]->name, (uint32_t)word);
		eg_registry_raise_holds(agent, agent->by_name[i]);
	}
	pthread_mutex_unlock(&agent->lock);
}

static bool has_sockets(struct eg_agent *agent, const char *app)
{
	const struct eg_entry *entry;
	bool has;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	has = entry && eg_entry_state(agent, entry)->sockets;
	pthread_mutex_unlock(&agent->lock);
	return has;
}

void eg_kill_cut_held(struct eg_agent *agent)
{
	struct eg_hold_info *infos = NULL;
	struct eg_cut done;
	size_t count = 0;

	if (eg_kern_all_killed(agent->kern))
		eg_cut_all(agent, NULL, &done);
	if (eg_holds_list(agent->holds, &infos, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(infos[i].hold.app, EG_HOLD_ALL_APPS) != 0 && has_sockets(agent, infos[i].hold.app))
			eg_cut_app(agent, infos[i].hold.app, false, &done);
	}
	free(infos);
}

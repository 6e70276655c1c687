// SPDX-License-Identifier: Apache-2.0
/*
 * apply.c - puts a policy in force: everything is written under a fresh ruleset id, then one
 * word of the app is switched
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "agent_impl.h"

/* ---- Meters: where each keeps its count ---------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_meter(const struct eg_metered *a, const struct eg_metered *b)
{
	return a->conf.kind == b->conf.kind && a->conf.dir == b->conf.dir && same_text(a->scope, b->scope) &&
	       (a->conf.kind != EG_METER_BYTES || a->conf.per_ns == b->conf.per_ns);
}

/* What the ruleset in force meters; of an adopted one whose policy is not known, the app's own meters. */
struct meters_before {
	const struct eg_metered *items;
	size_t count;
	struct eg_metered adopted[EG_METERS_PER_APP];
};

static char unknown_scope[] = "?";

static void meters_before_get(struct eg_agent *agent, const struct eg_entry *entry, struct meters_before *ret)
{
	uint64_t word = eg_entry_ctl(agent, entry)->ruleset;
	const struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, (uint32_t)word);

	memset(ret, 0, sizeof(*ret));
	if (entry->now) {
		ret->items = entry->now->meters;
		ret->count = entry->now->meter_count;
		return;
	}
	ret->items = ret->adopted;
	for (size_t i = 0; word && ruleset && i < EG_METERS_PER_APP && ruleset->meters[i].per_ns; i++) {
		ret->adopted[i].conf = ruleset->meters[i];
		ret->adopted[i].scope = ruleset->meters[i].rule == EG_RULE_NONE ? NULL : unknown_scope;
		ret->count++;
	}
}

/* A place that neither these meters nor, if possible, those before use. */
static uint8_t place_free(const struct eg_metered *now, size_t now_count, const struct meters_before *before)
{
	uint32_t used = 0, was_used = 0;
	uint8_t place;

	for (size_t i = 0; i < now_count; i++)
		used |= now[i].conf.state < EG_METERS_PER_APP ? 1u << now[i].conf.state : 0;
	for (size_t i = 0; i < before->count; i++)
		was_used |= 1u << before->items[i].conf.state;
	for (place = 0; place < EG_METERS_PER_APP; place++) {
		if (!((used | was_used) >> place & 1))
			return place;
	}
	for (place = 0; place + 1 < EG_METERS_PER_APP && used >> place & 1; place++)
		;
	return place;
}

#define NO_PLACE 0xff

/* Meters that were there before go on counting where they were; new ones are seeded. */
static int meters_place(struct eg_agent *agent, const struct eg_entry *entry, struct eg_applied *applied,
			const struct meters_before *before)
{
	for (size_t i = 0; i < applied->meter_count; i++) {
		applied->meters[i].conf.state = NO_PLACE;
		for (size_t j = 0; j < before->count; j++) {
			if (same_meter(&applied->meters[i], &before->items[j]))
				applied->meters[i].conf.state = before->items[j].conf.state;
		}
	}
	for (size_t i = 0; i < applied->meter_count; i++) {
		struct eg_metered *metered = &applied->meters[i];
		struct eg_meter seed = {0};
		uint32_t key;

		if (metered->conf.state != NO_PLACE)
			continue;
		metered->conf.state = place_free(applied->meters, applied->meter_count, before);
		key = entry->slot * EG_METERS_PER_APP + metered->conf.state;
		eg_usage_seed(agent->usage, entry->name, metered, &seed);
		if (bpf_map_update_elem(eg_kern_map_fd(agent->kern, EG_MAP_METERS), &key, &seed, BPF_ANY) ||
		    bpf_map_update_elem(eg_kern_map_fd(agent->kern, EG_MAP_GUARD_METERS), &key, &seed, BPF_ANY))
			return -errno;
	}
	return 0;
}

static bool has_meter(const struct eg_applied *applied, const struct eg_metered *metered, bool *ret_place_taken)
{
	bool has = false;

	*ret_place_taken = false;
	for (size_t i = 0; i < applied->meter_count; i++) {
		has |= same_meter(&applied->meters[i], metered);
		*ret_place_taken |= applied->meters[i].conf.state == metered->conf.state;
	}
	return has;
}

/*
 * What the meters that go away have counted is kept for the day they come back: before the
 * switch, as a new one may take their place, and once more after it, for what was sent since.
 */
static void meters_keep(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_applied *applied,
			const struct meters_before *before, bool switched)
{
	for (size_t i = 0; i < before->count; i++) {
		bool place_taken;

		if (before->items[i].scope == unknown_scope || has_meter(applied, &before->items[i], &place_taken))
			continue;
		if (!switched || !place_taken)
			eg_usage_keep(agent->usage, entry->name, entry->slot, &before->items[i]);
	}
}

/* ---- The switch ------------------------------------------------------------------------ */

void eg_apply_ruleset(struct eg_agent *agent, uint32_t slot, const struct eg_tables *tables,
		      const struct eg_compiled *compiled)
{
	struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, tables->index);

	*ruleset = compiled->ruleset;
	ruleset->uid = tables->uid;
	ruleset->app = slot;
	ruleset->bind_first += tables->match_first;
	ruleset->match_first = tables->match_first;
	ruleset->match_count = tables->match_count;
	ruleset->name_first += tables->match_first;
}

static void ruleset_write(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_applied *applied,
			  const struct eg_compiled *compiled)
{
	struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, applied->tables->index);

	eg_apply_ruleset(agent, entry->slot, applied->tables, compiled);
	for (size_t i = 0; i < applied->meter_count; i++)
		ruleset->meters[i].state = applied->meters[i].conf.state;
}

/* Rules of an adopted ruleset whose policy never came: its rules are found by a sweep. */
static void discard_unknown(struct eg_agent *agent, uint64_t word)
{
	const struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, (uint32_t)word);
	struct eg_tables *tables;

	if (!word || !ruleset || eg_tables_adopt(agent, ruleset, (uint32_t)word, NULL, &tables) < 0)
		return;
	eg_tables_discard(agent, tables);
	eg_sweep_tables_due(agent);
}

/* Makes applied the policy in force, for readers. Takes lock. */
static void publish(struct eg_agent *agent, struct eg_entry *entry, struct eg_applied *applied)
{
	struct eg_applied *oldest;

	pthread_mutex_lock(&agent->lock);
	oldest = entry->before;
	entry->before = entry->now;
	entry->now = applied;
	entry->deleted = false;
	pthread_mutex_unlock(&agent->lock);
	eg_applied_free(oldest);
	if (entry->before)
		eg_tables_discard(agent, EG_TAKE_PTR(entry->before->tables));
	eg_prefetch_changed(agent->prefetch);
}

static void switch_over(struct eg_agent *agent, struct eg_entry *entry, struct eg_applied *applied)
{
	struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);
	uint64_t before = ctl->ruleset;

	/* no packet has met this uid yet, so the word is not the kernel's alone before the switch */
	if (eg_expired_has(agent->expired, entry->name, applied->hash))
		__atomic_store_n(&eg_entry_state(agent, entry)->expired_uid, applied->uid, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ctl->ruleset, (uint64_t)applied->uid << 32 | applied->tables->index, __ATOMIC_SEQ_CST);
	__atomic_and_fetch(&ctl->flags, ~EG_APP_DELETED, __ATOMIC_SEQ_CST);
	if (!entry->now)
		discard_unknown(agent, before);
	publish(agent, entry, applied);
}

/* ---- Policies ---------------------------------------------------------------------------- */

int eg_apply_refuse(struct eg_agent *agent, int r, const struct eg_compiled *compiled, struct eg_error *err)
{
	switch (r) {
	case -ENOSPC:
		eg_error_set(err, 507, "rules_full",
			     "The host's tables hold %u addresses and %u intervals of ports, %zu addresses are in use; "
			     "this policy needs %zu and %zu more: raise max_rules (and start with fresh maps).",
			     eg_kern_rule_count(agent->kern), eg_kern_match_count(agent->kern), agent->rules_used,
			     compiled->prefix_count, compiled->match_count);
		break;
	case -EDQUOT:
		eg_error_set(err, 507, "names_full",
			     "The host's table holds %u DNS names, %zu are in use; this policy needs %zu more: raise max_names "
			     "(and start with fresh maps).",
			     eg_kern_map_max(agent->kern, EG_MAP_NAMES), agent->names_used, compiled->name_count);
		break;
	case -EOVERFLOW:
		eg_error_set(err, 507, "revisions_used_up",
			     "The maps have seen 2^30 revisions: `egretd --detach-all` and a start make new ones.");
		break;
	case -ENOMEM:
		eg_error_set(err, 500, "no_memory", "Out of memory.");
		break;
	default:
		eg_error_set(err, 500, "kernel", "The kernel's tables could not be written: %s.", strerror(-r));
	}
	return r;
}

/* The very ruleset that the kernel has from an agent before this one: taken over, counters and all. */
static int take_over_ruleset(struct eg_agent *agent, struct eg_entry *entry, struct eg_applied *applied,
			     const struct eg_compiled *compiled)
{
	uint32_t index = (uint32_t)eg_entry_ctl(agent, entry)->ruleset;
	const struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, index);
	int r = eg_tables_adopt(agent, ruleset, index, compiled, &applied->tables);

	if (r < 0)
		return r;
	applied->uid = ruleset->uid;
	for (size_t i = 0; i < applied->meter_count; i++)
		applied->meters[i].conf = ruleset->meters[i];
	publish(agent, entry, applied);
	return 0;
}

static bool is_in_force(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_compiled *compiled)
{
	uint64_t word = eg_entry_ctl(agent, entry)->ruleset;
	const struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, (uint32_t)word);

	return word && ruleset && !entry->deleted && ruleset->app == entry->slot &&
	       memcmp(ruleset->policy_hash, compiled->ruleset.policy_hash, sizeof(ruleset->policy_hash)) == 0 &&
	       ruleset->match_count == compiled->match_count;
}

/* The same text from another file or source: only where it comes from has changed. Takes lock. */
static int relabel(struct eg_agent *agent, struct eg_entry *entry, const struct eg_provenance *from)
{
	char *origin = from->origin ? strdup(from->origin) : NULL;

	if (from->origin && !origin)
		return -ENOMEM;
	pthread_mutex_lock(&agent->lock);
	free(entry->now->origin);
	entry->now->origin = origin;
	entry->now->source = from->source;
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

int eg_apply_policy(struct eg_agent *agent, struct eg_entry *entry, const struct eg_policy *policy,
		    const struct eg_compiled *compiled, const struct eg_provenance *from, bool *ret_changed,
		    struct eg_error *err)
{
	struct meters_before before;
	struct eg_applied *applied;
	int r;

	if (entry->now && is_in_force(agent, entry, compiled)) {
		r = relabel(agent, entry, from);
		*ret_changed = false;
		return r < 0 ? eg_apply_refuse(agent, r, compiled, err) : 0;
	}
	applied = eg_applied_new(policy, compiled, from);
	if (!applied)
		return eg_apply_refuse(agent, -ENOMEM, compiled, err);
	if (!entry->now && is_in_force(agent, entry, compiled)) {
		r = take_over_ruleset(agent, entry, applied, compiled);
		*ret_changed = false;
	} else {
		r = eg_tables_make(agent, compiled, &applied->tables);
		if (!r) {
			applied->uid = applied->tables->uid;
			meters_before_get(agent, entry, &before);
			meters_keep(agent, entry, applied, &before, false);
			r = meters_place(agent, entry, applied, &before);
			if (r < 0)
				eg_tables_discard(agent, EG_TAKE_PTR(applied->tables));
		}
		if (!r) {
			ruleset_write(agent, entry, applied, compiled);
			switch_over(agent, entry, applied);
			meters_keep(agent, entry, applied, &before, true);
		}
		*ret_changed = true;
	}
	if (r < 0) {
		eg_applied_free(applied);
		return eg_apply_refuse(agent, r, compiled, err);
	}
	return 0;
}

void eg_apply_mark_deleted(struct eg_agent *agent, struct eg_entry *entry)
{
	__atomic_or_fetch(&eg_entry_ctl(agent, entry)->flags, EG_APP_DELETED, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&agent->lock);
	entry->deleted = true;
	pthread_mutex_unlock(&agent->lock);
	eg_prefetch_changed(agent->prefetch);
}

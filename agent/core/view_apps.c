// SPDX-License-Identifier: Apache-2.0
/*
 * view_apps.c - apps as the API shows them: state, counters, caps, rules
 */
#include <bpf/bpf.h>
#include <string.h>

#include "../lib/labels.h"
#include "agent_impl.h"
#include "alerts.h"
#include "bytes_json.h"
#include "clock.h"
#include "guards.h"

static const char *const reason_names[] = {
#define EG_REASON(sym, text, why) [EG_REASON_##sym] = (text),
#include <egret/reasons.def>
#undef EG_REASON
};

static const char *const reason_sentences[] = {
#define EG_REASON(sym, text, why) [EG_REASON_##sym] = (why),
#include <egret/reasons.def>
#undef EG_REASON
};

const char *eg_reason_name(uint32_t reason)
{
	return reason < EG_REASON_COUNT_ ? reason_names[reason] : "unknown";
}

const char *eg_reason_sentence(uint32_t reason)
{
	return reason < EG_REASON_COUNT_ ? reason_sentences[reason] : "an unknown reason";
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* ---- Caps ---------------------------------------------------------------------------------- */

static const char *const action_names[] = {
	[EG_CAP_DROP] = "drop",
	[EG_CAP_ALERT] = "alert",
	[EG_CAP_KILL] = "kill",
};

static json_t *cap_json(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_metered *metered)
{
	const struct eg_meter_conf *conf = &metered->conf;
	uint64_t window = 0, used = 0;

	if (conf->kind != EG_METER_BYTES || eg_usage_of(agent, entry->slot, conf, &window, &used) < 0)
		return NULL;
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:s}", "direction",
			 conf->dir == EG_DIR_EGRESS ? "egress" : "ingress", "scope",
			 metered->scope ? metered->scope : "app", "limit", (json_int_t)conf->limit, "used",
			 (json_int_t)used, "rest", (json_int_t)(used < conf->limit ? conf->limit - used : 0), "per_s",
			 (json_int_t)(conf->per_ns / EG_NS_PER_S), "window_end",
			 eg_time_json((window + 1) * conf->per_ns), "action", action_names[conf->action]);
}

json_t *eg_caps_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	json_t *caps = json_array();

	for (size_t i = 0; entry->now && i < entry->now->meter_count; i++) {
		json_t *cap = cap_json(agent, entry, &entry->now->meters[i]);

		if (cap)
			json_array_append_new(caps, cap);
	}
	return caps;
}

/* ---- One app --------------------------------------------------------------------------------- */

static json_t *cgroups_json(struct eg_agent *agent, const struct eg_entry *entry, bool with_ids)
{
	json_t *list = json_array();

	for (size_t i = 0; i < agent->tag_count; i++) {
		const struct eg_tagged *tagged = agent->tags[i];
		json_t *path;

		if (tagged->slot != entry->slot)
			continue;
		path = eg_bytes_json(tagged->path, strlen(tagged->path));
		json_array_append_new(list, with_ids ? json_pack("{s:o,s:I}", "path", path, "id", (json_int_t)tagged->id) :
						       path);
	}
	return list;
}

static void read_slot(struct eg_agent *agent, uint32_t slot, enum eg_kern_map map, void *ret, size_t size)
{
	if (bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, map), &slot, ret))
		memset(ret, 0, size);
}

void eg_slot_denied(struct eg_agent *agent, uint32_t slot, uint64_t *ret_denied, uint64_t *ret_audited)
{
	struct eg_reasons reasons;

	read_slot(agent, slot, EG_MAP_REASONS, &reasons, sizeof(reasons));
	*ret_denied = 0;
	*ret_audited = 0;
	for (int dir = 0; dir < 2; dir++) {
		for (int reason = 0; reason < EG_REASON_COUNT_; reason++) {
			*ret_denied += reasons.by[dir][reason].denied;
			*ret_audited += reasons.by[dir][reason].audited;
		}
	}
}

static void add_numbers(struct eg_agent *agent, const struct eg_entry *entry, json_t *object)
{
	const struct eg_app_state *state = eg_entry_state(agent, entry);
	struct eg_counters counters = {0};
	uint64_t denied, audited;
	json_t *numbers;

	eg_kern_counters(agent->kern, entry->slot, &counters);
	eg_slot_denied(agent, entry->slot, &denied, &audited);
	numbers = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i}", "bytes_out", (json_int_t)counters.bytes_out,
			    "bytes_in", (json_int_t)counters.bytes_in, "packets_out", (json_int_t)counters.packets_out,
			    "packets_in", (json_int_t)counters.packets_in, "flows", (json_int_t)counters.flows, "denied",
			    (json_int_t)denied, "audited", (json_int_t)audited, "sockets", (int)state->sockets, "peers",
			    (int)state->peers);
	json_object_update(object, numbers);
	json_decref(numbers);
}

bool eg_entry_names(struct eg_agent *agent, const struct eg_entry *entry)
{
	uint64_t word = __atomic_load_n(&eg_entry_ctl(agent, entry)->ruleset, __ATOMIC_ACQUIRE);
	const struct eg_ruleset *ruleset = word ? eg_kern_ruleset(agent->kern, (uint32_t)word) : NULL;

	return ruleset && ruleset->flags & EG_RULESET_NAMES;
}

static const char *const frames_texts[] = {
	[EG_FRAMES_NONE] = "none",   [EG_FRAMES_REFUSED] = "refused", [EG_FRAMES_GUARDED] = "guarded",
	[EG_FRAMES_NAMES] = "names", [EG_FRAMES_OPEN] = "open",
};

static json_t *app_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	const struct eg_applied *now = entry->now;
	const char *state = eg_registry_state(agent, entry);
	json_t *app = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b}", "app", entry->name, "state", state,
				"owner", text_or_null(now ? now->owner : NULL), "ticket",
				text_or_null(now ? now->ticket : NULL), "labels",
				now ? json_deep_copy(now->labels) : json_object(), "policy_rev",
				text_or_null(now ? now->rev : NULL), "source",
				text_or_null(now ? eg_source_name(now->source) : NULL), "expires",
				now ? eg_time_json(now->expires_utc_ns) : json_null(), "cgroups",
				cgroups_json(agent, entry, false), "killed", strcmp(state, "killed") == 0, "names",
				eg_entry_names(agent, entry));

	if (!app)
		return NULL;
	add_numbers(agent, entry, app);
	json_object_set_new(app, "netns_admin", json_boolean(entry->netns_admin));
	json_object_set_new(app, "frames", json_string(frames_texts[entry->frames]));
	json_object_set_new(app, "guards", eg_guards_json(agent->guards, entry->slot, entry->gen));
	if (entry->netns_why[0])
		json_object_set_new(app, "netns_problem", json_string(entry->netns_why));
	return app;
}

static json_t *reasons_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	struct eg_reasons reasons;
	json_t *all = json_object();

	read_slot(agent, entry->slot, EG_MAP_REASONS, &reasons, sizeof(reasons));
	for (uint32_t reason = 0; reason < EG_REASON_COUNT_; reason++) {
		const struct eg_reason_count *out = &reasons.by[EG_DIR_EGRESS][reason];
		const struct eg_reason_count *in = &reasons.by[EG_DIR_INGRESS][reason];

		if (out->denied || out->audited || in->denied || in->audited)
			json_object_set_new(all, eg_reason_name(reason),
					    json_pack("{s:I,s:I,s:I}", "egress", (json_int_t)out->denied, "ingress",
						      (json_int_t)in->denied, "audited",
						      (json_int_t)(out->audited + in->audited)));
	}
	return all;
}

static json_t *loss_json(const struct eg_loss *loss)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "events", (json_int_t)loss->events, "deny_events",
			 (json_int_t)loss->deny_events, "flow_ends", (json_int_t)loss->flow_ends, "bytes_out",
			 (json_int_t)loss->bytes_out, "bytes_in", (json_int_t)loss->bytes_in, "denied_bytes",
			 (json_int_t)loss->denied_bytes);
}

static json_t *losses_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	struct eg_losses losses;

	read_slot(agent, entry->slot, EG_MAP_LOSSES, &losses, sizeof(losses));
	return json_pack("{s:o,s:o}", "suppressed", loss_json(&losses.by[EG_LOSS_SUPPRESSED]), "ring_full",
			 loss_json(&losses.by[EG_LOSS_RING_FULL]));
}

/* The rules as the policy has them, ids filled in. */
static void add_rules(json_t *list, const json_t *policy, const char *direction)
{
	const json_t *rules = json_object_get(policy, direction);
	json_t *rule;
	size_t i;

	json_array_foreach((json_t *)rules, i, rule) {
		json_t *copy = json_deep_copy(rule);
		char id[32];

		snprintf(id, sizeof(id), "%s[%zu]", direction, i);
		if (copy && !json_object_get(copy, "id"))
			json_object_set_new(copy, "id", json_string(id));
		json_object_set_new(copy, "direction", json_string(direction));
		json_array_append_new(list, copy);
	}
}

json_t *eg_rules_json(const struct eg_applied *now)
{
	json_t *list = json_array(), *policy = now ? json_loadb(now->text, now->text_len, 0, NULL) : NULL;

	add_rules(list, policy, "egress");
	add_rules(list, policy, "ingress");
	json_decref(policy);
	return list;
}

/* Whom the app may ask for names, and who said so. */
static json_t *dns_json(const struct eg_applied *now)
{
	json_t *list;

	if (!now || (!now->resolver_count && !now->resolvers_of_host))
		return json_null();
	list = json_array();
	for (size_t i = 0; i < now->resolver_count; i++) {
		char text[EG_ADDR_TEXT];

		json_array_append_new(list, json_string(eg_addr_to_text(&now->resolvers[i], text)));
	}
	return json_pack("{s:o,s:s}", "resolvers", list, "from", now->resolvers_of_host ? "host" : "policy");
}

static void add_details(struct eg_agent *agent, const struct eg_entry *entry, json_t *app)
{
	uint64_t relax = __atomic_load_n(&eg_entry_ctl(agent, entry)->relax_until_boot_ns, __ATOMIC_RELAXED);
	json_t *more = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:i}", "holds",
				 eg_holds_json(agent, entry->name), "relax_until",
				 relax > eg_clock_boot_ns() ? eg_time_json(relax + (uint64_t)eg_clock_utc_offset_ns()) :
							      json_null(),
				 "purpose", text_or_null(entry->now ? entry->now->purpose : NULL), "rules",
				 eg_rules_json(entry->now), "caps", eg_caps_json(agent, entry), "reasons",
				 reasons_json(agent, entry), "cgroup_ids", cgroups_json(agent, entry, true), "losses",
				 losses_json(agent, entry), "grants", eg_grants_json(agent, entry), "slot",
				 (int)entry->slot, "gen", (int)entry->gen);

	json_object_update(app, more);
	json_object_set_new(app, "override_until", eg_override_json(agent, entry));
	json_object_set_new(app, "dns", dns_json(entry->now));
	json_object_set_new(app, "alerts", eg_alerts_json(agent->alerts, entry->slot, entry->gen));
	if (entry->now && entry->now->origin)
		json_object_set_new(app, "file", json_string(entry->now->origin));
	json_decref(more);
}

static int add_grants(struct eg_agent *agent, uint32_t slot, uint32_t gen, json_t *app, struct eg_error *err)
{
	json_t *list;
	int r = eg_grants_list(agent, slot, gen, NULL, &list);

	if (r < 0)
		return eg_error_set(err, 500, "kernel", "The table of grants could not be read: %s.", strerror(-r));
	json_object_set_new(json_object_get(app, "grants"), "list", list);
	return 0;
}

int eg_agent_app(struct eg_agent *agent, const char *app, bool with_grants, json_t **ret, struct eg_error *err)
{
	const struct eg_entry *entry;
	uint32_t slot = 0, gen = 0;
	json_t *answer = NULL;
	int r = 0;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry) {
		slot = entry->slot;
		gen = entry->gen;
		answer = app_json(agent, entry);
		add_details(agent, entry, answer);
	}
	pthread_mutex_unlock(&agent->lock);
	if (!entry)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	if (answer && with_grants)
		r = add_grants(agent, slot, gen, answer, err);
	if (r < 0)
		json_decref(answer);
	else
		*ret = answer;
	return r;
}

/* ---- Many -------------------------------------------------------------------------------------- */

#define APPS_AT_ONCE 64

/*
 * Calls fn for every app, letting go of the lock now and then, so that a kill never waits for a
 * long list. An app that comes or goes meanwhile may be missed.
 */
void eg_apps_each(struct eg_agent *agent, void (*fn)(void *ctx, struct eg_entry *entry), void *ctx)
{
	char last[EG_APP_NAME_LEN] = "";
	bool more = true;

	while (more) {
		size_t i = 0, n = 0;

		pthread_mutex_lock(&agent->lock);
		i = last[0] ? eg_registry_after(agent, last) : 0;
		for (; n < APPS_AT_ONCE && i < agent->count; n++, i++) {
			fn(ctx, agent->by_name[i]);
			memcpy(last, agent->by_name[i]->name, sizeof(last));
		}
		more = i < agent->count;
		pthread_mutex_unlock(&agent->lock);
	}
}

struct listing {
	struct eg_agent *agent;
	const struct eg_labels *selector; /* NULL: all */
	json_t *list;
};

/* Without a policy an app has no labels: no selector chooses it. */
static bool chosen(const struct listing *listing, const struct eg_entry *entry)
{
	return !listing->selector || (entry->now && eg_labels_match(listing->selector, entry->now->labels));
}

static int read_selector(const char *labels, struct eg_labels **ret, struct eg_error *err)
{
	char why[200];

	*ret = NULL;
	if (labels && eg_labels_parse(labels, ret, why, sizeof(why)) < 0)
		return eg_error_set(err, 400, "bad_selector", "The label selector can't be used: %s", why);
	return 0;
}

static void list_one(void *ctx, struct eg_entry *entry)
{
	const struct listing *listing = ctx;

	if (chosen(listing, entry))
		json_array_append_new(listing->list, app_json(listing->agent, entry));
}

int eg_agent_apps(struct eg_agent *agent, const char *labels, json_t **ret, struct eg_error *err)
{
	struct listing listing = {.agent = agent};
	struct eg_labels *selector;
	int r = read_selector(labels, &selector, err);

	if (r < 0)
		return r;
	listing.selector = selector;
	listing.list = json_array();
	eg_apps_each(agent, list_one, &listing);
	eg_labels_free(selector);
	*ret = json_pack("{s:o}", "apps", listing.list);
	return 0;
}

static json_t *usage_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	json_t *usage = json_pack("{s:s,s:o}", "app", entry->name, "caps", eg_caps_json(agent, entry));

	add_numbers(agent, entry, usage);
	return usage;
}

static void usage_one(void *ctx, struct eg_entry *entry)
{
	const struct listing *listing = ctx;

	if (chosen(listing, entry))
		json_array_append_new(listing->list, usage_json(listing->agent, entry));
}

int eg_agent_usage(struct eg_agent *agent, const char *app, const char *labels, json_t **ret, struct eg_error *err)
{
	struct listing listing = {.agent = agent};
	const struct eg_entry *entry = NULL;
	struct eg_labels *selector;
	int r = read_selector(labels, &selector, err);

	if (r < 0)
		return r;
	listing.selector = selector;
	listing.list = json_array();
	if (app) {
		pthread_mutex_lock(&agent->lock);
		entry = eg_registry_find(agent, app);
		if (entry)
			usage_one(&listing, (struct eg_entry *)entry);
		pthread_mutex_unlock(&agent->lock);
	} else {
		eg_apps_each(agent, usage_one, &listing);
	}
	eg_labels_free(selector);
	if (app && !entry) {
		json_decref(listing.list);
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	}
	*ret = json_pack("{s:o}", "usage", listing.list);
	return 0;
}

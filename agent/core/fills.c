// SPDX-License-Identifier: Apache-2.0
#include "fills.h"

#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "guards.h"

#define FILL_ALARM_PERCENT 80
#define FILL_CALM_PERCENT  70
#define EVICTIONS_CALM_NS  (10 * 60 * EG_NS_PER_S)
#define TELL_AGAIN_NS	   (10 * 60 * EG_NS_PER_S)
#define ALARMS_OF_APPS	   8

static bool is_filling(uint64_t used, uint64_t max, bool told)
{
	return used * 100 >= max * (told ? FILL_CALM_PERCENT : FILL_ALARM_PERCENT) && used;
}

/* Whether that is to be told. Who fills up and empties in turns is told of once in TELL_AGAIN_NS. */
static bool is_news(struct eg_fill_told *told, bool full)
{
	uint64_t now = eg_clock_boot_ns();

	told->full = full;
	if (full == told->told || (full && told->told_boot_ns && now - told->told_boot_ns < TELL_AGAIN_NS))
		return false;
	told->told = full;
	if (full)
		told->told_boot_ns = now;
	return true;
}

static unsigned long long percent(uint64_t used, uint64_t max)
{
	return max ? used * 100 / max : 100;
}

/* ---- Tables --------------------------------------------------------------------------------------- */

struct shares {
	struct eg_agent *agent;
	uint64_t peers;
	uint64_t grants;
};

/* Of apps only: a slot that was freed remembers its last app's. */
static void add_share(void *ctx, struct eg_entry *entry)
{
	struct shares *shares = ctx;
	const struct eg_app_state *state = eg_entry_state(shares->agent, entry);

	shares->peers += state->peers;
	shares->grants += state->grants;
}

void eg_fills(struct eg_agent *agent, struct eg_fill ret[EG_FILLS])
{
	const struct eg_kern *kern = agent->kern;
	struct shares shares = {.agent = agent};
	size_t rules = __atomic_load_n(&agent->rules_used, __ATOMIC_RELAXED); /* they change under apply, not lock */
	size_t names = __atomic_load_n(&agent->names_used, __ATOMIC_RELAXED);

	pthread_mutex_lock(&agent->lock);
	ret[0] = (struct eg_fill){"apps", agent->count, eg_kern_slots(kern) - 1};
	ret[1] = (struct eg_fill){"rules", rules, eg_kern_rule_count(kern)};
	ret[2] = (struct eg_fill){"matches", eg_ranges_used(&agent->match_ranges), agent->match_ranges.total};
	ret[3] = (struct eg_fill){"rulesets", eg_ranges_used(&agent->ruleset_ranges), agent->ruleset_ranges.total};
	ret[4] = (struct eg_fill){"cgroups", agent->tag_count, eg_kern_map_max(kern, EG_MAP_CGROUPS)};
	ret[5] = (struct eg_fill){"names", names, eg_kern_map_max(kern, EG_MAP_NAMES)};
	ret[6] = (struct eg_fill){"guards", eg_guards_count(agent->guards), eg_kern_map_max(kern, EG_MAP_GUARDS)};
	pthread_mutex_unlock(&agent->lock);
	eg_apps_each(agent, add_share, &shares);
	ret[7] = (struct eg_fill){"peers", shares.peers, eg_kern_map_max(kern, EG_MAP_PEERS)};
	ret[8] = (struct eg_fill){"grants", shares.grants, eg_kern_map_max(kern, EG_MAP_GRANTS)};
}

json_t *eg_fills_json(struct eg_agent *agent)
{
	struct eg_fill fills[EG_FILLS];
	json_t *list = json_array();

	eg_fills(agent, fills);
	for (size_t i = 0; i < EG_FILLS; i++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "name", fills[i].name, "used",
						      (json_int_t)fills[i].used, "max", (json_int_t)fills[i].max));
	return list;
}

static void check_tables(struct eg_agent *agent)
{
	struct eg_fill fills[EG_FILLS];

	eg_fills(agent, fills);
	for (size_t i = 0; i < EG_FILLS; i++) {
		const struct eg_fill *fill = &fills[i];
		bool filling = is_filling(fill->used, fill->max, agent->fills_told[i].full);

		if (!is_news(&agent->fills_told[i], filling))
			continue;
		if (filling)
			eg_log_warning("table %s is %llu %% full", fill->name, percent(fill->used, fill->max));
		eg_notice(agent, "alert", NULL, NULL,
			  json_pack("{s:s,s:s,s:I,s:I,s:I}", "action", filling ? "table_filling" : "table_filling_end",
				    "table", fill->name, "used", (json_int_t)fill->used, "size", (json_int_t)fill->max,
				    "percent", (json_int_t)percent(fill->used, fill->max)));
	}
}

/* ---- Quotas of an app ------------------------------------------------------------------------------- */

enum { SOCKETS, PEERS, GRANTS, QUOTAS };
_Static_assert(QUOTAS * sizeof(struct eg_fill_told) == sizeof(((struct eg_entry *)0)->quotas.told), "one of each");

static const char *const quota_names[QUOTAS] = {"sockets", "udp_peers", "grants"};

static struct eg_fill quota_of(struct eg_agent *agent, const struct eg_entry *entry, int quota)
{
	const struct eg_app_state *state = eg_entry_state(agent, entry);
	const struct eg_app_limits limits = eg_agent_app_limits(agent);

	switch (quota) {
	case SOCKETS:
		return (struct eg_fill){quota_names[quota], state->sockets, limits.sockets};
	case PEERS:
		return (struct eg_fill){quota_names[quota], state->peers, limits.peers};
	default:
		return (struct eg_fill){quota_names[quota], state->grants, limits.grants};
	}
}

/* Whether grants that were good had to go since the last look, or not long before it. */
static bool is_evicting(struct eg_quotas *quotas, uint64_t evicted)
{
	uint64_t now = eg_clock_boot_ns();

	if (!quotas->looked) /* what went before this agent was told by the one before */
		quotas->evicted = evicted;
	quotas->looked = true;
	if (evicted > quotas->evicted)
		quotas->evicted_boot_ns = now;
	quotas->evicted = evicted;
	return quotas->evicted_boot_ns && now - quotas->evicted_boot_ns < EVICTIONS_CALM_NS;
}

static void check_quotas(void *ctx, struct eg_entry *entry)
{
	struct eg_agent *agent = ctx;
	struct eg_quotas *quotas = &entry->quotas;

	for (int i = 0; i < QUOTAS; i++) {
		const struct eg_fill fill = quota_of(agent, entry, i);
		bool filling = i == GRANTS ? is_evicting(quotas, eg_entry_state(agent, entry)->grants_evicted) :
					     is_filling(fill.used, fill.max, quotas->told[i].full);

		if (!is_news(&quotas->told[i], filling))
			continue;
		eg_notice(agent, "alert", entry, NULL,
			  json_pack("{s:s,s:s,s:I,s:I,s:I}", "action", filling ? "quota_filling" : "quota_filling_end",
				    "quota", fill.name, "used", (json_int_t)fill.used, "size", (json_int_t)fill.max,
				    "percent", (json_int_t)percent(fill.used, fill.max)));
	}
}

void eg_fills_check(struct eg_agent *agent)
{
	check_tables(agent);
	eg_apps_each(agent, check_quotas, agent);
}

/* ---- Alarms ------------------------------------------------------------------------------------------- */

struct full_apps {
	struct eg_agent *agent;
	json_t *list;
	unsigned count;
};

static void alarm_of_app(void *ctx, struct eg_entry *entry)
{
	struct full_apps *apps = ctx;

	for (int i = 0; i < QUOTAS; i++) {
		const struct eg_fill fill = quota_of(apps->agent, entry, i);

		if (!entry->quotas.told[i].full || ++apps->count > ALARMS_OF_APPS)
			continue;
		json_array_append_new(apps->list,
				      json_sprintf(i == GRANTS ? "%s lost addresses that were still good: it has %llu of %llu %s" :
								 "%s has %llu of %llu %s",
						   entry->name, (unsigned long long)fill.used, (unsigned long long)fill.max, fill.name));
	}
}

void eg_fills_alarms(struct eg_agent *agent, json_t *list)
{
	struct full_apps apps = {.agent = agent, .list = list};
	struct eg_fill fills[EG_FILLS];

	eg_fills(agent, fills);
	for (size_t i = 0; i < EG_FILLS; i++) {
		if (is_filling(fills[i].used, fills[i].max, false))
			json_array_append_new(list, json_sprintf("table %s is %llu %% full", fills[i].name,
								 percent(fills[i].used, fills[i].max)));
	}
	eg_apps_each(agent, alarm_of_app, &apps);
	if (apps.count > ALARMS_OF_APPS)
		json_array_append_new(list, json_sprintf("%u more apps' quotas are nearly full", apps.count - ALARMS_OF_APPS));
}

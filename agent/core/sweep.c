// SPDX-License-Identifier: Apache-2.0
/*
 * sweep.c - finds what nobody remembers in the kernel's tables, some thousands of keys a second
 *
 * Rules and names of a ruleset that an agent which was killed left behind; addresses that were
 * granted to an app whose slot was freed. Nothing looks them up any more, but they take room. And
 * UDP peers that are idle, for which the kernel had no timer.
 */
#include <bpf/bpf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"

/* Keys looked at in one call: a few milliseconds. */
#define SWEEP_KEYS 4096
#define PEERS_EVERY 5 /* calls */

/* ---- Rules and names --------------------------------------------------------------------- */

_Static_assert(offsetof(struct eg_rule_key, table_be) == offsetof(struct eg_name_key, table_be), "one way to the id");

static uint32_t uid_of_rule(uint32_t table)
{
	return EG_UID_OF(table);
}

static uint32_t uid_of_name(uint32_t table)
{
	return table;
}

static const struct kind {
	enum eg_kern_map map;
	size_t key_size;
	uint32_t (*uid_of)(uint32_t table);
	const char *what;
} kinds[EG_SWEEP_TRIES] = {
	[EG_SWEEP_RULES] = {EG_MAP_RULES, sizeof(struct eg_rule_key), uid_of_rule, "rules"},
	[EG_SWEEP_NAMES] = {EG_MAP_NAMES, sizeof(struct eg_name_key), uid_of_name, "names"},
};

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

struct uids {
	uint32_t *items;
	size_t count;
};

/* Ruleset ids that somebody remembers, sorted. */
static int live_uids(struct eg_agent *agent, struct uids *ret)
{
	size_t room = agent->count;

	for (const struct eg_tables *t = agent->garbage; t; t = t->next)
		room++;
	ret->items = calloc(room + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < agent->count; i++)
		ret->items[ret->count++] = (uint32_t)(eg_entry_ctl(agent, agent->by_name[i])->ruleset >> 32);
	for (const struct eg_tables *t = agent->garbage; t; t = t->next)
		ret->items[ret->count++] = t->uid;
	qsort(ret->items, ret->count, sizeof(*ret->items), compare_u32);
	return 0;
}

static bool is_orphan(const struct kind *kind, const struct eg_name_key *key, const struct uids *live)
{
	uint32_t uid = kind->uid_of(be32toh(key->table_be));

	return !bsearch(&uid, live->items, live->count, sizeof(*live->items), compare_u32);
}

/*
 * The cursor is always a key that stays: from one that is gone the kernel begins again at the
 * first. orphans has room for SWEEP_KEYS keys. True when the end was reached.
 */
static bool sweep_some(struct eg_agent *agent, const struct kind *kind, struct eg_sweep *sweep, const struct uids *live,
		       char *orphans)
{
	int fd = eg_kern_map_fd(agent->kern, kind->map);
	struct eg_name_key key = sweep->cursor, next;
	bool from = sweep->cursor_set;
	size_t looked = 0, count = 0;

	for (; looked < SWEEP_KEYS && !bpf_map_get_next_key(fd, from ? &key : NULL, &next); looked++) {
		from = true;
		memcpy(&key, &next, kind->key_size);
		if (is_orphan(kind, &next, live)) {
			memcpy(orphans + kind->key_size * count++, &next, kind->key_size);
			continue;
		}
		memcpy(&sweep->cursor, &next, kind->key_size);
		sweep->cursor_set = true;
	}
	for (size_t i = 0; i < count; i++)
		bpf_map_delete_elem(fd, orphans + kind->key_size * i);
	if (count)
		eg_log_info("deleted %zu %s that an agent before this one left behind", count, kind->what);
	return looked < SWEEP_KEYS;
}

static void sweep_tries(struct eg_agent *agent)
{
	EG_FREE uint32_t *uids = NULL;
	EG_FREE void *orphans = NULL;
	struct uids live = {0};

	if (!agent->sweeps[EG_SWEEP_RULES].due && !agent->sweeps[EG_SWEEP_NAMES].due)
		return;
	orphans = calloc(SWEEP_KEYS, sizeof(struct eg_name_key));
	if (!orphans || live_uids(agent, &live))
		return;
	uids = live.items;
	for (int i = 0; i < EG_SWEEP_TRIES; i++) {
		struct eg_sweep *sweep = &agent->sweeps[i];

		if (sweep->due && sweep_some(agent, &kinds[i], sweep, &live, orphans))
			*sweep = (struct eg_sweep){0};
	}
}

/* ---- Grants --------------------------------------------------------------------------------- */

/*
 * The kernel deletes grants too, so a key is no place to go on from; a batch's bucket is. An app
 * may be freed while this runs: then it begins again when it has ended.
 */
static void sweep_grants(struct eg_agent *agent)
{
	struct eg_grant_sweep *sweep = &agent->grant_sweep;
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_GRANTS);
	EG_FREE struct eg_grant_key *keys = NULL;
	EG_FREE struct eg_grant *values = NULL;
	uint32_t count = SWEEP_KEYS, next = 0;
	size_t deleted = 0;
	int r;

	if (!sweep->running && !sweep->due)
		return;
	if (!sweep->running)
		*sweep = (struct eg_grant_sweep){.running = true};
	keys = calloc(SWEEP_KEYS, sizeof(*keys));
	values = calloc(SWEEP_KEYS, sizeof(*values));
	if (!keys || !values)
		return;
	r = bpf_map_lookup_batch(fd, sweep->begun ? &sweep->bucket : NULL, &next, keys, values, &count, NULL);
	if (r < 0 && r != -ENOENT) {
		eg_log_err("grants of apps that are gone can't be looked for: %s", strerror(-r));
		sweep->running = false;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		if (!eg_registry_at(agent, keys[i].app, keys[i].gen) && !bpf_map_delete_elem(fd, &keys[i]))
			deleted++;
	if (deleted)
		eg_log_debug("deleted %zu grants of apps that are gone", deleted);
	sweep->begun = true;
	sweep->bucket = next;
	sweep->running = !r;
}

/* ---- Peers ---------------------------------------------------------------------------------- */

/* Each gets a look in five seconds, or in as many as it takes for all of them. */
static void sweep_peers(struct eg_agent *agent)
{
	uint64_t untimed;
	int r;

	if (++agent->peer_sweeps % PEERS_EVERY)
		return;
	untimed = eg_peers_untimed(agent);
	if (!untimed)
		return;
	r = eg_kern_reap(agent->kern, untimed < SWEEP_KEYS ? (uint32_t)untimed : SWEEP_KEYS);
	if (r < 0)
		eg_log_err("UDP peers without a timer can't be ended: %s", strerror(-r));
}

uint64_t eg_peers_untimed(struct eg_agent *agent)
{
	uint32_t slots = eg_registry_slots(agent);
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < slots; slot++)
		count += eg_kern_app(agent->kern, slot)->state.peers_untimed;
	return count;
}

void eg_sweep(struct eg_agent *agent)
{
	sweep_tries(agent);
	sweep_grants(agent);
	sweep_peers(agent);
}

void eg_sweep_tables_due(struct eg_agent *agent)
{
	agent->sweeps[EG_SWEEP_RULES].due = true;
	agent->sweeps[EG_SWEEP_NAMES].due = true;
}

void eg_sweep_grants_due(struct eg_agent *agent)
{
	agent->grant_sweep.due = true;
}

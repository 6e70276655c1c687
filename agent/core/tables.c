// SPDX-License-Identifier: Apache-2.0
/*
 * tables.c - the kernel's tables of rules: filled before a switch, taken back after it
 */
#include <bpf/bpf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"

/* Keys looked at in one call of eg_tables_sweep: a few milliseconds. */
#define SWEEP_KEYS 4096

/* ---- Rules ------------------------------------------------------------------------- */

/* Deletes keys; what is gone already is fine. */
static void keys_delete(struct eg_agent *agent, const struct eg_rule_key *keys, size_t count)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_RULES);

	for (size_t i = 0; i < count; i++)
		bpf_map_delete_elem(fd, &keys[i]);
}

/* Many at once; one by one where the kernel can't. 0, or -errno with nothing left behind. */
static int keys_write(struct eg_agent *agent, const struct eg_rule_key *keys, const struct eg_rule_span *spans,
		      size_t count)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_RULES);
	uint32_t done = (uint32_t)count;
	size_t i;

	if (!count || !bpf_map_update_batch(fd, keys, spans, &done, NULL))
		return 0;
	for (i = 0; i < count; i++) {
		if (bpf_map_update_elem(fd, &keys[i], &spans[i], BPF_ANY)) {
			int r = -errno;

			keys_delete(agent, keys, count);
			return r;
		}
	}
	return 0;
}

static void key_make(uint32_t uid, const struct eg_compiled_prefix *prefix, struct eg_rule_key *ret)
{
	*ret = (struct eg_rule_key){
		.prefixlen = 32u + prefix->cidr.bits,
		.table_be = htobe32(EG_TABLE_OF(uid, prefix->dir)),
		.addr = prefix->cidr.addr,
	};
}

static int keys_make(struct eg_tables *tables, const struct eg_compiled *compiled)
{
	tables->keys = calloc(compiled->prefix_count + 1, sizeof(*tables->keys));
	if (!tables->keys)
		return -ENOMEM;
	for (size_t i = 0; i < compiled->prefix_count; i++)
		key_make(tables->uid, &compiled->prefixes[i], &tables->keys[i]);
	tables->key_count = compiled->prefix_count;
	return 0;
}

/* ---- Room ---------------------------------------------------------------------------- */

static void room_give(struct eg_agent *agent, const struct eg_tables *tables)
{
	eg_ranges_give(&agent->ruleset_ranges, tables->index, 1);
	if (tables->match_count)
		eg_ranges_give(&agent->match_ranges, tables->match_first, tables->match_count);
	agent->rules_used -= tables->key_count;
}

static int room_take_once(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables *tables)
{
	int r;

	if (agent->rules_used + compiled->prefix_count > eg_kern_rule_count(agent->kern))
		return -ENOSPC;
	r = eg_ranges_take(&agent->ruleset_ranges, 1, &tables->index);
	if (r < 0)
		return r;
	r = eg_ranges_take(&agent->match_ranges, (uint32_t)compiled->match_count, &tables->match_first);
	if (r < 0) {
		eg_ranges_give(&agent->ruleset_ranges, tables->index, 1);
		return r;
	}
	tables->match_count = (uint32_t)compiled->match_count;
	agent->rules_used += compiled->prefix_count;
	return 0;
}

/* Takes what is needed; what old revisions still hold is collected first if it has to be. */
static int room_take(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables *tables)
{
	int r = room_take_once(agent, compiled, tables);

	if (r == -ENOSPC && agent->garbage) {
		eg_tables_collect(agent);
		r = room_take_once(agent, compiled, tables);
	}
	return r;
}

/* ---- Making and adopting --------------------------------------------------------------- */

/* Spans with their matches at the place they were given. */
static int spans_write(struct eg_agent *agent, const struct eg_compiled *compiled, const struct eg_tables *tables)
{
	EG_FREE struct eg_rule_span *spans = calloc(compiled->prefix_count + 1, sizeof(*spans));

	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < compiled->prefix_count; i++) {
		spans[i] = compiled->prefixes[i].span;
		spans[i].first += tables->match_first;
	}
	if (compiled->match_count)
		memcpy(eg_kern_match(agent->kern, tables->match_first), compiled->matches,
		       compiled->match_count * sizeof(*compiled->matches));
	return keys_write(agent, tables->keys, spans, tables->key_count);
}

int eg_tables_make(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables **ret)
{
	struct eg_host_ctl *host = eg_kern_host(agent->kern);
	struct eg_tables *tables = calloc(1, sizeof(*tables));
	int r;

	if (!tables)
		return -ENOMEM;
	if (host->next_uid >= EG_UID_MAX) {
		free(tables);
		return -EOVERFLOW;
	}
	tables->uid = host->next_uid++;
	r = keys_make(tables, compiled);
	if (!r)
		r = room_take(agent, compiled, tables);
	if (r < 0) {
		eg_tables_free(tables);
		return r;
	}
	r = spans_write(agent, compiled, tables);
	if (r < 0) {
		room_give(agent, tables);
		eg_tables_free(tables);
		return r;
	}
	*ret = tables;
	return 0;
}

int eg_tables_adopt(struct eg_agent *agent, const struct eg_ruleset *ruleset, uint32_t index,
		    const struct eg_compiled *compiled, struct eg_tables **ret)
{
	struct eg_tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return -ENOMEM;
	tables->uid = ruleset->uid;
	tables->index = index;
	tables->match_first = ruleset->match_first;
	tables->match_count = ruleset->match_count;
	if (compiled && keys_make(tables, compiled) < 0) {
		eg_tables_free(tables);
		return -ENOMEM;
	}
	agent->rules_used += tables->key_count;
	*ret = tables;
	return 0;
}

int eg_tables_reserve(struct eg_agent *agent)
{
	int r = eg_ranges_init(&agent->ruleset_ranges, eg_kern_ruleset_count(agent->kern));

	if (!r)
		r = eg_ranges_init(&agent->match_ranges, eg_kern_match_count(agent->kern));
	for (size_t i = 0; !r && i < agent->count; i++) {
		uint64_t word = eg_entry_ctl(agent, agent->by_name[i])->ruleset;
		const struct eg_ruleset *ruleset = eg_kern_ruleset(agent->kern, (uint32_t)word);

		if (!word || !ruleset)
			continue;
		r = eg_ranges_take_at(&agent->ruleset_ranges, (uint32_t)word, 1);
		if (!r && ruleset->match_count)
			r = eg_ranges_take_at(&agent->match_ranges, ruleset->match_first, ruleset->match_count);
	}
	agent->orphans = agent->adopted;
	return r;
}

/* ---- Taking back -------------------------------------------------------------------------- */

void eg_tables_discard(struct eg_agent *agent, struct eg_tables *tables)
{
	if (!tables)
		return;
	tables->next = agent->garbage;
	agent->garbage = tables;
}

void eg_tables_collect(struct eg_agent *agent)
{
	struct eg_tables *tables = EG_TAKE_PTR(agent->garbage);

	if (!tables)
		return;
	eg_kern_quiesce();
	while (tables) {
		struct eg_tables *next = tables->next;

		keys_delete(agent, tables->keys, tables->key_count);
		room_give(agent, tables);
		eg_tables_free(tables);
		tables = next;
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Ruleset ids that somebody remembers, sorted; caller frees. */
static uint32_t *live_uids(struct eg_agent *agent, size_t *ret_count)
{
	size_t room = agent->count, count = 0;
	uint32_t *uids;

	for (const struct eg_tables *t = agent->garbage; t; t = t->next)
		room++;
	uids = calloc(room + 1, sizeof(*uids));
	if (!uids)
		return NULL;
	for (size_t i = 0; i < agent->count; i++)
		uids[count++] = (uint32_t)(eg_entry_ctl(agent, agent->by_name[i])->ruleset >> 32);
	for (const struct eg_tables *t = agent->garbage; t; t = t->next)
		uids[count++] = t->uid;
	qsort(uids, count, sizeof(*uids), compare_u32);
	*ret_count = count;
	return uids;
}

/*
 * The cursor is always a key that stays: from one that is gone the kernel begins again at the
 * first.
 */
void eg_tables_sweep(struct eg_agent *agent)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_RULES);
	EG_FREE struct eg_rule_key *orphans = NULL;
	EG_FREE uint32_t *uids = NULL;
	size_t uid_count = 0, orphan_count = 0, looked = 0;
	struct eg_rule_key key = agent->orphan_cursor;
	bool from = agent->orphan_cursor_set;

	if (!agent->orphans)
		return;
	orphans = calloc(SWEEP_KEYS, sizeof(*orphans));
	uids = live_uids(agent, &uid_count);
	if (!orphans || !uids)
		return;
	for (; looked < SWEEP_KEYS; looked++) {
		struct eg_rule_key next;
		uint32_t uid;

		if (bpf_map_get_next_key(fd, from ? &key : NULL, &next))
			break;
		from = true;
		key = next;
		uid = EG_UID_OF(be32toh(next.table_be));
		if (!bsearch(&uid, uids, uid_count, sizeof(*uids), compare_u32)) {
			orphans[orphan_count++] = next;
			continue;
		}
		agent->orphan_cursor = next;
		agent->orphan_cursor_set = true;
	}
	keys_delete(agent, orphans, orphan_count);
	if (orphan_count)
		eg_log_info("deleted %zu rules that an agent before this one left behind", orphan_count);
	if (looked < SWEEP_KEYS) {
		agent->orphans = false;
		agent->orphan_cursor_set = false;
	}
}

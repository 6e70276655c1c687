// SPDX-License-Identifier: Apache-2.0
/*
 * tables.c - the kernel's tables of rules and names: filled before a switch, taken back after it
 */
#include <bpf/bpf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"

/* Keys of names made at once: a megabyte. */
#define NAMES_AT_ONCE 4096

/* ---- Keys ---------------------------------------------------------------------------- */

/* Many at once; one by one where the kernel can't. 0 or -errno. */
static int map_fill(int fd, const void *keys, size_t key_size, const void *values, size_t value_size, size_t count)
{
	uint32_t done = (uint32_t)count;

	if (!count || !bpf_map_update_batch(fd, keys, values, &done, NULL))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, (const char *)keys + i * key_size, (const char *)values + i * value_size,
					BPF_ANY))
			return -errno;
	return 0;
}

static void rule_key(uint32_t uid, const struct eg_compiled_prefix *prefix, struct eg_rule_key *ret)
{
	*ret = (struct eg_rule_key){
		.prefixlen = 32u + prefix->cidr.bits,
		.table_be = htobe32(EG_TABLE_OF(uid, prefix->table)),
		.addr = prefix->cidr.addr,
	};
}

/* The name whose length is at *at; moves on to the next. */
static void name_key(const struct eg_tables *tables, size_t *at, struct eg_name_key *ret)
{
	uint8_t len = (uint8_t)tables->names[*at];

	*ret = (struct eg_name_key){.prefixlen = 32u + 8u * len, .table_be = htobe32(tables->uid)};
	memcpy(ret->text, &tables->names[*at + 1], len);
	*at += 1u + len;
}

static int keys_make(struct eg_tables *tables, const struct eg_compiled *compiled)
{
	tables->keys = calloc(compiled->prefix_count + 1, sizeof(*tables->keys));
	tables->names = malloc(compiled->name_bytes + 1);
	if (!tables->keys || !tables->names)
		return -ENOMEM;
	for (size_t i = 0; i < compiled->prefix_count; i++)
		rule_key(tables->uid, &compiled->prefixes[i], &tables->keys[i]);
	tables->key_count = compiled->prefix_count;
	memcpy(tables->names, compiled->name_texts, compiled->name_bytes);
	tables->name_bytes = compiled->name_bytes;
	tables->name_count = compiled->name_count;
	return 0;
}

/* Deletes rules and names; what is not there is fine. */
static void keys_delete(struct eg_agent *agent, const struct eg_tables *tables)
{
	int rules = eg_kern_map_fd(agent->kern, EG_MAP_RULES), names = eg_kern_map_fd(agent->kern, EG_MAP_NAMES);

	for (size_t i = 0; i < tables->key_count; i++)
		bpf_map_delete_elem(rules, &tables->keys[i]);
	for (size_t at = 0; at < tables->name_bytes;) {
		struct eg_name_key key;

		name_key(tables, &at, &key);
		bpf_map_delete_elem(names, &key);
	}
}

/* ---- Room ---------------------------------------------------------------------------- */

static void room_give(struct eg_agent *agent, const struct eg_tables *tables)
{
	eg_ranges_give(&agent->ruleset_ranges, tables->index, 1);
	if (tables->match_count)
		eg_ranges_give(&agent->match_ranges, tables->match_first, tables->match_count);
	__atomic_sub_fetch(&agent->rules_used, tables->key_count, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&agent->names_used, tables->name_count, __ATOMIC_RELAXED);
}

/* Views read these without apply. */
static void room_count(struct eg_agent *agent, const struct eg_tables *tables)
{
	__atomic_add_fetch(&agent->rules_used, tables->key_count, __ATOMIC_RELAXED);
	__atomic_add_fetch(&agent->names_used, tables->name_count, __ATOMIC_RELAXED);
}

static int room_take_once(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables *tables)
{
	int r;

	if (agent->rules_used + compiled->prefix_count > eg_kern_rule_count(agent->kern))
		return -ENOSPC;
	if (agent->names_used + compiled->name_count > eg_kern_map_max(agent->kern, EG_MAP_NAMES))
		return -EDQUOT;
	r = eg_ranges_take(&agent->ruleset_ranges, 1, &tables->index);
	if (r < 0)
		return r;
	r = eg_ranges_take(&agent->match_ranges, (uint32_t)compiled->match_count, &tables->match_first);
	if (r < 0) {
		eg_ranges_give(&agent->ruleset_ranges, tables->index, 1);
		return r;
	}
	tables->match_count = (uint32_t)compiled->match_count;
	room_count(agent, tables);
	return 0;
}

/* Takes what is needed; what old revisions still hold is collected first if it has to be. */
static int room_take(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables *tables)
{
	int r = room_take_once(agent, compiled, tables);

	if ((r == -ENOSPC || r == -EDQUOT) && agent->garbage) {
		eg_tables_collect(agent);
		r = room_take_once(agent, compiled, tables);
	}
	return r;
}

/* ---- Making and adopting --------------------------------------------------------------- */

static struct eg_rule_span placed(struct eg_rule_span span, const struct eg_tables *tables)
{
	span.first += tables->match_first;
	return span;
}

static int rules_write(struct eg_agent *agent, const struct eg_compiled *compiled, const struct eg_tables *tables)
{
	EG_FREE struct eg_rule_span *spans = calloc(compiled->prefix_count + 1, sizeof(*spans));

	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < compiled->prefix_count; i++)
		spans[i] = placed(compiled->prefixes[i].span, tables);
	return map_fill(eg_kern_map_fd(agent->kern, EG_MAP_RULES), tables->keys, sizeof(*tables->keys), spans,
			sizeof(*spans), tables->key_count);
}

static int names_write(struct eg_agent *agent, const struct eg_compiled *compiled, const struct eg_tables *tables)
{
	size_t room = compiled->name_count < NAMES_AT_ONCE ? compiled->name_count : NAMES_AT_ONCE;
	EG_FREE struct eg_name_key *keys = calloc(room + 1, sizeof(*keys));
	EG_FREE struct eg_name_rules *values = calloc(room + 1, sizeof(*values));
	int r = 0;

	if (!keys || !values)
		return -ENOMEM;
	for (size_t i = 0, at = 0; !r && i < compiled->name_count;) {
		size_t n = 0;

		for (; n < room && i < compiled->name_count; n++, i++) {
			name_key(tables, &at, &keys[n]);
			values[n].span = placed(compiled->names[i].rules.span, tables);
			values[n].private_span = placed(compiled->names[i].rules.private_span, tables);
		}
		r = map_fill(eg_kern_map_fd(agent->kern, EG_MAP_NAMES), keys, sizeof(*keys), values, sizeof(*values), n);
	}
	return r;
}

/* Everything at the place it was given. 0, or -errno with no key left behind. */
static int tables_write(struct eg_agent *agent, const struct eg_compiled *compiled, const struct eg_tables *tables)
{
	int r;

	if (compiled->match_count)
		memcpy(eg_kern_match(agent->kern, tables->match_first), compiled->matches,
		       compiled->match_count * sizeof(*compiled->matches));
	r = rules_write(agent, compiled, tables);
	if (!r)
		r = names_write(agent, compiled, tables);
	if (r)
		keys_delete(agent, tables);
	return r;
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
	r = tables_write(agent, compiled, tables);
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
	room_count(agent, tables);
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
	if (agent->adopted) {
		eg_sweep_tables_due(agent);
		eg_sweep_grants_due(agent);
	}
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

		keys_delete(agent, tables);
		room_give(agent, tables);
		eg_tables_free(tables);
		tables = next;
	}
}

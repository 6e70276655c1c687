// SPDX-License-Identifier: Apache-2.0
#include "rollup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"

#define TABLE_GROUPS (2 * EG_ROLLUP_GROUPS_MAX) /* powers of two, half full at most */
#define TABLE_FLOWS  (2 * EG_ROLLUP_FLOWS_MAX)
#define TIME_LEN     40
#define FLOW_ID_LEN  48

enum volume { BYTES_OUT, BYTES_IN, PACKETS_OUT, PACKETS_IN, VOLUMES };
static const char *const volume_names[VOLUMES] = {"bytes_out", "bytes_in", "packets_out", "packets_in"};

/* What makes two flows the same line of a report. "src" only of ingress: the app's own ports come and go. */
static const char *const key_members[] = {"app", "direction", "proto", "dst", "dst_port", "name", "rule", "verdict",
					  "reason", "loopback", "policy_rev", "owner", "ticket"};

struct group {
	char *key;
	char *first; /* line of its first record: what all of them have in common is taken from it */
	size_t first_len;
	char *cgroup; /* of the first one */
	bool cgroups_differ;
	uint64_t records;
	uint64_t flows; /* that ended */
	uint64_t sum[VOLUMES]; /* of those */
	uint64_t open_flows; /* and of those that did not end */
	uint64_t open_sum[VOLUMES];
	char start[TIME_LEN]; /* earliest */
	char end[TIME_LEN]; /* latest */
};

/* A flow that did not end, by what its last record said. */
struct open_flow {
	char id[FLOW_ID_LEN]; /* "": the place is free; with `gone`: another may be behind it */
	bool gone; /* it ended */
	uint32_t group;
	uint64_t total[VOLUMES];
};

struct eg_rollup {
	struct group *groups; /* [EG_ROLLUP_GROUPS_MAX], `count` in use */
	size_t count;
	uint32_t *table; /* [TABLE_GROUPS] of a group's number and 1 */
	struct open_flow *flows; /* [TABLE_FLOWS] */
	size_t flow_count; /* places taken, those of ended ones included */
	size_t text_bytes;
};

EG_DEFINE_CLEANUP(rollup, struct eg_rollup *, eg_rollup_free);

int eg_rollup_new(struct eg_rollup **ret)
{
	EG_CLEANUP(eg_cleanup_rollup) struct eg_rollup *rollup = calloc(1, sizeof(*rollup));

	if (!rollup)
		return -ENOMEM;
	/* Untouched pages of these cost nothing. */
	rollup->groups = calloc(EG_ROLLUP_GROUPS_MAX, sizeof(*rollup->groups));
	rollup->table = calloc(TABLE_GROUPS, sizeof(*rollup->table));
	rollup->flows = calloc(TABLE_FLOWS, sizeof(*rollup->flows));
	if (!rollup->groups || !rollup->table || !rollup->flows)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(rollup);
	return 0;
}

void eg_rollup_clear(struct eg_rollup *rollup)
{
	for (size_t i = 0; i < rollup->count; i++) {
		free(rollup->groups[i].key);
		free(rollup->groups[i].first);
		free(rollup->groups[i].cgroup);
	}
	memset(rollup->groups, 0, rollup->count * sizeof(*rollup->groups));
	if (rollup->count)
		memset(rollup->table, 0, TABLE_GROUPS * sizeof(*rollup->table));
	if (rollup->flow_count)
		memset(rollup->flows, 0, TABLE_FLOWS * sizeof(*rollup->flows));
	rollup->count = 0;
	rollup->flow_count = 0;
	rollup->text_bytes = 0;
}

void eg_rollup_free(struct eg_rollup *rollup)
{
	if (!rollup)
		return;
	if (rollup->groups)
		eg_rollup_clear(rollup);
	free(rollup->groups);
	free(rollup->table);
	free(rollup->flows);
	free(rollup);
}

/* ---- Keys --------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static uint64_t hash_of(const char *text)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ull;
	return hash;
}

static char *key_of(const json_t *event)
{
	char *key = NULL;
	size_t size;
	FILE *out = open_memstream(&key, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < sizeof(key_members) / sizeof(key_members[0]); i++) {
		const json_t *value = json_object_get(event, key_members[i]);

		if (json_is_string(value))
			fputs(json_string_value(value), out);
		else if (json_is_integer(value))
			fprintf(out, "%lld", (long long)json_integer_value(value));
		else
			fputs(json_is_true(value) ? "true" : "", out);
		fputc('\n', out); /* app and direction have none, so an app's names confuse but its own */
	}
	if (strcmp(text_of(event, "direction"), "ingress") == 0)
		fputs(text_of(event, "src"), out);
	if (fclose(out)) {
		free(key);
		return NULL;
	}
	return key;
}

static size_t group_place(const struct eg_rollup *rollup, const char *key)
{
	size_t at = hash_of(key) % TABLE_GROUPS;

	while (rollup->table[at] && strcmp(rollup->groups[rollup->table[at] - 1].key, key) != 0)
		at = (at + 1) % TABLE_GROUPS;
	return at;
}

static struct open_flow *flow_place(const struct eg_rollup *rollup, const char *id)
{
	size_t at = hash_of(id) % TABLE_FLOWS;

	while (rollup->flows[at].id[0] && strcmp(rollup->flows[at].id, id) != 0)
		at = (at + 1) % TABLE_FLOWS;
	return &rollup->flows[at];
}

/* ---- Adding ---------------------------------------------------------------------------------------- */

/* RFC 3339 in UTC and to the ns, all of one length: they sort as text. */
static void widen(struct group *group, const char *start, const char *end)
{
	if (start[0] && (!group->start[0] || strcmp(start, group->start) < 0))
		snprintf(group->start, sizeof(group->start), "%s", start);
	if (strcmp(end, group->end) > 0)
		snprintf(group->end, sizeof(group->end), "%s", end);
}

static int new_group(struct eg_rollup *rollup, size_t place, char **key, const char *cgroup, const char *line, size_t len)
{
	struct group *group = &rollup->groups[rollup->count];

	if (rollup->count == EG_ROLLUP_GROUPS_MAX || (rollup->count && rollup->text_bytes + len > EG_ROLLUP_TEXT_MAX))
		return -ENOSPC;
	group->first = malloc(len);
	group->cgroup = strdup(cgroup);
	if (!group->first || !group->cgroup) {
		free(EG_TAKE_PTR(group->first));
		free(EG_TAKE_PTR(group->cgroup));
		return -ENOMEM;
	}
	memcpy(group->first, line, len);
	group->first_len = len;
	group->key = EG_TAKE_PTR(*key);
	rollup->text_bytes += len;
	rollup->table[place] = (uint32_t)++rollup->count;
	return 0;
}

static void read_volumes(const json_t *event, uint64_t ret[VOLUMES])
{
	for (enum volume i = 0; i < VOLUMES; i++) {
		json_int_t value = json_integer_value(json_object_get(event, volume_names[i]));

		ret[i] = value > 0 ? (uint64_t)value : 0;
	}
}

/* The flow is no longer open, as far as it was. */
static void forget_open(struct eg_rollup *rollup, struct open_flow *flow)
{
	struct group *group = &rollup->groups[flow->group];

	if (!flow->id[0] || flow->gone)
		return;
	group->open_flows--;
	for (enum volume i = 0; i < VOLUMES; i++)
		group->open_sum[i] -= flow->total[i];
	flow->gone = true;
}

static void note_open(struct eg_rollup *rollup, struct open_flow *flow, const char *id, uint32_t number,
		      const json_t *event)
{
	struct group *group = &rollup->groups[number];

	forget_open(rollup, flow);
	if (!flow->id[0])
		rollup->flow_count++;
	snprintf(flow->id, sizeof(flow->id), "%s", id);
	flow->gone = false;
	flow->group = number;
	read_volumes(event, flow->total);
	group->open_flows++;
	for (enum volume i = 0; i < VOLUMES; i++)
		group->open_sum[i] += flow->total[i];
}

static void note_end(struct eg_rollup *rollup, struct group *group, struct open_flow *flow, const json_t *event)
{
	uint64_t volume[VOLUMES];

	forget_open(rollup, flow);
	group->flows++;
	read_volumes(event, volume);
	for (enum volume i = 0; i < VOLUMES; i++)
		group->sum[i] += volume[i];
}

int eg_rollup_add(struct eg_rollup *rollup, const json_t *event, const char *line, size_t len)
{
	EG_FREE char *key = key_of(event);
	const char *id = text_of(event, "flow_id");
	bool ended = strcmp(text_of(event, "phase"), "end") == 0;
	struct open_flow *flow = flow_place(rollup, id);
	struct group *group;
	size_t place;
	int r = 0;

	if (!key)
		return -ENOMEM;
	if (!ended && id[0] && !flow->id[0] && rollup->flow_count == EG_ROLLUP_FLOWS_MAX)
		return -ENOSPC;
	place = group_place(rollup, key);
	if (!rollup->table[place])
		r = new_group(rollup, place, &key, text_of(event, "cgroup"), line, len);
	if (r)
		return r;
	group = &rollup->groups[rollup->table[place] - 1];
	group->records++;
	group->cgroups_differ |= strcmp(group->cgroup, text_of(event, "cgroup")) != 0;
	widen(group, text_of(event, "start"), text_of(event, "ts"));
	if (ended)
		note_end(rollup, group, flow, event);
	else if (id[0] && strlen(id) < FLOW_ID_LEN)
		note_open(rollup, flow, id, rollup->table[place] - 1, event);
	return 0;
}

/* ---- What comes of it ----------------------------------------------------------------------------------- */

size_t eg_rollup_count(const struct eg_rollup *rollup)
{
	return rollup->count;
}

uint64_t eg_rollup_records(const struct eg_rollup *rollup, size_t group)
{
	return rollup->groups[group].records;
}

static json_t *volumes_json(json_t *object, const uint64_t volumes[VOLUMES])
{
	for (enum volume i = 0; i < VOLUMES; i++)
		json_object_set_new(object, volume_names[i], json_integer((json_int_t)volumes[i]));
	return object;
}

/* Members of one flow, or of one process, which a sum of several does not have. */
static void drop_single(json_t *event)
{
	static const char *const single[] = {"flow_id", "src_port", "start", "duration_ms", "rtt_us", "retransmits", "seq",
					     "pid",	"uid",	    "comm",  "sni",	    "bytes_out", "bytes_in", "packets_out",
					     "packets_in", "phase"};

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		json_object_del(event, single[i]);
}

json_t *eg_rollup_event(const struct eg_rollup *rollup, size_t number)
{
	const struct group *group = &rollup->groups[number];
	json_t *event = json_loadb(group->first, group->first_len, JSON_ALLOW_NUL, NULL), *open;

	if (!event)
		return NULL;
	json_object_set_new(event, "event_id", json_sprintf("%s-r", text_of(event, "event_id")));
	drop_single(event);
	if (group->cgroups_differ) /* an app may run each of its jobs in one of its own */
		json_object_del(event, "cgroup");
	json_object_set_new(event, "ts", json_string(group->end));
	json_object_set_new(event, "phase", json_string("rollup"));
	json_object_set_new(event, "flows", json_integer((json_int_t)group->flows));
	volumes_json(event, group->sum);
	if (group->start[0])
		json_object_set_new(event, "start", json_string(group->start));
	json_object_set_new(event, "end", json_string(group->end));
	if (group->open_flows) {
		open = json_pack("{s:I}", "flows", (json_int_t)group->open_flows);
		json_object_set_new(event, "open", volumes_json(open, group->open_sum));
	}
	return event;
}

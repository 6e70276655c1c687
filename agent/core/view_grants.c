// SPDX-License-Identifier: Apache-2.0
/*
 * view_grants.c - the addresses that apps learned from DNS
 *
 * The kernel's table of grants is one for all apps, so an app's own are found through its stretch of
 * `grant_order`. The kernel changes both meanwhile: what is no longer there, or was made again at
 * another place, is passed over. Reading takes a system call for each grant, hence no lock.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/revname.h"
#include "agent_impl.h"
#include "clock.h"

#define ORDER_AT_ONCE 256u

void eg_grants_of(struct eg_agent *agent, const struct eg_entry *entry, struct eg_grants *ret)
{
	const struct eg_app_state *state = eg_entry_state(agent, entry);

	*ret = (struct eg_grants){
		.used = __atomic_load_n(&state->grants, __ATOMIC_RELAXED),
		.max = eg_agent_app_limits(agent).grants,
		.evicted = __atomic_load_n(&state->grants_evicted, __ATOMIC_RELAXED),
		.learned = __atomic_load_n(&state->dns_learned, __ATOMIC_RELAXED),
	};
}

json_t *eg_grants_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	struct eg_grants grants;

	eg_grants_of(agent, entry, &grants);
	return json_pack("{s:I,s:I,s:I,s:I}", "used", (json_int_t)grants.used, "max", (json_int_t)grants.max, "evicted",
			 (json_int_t)grants.evicted, "learned", (json_int_t)grants.learned);
}

static json_t *grant_json(const struct eg_addr *addr, const struct eg_grant *grant, uint64_t now)
{
	uint64_t offset = (uint64_t)eg_clock_utc_offset_ns();
	uint64_t rest = grant->expires_boot_ns > now ? grant->expires_boot_ns - now : 0;
	uint64_t age = now > grant->learned_boot_ns ? now - grant->learned_boot_ns : 0;
	char name[EG_NAME_SIZE + 1], address[EG_ADDR_TEXT];

	return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:b}", "name", eg_revname_text(grant->text, name), "address",
			 eg_addr_to_text(addr, address), "learned", eg_time_json(grant->learned_boot_ns + offset),
			 "expires", eg_time_json(grant->expires_boot_ns + offset), "age_s",
			 (json_int_t)(age / EG_NS_PER_S), "rest_s", (json_int_t)(rest / EG_NS_PER_S), "expired",
			 rest == 0);
}

static bool read_grant(struct eg_agent *agent, const struct eg_grant_key *key, struct eg_grant *ret)
{
	return bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_GRANTS), key, ret) == 0;
}

json_t *eg_grant_json(struct eg_agent *agent, const struct eg_grant_key *key)
{
	struct eg_grant grant;

	return read_grant(agent, key, &grant) ? grant_json(&key->addr, &grant, eg_clock_boot_ns()) : json_null();
}

json_t *eg_grants_of_address(struct eg_agent *agent, uint32_t slot, uint32_t gen, const struct eg_addr *addr)
{
	struct eg_grant_key key = {.app = slot, .gen = gen, .addr = *addr};
	json_t *list = json_array();

	for (; key.way < EG_GRANT_WAYS; key.way++) {
		json_t *grant = eg_grant_json(agent, &key);

		if (!json_is_null(grant))
			json_array_append_new(list, grant);
	}
	return list;
}

/* ---- All of an app ------------------------------------------------------------------------- */

struct found {
	struct eg_addr addr;
	struct eg_grant grant;
};

struct walk {
	struct eg_agent *agent;
	struct eg_grant_key key; /* app and gen are set */
	const char *name; /* NULL: all; else only what is still good for this one */
	uint64_t now;
	uint32_t max;
	struct found *found;
	size_t count;
};

static int newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->grant.learned_boot_ns != y->grant.learned_boot_ns)
		return x->grant.learned_boot_ns < y->grant.learned_boot_ns ? 1 : -1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static void take(struct walk *walk, uint32_t at, const struct eg_grant_order *order)
{
	struct found *found = &walk->found[walk->count];

	if (order->gen != walk->key.gen)
		return;
	walk->key.addr = order->addr;
	walk->key.way = order->way;
	if (!read_grant(walk->agent, &walk->key, &found->grant) || found->grant.order % walk->max != at)
		return;
	if (walk->name && (found->grant.expires_boot_ns <= walk->now ||
			   memcmp(walk->name, found->grant.text, EG_NAME_SIZE) != 0))
		return;
	found->addr = order->addr;
	walk->count++;
}

static int walk_order(struct walk *walk)
{
	int fd = eg_kern_map_fd(walk->agent->kern, EG_MAP_GRANT_ORDER);
	uint32_t keys[ORDER_AT_ONCE], first = walk->key.app * walk->max;
	struct eg_grant_order order[ORDER_AT_ONCE];

	for (uint32_t at = 0; at < walk->max;) {
		uint32_t n = walk->max - at < ORDER_AT_ONCE ? walk->max - at : ORDER_AT_ONCE;
		uint32_t before = first + at - 1, last;

		/* A batch goes on after a key. Reaching the end of the map is said as ENOENT. */
		if (bpf_map_lookup_batch(fd, first + at ? &before : NULL, &last, keys, order, &n, NULL) < 0 &&
		    errno != ENOENT)
			return -errno;
		if (!n)
			return 0;
		for (uint32_t i = 0; i < n; i++)
			take(walk, at + i, &order[i]);
		at += n;
	}
	return 0;
}

int eg_grants_list(struct eg_agent *agent, uint32_t slot, uint32_t gen, const char *name, json_t **ret)
{
	struct walk walk = {
		.agent = agent,
		.key = {.app = slot, .gen = gen},
		.name = name,
		.now = eg_clock_boot_ns(),
		.max = eg_agent_app_limits(agent).grants,
	};
	json_t *list;
	int r;

	walk.found = calloc(walk.max ? walk.max : 1, sizeof(*walk.found));
	list = json_array();
	r = walk.found && list ? walk_order(&walk) : -ENOMEM;
	if (r < 0) {
		free(walk.found);
		json_decref(list);
		return r;
	}
	qsort(walk.found, walk.count, sizeof(*walk.found), newest_first);
	for (size_t i = 0; i < walk.count; i++)
		json_array_append_new(list, grant_json(&walk.found[i].addr, &walk.found[i].grant, walk.now));
	free(walk.found);
	*ret = list;
	return 0;
}

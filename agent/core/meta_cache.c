// SPDX-License-Identifier: Apache-2.0
#include "meta_cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../lib/cleanup.h"
#include "event_json.h"

#define SETS      2048u /* a power of two */
#define WAYS      4u
#define BYTES_MAX (16u << 20) /* of all texts: then the cache starts again */

struct entry {
	char *text; /* NULL: free */
	uint32_t len;
	uint32_t app, gen, uid;
	uint16_t rule;
	uint64_t cgroup_id;
};

struct set {
	struct entry way[WAYS];
	uint32_t hand; /* next to be replaced */
};

struct eg_meta_cache {
	bool (*resolve)(void *ctx, const struct eg_event *e, struct eg_event_meta *ret);
	void *ctx;
	atomic_uint version; /* raised by outdate */
	uint32_t filled_version; /* what the entries were asked under */
	size_t bytes;
	uint64_t unresolved;
	struct set *sets;
	struct eg_event_meta meta; /* too large for a stack that is not ours to size */
	char text[EG_EVENT_META_MAX];
};

EG_DEFINE_CLEANUP(cache, struct eg_meta_cache *, eg_meta_cache_free);

int eg_meta_cache_new(bool (*resolve)(void *ctx, const struct eg_event *e, struct eg_event_meta *ret), void *ctx,
		      struct eg_meta_cache **ret)
{
	EG_CLEANUP(eg_cleanup_cache) struct eg_meta_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->resolve = resolve;
	cache->ctx = ctx;
	cache->sets = calloc(SETS, sizeof(*cache->sets));
	if (!cache->sets)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(cache);
	return 0;
}

static void empty(struct eg_meta_cache *cache)
{
	for (uint32_t i = 0; i < SETS; i++)
		for (uint32_t j = 0; j < WAYS; j++)
			free(EG_TAKE_PTR(cache->sets[i].way[j].text));
	cache->bytes = 0;
}

void eg_meta_cache_free(struct eg_meta_cache *cache)
{
	if (!cache)
		return;
	if (cache->sets)
		empty(cache);
	free(cache->sets);
	free(cache);
}

void eg_meta_cache_outdate(struct eg_meta_cache *cache)
{
	atomic_fetch_add(&cache->version, 1);
}

uint64_t eg_meta_cache_unresolved(const struct eg_meta_cache *cache)
{
	return cache->unresolved;
}

static uint32_t set_of(const struct eg_event *e)
{
	uint64_t h = e->cgroup_id * 0x9e3779b97f4a7c15ull;

	h ^= ((uint64_t)e->app << 32 | e->uid) * 0xc2b2ae3d27d4eb4full;
	h ^= ((uint64_t)e->gen << 16 | e->rule) * 0x165667b19e3779f9ull;
	return (uint32_t)(h >> 40) & (SETS - 1);
}

static bool entry_is(const struct entry *entry, const struct eg_event *e)
{
	return entry->text && entry->app == e->app && entry->gen == e->gen && entry->uid == e->uid &&
	       entry->rule == e->rule && entry->cgroup_id == e->cgroup_id;
}

/* No memory for a copy: the text is asked for again next time. */
static void remember(struct eg_meta_cache *cache, struct set *set, const struct eg_event *e, size_t len)
{
	struct entry *entry = &set->way[set->hand++ % WAYS];

	if (entry->text)
		cache->bytes -= entry->len;
	free(entry->text);
	*entry = (struct entry){
		.text = malloc(len + 1),
		.len = (uint32_t)len,
		.app = e->app,
		.gen = e->gen,
		.uid = e->uid,
		.rule = e->rule,
		.cgroup_id = e->cgroup_id,
	};
	if (!entry->text)
		return;
	memcpy(entry->text, cache->text, len);
	cache->bytes += len;
}

/* Not remembered: it may become known at any moment. */
static const char *unknown(struct eg_meta_cache *cache, const struct eg_event *e, size_t *ret_len)
{
	char *p = cache->text;

	cache->unresolved++;
	p = eg_out_lit(p, ",\"app_slot\":");
	p = eg_out_u64(p, e->app);
	p = eg_out_lit(p, ",\"app_gen\":");
	p = eg_out_u64(p, e->gen);
	*ret_len = (size_t)(p - cache->text);
	return cache->text;
}

const char *eg_meta_cache_get(struct eg_meta_cache *cache, const struct eg_event *e, size_t *ret_len)
{
	uint32_t version = atomic_load(&cache->version);
	struct set *set = &cache->sets[set_of(e)];

	if (version != cache->filled_version || cache->bytes > BYTES_MAX) {
		empty(cache);
		cache->filled_version = version;
	}
	for (uint32_t i = 0; i < WAYS; i++)
		if (entry_is(&set->way[i], e)) {
			*ret_len = set->way[i].len;
			return set->way[i].text;
		}
	memset(&cache->meta, 0, sizeof(cache->meta));
	if (!cache->resolve(cache->ctx, e, &cache->meta))
		return unknown(cache, e, ret_len);
	if (e->rule == EG_RULE_SELF)
		memcpy(cache->meta.rule_id, "self", sizeof("self"));
	if (e->rule == EG_RULE_DNS)
		memcpy(cache->meta.rule_id, "dns", sizeof("dns"));
	*ret_len = (size_t)(eg_event_meta_json(cache->text, &cache->meta) - cache->text);
	remember(cache, set, e, *ret_len);
	return cache->text;
}

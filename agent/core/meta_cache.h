/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta_cache.h - remembers, as text ready for a line, what an event's numbers stand for
 *
 * For the writer's thread alone, but for eg_meta_cache_outdate.
 */
#ifndef EG_CORE_META_CACHE_H
#define EG_CORE_META_CACHE_H

#include "events.h"

struct eg_meta_cache;

int eg_meta_cache_new(bool (*resolve)(void *ctx, const struct eg_event *e, struct eg_event_meta *ret), void *ctx,
		      struct eg_meta_cache **ret);
void eg_meta_cache_free(struct eg_meta_cache *cache);

/* Text as from eg_event_meta_json, valid until the next call. Of an unknown app: slot and generation. */
const char *eg_meta_cache_get(struct eg_meta_cache *cache, const struct eg_event *e, size_t *ret_len);

/* Everything is asked again. Any thread, never blocks. */
void eg_meta_cache_outdate(struct eg_meta_cache *cache);

/* Events whose app the resolver did not know. */
uint64_t eg_meta_cache_unresolved(const struct eg_meta_cache *cache);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render.h - a native event as an item in a sink's schema, without what the sink must not see
 */
#ifndef EG_SHIP_RENDER_H
#define EG_SHIP_RENDER_H

#include <jansson.h>

#include "../lib/error.h"
#include "../lib/sink_config.h"
#include "item.h"

#define EG_HASH_KEY_MAX 4096

/* The key that members are hashed with: the bytes of its file. */
struct eg_hash_key {
	unsigned char bytes[EG_HASH_KEY_MAX];
	size_t len;
};

/* 0, or -errno with *err: can't be read, empty, or too long. A sink that hashes nothing needs none: 0. */
int eg_hash_key_read(const struct eg_sink_config *sink, struct eg_hash_key *ret, struct eg_error *err);

/*
 * Changes event (redaction). -ENOMEM; -EINVAL: no event that this schema can say, with ret->text as it was and
 * what is known of it, for the dead-letter file.
 */
int eg_render(const struct eg_sink_config *sink, const struct eg_hash_key *key, json_t *event,
	      const struct eg_spool_pos *pos, struct eg_item *ret);

/* Of bytes that are no JSON at all, for the dead-letter file. */
int eg_render_broken(const char *text, size_t len, const struct eg_spool_pos *pos, struct eg_item *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - an event of ours, said in the words of a receiver's schema
 *
 * Pure: JSON in, JSON out. Every type of event has its form in every schema; members that a schema has
 * no word for are kept under "egret" (ecs) or "unmapped" (ocsf), so that nothing is lost.
 */
#ifndef EG_SHIP_SCHEMA_H
#define EG_SHIP_SCHEMA_H

#include <jansson.h>

#include "../lib/sink_config.h"
#include "item.h"

/* event: the native object, as it came from the spool. *ret: a new reference. -ENOMEM, -EINVAL: no event of ours. */
int eg_schema_render(enum eg_sink_schema schema, const json_t *event, json_t **ret);

/* By type, reason and verdict. */
enum eg_severity eg_schema_severity(const json_t *event);

/*
 * Community ID v1 (seed 0) of the event's flow, as "1:...", into ret[EG_COMMUNITY_ID_LEN]. -ENOENT: it has none
 * (no ports, no addresses). https://github.com/corelight/community-id-spec
 */
#define EG_COMMUNITY_ID_LEN 32
int eg_community_id(const json_t *event, char ret[EG_COMMUNITY_ID_LEN]);

/* Leaves out, or hashes, members of a native event, in place. key: of HMAC-SHA-256. -ENOMEM. */
struct eg_redaction {
	char *const *drop; /* NULL-terminated, or NULL */
	char *const *hash;
	const void *key;
	size_t key_len;
};
int eg_redact(const struct eg_redaction *redaction, json_t *event);

#endif

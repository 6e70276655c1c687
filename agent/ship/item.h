/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item.h - one event on its way to one sink: rendered in that sink's schema
 */
#ifndef EG_SHIP_ITEM_H
#define EG_SHIP_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "../lib/spool.h"

/* RFC 5424, section 6.2.1. */
enum eg_severity { EG_SEVERITY_ALERT = 1, EG_SEVERITY_WARNING = 4, EG_SEVERITY_NOTICE = 5, EG_SEVERITY_INFO = 6 };

/* Strings are NUL-terminated, valid UTF-8 and never NULL ("" where the event has none). */
struct eg_item {
	struct eg_spool_pos pos; /* of its record */
	uint64_t ts_ns; /* UTC: what the event's "ts" says */
	enum eg_severity severity;
	char *id; /* event_id; unique, the same at every try */
	char *type; /* native type: "flow", "deny" ... */
	char *app;
	char *owner; /* of the app */
	char *host;
	char *text; /* one JSON object in the sink's schema, without a newline */
	size_t len;
};

#endif

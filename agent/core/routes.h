/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.h - alerts on their way to egret-ship, beside the log
 *
 * Theory of operation. What the agent tells of itself (events.h, `told`) is rendered here a second time, when it
 * happens, and kept in memory for each route of the configuration whose "types" have it. The shipper's thread hands it
 * to egret-ship, a window of it for each route, and it is forgotten once that route has settled it. Another
 * egret-ship gets all that is not settled. Neither the log, the disk nor a sink has a part in this, and a route that
 * stands still holds up no other: each has its own bound, beyond which its newest alerts are dropped and counted.
 *
 * An alert's event_id is HOST-START-aN: START is when this agent began (UTC, ns), N counts its alerts. It is not
 * the id of the same event in the log, which may be written later, or never.
 */
#ifndef EG_CORE_ROUTES_H
#define EG_CORE_ROUTES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/sink_config.h"
#include "events.h"

#define EG_ROUTES_QUEUE 16384u /* alerts of one route: as many as come when every app of a host is killed */
#define EG_ROUTES_BYTES (16u << 20) /* of all of them together */

struct eg_routes;

int eg_routes_new(const char *host, uint64_t start_utc_ns, struct eg_routes **ret);
void eg_routes_free(struct eg_routes *routes);

/* list: the configuration's "routes". Alerts go on to routes of the same name; nothing is handed over yet. -ENOMEM. */
int eg_routes_configure(struct eg_routes *routes, const json_t *list);

/* ---- In: any thread, never blocks --------------------------------------------------------------------- */

/* Whether any route has events of this type. NULL is fine. */
bool eg_routes_want(struct eg_routes *routes, const char *type);
/* members: as of eg_event_json_members. */
void eg_routes_post(struct eg_routes *routes, uint64_t utc_ns, const char *type, const char *members, size_t len);
/* type: as eg_event_json says it. */
void eg_routes_kernel(struct eg_routes *routes, int64_t utc_offset_ns, const struct eg_networks *networks,
		      const char *type, const struct eg_event *e, const struct eg_event_meta *meta);

/* ---- Out: the shipper's thread ------------------------------------------------------------------------- */

/* Readable once there is something to hand over. */
int eg_routes_fd(const struct eg_routes *routes);
/* The next message to egret-ship; 0: there is none for now. It has to be confirmed before the next is asked for. */
size_t eg_routes_next(struct eg_routes *routes, char *ret, size_t size);
void eg_routes_given(struct eg_routes *routes);
/* That route has settled what it was given up to this number. */
void eg_routes_settled(struct eg_routes *routes, const char *name, uint64_t done);
/* Another egret-ship: it has nothing of what was given before. */
void eg_routes_again(struct eg_routes *routes);
/* Not settled by some route. */
size_t eg_routes_pending(struct eg_routes *routes);

struct eg_route_stats {
	uint64_t alerts; /* that were for it, by type */
	uint64_t queued; /* and are not settled */
	uint64_t dropped; /* for want of room, or memory */
};
/* Zeros for a route that there is not. */
void eg_routes_stats(struct eg_routes *routes, const char *name, struct eg_route_stats *ret);

#endif

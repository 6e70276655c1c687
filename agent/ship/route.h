/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - one way for alerts, on a thread of its own: from egretd to the receiver's proof, beside the log
 *
 * Theory of operation. egretd hands each alert over with a number, in rising order, to the routes that it is for. A
 * route keeps them in memory and sends one after the other through the same protocols as a sink, until the receiver
 * has it or refuses it for what it is. `done` is the number up to which all are settled: egretd keeps what is
 * beyond, and hands it over again to the next egret-ship. So an alert may come twice, with the same id, and none is
 * lost with this process. No disk is needed for any of it.
 */
#ifndef EG_SHIP_ROUTE_H
#define EG_SHIP_ROUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/sink_config.h"
#include "protocol.h"
#include "sink.h"

/* All of one moment, since this process began. */
struct eg_route_report {
	enum eg_sink_state state;
	uint64_t done; /* all alerts up to this number are settled */
	uint64_t delivered;
	uint64_t filtered; /* not for this route */
	uint64_t refused; /* by the receiver, for what they are */
	uint64_t waiting;
	uint64_t requests;
	uint64_t retries;
	uint64_t last_success_ns; /* UTC; 0: never */
	uint64_t last_error_ns;
	char last_error[512]; /* plain words; kept after a success */
};

struct eg_route;

/* place's changed and tested are called on the route's thread. config and place are borrowed. 0 or -errno. */
int eg_route_start(const struct eg_sink_place *place, const struct eg_sink_config *config,
		   const struct eg_protocol *protocol, struct eg_route **ret);
void eg_route_ask_to_stop(struct eg_route *route);
/* True: the thread has ended, or does so within wait_ns. */
bool eg_route_join(struct eg_route *route, uint64_t wait_ns);
/* Only after it was joined. NULL is fine. */
void eg_route_free(struct eg_route *route);

const char *eg_route_name(const struct eg_route *route);
/* Never waits for the receiver. event: native; a reference is taken. False: no room, or no memory; it is not taken. */
bool eg_route_give(struct eg_route *route, uint64_t number, json_t *event);
void eg_route_report(struct eg_route *route, struct eg_route_report *ret);
/* As eg_sink_test; after what is on its way, and while it is tried again in between. */
int eg_route_test(struct eg_route *route, uint64_t id);

/* Whether the event is for this route, by "types", "apps", "labels" and what "url" asks for. */
bool eg_route_wants(const struct eg_sink_config *config, const json_t *event);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship.h - all sinks together, and what is said to egretd of them
 *
 * With egretd, each message of a SOCK_SEQPACKET pair is one JSON object. Ship says, every second and when a
 * sink's state changes: {"sinks": [{"name", "type", "state", ...}]}; the same of {"routes": [...]}, also when an alert
 * was settled; and {"tested": {"id", "name", ...}} when a test has ended. egretd says {"test": NAME, "id": N}, and
 * {"alert": N, "to": [NAME ...], "event": {...}}, with rising N. When egretd's end is gone, ship ends.
 */
#ifndef EG_SHIP_SHIP_H
#define EG_SHIP_SHIP_H

#include <jansson.h>

#include "../lib/sink_config.h"
#include "pace.h"
#include "route.h"
#include "sink.h"

#define EG_SHIP_STOP_NS     4000000000ull /* what a SIGTERM gives the sinks to end */

struct eg_ship_config {
	const char *spool_dir;
	int cursor_fd;
	const char *host;
	const struct eg_sinks_config *sinks;
	const struct eg_sinks_config *routes;
	int control_fd; /* -1: no egretd: changes of state go to the log */
	int signal_fd; /* readable: end */
};

/* Runs until it is told to end. 0; -EALREADY: another egret-ship uses these cursors; -errno. */
int eg_ship_run(const struct eg_ship_config *config);

/* ---- ship_status.c ----------------------------------------------------------------------------- */

/*
 * lag: records and bytes in the spool that the sink has not read; pace: the sink's, which is looked at. A new reference;
 * NULL without memory.
 */
json_t *eg_ship_status(const struct eg_sink_config *config, const struct eg_sink_report *report, uint64_t lag_events,
		       uint64_t lag_bytes, struct eg_pace *pace);
json_t *eg_ship_route_status(const struct eg_sink_config *config, const struct eg_route_report *report);
json_t *eg_ship_tested(const struct eg_sink_tested *tested);

/* ---- protocols.c --------------------------------------------------------------------------------- */

const struct eg_protocol *eg_ship_protocol(enum eg_sink_type type);

#endif

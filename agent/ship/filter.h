/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - which events are for a sink, and which of them go at once
 */
#ifndef EG_SHIP_FILTER_H
#define EG_SHIP_FILTER_H

#include <jansson.h>

#include "../lib/sink_config.h"

enum eg_way {
	EG_WAY_OUT, /* not for this sink */
	EG_WAY_NOW,
	EG_WAY_ROLLUP, /* an allowed flow: with its like, once a window ends */
};

/* event: native. Pure: the same answer at every try. An event without an app passes no filter by apps. */
enum eg_way eg_filter(const struct eg_sink_config *sink, const json_t *event);

#endif

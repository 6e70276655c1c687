/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ears.h - hears egretd, hands alerts to their routes, and says what became of them
 *
 * On a thread of its own, which touches no file: a disk that hangs holds up sinks and what is said of them, but no
 * alert.
 */
#ifndef EG_SHIP_EARS_H
#define EG_SHIP_EARS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/sink_config.h"

struct eg_ears;

struct eg_ears_config {
	int control_fd;
	const char *host;
	const struct eg_sinks_config *routes;
	void *ctx;
	void (*tell)(void *ctx, json_t *message); /* takes the reference; never waits */
	/* 0; -ENOENT: there is no such sink; -EBUSY. */
	int (*test_sink)(void *ctx, const char *name, uint64_t id);
	void (*gone)(void *ctx); /* egretd is; the last call */
};

/* config is borrowed until it is stopped. 0 or -errno. */
int eg_ears_start(const struct eg_ears_config *config, struct eg_ears **ret);
/* Within wait_ns. False: a route's thread has not ended; nothing is freed. NULL is fine. */
bool eg_ears_stop(struct eg_ears *ears, uint64_t wait_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - this host's state, as it is told to the control plane
 *
 * A thread of its own writes the last value that it was given: when that is another one, and every so often
 * besides, so that who reads the states knows who is there. A store that is slow to write delays nothing
 * else. What failed is tried again, with growing pauses.
 */
#ifndef EG_SYNC_STATE_H
#define EG_SYNC_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "../lib/control_config.h"
#include "fetch.h"

struct eg_state;

/* Where it is written; on the thread. */
struct eg_state_ops {
	const char *where; /* for the log */
	/* fresh: it was not written yet. 0, or -errno with *err. */
	int (*write)(void *ctx, const json_t *value, bool fresh, struct eg_error *err);
	void (*free)(void *ctx);
};

/* Takes ctx in any case; ops is borrowed. every_s: at most, between two writes. -ENOMEM, -errno. */
int eg_state_start(const struct eg_state_ops *ops, void *ctx, unsigned every_s, struct eg_state **ret);
/* What is to stand there; takes the object. Never waits. NULL is fine. */
void eg_state_set(struct eg_state *state, json_t *value);
/* Ends the thread. NULL is fine. */
void eg_state_stop(struct eg_state *state);

/* Control, credentials and the text are borrowed until the stop. -ENOMEM, -errno. */

/* state_etcd.c: a key under a lease, with which it goes */
int eg_state_etcd_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			const char *key, struct eg_state **ret);
/* state_https.c: PUT to control->state_url/HOST */
int eg_state_https_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			 const char *host, struct eg_state **ret);

#endif

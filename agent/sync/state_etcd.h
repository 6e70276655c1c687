/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_etcd.h - this host's state, kept in etcd under a lease
 */
#ifndef EG_SYNC_STATE_ETCD_H
#define EG_SYNC_STATE_ETCD_H

#include <jansson.h>

#include "../lib/control_config.h"
#include "fetch.h"

struct eg_state_etcd;

/* control, credentials and key are borrowed until the stop. -ENOMEM, -errno. */
int eg_state_etcd_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			const char *key, struct eg_state_etcd **ret);
/* What is to stand there; takes the object. Never waits. */
void eg_state_etcd_set(struct eg_state_etcd *state, json_t *value);
/* Ends the thread; the key goes with its lease. NULL is fine. */
void eg_state_etcd_stop(struct eg_state_etcd *state);

#endif

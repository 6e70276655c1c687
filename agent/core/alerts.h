/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alerts.h - thresholds of policies and of the host's configuration, on a thread of its own
 */
#ifndef EG_CORE_ALERTS_H
#define EG_CORE_ALERTS_H

#include <jansson.h>
#include <stdint.h>

struct eg_agent;
struct eg_alerts;

int eg_alerts_start(struct eg_agent *agent, struct eg_alerts **ret);
void eg_alerts_stop(struct eg_alerts *alerts); /* NULL is fine */
/* How many were told since the start. NULL is fine. */
uint64_t eg_alerts_total(struct eg_alerts *alerts);
/* How often flows passed unseen by alerts on networks. NULL is fine. */
uint64_t eg_alerts_late(struct eg_alerts *alerts);
/* Those of one app, with where they stand. Under lock, or not. NULL is fine: none. */
json_t *eg_alerts_json(struct eg_alerts *alerts, uint32_t slot, uint32_t gen);

#endif

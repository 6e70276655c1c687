/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert_flows.h - how many flows each app began to each named network, for alerts
 *
 * The kernel knows no names of networks, so flows are counted here, from the starts that it tells in the ring of flow
 * events (ring_look.h): neither the log's writer nor the disk has a part in it. What the kernel does not tell is not
 * counted: flows over the app's event budget, and what finds the ring full. For one thread.
 */
#ifndef EG_CORE_ALERT_FLOWS_H
#define EG_CORE_ALERT_FLOWS_H

#include "../lib/alert.h"
#include "networks.h"

struct eg_alert_flows;

int eg_alert_flows_new(int ring_fd, uint32_t slots, struct eg_alert_flows **ret);
void eg_alert_flows_free(struct eg_alert_flows *flows);

/* Counts what came since the last call. Counts go on under the same names when networks are others than before. */
void eg_alert_flows_look(struct eg_alert_flows *flows, const struct eg_networks *networks);
/* Flows of that slot to the alert's network, or to all of its region; a counter that grows. flows NULL: 0. */
uint64_t eg_alert_flows_count(const struct eg_alert_flows *flows, uint32_t slot, const struct eg_alert *alert);
/* How often the ring was looked at too late, so that starts were missed. NULL: 0. */
uint64_t eg_alert_flows_late(const struct eg_alert_flows *flows);

#endif

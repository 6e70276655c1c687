/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - how things stand: to the agent, for its status, alarms and events; and to the source
 */
#ifndef EG_SYNC_REPORT_H
#define EG_SYNC_REPORT_H

#include "sync.h"

/* To the agent, if it is another one than the last; not too many of them unless at_once. -EPIPE: it is gone. */
int eg_report_send(struct eg_sync *sync, bool at_once);

/* Gives sync->state this host's state, if it is time for one; not too often unless at_once. */
void eg_report_state(struct eg_sync *sync, bool at_once);

#endif

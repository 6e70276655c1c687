/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_control.h - the control plane's side of the agent: its holds, its child, and what it may own. A part
 * of agent_impl.h, which includes it.
 */
#ifndef EG_CORE_AGENT_CONTROL_H
#define EG_CORE_AGENT_CONTROL_H

#include "agent_impl.h"

/* ---- kill.c and restore.c ------------------------------------------------ */

/* The word, the sockets and the event of a hold of the layer control. 0, or -errno with *err. */
int eg_kill_control(struct eg_agent *agent, const struct eg_hold *hold, json_t **ret, struct eg_error *err);
int eg_restore_control(struct eg_agent *agent, const struct eg_control_hold *lift, const struct eg_actor *actor,
		       json_t **ret, struct eg_error *err);

/* ---- control.c: egret-sync, and what it reports ------------------------------------------------ */

/* Main thread. Starts the child if the configuration has a control plane; tries again, with pauses, in _check. */
int eg_control_start(struct eg_agent *agent);
void eg_control_check(struct eg_agent *agent); /* every second */
void eg_control_reload(struct eg_agent *agent); /* SIGHUP: the next check starts the child again */
void eg_control_stop(struct eg_agent *agent); /* ends the child */
void eg_control_free(struct eg_agent *agent); /* once the API has stopped */
/* Under apply: whether the control plane may own this app's policy. 0, or -EPERM with *err. */
int eg_control_may_own(struct eg_agent *agent, const char *app, const struct eg_policy *policy, struct eg_error *err);
/* Takes its own lock. null: no control plane is configured. */
json_t *eg_control_json(struct eg_agent *agent);
void eg_control_alarms(struct eg_agent *agent, json_t *list);

#endif

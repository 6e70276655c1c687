/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill_who.h - whom a kill hit: the app's cgroups, and the users of the processes in them
 */
#ifndef EG_CORE_KILL_WHO_H
#define EG_CORE_KILL_WHO_H

#include <jansson.h>

struct eg_agent;

/* Adds "cgroups" and "uids", of the first few. Reads /proc; not to be called with lock held. */
void eg_kill_who(struct eg_agent *agent, const char *app, json_t *fields);

#endif

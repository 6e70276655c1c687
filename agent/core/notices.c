// SPDX-License-Identifier: Apache-2.0
/*
 * notices.c - events of the agent's own: who did what, to which app
 */
#include <stdio.h>

#include "../lib/units.h"
#include "agent_impl.h"

void eg_actor_text(const struct eg_actor *actor, char *ret, size_t size)
{
	if (actor->pid)
		snprintf(ret, size, "uid=%u pid=%d via=%s", actor->uid, (int)actor->pid, actor->via);
	else
		snprintf(ret, size, "via=%s", actor->via);
}

json_t *eg_time_json(uint64_t utc_ns)
{
	char text[64];

	return json_string(eg_units_moment_text(utc_ns, text, sizeof(text)));
}

static void add_text(json_t *fields, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(fields, key, json_string(value));
}

void eg_notice(struct eg_agent *agent, const char *type, const struct eg_entry *entry, const char *app, json_t *fields)
{
	const struct eg_applied *now = entry ? entry->now : NULL;

	if (now && fields) {
		add_text(fields, "owner", now->owner);
		add_text(fields, "ticket", json_object_get(fields, "ticket") ? NULL : now->ticket);
		add_text(fields, "catalog_id", now->catalog_id);
		add_text(fields, "request_id", now->request_id);
		add_text(fields, "policy_rev", json_object_get(fields, "policy_rev") ? NULL : now->rev);
		if (json_object_size(now->labels))
			json_object_set_new(fields, "labels", json_deep_copy(now->labels));
	}
	if (!agent->events) {
		json_decref(fields);
		return;
	}
	eg_events_post(agent->events, type, entry ? entry->name : app, fields);
}

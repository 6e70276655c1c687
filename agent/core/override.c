// SPDX-License-Identifier: Apache-2.0
/*
 * override.c - an admin lets an app go on for a time though the control plane has killed it
 *
 * The control plane's hold stays what it is: the kernel passes over it until a time of the boot clock,
 * which it looks at itself, so that the end comes with the agent dead, too. Other holds are not touched.
 * A newer kill by the control plane ends it, and so does a reboot.
 */
#include <errno.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/units.h"
#include "agent_impl.h"
#include "clock.h"
#include "sockdiag.h"

#define FOR_MIN_NS (60 * EG_NS_PER_S)
#define FOR_MAX_NS (24 * 3600 * EG_NS_PER_S)

bool eg_override_on(struct eg_agent *agent, const struct eg_entry *entry)
{
	return __atomic_load_n(&eg_entry_ctl(agent, entry)->override_until_boot_ns, __ATOMIC_RELAXED) > eg_clock_boot_ns();
}

json_t *eg_override_json(struct eg_agent *agent, const struct eg_entry *entry)
{
	uint64_t until = eg_entry_ctl(agent, entry)->override_until_boot_ns;

	return until > eg_clock_boot_ns() ? eg_time_json(until + (uint64_t)eg_clock_utc_offset_ns()) : json_null();
}

static void tell(struct eg_agent *agent, const struct eg_entry *entry, const char *action, const char *actor,
		 const char *cause, uint64_t until_boot_ns)
{
	eg_notice(agent, "alert", entry, NULL,
		  json_pack("{s:s,s:s,s:s,s:o}", "action", action, "actor", actor, "cause", cause, "until",
			    until_boot_ns ? eg_time_json(until_boot_ns + (uint64_t)eg_clock_utc_offset_ns()) : json_null()));
	eg_log_warning("%s %s: by %s: %s", action, entry->name, actor, cause);
}

bool eg_override_end(struct eg_agent *agent, const struct eg_entry *entry, const char *cause)
{
	struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);

	if (!ctl->override_until_boot_ns)
		return false;
	__atomic_store_n(&ctl->override_until_boot_ns, 0, __ATOMIC_SEQ_CST);
	tell(agent, entry, "override_end", "via=agent", cause, 0);
	return true;
}

/* Under lock. */
static int set(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_override *wanted, const char *actor,
	       struct eg_error *err)
{
	uint64_t until = wanted->for_ns ? eg_clock_boot_ns() + wanted->for_ns : 0;

	if (!(eg_holds_layers(agent->holds, entry->name) & EG_HOLD_CONTROL))
		return eg_error_set(err, 409, "not_killed", "The control plane has not killed %s: nothing is to be overridden.",
				    entry->name);
	__atomic_store_n(&eg_entry_ctl(agent, entry)->override_until_boot_ns, until, __ATOMIC_SEQ_CST);
	tell(agent, entry, until ? "override" : "override_end", actor, wanted->reason, until);
	return 0;
}

int eg_agent_override(struct eg_agent *agent, const struct eg_override *wanted, const struct eg_actor *actor, json_t **ret,
		      struct eg_error *err)
{
	const struct eg_entry *entry;
	struct eg_cut done = {0};
	char text[64];
	int r = 0;

	if (wanted->for_ns && (wanted->for_ns < FOR_MIN_NS || wanted->for_ns > FOR_MAX_NS))
		return eg_error_set(err, 400, "bad_value", "A kill can be overridden for 1 minute to 24 hours.");
	eg_actor_text(actor, text, sizeof(text));
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, wanted->app);
	if (entry)
		r = set(agent, entry, wanted, text, err);
	if (entry && !r)
		*ret = json_pack("{s:s,s:o,s:s,s:o}", "app", wanted->app, "override_until", eg_override_json(agent, entry),
				 "state", eg_registry_state(agent, entry), "remaining", eg_holds_json(agent, wanted->app));
	pthread_mutex_unlock(&agent->lock);
	if (!entry)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", wanted->app);
	if (!r && !wanted->for_ns)
		eg_cut_app(agent, wanted->app, false, &done);
	return r;
}

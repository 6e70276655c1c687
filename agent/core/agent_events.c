// SPDX-License-Identifier: Apache-2.0
/*
 * agent_events.c - what the event log asks of the agent: the names behind a record's numbers
 */
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"
#include "agent_run.h"
#include "clock.h"
#include "routes.h"
#include "shipper.h"

static int64_t utc_offset(void *ctx)
{
	(void)ctx;
	return eg_clock_utc_offset_ns();
}

static const struct eg_networks *networks(void *ctx)
{
	struct eg_agent *agent = ctx;

	return eg_agent_config(agent)->networks;
}

static uint32_t slots_used(void *ctx)
{
	return eg_registry_slots(ctx);
}

static void copy(char *ret, size_t size, const char *text)
{
	if (text)
		snprintf(ret, size, "%s", text);
}

static void fill_policy(const struct eg_applied *applied, uint32_t rule, struct eg_event_meta *ret)
{
	copy(ret->owner, sizeof(ret->owner), applied->owner);
	copy(ret->ticket, sizeof(ret->ticket), applied->ticket);
	copy(ret->catalog_id, sizeof(ret->catalog_id), applied->catalog_id);
	copy(ret->request_id, sizeof(ret->request_id), applied->request_id);
	ret->log_full = applied->log_full;
	copy(ret->policy_rev, sizeof(ret->policy_rev), applied->rev);
	copy(ret->rule_id, sizeof(ret->rule_id), eg_applied_rule_id(applied, rule));
	if (strlen(applied->labels_json) < sizeof(ret->labels_json) && json_object_size(applied->labels))
		copy(ret->labels_json, sizeof(ret->labels_json), applied->labels_json);
}

static bool resolve(void *ctx, const struct eg_event *e, struct eg_event_meta *ret)
{
	struct eg_agent *agent = ctx;
	const struct eg_applied *applied = NULL;
	const struct eg_entry *entry;

	if (e->cgroup_id)
		eg_tags_path(agent, e->cgroup_id, ret->cgroup, sizeof(ret->cgroup));
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_at(agent, e->app, e->gen);
	if (entry) {
		copy(ret->app, sizeof(ret->app), entry->name);
		applied = entry->now;
		if (e->uid && applied && applied->uid != e->uid)
			applied = entry->before && entry->before->uid == e->uid ? entry->before : NULL;
		if (applied)
			fill_policy(applied, e->rule, ret);
	}
	pthread_mutex_unlock(&agent->lock);
	return entry || e->app == EG_APP_UNKNOWN;
}

static const char *routed_type(const struct eg_event *e)
{
	return e->type == EG_EVENT_EXPIRE ? "expire" : e->type == EG_EVENT_CAP ? "cap" : NULL;
}

/* Of a kill the agent itself tells, with more than the kernel's record has. */
static void route_kernel(struct eg_agent *agent, const struct eg_event *e)
{
	const char *type = routed_type(e);
	struct eg_event_meta meta = {0};

	if (!type || !eg_routes_want(agent->routes, type))
		return;
	resolve(agent, e, &meta);
	eg_routes_kernel(agent->routes, eg_clock_utc_offset_ns(), networks(agent), type, e, &meta);
}

static void observe(void *ctx, const struct eg_event *e)
{
	struct eg_agent *agent = ctx;

	eg_reaper_observe(agent->reaper, e);
	eg_resets_observe(agent->resets, e);
	route_kernel(agent, e);
}

static void told(void *ctx, uint64_t utc_ns, const char *type, const char *members, size_t len)
{
	struct eg_agent *agent = ctx;

	eg_routes_post(agent->routes, utc_ns, type, members, len);
}

static int start_routes(struct eg_agent *agent)
{
	int r = eg_routes_new(eg_agent_config(agent)->host, eg_clock_utc_ns(), &agent->routes);

	return r ? r : eg_routes_configure(agent->routes, eg_agent_config(agent)->routes);
}

int eg_agent_start_events(struct eg_agent *agent)
{
	const struct eg_config *config = eg_agent_config(agent);
	struct eg_child_user user = {0};
	struct eg_error none = {0};
	bool shared = eg_ship_user(config->ship_user, &user, &none) == 0; /* else the shipper says so, once there are sinks */
	const struct eg_events_config events = {
		.events_fd = eg_kern_map_fd(agent->kern, EG_MAP_EVENTS),
		.flow_events_fd = eg_kern_map_fd(agent->kern, EG_MAP_FLOW_EVENTS),
		.losses_fd = eg_kern_map_fd(agent->kern, EG_MAP_LOSSES),
		.log_mark = &eg_kern_host(agent->kern)->log_mark,
		.host = config->host,
		.log_dir = config->log_dir,
		.log_shared = shared,
		.log_gid = user.gid,
		.quota_bytes = config->event_quota_bytes,
		.segment_bytes = config->event_segment_bytes,
		.ctx = agent,
		.utc_offset_ns = utc_offset,
		.networks = networks,
		.slots_used = slots_used,
		.resolve = resolve,
		.observe = observe,
		.told = told,
	};
	int r = start_routes(agent);

	eg_error_clear(&none);
	return r ? r : eg_events_start(&events, &agent->events);
}

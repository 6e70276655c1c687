// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.c - Prometheus text exposition format 0.0.4
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent_impl.h"
#include "alerts.h"
#include "clock.h"
#include "fills.h"
#include "guards.h"
#include "metrics_apps.h"
#include "shipper.h"
#include "snapshot.h"

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	eg_metrics_head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

/* ---- Groups ------------------------------------------------------------------------------------ */

static void print_control(struct eg_agent *agent, FILE *out)
{
	json_t *control = eg_control_json(agent);
	const char *paused = json_string_value(json_object_get(control, "paused"));

	if (json_is_object(control)) {
		one(out, "egret_control_connected", "gauge", "1: the control plane is reached.",
		    json_is_true(json_object_get(control, "connected")));
		one(out, "egret_control_revision", "gauge", "The control plane's revision that was applied last.",
		    (uint64_t)json_integer_value(json_object_get(control, "revision")));
		one(out, "egret_control_policies", "gauge", "Policies in force that are the control plane's.",
		    (uint64_t)json_integer_value(json_object_get(control, "policies")));
		one(out, "egret_control_errors", "gauge", "Apps of which something the control plane says is not done.",
		    json_array_size(json_object_get(control, "errors")));
		one(out, "egret_control_paused", "gauge", "1: deletions wait for a person.", paused && paused[0]);
		one(out, "egret_control_starts_total", "counter", "Starts of egret-sync.",
		    (uint64_t)json_integer_value(json_object_get(control, "starts")));
	}
	json_decref(control);
}

static void print_prefetch(struct eg_agent *agent, FILE *out)
{
	struct eg_prefetch_stats stats;

	eg_prefetch_stats(agent->prefetch, &stats);
	one(out, "egret_prefetch_names", "gauge", "Names that are looked up ahead.", stats.names);
	one(out, "egret_prefetch_failing", "gauge", "Those whose last look-up failed.", stats.failing);
	one(out, "egret_prefetch_lookups_total", "counter", "Look-ups of names ahead that ended.", stats.lookups);
	one(out, "egret_prefetch_failures_total", "counter", "Those that failed.", stats.failures);
	one(out, "egret_prefetch_granted_total", "counter", "Addresses granted by them that apps did not have yet.",
	    stats.granted);
	one(out, "egret_prefetch_restarts_total", "counter", "Starts of the look-up helper after its first.",
	    stats.restarts);
}

static void print_states(struct eg_agent *agent, FILE *out)
{
	json_t *states = eg_states_json(agent), *value;
	const char *key;

	eg_metrics_head(out, "egret_apps", "gauge", "Apps by state.");
	json_object_foreach(states, key, value) {
		if (strcmp(key, "total") != 0)
			fprintf(out, "egret_apps{state=\"%s\"} %lld\n", key, (long long)json_integer_value(value));
	}
	json_decref(states);
}

static void print_fills(struct eg_agent *agent, FILE *out)
{
	struct eg_fill fills[EG_FILLS];

	eg_fills(agent, fills);
	eg_metrics_head(out, "egret_table_entries", "gauge", "Entries in use of the kernel's tables.");
	for (size_t i = 0; i < EG_FILLS; i++)
		fprintf(out, "egret_table_entries{table=\"%s\"} %" PRIu64 "\n", fills[i].name, fills[i].used);
	eg_metrics_head(out, "egret_table_size", "gauge", "Entries that the kernel's tables can hold.");
	for (size_t i = 0; i < EG_FILLS; i++)
		fprintf(out, "egret_table_size{table=\"%s\"} %" PRIu64 "\n", fills[i].name, fills[i].max);
}

/* Of one app; those that it uses are among the series of apps. */
static void print_quotas(struct eg_agent *agent, FILE *out)
{
	const struct eg_app_limits limits = eg_agent_app_limits(agent);

	one(out, "egret_app_sockets_max", "gauge", "Sockets that one app may have.", limits.sockets);
	one(out, "egret_app_udp_peers_max", "gauge", "UDP peers that one app may have.", limits.peers);
	one(out, "egret_udp_peers_untimed", "gauge", "UDP peers for which the kernel had no timer: the agent ends them.",
	    eg_peers_untimed(agent));
	one(out, "egret_grants_max", "gauge", "Addresses learned from DNS that one app may have.", limits.grants);
}

static void print_events(struct eg_agent *agent, FILE *out)
{
	struct eg_events_stats stats = {0};

	if (agent->events)
		eg_events_stats(agent->events, &stats);
	one(out, "egret_events_written_total", "counter", "Events on disk since the agent's start.", stats.written);
	one(out, "egret_events_lost_total", "counter", "Events for which a ring or queue had no room.",
	    stats.lost + stats.posts_dropped);
	one(out, "egret_events_suppressed_total", "counter", "Events over an app's budget.", stats.suppressed);
	one(out, "egret_events_evicted_total", "counter", "Events deleted to keep the disk quota.", stats.dropped_by_quota);
	one(out, "egret_events_evicted_vital_total", "counter", "Of them, those that should stay longest.",
	    stats.dropped_vital);
	one(out, "egret_event_log_sync_errors_total", "counter", "Times the disk failed to take events, which were written again.",
	    stats.sync_errors);
	one(out, "egret_event_log_damaged_bytes_total", "counter", "Bytes found in the log that were no events.",
	    stats.damaged_bytes);
	one(out, "egret_event_log_unsynced_bytes", "gauge", "Bytes of events that the disk may not have yet.",
	    stats.unsynced_bytes);
	one(out, "egret_event_log_bytes", "gauge", "Bytes in all event segments.", stats.log_bytes);
	one(out, "egret_event_queue", "gauge", "Events waiting to be written.", stats.queue);
	one(out, "egret_event_log_failing", "gauge", "1 while events can't be written.", stats.failing);
}

static void print_snapshots(struct eg_agent *agent, FILE *out)
{
	struct eg_snapshots_stats stats;

	eg_snapshots_stats(agent->snapshots, &stats);
	one(out, "egret_snapshots", "gauge", "Snapshots of apps that are kept.", stats.files);
	one(out, "egret_snapshots_bytes", "gauge", "Bytes in them.", stats.bytes);
	one(out, "egret_snapshots_evicted_total", "counter", "Snapshots deleted to make room for newer ones.", stats.evicted);
}

static void print_host(struct eg_agent *agent, FILE *out)
{
	struct eg_holds_stats holds;
	uint64_t denied, audited;
	bool ok, killed;
	size_t errors;
	json_t *alarms = eg_alarms_json(agent);

	eg_holds_stats(agent->holds, &holds);
	pthread_mutex_lock(&agent->lock);
	ok = eg_roots_enforcing(agent);
	killed = eg_kern_all_killed(agent->kern);
	errors = agent->policy_error_count;
	eg_slot_denied(agent, EG_APP_UNKNOWN, &denied, &audited);
	pthread_mutex_unlock(&agent->lock);
	eg_metrics_head(out, "egret_build_info", "gauge", "Version of the agent.");
	fprintf(out, "egret_build_info{version=\"%s\"} 1\n", EG_VERSION);
	one(out, "egret_start_time_seconds", "gauge", "When the agent started.", agent->started_utc_ns / EG_NS_PER_S);
	one(out, "egret_enforcement_ok", "gauge", "1 while the programs are attached to every managed root.", ok);
	one(out, "egret_kill_all", "gauge", "1 while every app is killed.", killed);
	one(out, "egret_holds", "gauge", "Kills in force.", holds.in_force);
	one(out, "egret_holds_pending", "gauge", "Kills in force that are not on disk yet.", holds.pending);
	one(out, "egret_policy_errors", "gauge", "Policy files that can't be used.", errors);
	one(out, "egret_guards", "gauge", "Interfaces of apps' namespaces that are guarded.", eg_guards_count(agent->guards));
	one(out, "egret_guards_restored_total", "counter", "Guards put back after somebody took them off.",
	    eg_guards_restored(agent->guards));
	one(out, "egret_alarms", "gauge", "Alarms that `egret status` shows.", json_array_size(alarms));
	one(out, "egret_alerts_total", "counter", "Alerts that were told.", eg_alerts_total(agent->alerts));
	one(out, "egret_alert_flows_missed_total", "counter",
	    "Times that flows came too fast to be counted for alerts on networks.", eg_alerts_late(agent->alerts));
	one(out, "egret_unknown_denied_total", "counter", "Denied to cgroups below a managed root that belong to no app.",
	    denied);
	one(out, "egret_unknown_audited_total", "counter", "As before, where unknown_cgroup lets it through.", audited);
	json_decref(alarms);
}

int eg_agent_metrics(struct eg_agent *agent, char **ret, struct eg_error *err)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	print_host(agent, out);
	print_quotas(agent, out);
	print_states(agent, out);
	print_fills(agent, out);
	print_events(agent, out);
	print_snapshots(agent, out);
	r = eg_metrics_apps(agent, out);
	print_prefetch(agent, out);
	print_control(agent, out);
	eg_shipper_metrics(agent->shipper, out);
	if (fclose(out) || r < 0) {
		free(text);
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	}
	*ret = text;
	return 0;
}

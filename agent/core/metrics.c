// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.c - Prometheus text exposition format 0.0.4
 *
 * Only the apps with the most traffic have a series of their own (METRICS_APPS); the others are
 * summed as app="_other", so that a host with ten thousand of them stays readable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent_impl.h"
#include "clock.h"
#include "guards.h"
#include "shipper.h"

#define METRICS_APPS 100

struct row {
	char name[EG_APP_NAME_LEN];
	struct eg_counters counters;
	uint64_t denied;
	uint64_t audited;
	uint64_t sockets;
	struct eg_grants grants;
	uint64_t expires_s; /* Unix time; 0: no policy */
};

struct rows {
	struct eg_agent *agent;
	struct row *items;
	size_t count;
	size_t room;
	bool failed;
};

static void add_row(void *ctx, struct eg_entry *entry)
{
	struct rows *rows = ctx;
	struct row *row;

	if (rows->count == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 64;
		struct row *items = reallocarray(rows->items, room, sizeof(*items));

		if (!items) {
			rows->failed = true;
			return;
		}
		rows->items = items;
		rows->room = room;
	}
	row = &rows->items[rows->count++];
	*row = (struct row){.sockets = eg_entry_state(rows->agent, entry)->sockets};
	memcpy(row->name, entry->name, sizeof(row->name));
	eg_kern_counters(rows->agent->kern, entry->slot, &row->counters);
	if (entry->now && !entry->deleted)
		row->expires_s = entry->now->expires_utc_ns / EG_NS_PER_S;
	eg_slot_denied(rows->agent, entry->slot, &row->denied, &row->audited);
	eg_grants_of(rows->agent, entry, &row->grants);
}

static int by_traffic(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t p = x->counters.bytes_out + x->counters.bytes_in, q = y->counters.bytes_out + y->counters.bytes_in;

	return p > q ? -1 : p < q;
}

/* Sums up all but the first METRICS_APPS. */
static void fold(struct rows *rows)
{
	struct row *other;

	if (rows->count <= METRICS_APPS)
		return;
	qsort(rows->items, rows->count, sizeof(*rows->items), by_traffic);
	other = &rows->items[METRICS_APPS];
	snprintf(other->name, sizeof(other->name), "_other");
	for (size_t i = METRICS_APPS + 1; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		other->counters.bytes_out += row->counters.bytes_out;
		other->counters.bytes_in += row->counters.bytes_in;
		other->counters.packets_out += row->counters.packets_out;
		other->counters.packets_in += row->counters.packets_in;
		other->counters.flows += row->counters.flows;
		other->denied += row->denied;
		other->audited += row->audited;
		other->sockets += row->sockets;
		if (row->expires_s && (!other->expires_s || row->expires_s < other->expires_s))
			other->expires_s = row->expires_s;
		other->grants.used += row->grants.used;
		other->grants.evicted += row->grants.evicted;
		other->grants.learned += row->grants.learned;
	}
	rows->count = METRICS_APPS + 1;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

/* ---- Groups ------------------------------------------------------------------------------------ */

static void print_apps(FILE *out, const struct rows *rows)
{
	head(out, "egret_app_bytes_total", "counter", "IP bytes of an app that passed.");
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		fprintf(out, "egret_app_bytes_total{app=\"%s\",direction=\"egress\"} %" PRIu64 "\n", row->name,
			(uint64_t)row->counters.bytes_out);
		fprintf(out, "egret_app_bytes_total{app=\"%s\",direction=\"ingress\"} %" PRIu64 "\n", row->name,
			(uint64_t)row->counters.bytes_in);
	}
	head(out, "egret_app_packets_total", "counter", "Packets of an app that passed.");
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		fprintf(out, "egret_app_packets_total{app=\"%s\",direction=\"egress\"} %" PRIu64 "\n", row->name,
			(uint64_t)row->counters.packets_out);
		fprintf(out, "egret_app_packets_total{app=\"%s\",direction=\"ingress\"} %" PRIu64 "\n", row->name,
			(uint64_t)row->counters.packets_in);
	}
	head(out, "egret_app_flows_total", "counter", "Flows begun by or to an app.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_app_flows_total{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name,
			(uint64_t)rows->items[i].counters.flows);
	head(out, "egret_app_denied_total", "counter", "Packets, connects, binds and sockets denied to an app.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_app_denied_total{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name,
			rows->items[i].denied);
	head(out, "egret_app_audited_total", "counter", "What audit let through and enforcement would have denied.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_app_audited_total{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name,
			rows->items[i].audited);
	head(out, "egret_app_expires_timestamp_seconds", "gauge",
	     "When an app's policy expires; of several the first.");
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].expires_s)
			fprintf(out, "egret_app_expires_timestamp_seconds{app=\"%s\"} %" PRIu64 "\n",
				rows->items[i].name, rows->items[i].expires_s);
	head(out, "egret_app_sockets", "gauge", "Live sockets of an app.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_app_sockets{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name, rows->items[i].sockets);
}

/* All apps, also those without a series of their own: this is asked before they are folded. */
static void print_expiring(FILE *out, const struct rows *rows)
{
	static const unsigned days[] = {14, 3, 1};
	uint64_t now_s = eg_clock_utc_ns() / EG_NS_PER_S;

	head(out, "egret_policies_expiring", "gauge", "Policies in force that expire in less than so many days.");
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		uint64_t count = 0;

		for (size_t j = 0; j < rows->count; j++)
			count += rows->items[j].expires_s > now_s &&
				 rows->items[j].expires_s - now_s <= days[i] * 86400ull;
		fprintf(out, "egret_policies_expiring{days=\"%u\"} %" PRIu64 "\n", days[i], count);
	}
}

static void print_names(FILE *out, const struct rows *rows)
{
	head(out, "egret_dns_learned_total", "counter", "DNS answers that granted an app addresses.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_dns_learned_total{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name,
			rows->items[i].grants.learned);
	head(out, "egret_grants", "gauge", "Addresses that an app learned from DNS.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_grants{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name, rows->items[i].grants.used);
	head(out, "egret_grants_evicted_total", "counter", "Those that made room for newer ones while they were good.");
	for (size_t i = 0; i < rows->count; i++)
		fprintf(out, "egret_grants_evicted_total{app=\"%s\"} %" PRIu64 "\n", rows->items[i].name,
			rows->items[i].grants.evicted);
}

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

	head(out, "egret_apps", "gauge", "Apps by state.");
	json_object_foreach(states, key, value) {
		if (strcmp(key, "total") != 0)
			fprintf(out, "egret_apps{state=\"%s\"} %lld\n", key, (long long)json_integer_value(value));
	}
	json_decref(states);
}

static void print_fills(struct eg_agent *agent, FILE *out)
{
	struct eg_fill fills[EG_FILLS];

	pthread_mutex_lock(&agent->lock);
	eg_fills(agent, fills);
	pthread_mutex_unlock(&agent->lock);
	head(out, "egret_table_entries", "gauge", "Entries in use of the kernel's tables.");
	for (size_t i = 0; i < EG_FILLS; i++)
		fprintf(out, "egret_table_entries{table=\"%s\"} %" PRIu64 "\n", fills[i].name, fills[i].used);
	head(out, "egret_table_size", "gauge", "Entries that the kernel's tables can hold.");
	for (size_t i = 0; i < EG_FILLS; i++)
		fprintf(out, "egret_table_size{table=\"%s\"} %" PRIu64 "\n", fills[i].name, fills[i].max);
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
	killed = eg_kern_host(agent->kern)->kill_all;
	errors = agent->policy_error_count;
	eg_slot_denied(agent, EG_APP_UNKNOWN, &denied, &audited);
	pthread_mutex_unlock(&agent->lock);
	head(out, "egret_build_info", "gauge", "Version of the agent.");
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
	one(out, "egret_unknown_denied_total", "counter", "Denied to cgroups below a managed root that belong to no app.",
	    denied);
	one(out, "egret_unknown_audited_total", "counter", "As before, where unknown_cgroup lets it through.", audited);
	json_decref(alarms);
}

int eg_agent_metrics(struct eg_agent *agent, char **ret, struct eg_error *err)
{
	struct rows rows = {.agent = agent};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	eg_apps_each(agent, add_row, &rows);
	print_expiring(out, &rows);
	fold(&rows);
	print_host(agent, out);
	print_states(agent, out);
	print_fills(agent, out);
	print_events(agent, out);
	print_apps(out, &rows);
	print_names(out, &rows);
	print_prefetch(agent, out);
	print_control(agent, out);
	eg_shipper_metrics(agent->shipper, out);
	free(rows.items);
	if (fclose(out) || rows.failed) {
		free(text);
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	}
	*ret = text;
	return 0;
}

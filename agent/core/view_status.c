// SPDX-License-Identifier: Apache-2.0
/*
 * view_status.c - the agent as a whole: what it enforces, how full it is, what is wrong
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent_impl.h"
#include "clock.h"
#include "event_json.h"
#include "fills.h"
#include "guards.h"
#include "kern_lsm.h"
#include "shipper.h"
#include "snapshot.h"

/* ---- Alarms --------------------------------------------------------------------------------- */

static void alarm_add(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void alarm_add(json_t *list, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

static void alarm_relaxed(struct eg_agent *agent, json_t *list)
{
	uint64_t now = eg_clock_boot_ns();

	for (size_t i = 0; i < agent->count; i++) {
		if (__atomic_load_n(&eg_entry_ctl(agent, agent->by_name[i])->relax_until_boot_ns, __ATOMIC_RELAXED) > now)
			alarm_add(list, "%s is relaxed: nothing is denied to it", agent->by_name[i]->name);
	}
}

json_t *eg_alarms_json(struct eg_agent *agent)
{
	struct eg_holds_stats holds;
	struct eg_events_stats events = {0};
	struct eg_snapshots_stats snapshots;
	json_t *list = json_array();

	eg_holds_stats(agent->holds, &holds);
	if (agent->events)
		eg_events_stats(agent->events, &events);
	pthread_mutex_lock(&agent->lock);
	if (!eg_roots_enforcing(agent))
		alarm_add(list, "enforcement is lost below at least one managed root");
	if (agent->paused_why[0])
		alarm_add(list, "%s", agent->paused_why);
	if (agent->store_damaged)
		alarm_add(list, "a stored policy could not be read at start: the log names it");
	if (agent->cgroups_full)
		alarm_add(list, "a cgroup could not be tagged, so it is denied everything, as all unknown ones are");
	if (agent->cgroups_unwatched)
		alarm_add(list, "%zu cgroups can't be watched, new ones are denied for some seconds: raise "
				"fs.inotify.max_user_instances or max_user_watches", agent->cgroups_unwatched);
	alarm_relaxed(agent, list);
	pthread_mutex_unlock(&agent->lock);
	if (holds.last_error)
		alarm_add(list, "kills can't be written to disk (%s): they would not outlive a reboot",
			  strerror(-holds.last_error));
	if (holds.corrupt_lines)
		alarm_add(list, "%llu lines of the record of kills were damaged: see holds.journal.bad",
			  (unsigned long long)holds.corrupt_lines);
	if (agent->usage && eg_usage_last_error(agent->usage))
		alarm_add(list, "the use of caps can't be written to disk (%s)", strerror(-eg_usage_last_error(agent->usage)));
	eg_snapshots_stats(agent->snapshots, &snapshots);
	if (snapshots.evicted_young)
		alarm_add(list, "snapshots less than a day old were deleted to make room: raise snapshot_quota, or copy them sooner");
	eg_fills_alarms(agent, list);
	eg_control_alarms(agent, list);
	if (events.failing)
		alarm_add(list, "events can't be written: %s", events.last_error);
	eg_shipper_alarms(agent->shipper, list);
	return list;
}

/* ---- Status -------------------------------------------------------------------------------------- */

struct states {
	struct eg_agent *agent;
	json_int_t total, enforce, audit, killed, expired, deleted, no_policy;
};

static void count_state(void *ctx, struct eg_entry *entry)
{
	struct states *states = ctx;
	const char *state = eg_registry_state(states->agent, entry);
	const struct {
		const char *name;
		json_int_t *count;
	} kinds[] = {{"enforce", &states->enforce}, {"audit", &states->audit},     {"killed", &states->killed},
		     {"expired", &states->expired}, {"deleted", &states->deleted}, {"no_policy", &states->no_policy}};

	states->total++;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(state, kinds[i].name) == 0)
			(*kinds[i].count)++;
	}
}

json_t *eg_states_json(struct eg_agent *agent)
{
	struct states states = {.agent = agent};

	eg_apps_each(agent, count_state, &states);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "total", states.total, "enforce", states.enforce, "audit",
			 states.audit, "killed", states.killed, "expired", states.expired, "deleted", states.deleted,
			 "unpoliced", states.no_policy);
}

/* One word of a file such as "none [integrity] confidentiality": the one in brackets. */
static void read_lockdown(char *ret, size_t size)
{
	EG_FCLOSE FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "", *open, *end;

	snprintf(ret, size, "unknown");
	if (!file || !fgets(line, sizeof(line), file))
		return;
	open = strchr(line, '[');
	end = open ? strchr(open, ']') : NULL;
	if (end)
		snprintf(ret, size, "%.*s", (int)(end - open - 1), open + 1);
}

/* "socket_families": "on", or why apps may have AF_PACKET sockets and the like. */
static const char *families_text(const struct eg_agent *agent)
{
	switch (eg_kern_families(agent->kern)) {
	case 0:
		return "on";
	case -ECANCELED:
		return "off";
	case -EOPNOTSUPP:
		return "no_lsm";
	default:
		return "refused";
	}
}

static json_t *kernel_json(const struct eg_agent *agent)
{
	char lockdown[32];
	struct utsname name;

	uname(&name);
	read_lockdown(lockdown, sizeof(lockdown));
	return json_pack("{s:s,s:b,s:s,s:b,s:s,s:b}", "release", name.release, "btf", access("/sys/kernel/btf/vmlinux", R_OK) == 0,
			 "lockdown", lockdown, "lsm_bpf", eg_kern_lsm_is_on(),
			 "socket_families", families_text(agent), "sees_pages", eg_kern_sees_pages(agent->kern));
}

static json_t *all_holds_json(struct eg_agent *agent)
{
	struct eg_hold_info *infos = NULL;
	json_t *list = json_array();
	size_t count = 0;

	if (eg_holds_list(agent->holds, &infos, &count) == 0) {
		for (size_t i = 0; i < count; i++)
			json_array_append_new(list, eg_hold_json(&infos[i]));
		free(infos);
	}
	return list;
}

static json_t *policy_errors_json(struct eg_agent *agent)
{
	json_t *list = json_array();

	for (size_t i = 0; i < agent->policy_error_count; i++) {
		const struct eg_policy_error *error = &agent->policy_errors[i];

		json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "file", error->file, "message", error->message,
						      "diagnostics", error->diagnostics ?
								json_deep_copy(error->diagnostics) : json_array()));
	}
	return list;
}

static json_t *events_json(struct eg_agent *agent)
{
	struct eg_events_stats stats = {0};

	if (agent->events)
		eg_events_stats(agent->events, &stats);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:i,s:b}", "written", (json_int_t)stats.written, "lost",
			 (json_int_t)stats.lost + (json_int_t)stats.posts_dropped, "suppressed", (json_int_t)stats.suppressed,
			 "dropped_by_quota", (json_int_t)stats.dropped_by_quota, "dropped_vital",
			 (json_int_t)stats.dropped_vital, "log_dir", stats.log_dir, "log_bytes",
			 (json_int_t)stats.log_bytes, "unsynced_bytes", (json_int_t)stats.unsynced_bytes, "sync_errors",
			 (json_int_t)stats.sync_errors, "damaged_bytes", (json_int_t)stats.damaged_bytes, "queue", (int)stats.queue, "failing", stats.failing);
}

static json_t *unknown_json(struct eg_agent *agent)
{
	uint64_t denied, audited;

	eg_slot_denied(agent, EG_APP_UNKNOWN, &denied, &audited);
	return json_pack("{s:I,s:I}", "denied", (json_int_t)denied, "audited", (json_int_t)audited);
}

static json_t *prefetch_json(struct eg_agent *agent)
{
	struct eg_prefetch_stats stats;

	eg_prefetch_stats(agent->prefetch, &stats);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:o,s:o}", "names", (json_int_t)stats.names, "failing",
			 (json_int_t)stats.failing, "lookups", (json_int_t)stats.lookups, "failures",
			 (json_int_t)stats.failures, "granted", (json_int_t)stats.granted, "restarts",
			 (json_int_t)stats.restarts, "helper_pid", stats.helper_pid, "last_error",
			 stats.last_error[0] ? json_string(stats.last_error) : json_null(), "last_error_at",
			 stats.last_error[0] ? eg_time_json(stats.last_error_utc_ns) : json_null());
}

static json_t *agent_json(const struct eg_agent *agent)
{
	return json_pack("{s:s,s:i,s:o,s:I}", "version", EG_VERSION, "pid", (int)getpid(), "started",
			 eg_time_json(agent->started_utc_ns), "uptime_s",
			 (json_int_t)((eg_clock_boot_ns() - agent->started_boot_ns) / EG_NS_PER_S));
}

int eg_agent_status(struct eg_agent *agent, json_t **ret, struct eg_error *err)
{
	json_t *apps = eg_states_json(agent), *alarms = eg_alarms_json(agent);
	json_t *fills = eg_fills_json(agent), *status, *more;
	json_t *abi = json_sprintf("%d.%d", EG_ABI_MAJOR, EG_ABI_MINOR);
	const struct eg_config *config = eg_agent_config(agent);

	pthread_mutex_lock(&agent->lock);
	status = json_pack("{s:o,s:s,s:s,s:o,s:b,s:o,s:o,s:o,s:o,s:s,s:s}", "agent", agent_json(agent), "bpffs",
			   config->bpffs, "host", config->host, "host_labels", json_deep_copy(config->host_labels),
			   "enforcement_ok", eg_roots_enforcing(agent), "enforcement", eg_roots_json(agent), "kernel",
			   kernel_json(agent), "abi", abi, "accepts",
			   json_pack("{s:[i],s:[i]}", "policy_version", EG_POLICY_VERSION, "event_schema", EG_EVENT_SCHEMA),
			   "cgroup2_mount", eg_cgroupfs_mount(agent->cgroupfs), "state_dir", config->state_dir);
	more = json_pack("{s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:I}", "apps", apps, "kill_all",
			 eg_kern_all_killed(agent->kern), "holds", all_holds_json(agent), "maps", fills,
			 "policy_errors", policy_errors_json(agent), "events", events_json(agent),
			 "unknown", unknown_json(agent), "alarms", alarms, "guards",
			 (json_int_t)eg_guards_count(agent->guards));
	pthread_mutex_unlock(&agent->lock);
	json_object_update(status, more);
	json_object_set_new(status, "prefetch", prefetch_json(agent));
	json_object_set_new(status, "control", eg_control_json(agent));
	json_decref(more);
	*ret = status;
	return status ? 0 : eg_error_set(err, 500, "no_memory", "Out of memory.");
}

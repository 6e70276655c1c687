// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../lib/units.h"
#include "cli.h"
#include "text.h"

#define SECOND      1000000000ull
#define MAP_PERCENT 80
#define CLOCK_SLACK (5 * SECOND) /* between the agent's start by its clock and by its age */
#define SOON        (7 * 24 * 3600 * SECOND)
#define NAMED       5 /* apps named in a finding */

/* ---- Findings ------------------------------------------------------------------------------- */

static void add(struct eg_doctor *doctor, const char *level, const char *check, const char *fix, const char *format,
		va_list args)
{
	EG_FREE char *clean = NULL;
	char message[512];

	vsnprintf(message, sizeof(message), format, args);
	clean = eg_text_clean(message); /* JSON is UTF-8, paths need not be */
	json_array_append_new(doctor->findings, json_pack("{s:s,s:s,s:s,s:s?}", "check", check, "level", level, "message",
							  clean ? clean : "out of memory", "fix", fix));
}

void eg_doctor_ok(struct eg_doctor *doctor, const char *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "ok", check, NULL, format, args);
	va_end(args);
}

void eg_doctor_warn(struct eg_doctor *doctor, const char *check, const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "warn", check, fix, format, args);
	va_end(args);
	doctor->warnings++;
}

void eg_doctor_fail(struct eg_doctor *doctor, const char *check, const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "fail", check, fix, format, args);
	va_end(args);
	doctor->failures++;
}

static const char *or_unknown(const char *text)
{
	return text ? text : "?";
}

/* ---- Enforcement ------------------------------------------------------------------------------ */

static void check_roots(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *roots = json_object_get(status, "enforcement");
	size_t missing = 0, i;
	json_t *root;

	json_array_foreach(roots, i, root) {
		const char *path = or_unknown(eg_json_text(root, "root"));
		const char *unknown = or_unknown(eg_json_text(root, "unknown"));

		if (!eg_json_true(root, "attached")) {
			missing++;
			eg_doctor_fail(doctor, "enforcement",
				       "Look into egretd's log; if the root was removed, egretd makes it anew only with "
				       "\"create\": true",
				       "root %s is NOT enforced: its programs are not attached", path);
		} else if (strcmp(unknown, "deny") != 0) {
			eg_doctor_warn(doctor, "enforcement", "Once every app has its tag, set unknown_cgroup to deny",
				       "root %s lets cgroups of no app through (unknown_cgroup: %s)", path, unknown);
		} else {
			eg_doctor_ok(doctor, "enforcement", "root %s is enforced", path);
		}
		if (eg_json_u64(root, "foreign_programs"))
			eg_doctor_warn(doctor, "nat", "If they redirect what apps connect to, set connect_verdict to off",
				       "%" PRIu64 " programs of others see connect or sendto of root %s: packets may go to "
				       "another address than the app named, and that one is judged",
				       eg_json_u64(root, "foreign_programs"), path);
	}
	if (!json_array_size(roots))
		eg_doctor_fail(doctor, "enforcement", "Set cgroup_root in egretd's config", "there is no managed root");
	else if (!missing && !eg_json_true(status, "enforcement_ok"))
		eg_doctor_fail(doctor, "enforcement", "Look into egretd's log",
			       "the agent says that enforcement is not complete");
}

static void check_alarms(struct eg_doctor *doctor, const json_t *status)
{
	json_t *alarm;
	size_t i;

	json_array_foreach(json_object_get(status, "alarms"), i, alarm)
		if (json_is_string(alarm))
			eg_doctor_warn(doctor, "alarm", NULL, "%s", json_string_value(alarm));
}

/* Sockets whose packets no hook of a cgroup sees; which apps that is about is said with them. */
static void check_families(struct eg_doctor *doctor, const json_t *kernel)
{
	const char *families = eg_json_text(kernel, "socket_families");

	if (!eg_json_true(kernel, "lsm_bpf"))
		eg_doctor_warn(doctor, "lsm",
			       "Boot with bpf in lsm= (see /sys/kernel/security/lsm), or take CAP_NET_RAW from apps and "
			       "restrict socket families by seccomp",
			       "BPF LSM is off: an app with CAP_NET_RAW can open AF_PACKET sockets, "
			       "which no cgroup hook sees");
	else if (families && strcmp(families, "off") == 0)
		eg_doctor_warn(doctor, "lsm", "Take socket_families out of egretd's config",
			       "socket_families is off: apps with CAP_NET_RAW can open AF_PACKET sockets");
	else if (families && strcmp(families, "on") != 0)
		eg_doctor_warn(doctor, "lsm",
			       "Give egretd CAP_PERFMON, or take CAP_NET_RAW from apps and restrict socket families by seccomp",
			       "BPF LSM is on, but the kernel refuses egretd's program for it, so apps with CAP_NET_RAW can open "
			       "AF_PACKET sockets");
	else
		eg_doctor_ok(doctor, "lsm", "BPF LSM is on: sockets that no cgroup hook sees are refused");
}

static void check_kernel(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *kernel = json_object_get(status, "kernel");
	const char *release = or_unknown(eg_json_text(kernel, "release"));
	const char *lockdown = or_unknown(eg_json_text(kernel, "lockdown"));
	unsigned major = 0, minor = 0;

	if (sscanf(release, "%u.%u", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 1)))
		eg_doctor_fail(doctor, "kernel", "Use a kernel of 6.1 or later", "kernel %s is older than 6.1", release);
	else
		eg_doctor_ok(doctor, "kernel", "%s, lockdown %s", release, lockdown);
	if (!eg_json_true(kernel, "btf"))
		eg_doctor_fail(doctor, "btf", "Use a kernel built with CONFIG_DEBUG_INFO_BTF",
			       "the kernel has no BTF (/sys/kernel/btf/vmlinux)");
	check_families(doctor, kernel);
	if (json_is_false(json_object_get(kernel, "sees_pages")))
		eg_doctor_warn(doctor, "pages",
			       "Use a kernel of 6.2 or later, or forbid sendfile, splice, MSG_ZEROCOPY and io_uring to apps by seccomp",
			       "this kernel doesn't tell what is sent without a copy: an app can change a ClientHello, or a DNS "
			       "query on TCP, after it was judged");
}

static void check_maps(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *maps = json_object_get(status, "maps");
	size_t full = 0, i;
	json_t *map;

	json_array_foreach(maps, i, map) {
		uint64_t used = eg_json_u64(map, "used"), max = eg_json_u64(map, "max");

		if (!max || used * 100 <= max * MAP_PERCENT)
			continue;
		full++;
		eg_doctor_warn(doctor, "maps",
			       "Raise max_apps or max_rules in egretd's config (the README has a sizing table)",
			       "map %s is %.0f%% full: %" PRIu64 " of %" PRIu64
			       "; a full map denies or refuses what comes new",
			       or_unknown(eg_json_text(map, "name")), (double)used * 100 / (double)max, used, max);
	}
	if (!full)
		eg_doctor_ok(doctor, "maps", "every map is at most %d%% full", MAP_PERCENT);
}

/* ---- Log ------------------------------------------------------------------------------------------ */

static void check_events(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *events = json_object_get(status, "events");
	uint64_t lost = eg_json_u64(events, "lost"), quota = eg_json_u64(events, "dropped_by_quota");
	const char *error = eg_json_text(events, "last_error");

	if (eg_json_true(events, "failing"))
		eg_doctor_fail(doctor, "events", "Make room, or mend the directory; egretd tries again every second",
			       "the event log in %s can't be written%s%s", or_unknown(eg_json_text(events, "log_dir")),
			       error && error[0] ? ": " : "", error ? error : "");
	else
		eg_doctor_ok(doctor, "events", "the log in %s is written", or_unknown(eg_json_text(events, "log_dir")));
	if (lost)
		eg_doctor_warn(doctor, "events",
			       "Find the apps in `egret events --type lost`; larger rings (events.ring) or a faster disk help",
			       "%" PRIu64 " events were lost (their sums are in the log)", lost);
	if (quota)
		eg_doctor_warn(doctor, "events", "Raise event_quota, or ship the log sooner",
			       "%" PRIu64 " events were deleted by the disk quota", quota);
}

/* ---- Holds and policies ---------------------------------------------------------------------------- */

static void check_holds(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *holds = json_object_get(status, "holds");
	size_t volatile_holds = 0, i;
	json_t *hold;

	json_array_foreach(holds, i, hold) {
		if (eg_json_true(hold, "durable"))
			continue;
		volatile_holds++;
		eg_doctor_fail(doctor, "holds", "Mend the state directory (full disk? read-only?); egretd goes on trying",
			       "the kill of %s is not on disk: a reboot would lift it",
			       or_unknown(eg_json_text(hold, "app")));
	}
	if (!json_array_size(holds))
		eg_doctor_ok(doctor, "holds", "no kill is in force");
	else if (!volatile_holds)
		eg_doctor_ok(doctor, "holds", "%zu kill%s in force, each on disk", json_array_size(holds),
			     eg_cli_s(json_array_size(holds)));
	if (eg_json_true(status, "kill_all"))
		eg_doctor_warn(doctor, "holds", "`egret restore --all` lifts it", "every app on this host is killed");
}

static void check_policies(struct eg_doctor *doctor, const json_t *status)
{
	const json_t *errors = json_object_get(status, "policy_errors");
	json_t *error;
	size_t i;

	json_array_foreach(errors, i, error)
		eg_doctor_fail(doctor, "policies",
			       "`egret policy check FILE` shows where; what was in force before still is",
			       "%s is wrong: %s", or_unknown(eg_json_text(error, "file")),
			       or_unknown(eg_json_text(error, "message")));
	if (!json_array_size(errors))
		eg_doctor_ok(doctor, "policies", "no policy file is wrong");
}

/* ---- Clock -------------------------------------------------------------------------------------------- */

/* The agent's age and its start, by the wall clock of then: if they don't meet now, the clock was set. */
static void check_clock_step(struct eg_doctor *doctor, const json_t *status, uint64_t now)
{
	const json_t *agent = json_object_get(status, "agent");
	const char *started = eg_json_text(agent, "started");
	uint64_t start, expected, off;
	char text[64];

	if (!started || eg_units_moment(started, &start))
		return;
	expected = start + eg_json_u64(agent, "uptime_s") * SECOND;
	off = expected > now ? expected - now : now - expected;
	if (off > CLOCK_SLACK)
		eg_doctor_warn(doctor, "clock",
			       "Keep the clock in step (chrony, systemd-timesyncd): caps and expiry go by it",
			       "the clock was set by %s since the agent began",
			       eg_units_span_text(off, text, sizeof(text)));
}

void eg_doctor_status(struct eg_doctor *doctor, const json_t *status, uint64_t now_utc_ns)
{
	check_roots(doctor, status);
	check_kernel(doctor, status);
	check_maps(doctor, status);
	check_events(doctor, status);
	check_holds(doctor, status);
	check_policies(doctor, status);
	check_alarms(doctor, status);
	check_clock_step(doctor, status, now_utc_ns);
}

/* ---- Apps ------------------------------------------------------------------------------------------------ */

struct group {
	const char *state;
	const char *what;
	const char *fix;
	json_t *names;
};

static void warn_group(struct eg_doctor *doctor, const struct group *group)
{
	EG_FREE char *names = eg_json_list(group->names, NAMED);
	size_t count = json_array_size(group->names);

	if (count)
		eg_doctor_warn(doctor, "apps", group->fix, "%zu app%s %s %s: %s", count, eg_cli_s(count),
			       count == 1 ? "is" : "are", group->what, names ? names : "?");
}

static bool expires_soon(const json_t *app, uint64_t now)
{
	const char *expires = eg_json_text(app, "expires"), *state = eg_json_text(app, "state");
	uint64_t then;

	return state && strcmp(state, "expired") != 0 && expires && eg_units_moment(expires, &then) == 0 &&
	       then < now + SOON;
}

/* Who administers its own network namespace can rewrite what was judged, unless a guard judges it again. */
static void check_admin(struct eg_doctor *doctor, const json_t *app)
{
	const char *name = or_unknown(eg_json_text(app, "app")), *problem = eg_json_text(app, "netns_problem");
	EG_FREE char *guards = eg_json_list(json_object_get(app, "guards"), NAMED);

	if (!eg_json_true(app, "netns_admin"))
		return;
	if (problem)
		eg_doctor_warn(doctor, "netns",
			       "Take CAP_NET_ADMIN from it, or give it a network namespace of its own whose only uplink is a "
			       "veth to the host, and a policy without names",
			       "app %s can get round its policy: %s", name, problem);
	else if (guards && guards[0])
		eg_doctor_ok(doctor, "netns", "app %s administers its network namespace, and is judged again on %s", name,
			     guards);
	else
		eg_doctor_ok(doctor, "netns", "app %s administers a network namespace that nothing leads out of", name);
}

/* Who has CAP_NET_RAW can write frames past the packet hook. */
static void check_frames(struct eg_doctor *doctor, const json_t *app)
{
	static const char fix[] = "Take CAP_NET_RAW from it, forbid AF_PACKET and AF_XDP by seccomp, or boot with bpf in lsm=";
	const char *name = or_unknown(eg_json_text(app, "app")), *frames = or_unknown(eg_json_text(app, "frames"));

	if (strcmp(frames, "open") == 0)
		eg_doctor_fail(doctor, "frames", fix,
			       "app %s has CAP_NET_RAW, and nothing judges the frames that it writes by AF_PACKET", name);
	else if (strcmp(frames, "names") == 0)
		eg_doctor_warn(doctor, "frames", fix,
			       "app %s has CAP_NET_RAW: frames that it writes by AF_PACKET are judged by address and port, but its "
			       "policy has names, and neither DNS questions nor ClientHellos are read in them", name);
	else if (strcmp(frames, "guarded") == 0)
		eg_doctor_ok(doctor, "frames", "app %s has CAP_NET_RAW: frames that it writes by AF_PACKET are judged by its guard",
			     name);
	else if (strcmp(frames, "refused") == 0)
		eg_doctor_ok(doctor, "frames", "app %s has CAP_NET_RAW, and AF_PACKET is refused to it", name);
}

void eg_doctor_apps(struct eg_doctor *doctor, const json_t *apps, uint64_t now_utc_ns)
{
	struct group groups[] = {
		{"audit", "only audited",
		 "What would be denied passes: look at `egret denied APP`, then set \"mode\": \"enforce\"", NULL},
		{"expired", "expired", "Apply a policy with a later \"expires\", or stop the app", NULL},
		{"no_policy", "without a policy, so everything is denied to them", "`egret policy apply FILE`", NULL},
		{"soon", "to expire within 7 days", "Apply a policy with a later \"expires\"", NULL},
	};
	const json_t *list = json_object_get(apps, "apps");
	json_t *app;
	size_t i;

	for (size_t g = 0; g < 4; g++)
		groups[g].names = json_array();
	json_array_foreach(list, i, app) {
		const char *state = eg_json_text(app, "state");

		for (size_t g = 0; g < 3; g++)
			if (state && strcmp(state, groups[g].state) == 0)
				json_array_append(groups[g].names, json_object_get(app, "app"));
		check_admin(doctor, app);
		check_frames(doctor, app);
		if (expires_soon(app, now_utc_ns))
			json_array_append(groups[3].names, json_object_get(app, "app"));
	}
	eg_doctor_ok(doctor, "apps", "%zu app%s", json_array_size(list), eg_cli_s(json_array_size(list)));
	for (size_t g = 0; g < 4; g++) {
		warn_group(doctor, &groups[g]);
		json_decref(groups[g].names);
	}
}

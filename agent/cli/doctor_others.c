// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_others.c - who outside of the managed roots would send for an app, or let it out of its cgroup
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "doctor.h"
#include "doctor_processes.h"

#define NAMED 5

/* ---- The keyring ------------------------------------------------------------------------------ */

/* request_key(2) of type dns_resolver has a program of the host's look the name up, as root. */
static void check_upcalls(struct eg_doctor *doctor)
{
	if (access("/sbin/request-key", X_OK) == 0 && access("/sys/module/dns_resolver", F_OK) == 0)
		eg_doctor_warn(doctor, "upcalls",
			       "Unload dns_resolver, remove keyutils, or forbid request_key by seccomp "
			       "(systemd: SystemCallFilter=~@keyring)",
			       "an app may have /sbin/request-key look any name up by the host's resolver (request_key of type "
			       "dns_resolver), which makes a tunnel");
}

/* Then a socket sends by any address without asking for it; BPF can't tell. */
static void check_senders(struct eg_doctor *doctor)
{
	static const char path[] = "/proc/sys/net/ipv6/ip_nonlocal_bind";
	EG_FCLOSE FILE *f = fopen(path, "re");

	if (f && fgetc(f) == '1')
		eg_doctor_warn(doctor, "senders", "Set it to 0, or give apps a network namespace of their own",
			       "%s is set: apps in this network namespace can send with any IPv6 address as the sender's, and "
			       "have allowed hosts answer to it", path);
}

/* ---- Moving out --------------------------------------------------------------------------------- */

/* The nearest cgroup above whose cgroup.procs others than root may write; false: there is none. */
static bool find_delegated(const char *mount, const char *cgroup, char *ret, size_t size)
{
	size_t root = strlen(mount);
	struct stat st;
	char path[1200];
	char *slash;

	snprintf(ret, size, "%s/%s", mount, cgroup);
	while ((slash = strrchr(ret, '/')) && (size_t)(slash - ret) >= root) {
		*slash = '\0';
		snprintf(path, sizeof(path), "%s/cgroup.procs", ret);
		if (stat(path, &st) == 0 && (st.st_uid != 0 || st.st_mode & 022))
			return true;
	}
	return false;
}

static void check_cgroups(struct eg_doctor *doctor, const char *mount, const json_t *app)
{
	const char *name = eg_json_text(app, "app");
	json_t *cgroup;
	size_t i;

	json_array_foreach(json_object_get(app, "cgroups"), i, cgroup) {
		char above[1024];

		if (!json_is_string(cgroup) || !find_delegated(mount, json_string_value(cgroup), above, sizeof(above)))
			continue;
		eg_doctor_fail(doctor, "cgroups", "Give apps cgroups whose parents are root's: no Delegate= above them",
			       "app %s lies below %s, which is not root's alone: who owns that can move processes out of the app",
			       name ? name : "?", above);
		return;
	}
}

/* ---- Neighbours -------------------------------------------------------------------------------------- */

static bool is_open_port(const char *device)
{
	EG_FCLOSE FILE *f = NULL;
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/net/%s/brport/isolated", device);
	f = fopen(path, "re");
	return f && fgetc(f) == '0';
}

/* Who writes frames can address a neighbour by its hardware address, whatever IP address the guard reads. */
static void check_bridge(struct eg_doctor *doctor, const json_t *app)
{
	const char *name = eg_json_text(app, "app"), *frames = eg_json_text(app, "frames");
	bool writes = frames && (strcmp(frames, "guarded") == 0 || strcmp(frames, "names") == 0);
	json_t *guard;
	size_t i;

	if (!writes && !eg_json_true(app, "netns_admin"))
		return;
	json_array_foreach(json_object_get(app, "guards"), i, guard) {
		const char *device = json_string_value(guard);

		if (device && is_open_port(device))
			eg_doctor_warn(doctor, "bridge", "Isolate the ports (bridge link set dev VETH isolated on), or route to each app",
				       "app %s can hand frames to every neighbour on the bridge of %s: the guard reads IP addresses, "
				       "not hardware addresses", name ? name : "?", device);
	}
}

/* ---- Processes of the same user -------------------------------------------------------------------- */

/* What an app may do to others of its user: trace them, write what they run. Root's is another question. */
static void check_uids(struct eg_doctor *doctor, const json_t *status, const struct eg_processes *all, const json_t *app)
{
	const json_t *roots = json_object_get(status, "enforcement"), *cgroups = json_object_get(app, "cgroups");
	const char *name = eg_json_text(app, "app");

	for (size_t i = 0; i < all->count; i++) {
		const struct eg_process *mine = &all->items[i];

		if (!mine->uid || !eg_process_is_below(mine, cgroups, NULL))
			continue;
		for (size_t j = 0; j < all->count; j++) {
			const struct eg_process *other = &all->items[j];

			if (other->uid != mine->uid || eg_process_is_below(other, roots, "root"))
				continue;
			eg_doctor_warn(doctor, "uids", "Give each app a user of its own (systemd: DynamicUser=)",
				       "app %s runs as uid %u, and so does %s (%d) outside of every root, which it may trace or "
				       "have run what it likes", name ? name : "?", mine->uid, other->comm, other->pid);
			return;
		}
	}
}

void eg_doctor_others(struct eg_doctor *doctor, const json_t *status, const json_t *apps)
{
	const char *mount = eg_json_text(status, "cgroup2_mount");
	EG_CLEANUP(eg_processes_clear) struct eg_processes all = {0};
	json_t *app;
	size_t i;

	check_upcalls(doctor);
	check_senders(doctor);
	eg_processes_list(&all);
	json_array_foreach(json_object_get(apps, "apps"), i, app) {
		if (mount)
			check_cgroups(doctor, mount, app);
		check_bridge(doctor, app);
		check_uids(doctor, status, &all, app);
	}
}

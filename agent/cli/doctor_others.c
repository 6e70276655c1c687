// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_others.c - who outside of the managed roots would send for an app, or let it out of its cgroup
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "doctor.h"

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

struct process {
	int pid;
	unsigned uid;
	char comm[32];
	char cgroup[512]; /* from the cgroup2 mount, without a slash before it */
};

static bool read_process(int pid, struct process *ret)
{
	EG_FCLOSE FILE *status = NULL, *cgroup = NULL;
	char path[64], line[600];
	int seen = 0;

	*ret = (struct process){.pid = pid};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && seen < 2 && fgets(line, sizeof(line), status))
		seen += sscanf(line, "Name: %31s", ret->comm) == 1 || sscanf(line, "Uid: %u", &ret->uid) == 1;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	cgroup = fopen(path, "re");
	while (cgroup && fgets(line, sizeof(line), cgroup)) {
		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret->cgroup, sizeof(ret->cgroup), "%.500s", line + 4);
		return seen == 2;
	}
	return false;
}

static bool is_below(const char *path, const char *cgroup)
{
	size_t len;

	cgroup += cgroup[0] == '/';
	len = strlen(cgroup);
	return strncmp(path, cgroup, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Of the list of cgroups (strings, or objects with one as `member`), one that holds the process. */
static bool is_below_any(const struct process *process, const json_t *list, const char *member)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *cgroup = member ? eg_json_text(item, member) : json_string_value(item);

		if (cgroup && is_below(process->cgroup, cgroup))
			return true;
	}
	return false;
}

struct processes {
	struct process *items;
	size_t count;
};

static void processes_clear(struct processes *all)
{
	free(all->items);
}

static void list_processes(struct processes *ret)
{
	EG_CLOSEDIR DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t room = 0;

	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (ret->count == room) {
			struct process *more = reallocarray(ret->items, room + 256, sizeof(*more));

			if (!more)
				return;
			ret->items = more;
			room += 256;
		}
		ret->count += read_process(atoi(entry->d_name), &ret->items[ret->count]);
	}
}

/* What an app may do to others of its user: trace them, write what they run. Root's is another question. */
static void check_uids(struct eg_doctor *doctor, const json_t *status, const struct processes *all, const json_t *app)
{
	const json_t *roots = json_object_get(status, "enforcement"), *cgroups = json_object_get(app, "cgroups");
	const char *name = eg_json_text(app, "app");

	for (size_t i = 0; i < all->count; i++) {
		const struct process *mine = &all->items[i];

		if (!mine->uid || !is_below_any(mine, cgroups, NULL))
			continue;
		for (size_t j = 0; j < all->count; j++) {
			const struct process *other = &all->items[j];

			if (other->uid != mine->uid || is_below_any(other, roots, "root"))
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
	EG_CLEANUP(processes_clear) struct processes all = {0};
	json_t *app;
	size_t i;

	check_upcalls(doctor);
	check_senders(doctor);
	list_processes(&all);
	json_array_foreach(json_object_get(apps, "apps"), i, app) {
		if (mount)
			check_cgroups(doctor, mount, app);
		check_bridge(doctor, app);
		check_uids(doctor, status, &all, app);
	}
}

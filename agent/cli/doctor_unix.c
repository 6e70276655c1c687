// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_unix.c - which Unix sockets of the host apps can reach, past every hook
 *
 * An abstract one can be reached by whoever is in the same network namespace; one with a path by
 * whoever sees that path and may write it. Of the latter those are looked for that give away the host, and
 * those of helpers that look names up or send for others.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "doctor.h"

#define NAMED            5
#define LISTENING        0x10000 /* __SO_ACCEPTCON in /proc/net/unix */
#define PROCESSES_AT_APP 64 /* looked at in each cgroup */

static const struct helper {
	const char *socket; /* UID is the process' */
	bool master; /* gives away the host, or runs commands outside of the app's cgroup */
	const char *what;
} helpers[] = {
	{"/run/docker.sock", true, "gives it this host"},
	{"/run/containerd/containerd.sock", true, "gives it this host"},
	{"/run/crio/crio.sock", true, "gives it this host"},
	{"/run/podman/podman.sock", true, "gives it this host"},
	{"/run/systemd/private", true, "gives it this host"},
	{"/run/user/UID/systemd/private", true, "runs commands for it outside of its cgroup"},
	{"/run/user/UID/bus", true, "runs commands for it outside of its cgroup"},
	{"/run/systemd/resolve/io.systemd.Resolve", false, "looks any name up for it"},
	{"/run/dbus/system_bus_socket", false, "leads to services of this host, such as one that looks any name up for it"},
	{"/run/nscd/socket", false, "looks any name up for it"},
	{"/run/avahi-daemon/socket", false, "sends names to the local network for it"},
	{"/run/cups/cups.sock", false, "sends what it prints"},
};
#define HELPERS (sizeof(helpers) / sizeof(helpers[0]))

static unsigned count_abstract(void)
{
	EG_FCLOSE FILE *f = fopen("/proc/net/unix", "re");
	unsigned count = 0, flags;
	char line[512], name[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %127s", &flags, name) == 2 && flags & LISTENING && name[0] == '@')
			count++;
	}
	return count;
}

static bool in_our_namespace(int pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino;
}

struct reach {
	bool abstract;
	bool helpers[HELPERS];
};

static bool effective_uid(int pid, unsigned *ret)
{
	EG_FCLOSE FILE *f = NULL;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Uid: %*u %u", ret) == 1)
			return true;
	}
	return false;
}

/* The socket that it sees there is the host's own, not one of a daemon inside of the app, and it may write it. */
static bool can_reach(int pid, unsigned uid, const char *socket)
{
	struct stat ours, theirs;
	char path[160];

	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, socket);
	return stat(socket, &ours) == 0 && S_ISSOCK(ours.st_mode) && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino &&
	       (uid == 0 || ours.st_mode & 0002 || ours.st_uid == uid);
}

static void name_socket(const struct helper *helper, unsigned uid, char *ret, size_t size)
{
	const char *place = strstr(helper->socket, "UID");

	if (place)
		snprintf(ret, size, "%.*s%u%s", (int)(place - helper->socket), helper->socket, uid, place + 3);
	else
		snprintf(ret, size, "%s", helper->socket);
}

static void look_at(const char *mount, const char *cgroup, struct reach *ret)
{
	EG_FCLOSE FILE *f = NULL;
	char path[1024], socket[128];
	unsigned uid;
	int pid;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", mount, cgroup);
	f = fopen(path, "re");
	for (int n = 0; f && n < PROCESSES_AT_APP && fscanf(f, "%d", &pid) == 1; n++) {
		ret->abstract |= in_our_namespace(pid);
		for (size_t i = 0; i < HELPERS && effective_uid(pid, &uid); i++) {
			name_socket(&helpers[i], uid, socket, sizeof(socket));
			ret->helpers[i] |= can_reach(pid, uid, socket);
		}
	}
}

static void say_helpers(struct eg_doctor *doctor, const char *app, const struct reach *reach)
{
	static const char fix[] = "Take the socket out of the app's mounts, or the rights to write it";

	for (size_t i = 0; i < HELPERS; i++) {
		if (reach->helpers[i] && helpers[i].master)
			eg_doctor_fail(doctor, "unix", fix, "app %s can write %s, which %s", app, helpers[i].socket,
				       helpers[i].what);
		else if (reach->helpers[i])
			eg_doctor_warn(doctor, "unix", fix, "app %s can write %s, which %s", app, helpers[i].socket,
				       helpers[i].what);
	}
}

void eg_doctor_unix(struct eg_doctor *doctor, const json_t *status, const json_t *apps)
{
	const char *mount = eg_json_text(status, "cgroup2_mount");
	EG_JSON json_t *near = json_array();
	unsigned abstract = count_abstract();
	json_t *app, *cgroup;
	size_t i, j;

	json_array_foreach(json_object_get(apps, "apps"), i, app) {
		struct reach reach = {0};

		json_array_foreach(json_object_get(app, "cgroups"), j, cgroup)
			if (mount && json_is_string(cgroup))
				look_at(mount, json_string_value(cgroup), &reach);
		if (reach.abstract)
			json_array_append(near, json_object_get(app, "app"));
		say_helpers(doctor, eg_json_text(app, "app"), &reach);
	}
	if (json_array_size(near) && abstract) {
		EG_FREE char *names = eg_json_list(near, NAMED);

		eg_doctor_warn(doctor, "unix", "Give apps a network namespace of their own (systemd: PrivateNetwork=)",
			       "apps in this host's network namespace can connect to its %u abstract Unix sockets: %s", abstract,
			       names ? names : "?");
	}
}

// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_outside.c - who uses the network outside of the managed roots, where nothing judges it
 *
 * Every host has such daemons, so this is a list and no verdict: whoever reads it sees whether there is
 * an app among them. A process uses the network if it holds a socket that some network namespace has
 * in its tables; inode numbers of sockets are the same in all of them.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "doctor.h"
#include "doctor_processes.h"
#include "text.h"

#define NAMED 5 /* processes of a cgroup */

struct numbers {
	uint64_t *items;
	size_t count;
	size_t room;
};

static void numbers_clear(struct numbers *numbers)
{
	free(numbers->items);
}

static void numbers_add(struct numbers *numbers, uint64_t number)
{
	if (numbers->count == numbers->room) {
		size_t room = numbers->room ? numbers->room * 2 : 256;
		uint64_t *items = reallocarray(numbers->items, room, sizeof(*items));

		if (!items)
			return;
		numbers->items = items;
		numbers->room = room;
	}
	numbers->items[numbers->count++] = number;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* ---- Sockets of all network namespaces -------------------------------------------------------- */

static void read_table(int pid, const char *table, struct numbers *ret)
{
	EG_FCLOSE FILE *f = NULL;
	char path[64], line[512];
	uint64_t inode;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	f = fopen(path, "re");
	/* slot, addresses, state, queues, timer, retransmits, uid, timeout, inode; the first line has names */
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64, &inode) == 1 && inode)
			numbers_add(ret, inode);
	}
}

static void read_packet_table(int pid, struct numbers *ret)
{
	EG_FCLOSE FILE *f = NULL;
	char path[64], line[256];
	uint64_t inode;

	snprintf(path, sizeof(path), "/proc/%d/net/packet", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*d %*d %*x %*d %*d %*u %*u %" SCNu64, &inode) == 1 && inode)
			numbers_add(ret, inode);
	}
}

static void read_sockets(const struct eg_processes *all, struct numbers *ret)
{
	static const char *const tables[] = {"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6",
					     "raw", "raw6", "icmp", "icmp6"};
	EG_CLEANUP(numbers_clear) struct numbers seen = {0};

	for (size_t i = 0; i < all->count; i++) {
		bool known = false;
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", all->items[i].pid);
		if (stat(path, &st))
			continue;
		for (size_t j = 0; j < seen.count && !known; j++)
			known = seen.items[j] == st.st_ino;
		if (known)
			continue;
		numbers_add(&seen, st.st_ino);
		for (size_t j = 0; j < sizeof(tables) / sizeof(tables[0]); j++)
			read_table(all->items[i].pid, tables[j], ret);
		read_packet_table(all->items[i].pid, ret);
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_number);
}

/* ---- Processes ---------------------------------------------------------------------------------- */

/* -errno: its descriptors can't be seen. */
static int uses_network(const struct eg_process *process, const struct numbers *sockets, bool *ret)
{
	EG_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;
	char path[320], link[64];

	*ret = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!*ret && (entry = readdir(dir))) {
		uint64_t inode;
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", process->pid, entry->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		*ret = sscanf(link, "socket:[%" SCNu64, &inode) == 1 && sockets->count &&
		       bsearch(&inode, sockets->items, sockets->count, sizeof(inode), by_number);
	}
	return 0;
}

/* Adds "COMM (PID)" to the list of its cgroup. Both names may have any bytes, of which JSON takes UTF-8 alone. */
static void add_to_cgroup(json_t *by_cgroup, const struct eg_process *process)
{
	EG_FREE char *cgroup = eg_text_clean(process->cgroup), *comm = eg_text_clean(process->comm);
	json_t *list;

	if (!cgroup || !comm)
		return;
	list = json_object_get(by_cgroup, cgroup);
	if (!list) {
		json_object_set_new(by_cgroup, cgroup, json_array());
		list = json_object_get(by_cgroup, cgroup);
	}
	json_array_append_new(list, json_sprintf("%s (%d)", comm, process->pid));
}

static void say(struct eg_doctor *doctor, json_t *by_cgroup)
{
	const char *cgroup;
	json_t *list;

	json_object_foreach(by_cgroup, cgroup, list) {
		EG_FREE char *names = eg_json_list(list, NAMED);

		eg_doctor_ok(doctor, "outside", "/%s is outside of every root and uses the network: %s", cgroup,
			     names ? names : "?");
	}
	if (!json_object_size(by_cgroup))
		eg_doctor_ok(doctor, "outside", "no process outside of the roots uses the network");
}

void eg_doctor_outside(struct eg_doctor *doctor, const json_t *status)
{
	EG_CLEANUP(eg_processes_clear) struct eg_processes all = {0};
	EG_CLEANUP(numbers_clear) struct numbers sockets = {0};
	EG_JSON json_t *by_cgroup = json_object();
	unsigned unseen = 0;

	eg_processes_list(&all);
	read_sockets(&all, &sockets);
	for (size_t i = 0; i < all.count; i++) {
		bool networked;
		int r;

		if (eg_process_is_below(&all.items[i], json_object_get(status, "enforcement"), "root"))
			continue;
		r = uses_network(&all.items[i], &sockets, &networked);
		unseen += r == -EACCES || r == -EPERM;
		if (!r && networked)
			add_to_cgroup(by_cgroup, &all.items[i]);
	}
	say(doctor, by_cgroup);
	if (unseen)
		eg_doctor_warn(doctor, "outside", "Run egret doctor as root",
			       "of %u processes outside of the roots it can't be seen whether they use the network", unseen);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_processes.h - the processes of this host, with the cgroup of each
 */
#ifndef EG_CLI_DOCTOR_PROCESSES_H
#define EG_CLI_DOCTOR_PROCESSES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct eg_process {
	int pid;
	unsigned uid;
	char comm[32];
	char cgroup[512]; /* from the cgroup2 mount, without a slash before it; "": the top */
	bool odd; /* not all of that is text */
};

struct eg_processes {
	struct eg_process *items;
	size_t count;
};

/* Those of which /proc tells; they may be gone by the next line. */
void eg_processes_list(struct eg_processes *ret);
void eg_processes_clear(struct eg_processes *all);
/* Whether one of the cgroups (strings, or objects with one as `member`) holds the process. */
bool eg_process_is_below(const struct eg_process *process, const json_t *cgroups, const char *member);

#endif

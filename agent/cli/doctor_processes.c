// SPDX-License-Identifier: Apache-2.0
#include "doctor_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "text.h"

/* A process may call itself anything, also nothing, or blanks. */
static void take_name(const char *value, char *ret, size_t size)
{
	value += *value == '\t';
	snprintf(ret, size, "%.*s", (int)strcspn(value, "\n"), value);
	if (!ret[strspn(ret, " ")])
		snprintf(ret, size, "?");
}

static bool read_status(struct eg_process *ret)
{
	EG_FCLOSE FILE *status = NULL;
	char path[64], line[600];

	snprintf(path, sizeof(path), "/proc/%d/status", ret->pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (strncmp(line, "Name:", 5) == 0)
			take_name(line + 5, ret->comm, sizeof(ret->comm));
		else if (sscanf(line, "Uid: %u", &ret->uid) == 1)
			return true;
	}
	return false;
}

static bool is_odd(const char *text)
{
	EG_FREE char *clean = eg_text_clean(text);

	return !clean || strcmp(clean, text) != 0;
}

static bool read_cgroup(struct eg_process *ret)
{
	EG_FCLOSE FILE *cgroup = NULL;
	EG_FREE char *line = NULL; /* whole: what follows a cut might look like the line of another cgroup */
	size_t room = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", ret->pid);
	cgroup = fopen(path, "re");
	while (cgroup && getline(&line, &room, cgroup) > 0) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret->cgroup, sizeof(ret->cgroup), "%.500s", line + 4);
		ret->odd = is_odd(ret->cgroup);
		return true;
	}
	return false;
}

static bool read_process(int pid, struct eg_process *ret)
{
	*ret = (struct eg_process){.pid = pid};
	return read_status(ret) && read_cgroup(ret);
}

void eg_processes_list(struct eg_processes *ret)
{
	EG_CLOSEDIR DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t room = 0;

	*ret = (struct eg_processes){0};
	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (ret->count == room) {
			struct eg_process *more = reallocarray(ret->items, room + 256, sizeof(*more));

			if (!more)
				return;
			ret->items = more;
			room += 256;
		}
		ret->count += read_process(atoi(entry->d_name), &ret->items[ret->count]);
	}
}

void eg_processes_clear(struct eg_processes *all)
{
	free(all->items);
	*all = (struct eg_processes){0};
}

static bool is_below(const char *path, const char *cgroup)
{
	size_t len;

	cgroup += cgroup[0] == '/';
	len = strlen(cgroup);
	return strncmp(path, cgroup, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The agent says U+FFFD for each byte that is not UTF-8, where clean text has '?'. */
static char *as_text(const char *path)
{
	char *text = eg_text_clean(path), *to = text;

	for (const char *from = text; from && *from; to++) {
		bool replaced = strncmp(from, "\xef\xbf\xbd", 3) == 0;

		*to = replaced ? '?' : *from;
		from += replaced ? 3 : 1;
	}
	if (to)
		*to = '\0';
	return text;
}

static bool is_below_as_text(const char *path, const char *cgroup)
{
	EG_FREE char *a = as_text(path), *b = as_text(cgroup);

	return a && b && is_below(a, b);
}

bool eg_process_is_below(const struct eg_process *process, const json_t *cgroups, const char *member)
{
	json_t *item;
	size_t i;

	json_array_foreach(cgroups, i, item) {
		const char *cgroup = member ? eg_json_text(item, member) : json_string_value(item);

		if (!cgroup)
			continue;
		if (is_below(process->cgroup, cgroup) || (process->odd && is_below_as_text(process->cgroup, cgroup)))
			return true;
	}
	return false;
}

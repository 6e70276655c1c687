// SPDX-License-Identifier: Apache-2.0
#include "snapshot_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define NS_PER_S   1000000000ull
#define TIME_LEN   sizeof("20260101T000000.000000000Z") /* with the end of the text */
#define SUFFIX	   ".json"
#define DRAFT	   ".new"
#define TAIL_LEN   (TIME_LEN - 1 + sizeof(SUFFIX) - 1)

/* ---- Names ------------------------------------------------------------------------------------------- */

static void time_text(uint64_t utc_ns, char ret[TIME_LEN])
{
	time_t seconds = (time_t)(utc_ns / NS_PER_S);
	char text[TIME_LEN];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
	snprintf(ret, TIME_LEN, "%.15s.%09lluZ", text, (unsigned long long)(utc_ns % NS_PER_S));
}

void eg_snapshot_name(const char *app, uint64_t utc_ns, char ret[EG_SNAPSHOT_NAME_LEN])
{
	char text[TIME_LEN];

	time_text(utc_ns, text);
	snprintf(ret, EG_SNAPSHOT_NAME_LEN, "%s-%s" SUFFIX, app, text);
}

/* NULL: it is none of ours. */
static const char *time_of(const char *name)
{
	size_t len = strlen(name);
	const char *tail = len > TAIL_LEN ? name + len - TAIL_LEN : NULL;

	if (!tail || name[0] == '.' || tail[-1] != '-' || strcmp(tail + TIME_LEN - 1, SUFFIX) != 0)
		return NULL;
	return tail;
}

static bool is_draft(const char *name)
{
	size_t len = strlen(name), end = strlen(SUFFIX DRAFT);

	return name[0] == '.' && len > end && strcmp(name + len - end, SUFFIX DRAFT) == 0;
}

/* ---- What is there --------------------------------------------------------------------------------------- */

struct list {
	struct dirent **names; /* the oldest first */
	uint64_t *bytes;
	size_t count;
};

static void list_clear(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	free(list->bytes);
	*list = (struct list){0};
}

static int is_ours(const struct dirent *entry)
{
	return time_of(entry->d_name) != NULL;
}

static int by_age(const struct dirent **a, const struct dirent **b)
{
	return strncmp(time_of((*a)->d_name), time_of((*b)->d_name), TIME_LEN - 1);
}

/* Sizes and their sum, too. 0 or -errno. */
static int read_list(int dir_fd, struct list *ret, struct eg_snapshot_room *room)
{
	int count = scandirat(dir_fd, ".", &ret->names, is_ours, by_age);

	room->files = 0;
	room->bytes = 0;
	if (count < 0)
		return -errno;
	ret->count = (size_t)count;
	ret->bytes = calloc(ret->count + 1, sizeof(*ret->bytes));
	if (!ret->bytes)
		return -ENOMEM;
	for (size_t i = 0; i < ret->count; i++) {
		struct stat st;

		if (fstatat(dir_fd, ret->names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue; /* somebody took it away */
		ret->bytes[i] = (uint64_t)st.st_size;
		room->bytes += ret->bytes[i];
		room->files++;
	}
	return 0;
}

void eg_snapshot_mend(int dir_fd, struct eg_snapshot_room *room)
{
	EG_CLEANUP(list_clear) struct list list = {0};
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		if (is_draft(entry->d_name))
			unlinkat(dir_fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	read_list(dir_fd, &list, room);
}

/* ---- Room for one more ------------------------------------------------------------------------------------- */

static bool is_room(const struct eg_snapshot_room *room, uint64_t bytes)
{
	return room->files < EG_SNAPSHOT_FILES && room->bytes + bytes <= room->quota_bytes;
}

static void forget(struct eg_snapshot_room *room, const char *name, uint64_t bytes)
{
	char yesterday[TIME_LEN];

	time_text(room->now_utc_ns - EG_SNAPSHOT_YOUNG_NS, yesterday);
	room->files--;
	room->bytes -= bytes;
	room->gone++;
	room->gone_bytes += bytes;
	room->gone_young += strncmp(time_of(name), yesterday, TIME_LEN - 1) > 0;
	snprintf(room->gone_newest, sizeof(room->gone_newest), "%s", name);
}

/* -EDQUOT: what is in the way can't be deleted. */
static int make_room(int dir_fd, uint64_t bytes, struct eg_snapshot_room *room)
{
	EG_CLEANUP(list_clear) struct list list = {0};
	int r = read_list(dir_fd, &list, room);

	if (r)
		return r;
	if (bytes > room->quota_bytes)
		return -EFBIG;
	for (size_t i = 0; i < list.count && !is_room(room, bytes); i++) {
		if (unlinkat(dir_fd, list.names[i]->d_name, 0) == 0)
			forget(room, list.names[i]->d_name, list.bytes[i]);
	}
	return is_room(room, bytes) ? 0 : -EDQUOT;
}

static int write_draft(int dir_fd, const char *draft, const json_t *snapshot, uint64_t *ret_bytes)
{
	EG_CLOSE int fd = openat(dir_fd, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	errno = 0;
	if (json_dumpfd(snapshot, fd, JSON_INDENT(2)) || fsync(fd) || fstat(fd, &st))
		return errno ? -errno : -EIO;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

int eg_snapshot_write(int dir_fd, const char *name, const json_t *snapshot, struct eg_snapshot_room *room)
{
	char draft[EG_SNAPSHOT_NAME_LEN + 8];
	uint64_t bytes = 0;
	int r;

	snprintf(draft, sizeof(draft), ".%s" DRAFT, name);
	r = write_draft(dir_fd, draft, snapshot, &bytes);
	if (!r)
		r = make_room(dir_fd, bytes, room);
	if (!r && renameat(dir_fd, draft, dir_fd, name))
		r = -errno;
	if (r) {
		EG_CLEANUP(list_clear) struct list list = {0};

		unlinkat(dir_fd, draft, 0);
		(void)read_list(dir_fd, &list, room); /* what there is, for who asks */
		return r;
	}
	room->files++;
	room->bytes += bytes;
	(void)fsync(dir_fd); /* its text is on disk; a name lost with the power is no harm to what runs */
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "holds_impl.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

struct entry {
	struct eg_hold hold;
	struct eg_holds_slot *slot;
	bool merged_now;
};

struct direct {
	struct entry *entries;
	size_t count;
	size_t corrupt;
};

static void free_direct(struct direct *direct)
{
	free(direct->entries);
}

int eg_holds_direct_fd(const struct eg_holds *holds)
{
	return holds->direct_fd;
}

/* The events say no more than "look". */
static void drain(int fd)
{
	char events[4096];

	while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
		;
}

static int take_line(struct direct *direct, const char *line, size_t len)
{
	struct eg_hold_record record;
	struct entry *entries;

	if (len == 0)
		return 0;
	if (eg_hold_decode(line, len, &record) || record.lifted || record.hold.layer != EG_HOLD_LOCAL ||
	    !record.hold.id[0]) {
		direct->corrupt++;
		return 0;
	}
	entries = reallocarray(direct->entries, direct->count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	direct->entries = entries;
	record.hold.generation = 0; /* the writer doesn't know the last one */
	entries[direct->count++] = (struct entry){ .hold = record.hold };
	return 0;
}

static int read_entries(int fd, struct direct *direct)
{
	EG_FREE char *line = NULL;
	EG_FCLOSE FILE *f = NULL;
	EG_CLOSE int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	size_t room = 0;
	ssize_t len;
	int r = 0;

	f = copy < 0 ? NULL : fdopen(copy, "r");
	if (!f)
		return -errno;
	copy = -1; /* f has it */
	while (r == 0 && (len = getline(&line, &room, f)) > 0)
		r = take_line(direct, line, (size_t)len - (line[len - 1] == '\n'));
	if (r)
		return r;
	return ferror(f) ? -EIO : 0;
}

/* Which entries are new: those of a slot that come after the one it remembers. */
static int find_new(struct eg_holds *holds, struct direct *direct)
{
	for (size_t i = 0; i < direct->count; i++) {
		struct entry *e = &direct->entries[i];

		e->slot = eg_holds_get_slot(holds, e->hold.app, e->hold.layer);
		if (!e->slot)
			return -ENOMEM;
		e->slot->direct_mark = 0;
	}
	for (size_t i = 0; i < direct->count; i++) {
		struct entry *e = &direct->entries[i];

		if (strcmp(e->slot->record.hold.id, e->hold.id) == 0)
			e->slot->direct_mark = i + 1;
	}
	return 0;
}

/* *ret_settled: everything in the file was merged before, and is durable in the journal. */
static int merge_locked(struct eg_holds *holds, struct direct *direct, bool *ret_settled)
{
	bool settled = true;
	int r = find_new(holds, direct);

	for (size_t i = 0; i < direct->count && r == 0; i++) {
		struct entry *e = &direct->entries[i];
		struct eg_holds_slot *slot;
		bool already;

		if (i >= e->slot->direct_mark) {
			r = eg_holds_add_locked(holds, &e->hold, &already, &slot);
			if (r)
				return r;
			e->merged_now = true;
			holds->direct_merged++;
		}
		settled = settled && eg_journal_durable(holds->journal, e->slot->ticket);
	}
	*ret_settled = r == 0 && settled;
	return r;
}

static int merge(struct eg_holds *holds, struct direct *direct, bool *ret_settled)
{
	EG_HOLDS_LOCKED(holds);
	return merge_locked(holds, direct, ret_settled);
}

static void count_corrupt(struct eg_holds *holds, size_t corrupt)
{
	EG_HOLDS_LOCKED(holds);
	holds->direct_corrupt += corrupt;
}

/* Under the file's lock. Opened for writing only here: closing that wakes whoever watches the file. */
static int empty_file(int dir_fd)
{
	EG_CLOSE int fd = openat(dir_fd, EG_HOLD_DIRECT, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || ftruncate(fd, 0) || fsync(fd) ? -errno : 0;
}

/* Opens and locks the file for reading. -EAGAIN: nothing to do now. */
static int open_locked(int dir_fd)
{
	EG_CLOSE int fd = openat(dir_fd, EG_HOLD_DIRECT, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(fd, LOCK_SH | LOCK_NB)) /* EWOULDBLOCK: somebody is writing, and will wake us */
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	return st.st_size ? EG_TAKE_FD(fd) : -EAGAIN;
}

static int tell_merged(const struct direct *direct, eg_holds_merged_fn merged, void *ctx)
{
	int count = 0;

	for (size_t i = 0; i < direct->count; i++) {
		if (!direct->entries[i].merged_now)
			continue;
		count++;
		if (merged)
			merged(ctx, &direct->entries[i].hold);
	}
	return count;
}

int eg_holds_merge_direct(struct eg_holds *holds, eg_holds_merged_fn merged, void *ctx)
{
	EG_CLEANUP(free_direct) struct direct direct = { 0 };
	EG_CLOSE int dir = -1, fd = -1;
	bool settled = false;
	int count, r;

	drain(holds->direct_fd);
	dir = open(holds->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	fd = open_locked(dir);
	if (fd < 0)
		return fd == -EAGAIN ? 0 : fd;
	r = read_entries(fd, &direct);
	if (r == 0)
		r = merge(holds, &direct, &settled);
	count = tell_merged(&direct, merged, ctx); /* also those before an error */
	if (r == 0 && settled)
		r = empty_file(dir);
	if (r == 0 && settled)
		count_corrupt(holds, direct.corrupt);
	return r ? r : count;
}

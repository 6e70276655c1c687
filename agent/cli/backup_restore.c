// SPDX-License-Identifier: Apache-2.0
/*
 * backup_restore.c - a backup comes back
 *
 * The archive is unpacked into a directory beside what is to be replaced, and only when its last
 * byte was right do files move, kills first: each move is a rename, so that a crash at any moment
 * leaves each part as it was or as it will be, and no moment has fewer kills than before.
 */
#include "backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/hold.h"
#include "../lib/slurp.h"
#include "tar.h"

#define STAGE	     "restore.new"
#define USAGE_HEADER "egret-usage 1 "

struct restore {
	int dir_fd; /* the state directory */
	int lock_fd;
	int stage_fd;
	bool made; /* the state directory, which was not there */
	struct eg_backup_count *count;
};

/* ---- Files --------------------------------------------------------------------------------------- */

static int append(int dir_fd, const char *name, const char *data, size_t len)
{
	EG_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : eg_write_all(fd, data, len);

	return r ? r : fsync(fd) ? -errno : 0;
}

/* Deletes a directory and all below, of which there are few levels. Nothing if it is not there. */
static int remove_tree(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	EG_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		r = errno == ENOENT ? 0 : -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlinkat(fd, entry->d_name, 0))
			r = errno == EISDIR ? remove_tree(fd, entry->d_name) : -errno;
	return r ? r : unlinkat(dir_fd, name, AT_REMOVEDIR) ? -errno : 0;
}

/* ---- Unpacking -------------------------------------------------------------------------------------- */

/*
 * The boot's name and the last line are replaced: what was used since the backup is not known, as
 * after a crash.
 */
static int stage_usage(struct restore *restore, const struct eg_tar_file *file)
{
	const char *body = strchr(file->data, '\n'), *end = strstr(file->data, "\nend ");
	int r;

	if (strncmp(file->data, USAGE_HEADER, strlen(USAGE_HEADER)) != 0 || !end || end < body)
		return -EBADMSG;
	r = append(restore->stage_fd, "usage", USAGE_HEADER "restored", strlen(USAGE_HEADER "restored"));
	if (!r)
		r = append(restore->stage_fd, "usage", body, (size_t)(end - body));
	return r ? r : append(restore->stage_fd, "usage", "\nend running\n", strlen("\nend running\n"));
}

/* Without a torn last line, which would be a damaged one as soon as another follows. */
static int stage_journal(struct restore *restore, const struct eg_tar_file *file)
{
	const char *end = memrchr(file->data, '\n', file->len);

	restore->count->kills = true;
	return append(restore->stage_fd, file->name, file->data, end ? (size_t)(end - file->data) + 1 : 0);
}

static int stage(struct restore *restore, const struct eg_tar_file *file)
{
	struct eg_backup_count *count = restore->count;
	struct stat st;

	/* Also: twice the same name, which appending would join. */
	if (!eg_backup_may_have(file->name) || fstatat(restore->stage_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EBADMSG;
	if (strcmp(file->name, "usage") == 0) {
		count->usage = true;
		return stage_usage(restore, file);
	}
	if (strncmp(file->name, "holds.", 6) == 0)
		return stage_journal(restore, file);
	count->policies += strncmp(file->name, "policies/", 9) == 0;
	count->snapshots += strncmp(file->name, "snapshots/", 10) == 0;
	if (strncmp(file->name, "history/", 8) == 0) {
		char app[EG_TAR_NAME];

		count->revisions++;
		snprintf(app, sizeof(app), "%.*s", (int)(strrchr(file->name, '/') - file->name), file->name);
		if (mkdirat(restore->stage_fd, app, 0700) && errno != EEXIST)
			return -errno;
	}
	return append(restore->stage_fd, file->name, file->data, file->len);
}

static int unpack(struct restore *restore, gzFile in)
{
	struct eg_tar_file file;
	int r = eg_tar_next(in, &file);

	if (r <= 0)
		return r ? r : -EBADMSG;
	r = strcmp(file.name, EG_BACKUP_HEAD) == 0 &&
			    strncmp(file.data, EG_BACKUP_FIRST, strlen(EG_BACKUP_FIRST)) == 0
		    ? 0
		    : -EBADMSG;
	free(file.data);
	for (size_t n = 0; !r; n++) {
		r = eg_tar_next(in, &file);
		if (r <= 0)
			return r;
		r = n < EG_BACKUP_FILES_MAX ? stage(restore, &file) : -EFBIG;
		free(file.data);
	}
	return r;
}

/* ---- Into place --------------------------------------------------------------------------------------- */

/* What is there follows what the backup has; the joined file then takes its place. */
static int join_journal(struct restore *restore, const char *name)
{
	EG_CLOSE int fd = openat(restore->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char piece[1 << 14];
	ssize_t n = 0;
	int r = 0;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (faccessat(restore->stage_fd, name, F_OK, 0))
		return errno == ENOENT ? 0 : -errno;
	while (!r && fd >= 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		r = append(restore->stage_fd, name, piece, (size_t)n);
	if (n < 0)
		r = -errno;
	if (!r && renameat(restore->stage_fd, name, restore->dir_fd, name))
		r = -errno;
	return r;
}

/* Policies that are there are kept aside, under a name that says since when. */
static int swap_policies(struct restore *restore)
{
	char *aside = restore->count->aside;
	struct stat st;
	struct timespec now;
	char moment[32];
	struct tm tm;

	if (fstatat(restore->dir_fd, "policies", &st, AT_SYMLINK_NOFOLLOW))
		return errno != ENOENT || renameat(restore->stage_fd, "policies", restore->dir_fd, "policies") ? -errno : 0;
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(moment, sizeof(moment), "%Y%m%dT%H%M%S", gmtime_r(&now.tv_sec, &tm));
	snprintf(aside, sizeof(restore->count->aside), "policies.before-%s.%09ldZ", moment, now.tv_nsec);
	if (renameat2(restore->stage_fd, "policies", restore->dir_fd, "policies", RENAME_EXCHANGE) ||
	    renameat(restore->stage_fd, "policies", restore->dir_fd, aside))
		return -errno;
	return 0;
}

/* Moves the files that are not there yet, from a directory to the one of that name; and those of directories in it. */
static int add_missing(int from_fd, int to_fd, const char *name)
{
	int from = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	EG_CLOSEDIR DIR *dir = from < 0 ? NULL : fdopendir(from);
	EG_CLOSE int to = -1;
	struct dirent *entry;

	if (!dir || (mkdirat(to_fd, name, 0700) && errno != EEXIST))
		return -errno;
	to = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (to < 0)
		return -errno;
	while (!r && (errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_DIR)
			r = add_missing(from, to, entry->d_name);
		else if (renameat2(from, entry->d_name, to, entry->d_name, RENAME_NOREPLACE) && errno != EEXIST)
			r = -errno;
	}
	return r ? r : -errno;
}

static int put_in_place(struct restore *restore)
{
	int r = join_journal(restore, "holds.journal");

	if (!r)
		r = join_journal(restore, EG_HOLD_DIRECT);
	if (!r && fsync(restore->dir_fd))
		r = -errno;
	/* EEXIST: what is there is newer. */
	if (!r && restore->count->usage &&
	    renameat2(restore->stage_fd, "usage", restore->dir_fd, "usage", RENAME_NOREPLACE)) {
		r = errno == EEXIST ? 0 : -errno;
		restore->count->usage = false;
	}
	if (!r)
		r = swap_policies(restore);
	if (!r)
		r = add_missing(restore->stage_fd, restore->dir_fd, "history");
	if (!r)
		r = add_missing(restore->stage_fd, restore->dir_fd, "snapshots");
	return !r && fsync(restore->dir_fd) ? -errno : r;
}

/* ---- The whole ------------------------------------------------------------------------------------------ */

static int open_state(struct restore *restore, const char *state_dir, struct eg_error *err)
{
	int r = 0;

	restore->made = mkdir(state_dir, 0700) == 0;
	if (!restore->made && errno != EEXIST)
		r = -errno;
	restore->dir_fd = r ? -1 : open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!r && restore->dir_fd < 0)
		r = -errno;
	if (!r && (restore->lock_fd = openat(restore->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		r = -errno;
	if (!r && flock(restore->lock_fd, LOCK_EX | LOCK_NB)) {
		restore->made = false; /* another has taken it up since */
		eg_error_set(err, 0, "running", "egretd runs on %.300s: stop it first; what is enforced stays enforced", state_dir);
		return -EBUSY;
	}
	if (!r)
		r = remove_tree(restore->dir_fd, STAGE); /* of a restore that was cut short */
	if (!r && (mkdirat(restore->dir_fd, STAGE, 0700) ||
		   (restore->stage_fd = openat(restore->dir_fd, STAGE, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		   mkdirat(restore->stage_fd, "policies", 0700) || mkdirat(restore->stage_fd, "snapshots", 0700) ||
		   mkdirat(restore->stage_fd, "history", 0700)))
		r = -errno;
	if (r)
		eg_error_set(err, 0, "no_state", "the state directory %.300s can't be used: %s", state_dir, strerror(-r));
	return r;
}

static int no_backup(const char *file, int r, struct eg_error *err)
{
	eg_error_set(err, 0, "no_backup", "%.300s%s %s; nothing was changed", file, r == -EBADMSG ? "" : ":",
		     r == -EBADMSG ? "is no backup, or not whole" : strerror(-r));
	return r;
}

static void close_state(struct restore *restore, const char *state_dir, bool changed)
{
	if (restore->made && !changed) { /* and holds no more than the lock, which is ours until it is gone */
		unlinkat(restore->dir_fd, "lock", 0);
		rmdir(state_dir);
	}
	if (restore->lock_fd >= 0)
		close(restore->lock_fd);
	if (restore->dir_fd >= 0)
		close(restore->dir_fd);
}

static int restore_from(struct restore *restore, const char *state_dir, const char *file, gzFile in, struct eg_error *err)
{
	int r = open_state(restore, state_dir, err);
	bool changed = false;

	if (!r && (r = unpack(restore, in)))
		no_backup(file, r, err);
	if (!r) {
		changed = true;
		r = put_in_place(restore);
		if (r)
			eg_error_set(err, 0, "restore", "%.300s was restored in part only: %s; run it again", state_dir, strerror(-r));
	}
	if (restore->stage_fd >= 0) {
		close(restore->stage_fd);
		if (remove_tree(restore->dir_fd, STAGE) && !r) {
			eg_error_set(err, 0, "restore", "all was restored, but %.300s/" STAGE " is left over", state_dir);
			r = -EIO;
		}
	}
	close_state(restore, state_dir, changed);
	return r;
}

int eg_backup_restore(const char *state_dir, const char *file, struct eg_backup_count *ret, struct eg_error *err)
{
	struct restore restore = {.dir_fd = -1, .lock_fd = -1, .stage_fd = -1, .count = ret};
	gzFile in;
	int r;

	*ret = (struct eg_backup_count){0};
	errno = 0;
	in = gzopen(file, "rbe");
	if (!in)
		return no_backup(file, errno ? -errno : -ENOMEM, err);
	r = restore_from(&restore, state_dir, file, in, err);
	gzclose(in);
	return r;
}

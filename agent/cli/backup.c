// SPDX-License-Identifier: Apache-2.0
#include "backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/hold.h"
#include "../lib/policy.h"
#include "tar.h"

#define SNAPSHOT_TAIL "-20260101T000000.000000000Z.json"

/* What stands in the state directory itself. */
static const char *const tops[] = {"holds.journal", EG_HOLD_DIRECT, "usage"};

static bool is_policy(const char *name)
{
	size_t len = strlen(name), tail = strlen(".json");
	char app[64];

	if (len <= tail || len - tail >= sizeof(app) || strcmp(name + len - tail, ".json") != 0)
		return false;
	snprintf(app, sizeof(app), "%.*s", (int)(len - tail), name);
	return eg_policy_app_name(app);
}

static bool is_snapshot(const char *name)
{
	size_t len = strlen(name), tail = strlen(SNAPSHOT_TAIL);
	char app[64];

	if (len <= tail || len - tail >= sizeof(app) || name[len - tail] != '-' ||
	    strspn(name + len - tail, "-0123456789TZ.json") != tail)
		return false;
	snprintf(app, sizeof(app), "%.*s", (int)(len - tail), name);
	return eg_policy_app_name(app);
}

/* APP/TIME-REV.json, TIME being 20 digits (core/history.c) */
static bool is_revision(const char *name)
{
	const char *slash = strchr(name, '/'), *file = slash ? slash + 1 : "";
	size_t len = strlen(file);
	char app[64];

	if (!slash || (size_t)(slash - name) >= sizeof(app) || strspn(file, "0123456789") != 20 || file[20] != '-' ||
	    len < 27 || len > 100 || strcmp(file + len - 5, ".json") != 0 ||
	    strspn(file + 21, "0123456789abcdefghijklmnopqrstuvwxyz-") != len - 26)
		return false;
	snprintf(app, sizeof(app), "%.*s", (int)(slash - name), name);
	return eg_policy_app_name(app);
}

bool eg_backup_may_have(const char *name)
{
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (strcmp(name, tops[i]) == 0)
			return true;
	if (strncmp(name, "policies/", 9) == 0)
		return is_policy(name + 9);
	if (strncmp(name, "history/", 8) == 0)
		return is_revision(name + 8);
	return strncmp(name, "snapshots/", 10) == 0 && is_snapshot(name + 10);
}

/* ---- Reading the state ------------------------------------------------------------------------- */

static int read_fd(int fd, struct eg_tar_file *ret)
{
	EG_FREE char *data = NULL;
	size_t len = 0, room = 0;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	for (;;) {
		ssize_t n;

		if (len + 1 >= room) {
			char *larger = realloc(data, room = room ? room * 2 : (size_t)st.st_size + 4096);

			if (!larger)
				return -ENOMEM;
			data = larger;
		}
		n = read(fd, data + len, room - len - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len > EG_TAR_BYTES_MAX)
			return -EFBIG;
	}
	data[len] = '\0';
	ret->data = EG_TAKE_PTR(data);
	ret->len = len;
	ret->mtime_s = (uint64_t)st.st_mtime;
	return 0;
}

/* 1: it is in the archive; 0: there is no such file. */
static int add(gzFile out, int dir_fd, const char *name)
{
	struct eg_tar_file file = {0};
	EG_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	snprintf(file.name, sizeof(file.name), "%s", name);
	r = read_fd(fd, &file);
	if (!r)
		r = eg_tar_put(out, &file);
	free(file.data);
	return r ? r : 1;
}

/* NULL in *ret: there is no such directory. */
static int open_directory(int dir_fd, const char *name, DIR **ret)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r;

	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret = fdopendir(fd);
	if (*ret)
		return 0;
	r = -errno;
	close(fd);
	return r;
}

/* Every file of the directory that a backup may have. */
static int add_directory(gzFile out, int dir_fd, const char *directory, size_t *ret_count)
{
	EG_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;
	char name[2 * EG_TAR_NAME];
	int r = open_directory(dir_fd, directory, &dir);

	if (!dir)
		return r;
	while ((errno = 0, entry = readdir(dir))) {
		if (snprintf(name, sizeof(name), "%s/%s", directory, entry->d_name) >= EG_TAR_NAME)
			continue;
		if (!eg_backup_may_have(name))
			continue;
		r = add(out, dir_fd, name);
		if (r < 0)
			return r;
		*ret_count += (size_t)r;
	}
	return -errno;
}

static int add_history(gzFile out, int dir_fd, size_t *ret_count)
{
	EG_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;
	char name[EG_TAR_NAME];
	int r = open_directory(dir_fd, "history", &dir);

	if (!dir)
		return r;
	while (!r && (errno = 0, entry = readdir(dir))) {
		if (!eg_policy_app_name(entry->d_name))
			continue;
		snprintf(name, sizeof(name), "history/%.63s", entry->d_name);
		r = add_directory(out, dir_fd, name, ret_count);
	}
	return r ? r : -errno;
}

static int add_head(gzFile out)
{
	char text[256], host[65] = "";
	struct eg_tar_file file = {.name = EG_BACKUP_HEAD, .data = text, .mtime_s = (uint64_t)time(NULL)};

	gethostname(host, sizeof(host) - 1);
	file.len = (size_t)snprintf(text, sizeof(text), EG_BACKUP_FIRST "host %s\ntime %llu\nversion %s\n", host,
				    (unsigned long long)file.mtime_s, EG_VERSION);
	return eg_tar_put(out, &file);
}

static int add_all(gzFile out, int dir_fd, struct eg_backup_count *ret)
{
	int r = add_head(out);

	for (size_t i = 0; r >= 0 && i < sizeof(tops) / sizeof(tops[0]); i++) {
		r = add(out, dir_fd, tops[i]);
		if (r > 0 && i < 2)
			ret->kills = true;
		if (r > 0 && i == 2)
			ret->usage = true;
	}
	if (r >= 0)
		r = add_directory(out, dir_fd, "policies", &ret->policies);
	if (!r)
		r = add_history(out, dir_fd, &ret->revisions);
	if (!r)
		r = add_directory(out, dir_fd, "snapshots", &ret->snapshots);
	return r < 0 ? r : eg_tar_end(out);
}

/* ---- Writing the archive ------------------------------------------------------------------------- */

/* Takes fd. */
static int write_archive(int fd, int dir_fd, struct eg_backup_count *ret)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0), r, closed; /* gzclose closes one: fsync needs the other */
	gzFile out = again < 0 ? NULL : gzdopen(fd, "wb");

	if (!out) {
		close(fd);
		if (again >= 0)
			close(again);
		return -ENOMEM;
	}
	r = add_all(out, dir_fd, ret);
	closed = gzclose(out);
	if (!r && closed != Z_OK)
		r = closed == Z_ERRNO && errno ? -errno : -EIO;
	if (!r && fsync(again))
		r = -errno;
	close(again);
	return r;
}

int eg_backup_make(const char *state_dir, const char *file, struct eg_backup_count *ret, struct eg_error *err)
{
	EG_CLOSE int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char draft[PATH_MAX];
	int fd, r;

	*ret = (struct eg_backup_count){0};
	if (dir_fd < 0) {
		r = -errno;
		eg_error_set(err, 0, "no_state", "the state directory %.200s can't be read: %s (--state-dir names another)", state_dir, strerror(-r));
		return r;
	}
	if (snprintf(draft, sizeof(draft), "%s.new", file) >= (int)sizeof(draft)) {
		eg_error_set(err, 0, "no_file", "the name of the backup is too long");
		return -ENAMETOOLONG;
	}
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		r = -errno;
		eg_error_set(err, 0, "no_file", "%.300s can't be made: %s", draft, strerror(-r));
		return r;
	}
	r = write_archive(fd, dir_fd, ret);
	if (!r && rename(draft, file))
		r = -errno;
	if (r) {
		unlink(draft);
		eg_error_set(err, 0, "backup", "no backup was made of %.150s in %.150s: %s", state_dir, file, strerror(-r));
	}
	return r;
}

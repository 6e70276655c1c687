// SPDX-License-Identifier: Apache-2.0
#include "file_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"

#define STAMP	    "%Y%m%dT%H%M%SZ"
#define STAMP_LEN   16
#define NUMBER_LEN  20
#define SUFFIX_ROOM (1 + STAMP_LEN + 1 + NUMBER_LEN + sizeof(".gz.tmp"))

int eg_file_names_init(const char *path, struct eg_file_names *ret)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
	size_t len = strlen(base), dir_len = slash ? (size_t)(slash - path) : 0;

	if (len == 0 || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EINVAL;
	if (len + SUFFIX_ROOM > NAME_MAX || dir_len >= sizeof(ret->dir))
		return -ENAMETOOLONG;
	if (!dot || dot == base)
		dot = base + len;
	snprintf(ret->dir, sizeof(ret->dir), "%.*s", (int)dir_len, path);
	if (dir_len == 0)
		strcpy(ret->dir, slash ? "/" : ".");
	snprintf(ret->stem, sizeof(ret->stem), "%.*s", (int)(dot - base), base);
	snprintf(ret->ext, sizeof(ret->ext), "%s", dot);
	snprintf(ret->live, sizeof(ret->live), "%s", base);
	return 0;
}

void eg_file_names_old(const struct eg_file_names *names, uint64_t closed_s, uint64_t number, enum eg_file_form form,
		       char ret[NAME_MAX + 1])
{
	static const char *const forms[] = {"", ".gz", ".gz.tmp"};
	time_t when = (time_t)closed_s;
	char stamp[64];
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(stamp, sizeof(stamp), STAMP, &tm);
	/* init made sure that it fits; the compiler can't know. */
	if (snprintf(ret, NAME_MAX + 1, "%s-%s-%06" PRIu64 "%s%s", names->stem, stamp, number, names->ext,
		     forms[form]) > NAME_MAX)
		ret[0] = '\0';
}

bool eg_file_names_parse(const struct eg_file_names *names, const char *name, struct eg_file_old *ret,
			 enum eg_file_form *ret_form)
{
	size_t stem = strlen(names->stem);
	char again[NAME_MAX + 1], *end;
	struct eg_file_old old = {0};
	const char *number;
	struct tm tm = {0};

	if (strncmp(name, names->stem, stem) != 0 || name[stem] != '-')
		return false;
	end = strptime(name + stem + 1, STAMP, &tm);
	if (!end || *end != '-' || end[1] < '0' || end[1] > '9')
		return false;
	number = end + 1;
	errno = 0;
	old.number = strtoull(number, &end, 10);
	old.closed_s = (uint64_t)timegm(&tm);
	if (errno)
		return false;
	/* Said again it has to be the same, or it is somebody else's. */
	for (int form = EG_FILE_PLAIN; form <= EG_FILE_TMP; form++) {
		eg_file_names_old(names, old.closed_s, old.number, (enum eg_file_form)form, again);
		if (strcmp(again, name) == 0) {
			*ret = old;
			*ret_form = (enum eg_file_form)form;
			return true;
		}
	}
	return false;
}

static int by_number(const void *a, const void *b)
{
	const struct eg_file_old *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->closed_s < y->closed_s ? -1 : x->closed_s > y->closed_s;
}

/* Both forms of one file become one entry. */
static size_t merge(struct eg_file_old *all, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct eg_file_old *last = kept ? &all[kept - 1] : NULL;

		if (!last || by_number(last, &all[i]) != 0) {
			all[kept++] = all[i];
			continue;
		}
		last->plain |= all[i].plain;
		last->gz |= all[i].gz;
		last->plain_bytes += all[i].plain_bytes;
		last->gz_bytes += all[i].gz_bytes;
	}
	return kept;
}

/* 1: *ret is a file of ours. */
static int look(const struct eg_file_names *names, int dirfd, const char *name, bool tidy, struct eg_file_old *ret)
{
	enum eg_file_form form;
	struct stat st;

	if (!eg_file_names_parse(names, name, ret, &form))
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (form == EG_FILE_TMP) {
		if (tidy)
			unlinkat(dirfd, name, 0);
		return 0;
	}
	ret->plain = form == EG_FILE_PLAIN;
	ret->gz = form == EG_FILE_GZ;
	ret->plain_bytes = ret->plain ? (uint64_t)st.st_size : 0;
	ret->gz_bytes = ret->gz ? (uint64_t)st.st_size : 0;
	return 1;
}

int eg_file_names_scan(const struct eg_file_names *names, int dirfd, bool tidy, struct eg_file_old **ret,
		       size_t *ret_count)
{
	EG_FREE struct eg_file_old *all = NULL;
	EG_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EG_CLOSEDIR DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t count = 0, room = 0;
	struct dirent *entry;

	if (!dir)
		return -errno;
	fd = -1;
	while (errno = 0, (entry = readdir(dir))) {
		struct eg_file_old old;

		if (!look(names, dirfd, entry->d_name, tidy, &old))
			continue;
		if (count == room) {
			struct eg_file_old *more = realloc(all, (room = room * 2 + 64) * sizeof(*all));

			if (!more)
				return -ENOMEM;
			all = more;
		}
		all[count++] = old;
	}
	if (errno)
		return -errno;
	if (count > 0)
		qsort(all, count, sizeof(*all), by_number);
	*ret_count = merge(all, count);
	*ret = EG_TAKE_PTR(all);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "file_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "file_gzip.h"

#define S_NS	 1000000000ull
#define AGAIN_NS (60 * S_NS) /* after a compression failed: the disk is full, as a rule */

struct eg_file_rotate {
	const struct eg_file_names *names;
	int dirfd;
	const struct eg_sink_config *config;
	struct eg_file_old *old; /* rotated files, the oldest first */
	size_t count;
	size_t room;
	uint64_t last_number;
	struct eg_file_gzip *gzip; /* of file number gzip_number; NULL: none under way */
	uint64_t gzip_number;
	uint64_t gzip_after_ns; /* monotonic: not before that */
};

EG_DEFINE_CLEANUP(rotate, struct eg_file_rotate *, eg_file_rotate_free);

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * S_NS + (uint64_t)now.tv_nsec;
}

static int settle(struct eg_file_rotate *rotate)
{
	bool found = false;

	for (size_t i = 0; i < rotate->count; i++) {
		if (rotate->old[i].plain && rotate->old[i].gz) {
			int r = eg_file_gzip_settle(rotate->names, rotate->dirfd, &rotate->old[i]);

			if (r < 0)
				return r;
			found = true;
		}
	}
	if (!found)
		return 0;
	free(EG_TAKE_PTR(rotate->old));
	return eg_file_names_scan(rotate->names, rotate->dirfd, false, &rotate->old, &rotate->count);
}

int eg_file_rotate_new(const struct eg_file_names *names, int dirfd, const struct eg_sink_config *config,
		       struct eg_file_rotate **ret)
{
	EG_CLEANUP(eg_cleanup_rotate) struct eg_file_rotate *rotate = calloc(1, sizeof(*rotate));
	int r;

	if (!rotate)
		return -ENOMEM;
	rotate->names = names;
	rotate->dirfd = dirfd;
	rotate->config = config;
	r = eg_file_names_scan(names, dirfd, true, &rotate->old, &rotate->count);
	if (r == 0)
		r = settle(rotate);
	if (r < 0)
		return r;
	rotate->room = rotate->count;
	if (rotate->count > 0)
		rotate->last_number = rotate->old[rotate->count - 1].number;
	*ret = EG_TAKE_PTR(rotate);
	return 0;
}

void eg_file_rotate_free(struct eg_file_rotate *rotate)
{
	if (!rotate)
		return;
	eg_file_gzip_free(rotate->gzip);
	free(rotate->old);
	free(rotate);
}

int eg_file_rotate_away(struct eg_file_rotate *rotate, uint64_t utc_ns)
{
	struct eg_file_old old = {.number = rotate->last_number + 1, .closed_s = utc_ns / S_NS, .plain = true};
	char name[NAME_MAX + 1];
	struct stat st;
	int r;

	if (rotate->count == rotate->room) {
		size_t room = rotate->room * 2 + 64;
		struct eg_file_old *more = realloc(rotate->old, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		rotate->old = more;
		rotate->room = room;
	}
	if (fstatat(rotate->dirfd, rotate->names->live, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	old.plain_bytes = (uint64_t)st.st_size;
	eg_file_names_old(rotate->names, old.closed_s, old.number, EG_FILE_PLAIN, name);
	r = renameat2(rotate->dirfd, rotate->names->live, rotate->dirfd, name, RENAME_NOREPLACE);
	if (r < 0 && errno == EINVAL) /* not on NFS; the number is a new one anyway */
		r = renameat(rotate->dirfd, rotate->names->live, rotate->dirfd, name);
	if (r < 0)
		return -errno;
	rotate->last_number = old.number;
	rotate->old[rotate->count++] = old;
	/* The rename may be forgotten by a power cut; then the file is the live one again, and no harm done. */
	return 0;
}

int eg_file_rotate_open_newest(const struct eg_file_rotate *rotate)
{
	const struct eg_file_old *newest = rotate->count ? &rotate->old[rotate->count - 1] : NULL;
	char name[NAME_MAX + 1];
	int fd;

	if (!newest || !newest->plain)
		return -ENOENT;
	eg_file_names_old(rotate->names, newest->closed_s, newest->number, EG_FILE_PLAIN, name);
	fd = openat(rotate->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- Compressing ---------------------------------------------------------------------- */

static void drop(struct eg_file_rotate *rotate, size_t i)
{
	memmove(&rotate->old[i], &rotate->old[i + 1], (--rotate->count - i) * sizeof(*rotate->old));
}

static struct eg_file_old *find(struct eg_file_rotate *rotate, uint64_t number)
{
	for (size_t i = 0; i < rotate->count; i++) {
		if (rotate->old[i].number == number)
			return &rotate->old[i];
	}
	return NULL;
}

/* Size of the compressed form, for the bound on all together. */
static void note_done(struct eg_file_rotate *rotate)
{
	struct eg_file_old *old = find(rotate, rotate->gzip_number);
	char name[NAME_MAX + 1];
	struct stat st;

	if (!old)
		return;
	eg_file_names_old(rotate->names, old->closed_s, old->number, EG_FILE_GZ, name);
	old->plain = false;
	old->gz = true;
	old->plain_bytes = 0;
	if (fstatat(rotate->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		old->gz_bytes = (uint64_t)st.st_size;
}

static void stop_gzip(struct eg_file_rotate *rotate)
{
	eg_file_gzip_free(EG_TAKE_PTR(rotate->gzip));
}

/* False: nothing waits. */
static bool begin_gzip(struct eg_file_rotate *rotate)
{
	for (size_t i = 0; i < rotate->count; i++) {
		int r;

		if (!rotate->old[i].plain)
			continue;
		r = eg_file_gzip_begin(rotate->names, rotate->dirfd, &rotate->old[i], &rotate->gzip);
		if (r == -ENOENT) {
			/* Somebody took it away. */
			drop(rotate, i--);
			continue;
		}
		rotate->gzip_number = rotate->old[i].number;
		if (r < 0)
			rotate->gzip_after_ns = now_ns() + AGAIN_NS;
		return r == 0;
	}
	return false;
}

static void compress_some(struct eg_file_rotate *rotate, uint64_t until_ns)
{
	while (now_ns() < until_ns && now_ns() >= rotate->gzip_after_ns) {
		int r;

		if (!rotate->gzip && !begin_gzip(rotate))
			return;
		r = eg_file_gzip_step(rotate->gzip, until_ns);
		if (r == 0)
			return;
		if (r < 0)
			rotate->gzip_after_ns = now_ns() + AGAIN_NS;
		else
			note_done(rotate);
		stop_gzip(rotate);
	}
}

/* ---- Deleting ------------------------------------------------------------------------- */

static bool too_old(const struct eg_file_rotate *rotate, const struct eg_file_old *old, uint64_t utc_ns)
{
	return rotate->config->keep_ns && old->closed_s * S_NS + rotate->config->keep_ns < utc_ns;
}

static uint64_t bytes_of(const struct eg_file_old *old)
{
	return old->plain_bytes + old->gz_bytes;
}

/* One that can't be deleted is passed over until the next start. */
static void delete_one(struct eg_file_rotate *rotate, size_t i)
{
	struct eg_file_old *old = &rotate->old[i];
	char name[NAME_MAX + 1];

	if (rotate->gzip && rotate->gzip_number == old->number)
		stop_gzip(rotate);
	for (int form = EG_FILE_PLAIN; form <= EG_FILE_GZ; form++) {
		eg_file_names_old(rotate->names, old->closed_s, old->number, (enum eg_file_form)form, name);
		unlinkat(rotate->dirfd, name, 0);
	}
	drop(rotate, i);
}

/* By age each for itself: after a jump of the clock the oldest need not have the earliest date. */
static void keep(struct eg_file_rotate *rotate, uint64_t utc_ns)
{
	uint64_t total = 0;

	for (size_t i = rotate->count; i-- > 0;) {
		if (too_old(rotate, &rotate->old[i], utc_ns))
			delete_one(rotate, i);
	}
	for (size_t i = 0; i < rotate->count; i++)
		total += bytes_of(&rotate->old[i]);
	while (rotate->config->keep_bytes && total > rotate->config->keep_bytes) {
		total -= bytes_of(&rotate->old[0]);
		delete_one(rotate, 0);
	}
}

void eg_file_rotate_work(struct eg_file_rotate *rotate, uint64_t utc_ns, uint64_t slice_ns)
{
	compress_some(rotate, now_ns() + slice_ns);
	keep(rotate, utc_ns);
}

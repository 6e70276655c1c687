// SPDX-License-Identifier: Apache-2.0
#include "spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "spool_frame.h"

static void make_name(const struct eg_spool_pos *first, const char *suffix, char ret[EG_SPOOL_NAME_LEN])
{
	snprintf(ret, EG_SPOOL_NAME_LEN, "events-%010" PRIu64 "-%012" PRIu64 "%s", first->epoch, first->n, suffix);
}

void eg_spool_segment_name(const struct eg_spool_pos *first, char ret[EG_SPOOL_NAME_LEN])
{
	make_name(first, EG_SPOOL_SUFFIX, ret);
}

int eg_spool_pos_compare(const struct eg_spool_pos *a, const struct eg_spool_pos *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return 0;
}

/* Only names that make_name would have given. */
static bool parse_name(const char *name, const char *suffix, struct eg_spool_pos *ret)
{
	char again[EG_SPOOL_NAME_LEN];
	struct eg_spool_pos pos;

	if (sscanf(name, "events-%" SCNu64 "-%" SCNu64, &pos.epoch, &pos.n) != 2)
		return false;
	make_name(&pos, suffix, again);
	if (strcmp(name, again) != 0 || pos.epoch > EG_SPOOL_N_MAX || pos.n > EG_SPOOL_N_MAX)
		return false;
	*ret = pos;
	return true;
}

/* Calls `each` for every segment with that suffix, in no order, until it says other than 0. */
static int for_each(int dirfd, const char *suffix, int (*each)(void *ctx, const struct eg_spool_segment *segment), void *ctx)
{
	EG_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	int fd, r;

	/* A description of its own: the position of a shared one would be shared too. */
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while ((errno = 0, entry = readdir(d))) {
		struct eg_spool_segment segment;
		struct stat st;

		if (!parse_name(entry->d_name, suffix, &segment.first) ||
		    fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		segment.bytes = (uint64_t)st.st_size;
		r = each(ctx, &segment);
		if (r)
			return r;
	}
	return -errno;
}

struct list {
	struct eg_spool_segment *segments;
	size_t count;
};

static int add_to_list(void *ctx, const struct eg_spool_segment *segment)
{
	struct list *list = ctx;
	struct eg_spool_segment *grown = reallocarray(list->segments, list->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->segments = grown;
	grown[list->count++] = *segment;
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct eg_spool_segment *x = a, *y = b;

	return eg_spool_pos_compare(&x->first, &y->first);
}

int eg_spool_dir_scan(int dirfd, const char *suffix, struct eg_spool_segment **ret, size_t *ret_count)
{
	struct list list = {0};
	int r = for_each(dirfd, suffix, add_to_list, &list);

	if (r < 0) {
		free(list.segments);
		return r;
	}
	if (list.count)
		qsort(list.segments, list.count, sizeof(*list.segments), by_first);
	*ret = list.segments;
	*ret_count = list.count;
	return 0;
}

struct search {
	const struct eg_spool_pos *pos;
	struct eg_spool_around found;
};

static int narrow(void *ctx, const struct eg_spool_segment *segment)
{
	struct search *search = ctx;
	struct eg_spool_around *found = &search->found;
	const struct eg_spool_pos *first = &segment->first;

	if (eg_spool_pos_compare(first, search->pos) > 0) {
		if (!found->has_after || eg_spool_pos_compare(first, &found->after) < 0)
			found->after = *first;
		found->has_after = true;
	} else {
		if (!found->has_before || eg_spool_pos_compare(first, &found->before) > 0)
			found->before = *first;
		found->has_before = true;
	}
	return 0;
}

int eg_spool_dir_around(int dirfd, const struct eg_spool_pos *pos, struct eg_spool_around *ret)
{
	struct search search = {.pos = pos};
	int r = for_each(dirfd, EG_SPOOL_SUFFIX, narrow, &search);

	if (r == 0)
		*ret = search.found;
	return r;
}

int eg_spool_dir_epoch(int dirfd, uint64_t *ret, char ret_boot[37])
{
	EG_CLOSE int fd = openat(dirfd, EG_SPOOL_EPOCH_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[80];
	uint64_t epoch;
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	if (sscanf(text, "%" SCNu64 " %36s", &epoch, ret_boot) != 2 || epoch > EG_SPOOL_N_MAX)
		return -EBADMSG;
	*ret = epoch;
	return 0;
}

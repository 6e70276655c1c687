// SPDX-License-Identifier: Apache-2.0
#include "last_good.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/slurp.h"

#define FILE_NAME "last-good.json"
#define DRAFT_NAME "last-good.json.new"
#define BAD_NAME "last-good.json.bad"
#define BYTES_MAX (64u << 20)

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

static int parse(const char *text, size_t len, struct eg_last_good *ret)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *floors = json_object_get(root, "floors");
	json_int_t revision = json_integer_value(json_object_get(root, "bundle_revision"));

	if (json_integer_value(json_object_get(root, "version")) != 1 || !json_is_object(floors) || revision < 0)
		return -EBADMSG;
	json_decref(ret->floors);
	ret->floors = json_incref(floors);
	ret->bundle_revision = (uint64_t)revision;
	ret->paused = json_is_true(json_object_get(root, "paused"));
	return 0;
}

int eg_last_good_read(int dir_fd, struct eg_last_good *ret)
{
	EG_CLOSE int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	EG_FREE char *text = NULL;
	size_t len = 0;
	int r = fd < 0 ? -errno : eg_slurp(fd, BYTES_MAX, &text, &len);

	*ret = (struct eg_last_good){.floors = json_object()};
	if (!ret->floors)
		return -ENOMEM;
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = parse(text, len, ret);
	else if (r == -EINVAL || r == -EFBIG)
		r = -EBADMSG;
	if (r == -EBADMSG)
		(void)renameat(dir_fd, FILE_NAME, dir_fd, BAD_NAME); /* for who looks into it; else the next one replaces it */
	return r;
}

static int write_draft(int dir_fd, const json_t *root)
{
	EG_CLOSE int fd = openat(dir_fd, DRAFT_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (json_dumpfd(root, fd, JSON_COMPACT | JSON_SORT_KEYS))
		return -EIO;
	return fsync(fd) ? -errno : 0;
}

int eg_last_good_write(int dir_fd, struct eg_last_good *last)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = NULL;
	int r;

	if (!last->changed)
		return 0;
	root = json_pack("{s:i,s:O,s:I,s:b}", "version", 1, "floors", last->floors, "bundle_revision",
			 (json_int_t)last->bundle_revision, "paused", last->paused);
	if (!root)
		return -ENOMEM;
	r = write_draft(dir_fd, root);
	if (r)
		return r;
	if (renameat(dir_fd, DRAFT_NAME, dir_fd, FILE_NAME) || fsync(dir_fd))
		return -errno;
	last->changed = false;
	return 0;
}

void eg_last_good_clear(struct eg_last_good *last)
{
	json_decref(last->floors);
	*last = (struct eg_last_good){0};
}

void eg_last_good_raise(struct eg_last_good *last, const char *app, uint64_t generation, const char *hash)
{
	const json_t *before = json_object_get(last->floors, app);

	if (before && (uint64_t)json_integer_value(json_object_get(before, "generation")) >= generation)
		return;
	json_object_set_new(last->floors, app,
			    json_pack("{s:I,s:s}", "generation", (json_int_t)generation, "hash", hash));
	last->changed = true;
}

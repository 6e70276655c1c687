// SPDX-License-Identifier: Apache-2.0
/*
 * store.c - policies that came by the socket or from the control plane, kept in the state directory
 *
 * One file for each app, policies/APP.json: a line "egret-policy N SOURCE", N being the revision's
 * number (without SOURCE: the socket), and the policy's own text after it. It is written and fsynced
 * under another name first, and renamed once the policy is in force.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/log.h"
#include "../lib/policy.h"
#include "../lib/slurp.h"
#include "agent_impl.h"

#define STORE_DIR     "policies"
#define STORE_SUFFIX  ".json"
#define STORE_DRAFT   ".new"
#define STORE_HEADER  "egret-policy "

struct eg_store_draft {
	int dir_fd;
	char app[EG_APP_NAME_LEN];
};

static void name_of(char *ret, size_t size, const char *app, const char *suffix)
{
	snprintf(ret, size, "%s%s", app, suffix);
}

static int open_dir(const char *state_dir, bool make)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/" STORE_DIR, state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void eg_store_abandon(struct eg_store_draft *draft)
{
	char name[EG_APP_NAME_LEN + 16];

	if (!draft)
		return;
	name_of(name, sizeof(name), draft->app, STORE_DRAFT);
	unlinkat(draft->dir_fd, name, 0);
	close(draft->dir_fd);
	free(draft);
}

static int draft_write(struct eg_store_draft *draft, const struct eg_provenance *from, const char *text, size_t len)
{
	char name[EG_APP_NAME_LEN + 16], header[64];
	EG_CLOSE int fd = -1;
	int r;

	name_of(name, sizeof(name), draft->app, STORE_DRAFT);
	fd = openat(draft->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	snprintf(header, sizeof(header), STORE_HEADER "%" PRIu64 " %s\n", from->number, eg_source_name(from->source));
	r = eg_write_all(fd, header, strlen(header));
	if (!r)
		r = eg_write_all(fd, text, len);
	if (!r && fsync(fd))
		r = -errno;
	return r;
}

int eg_store_prepare(const char *state_dir, const char *app, const struct eg_provenance *from, const char *text,
		     size_t len, struct eg_store_draft **ret)
{
	struct eg_store_draft *draft = calloc(1, sizeof(*draft));
	int r;

	if (!draft)
		return -ENOMEM;
	snprintf(draft->app, sizeof(draft->app), "%s", app);
	draft->dir_fd = open_dir(state_dir, true);
	if (draft->dir_fd < 0) {
		r = draft->dir_fd;
		free(draft);
		return r;
	}
	r = draft_write(draft, from, text, len);
	if (r < 0) {
		eg_store_abandon(draft);
		return r;
	}
	*ret = draft;
	return 0;
}

int eg_store_commit(struct eg_store_draft *draft)
{
	char from[EG_APP_NAME_LEN + 16], to[EG_APP_NAME_LEN + 16];
	int r = 0;

	name_of(from, sizeof(from), draft->app, STORE_DRAFT);
	name_of(to, sizeof(to), draft->app, STORE_SUFFIX);
	if (renameat(draft->dir_fd, from, draft->dir_fd, to) || fsync(draft->dir_fd))
		r = -errno;
	close(draft->dir_fd);
	free(draft);
	return r;
}

int eg_store_remove(const char *state_dir, const char *app)
{
	char name[EG_APP_NAME_LEN + 16];
	EG_CLOSE int dir_fd = open_dir(state_dir, false);

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	name_of(name, sizeof(name), app, STORE_SUFFIX);
	if (unlinkat(dir_fd, name, 0))
		return errno == ENOENT ? 0 : -errno;
	return fsync(dir_fd) ? -errno : 0;
}

/* Reads a file of at most max bytes; *ret is NUL-terminated. */
int eg_store_read_file(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len)
{
	EG_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : eg_slurp(fd, max, ret, ret_len);
}

/* "egret-policy N" or "egret-policy N SOURCE"; the text begins at *ret_body. */
static bool read_header(const char *text, struct eg_provenance *ret, const char **ret_body)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): there is a text when it was read */
	const char *end = strchr(text, '\n');
	char line[64], name[16] = "socket";

	if (!end || (size_t)(end - text) >= sizeof(line))
		return false;
	snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
	if (sscanf(line, STORE_HEADER "%" SCNu64 " %15s", &ret->number, name) < 1)
		return false;
	ret->source = eg_source_parse(name);
	*ret_body = end + 1;
	return ret->source != EG_SOURCE_NONE;
}

static void each_one(int dir_fd, const char *name, eg_store_fn fn, void *ctx)
{
	EG_FREE char *text = NULL;
	char app[EG_APP_NAME_LEN] = "";
	size_t len = 0, stem = strlen(name) - strlen(STORE_SUFFIX);
	struct eg_provenance from = {0};
	const char *body = NULL;
	int r;

	if (stem >= sizeof(app))
		return;
	snprintf(app, sizeof(app), "%.*s", (int)stem, name);
	if (!eg_policy_app_name(app))
		return;
	r = eg_store_read_file(dir_fd, name, EG_POLICY_BYTES_MAX + 64, &text, &len);
	if (r < 0 || !read_header(text, &from, &body)) {
		eg_log_err("the stored policy of %s can't be read (%s): it is left out", app,
			   r < 0 ? strerror(-r) : "damaged");
		return;
	}
	fn(ctx, app, &from, body, len - (size_t)(body - text));
}

int eg_store_each(const char *state_dir, eg_store_fn fn, void *ctx)
{
	int dir_fd = open_dir(state_dir, false);
	EG_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	dir = fdopendir(dir_fd);
	if (!dir) {
		int r = -errno;

		close(dir_fd);
		return r;
	}
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length > strlen(STORE_SUFFIX) &&
		    strcmp(entry->d_name + length - strlen(STORE_SUFFIX), STORE_SUFFIX) == 0)
			each_one(dirfd(dir), entry->d_name, fn, ctx);
	}
	return 0;
}

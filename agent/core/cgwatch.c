// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. One inotify watch for each directory; the fd queues creations
 * and removals of its children. An event is only a hint that child NAME of directory D
 * may have changed. What is true is found by looking: compare the id that we know for
 * (D, NAME) with the id that is there now (sync_child). That makes events idempotent,
 * so it doesn't matter whether one is stale, doubled, or was overtaken by a scan.
 *
 * Nothing is missed, because a directory is watched first and listed afterwards: what
 * came before the watch is in the listing, what came after is in the queue, and what is
 * in both is found unchanged the second time. When the queue overflows everything is
 * listed again. The watch is put on /proc/self/fd/N of the very directory whose id was
 * read, so a name that is used again in between can't mix up the two.
 *
 * Without an inotify instance (there is a limit for each user, which anybody of that user can use up) nothing is
 * watched: all there is has to be found by the caller's rescans, which try for one again.
 *
 * A look that fails (out of fds or memory) changes nothing and is made up for by a full
 * rescan at the next check of the roots.
 */
#include "cgwatch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

#include "cgtree.h"

#define WATCH_MASK (IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR)
#define READ_SIZE  (64 * 1024)
#define READS_MAX  16 /* in one call: whoever makes cgroups in a loop doesn't keep us here */

struct root {
	char *path;
	struct eg_cgnode *node; /* NULL while it is missing */
};

struct eg_cgwatch {
	const struct eg_cgroupfs *fs;
	struct eg_cgwatch_ops ops;
	struct eg_cgwatch_stats stats; /* .cgroups is the tree's count */
	struct eg_cgtree tree;
	struct root *roots;
	size_t root_count;
	uint64_t scan;
	int fd; /* -1: no instance was to be had */
	bool rescan_due;
};

static void note(struct eg_cgwatch *w, int r)
{
	w->stats.last_error = r;
	w->rescan_due = true;
}

/* Out of watches isn't made up for by looking again at once: stats tell, and the caller rescans. */
static void add_watch(struct eg_cgwatch *w, struct eg_cgnode *node, int fd)
{
	char link[64];
	int wd = -1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (w->fd >= 0)
		wd = inotify_add_watch(w->fd, link, WATCH_MASK);
	if (wd >= 0) {
		eg_cgtree_set_wd(&w->tree, node, wd);
	} else {
		if (w->fd >= 0)
			w->stats.last_error = -errno;
		w->stats.unwatched++;
	}
}

/* Without a watch any more, and out of the tree. */
static void forget(struct eg_cgwatch *w, struct eg_cgnode *node)
{
	if (node->wd >= 0)
		inotify_rm_watch(w->fd, node->wd);
	else
		w->stats.unwatched--;
	eg_cgtree_remove(&w->tree, node);
}

static struct eg_cgnode *born(struct eg_cgwatch *w, struct eg_cgnode *parent, const char *name, int fd, uint64_t id)
{
	struct eg_cgnode *node = eg_cgtree_add(&w->tree, parent, name, id);
	char path[PATH_MAX];
	int r;

	if (!node) {
		note(w, -ENOMEM);
		return NULL;
	}
	add_watch(w, node, fd);
	eg_cgtree_path(node, path);
	r = w->ops.born(w->ops.ctx, path, id);
	if (r < 0) {
		forget(w, node);
		note(w, r);
		return NULL;
	}
	return node;
}

/* Frees the node, after its children. */
static void died(struct eg_cgwatch *w, struct eg_cgnode *node)
{
	char path[PATH_MAX];

	while (node->first_child)
		died(w, node->first_child);
	eg_cgtree_path(node, path);
	w->ops.died(w->ops.ctx, path, node->id);
	forget(w, node);
}

static void scan_children(struct eg_cgwatch *w, struct eg_cgnode *node, int fd);

/*
 * Makes what we know of a child agree with what is there; deep: also of all below it.
 * Returns its node, NULL if there is none (any more).
 */
static struct eg_cgnode *sync_child(struct eg_cgwatch *w, struct eg_cgnode *parent, int parent_fd,
				    const char *name, struct eg_cgnode *known, bool deep)
{
	EG_CLOSE int fd = -1;
	struct eg_cgnode *node = known;
	uint64_t id = 0;
	int r;

	if (parent && parent->depth >= EG_CGROUPFS_DEPTH)
		return NULL;
	fd = eg_cgroupfs_open_at(parent_fd, name, true);
	r = fd < 0 ? fd : eg_cgroupfs_fd_id(fd, &id);
	if (r && r != -ENOENT) {
		note(w, r);
		return known;
	}
	if (!r && !known) {
		node = born(w, parent, name, fd, id);
		deep = true;
	} else if (known && (r || known->id != id)) {
		died(w, known);
		return r ? NULL : sync_child(w, parent, parent_fd, name, NULL, true);
	} else if (known && known->wd < 0) {
		w->stats.unwatched--;
		add_watch(w, known, fd);
	}
	if (node && deep)
		scan_children(w, node, fd);
	return node;
}

/* Lists the directory: what is new is born, what is missing died, the rest is looked into. */
static void scan_children(struct eg_cgwatch *w, struct eg_cgnode *node, int fd)
{
	EG_CLOSE int copy = eg_cgroupfs_open_at(fd, "", true);
	EG_CLOSEDIR DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	uint64_t scan = ++w->scan;
	struct eg_cgnode *child, *next;
	struct dirent *entry;

	if (!dir) {
		if (copy != -ENOENT) /* removed meanwhile: its parent will tell */
			note(w, copy < 0 ? copy : -errno);
		return;
	}
	copy = -1; /* dir has it */
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = eg_cgtree_find(&w->tree, node, entry->d_name);
		child = sync_child(w, node, dirfd(dir), entry->d_name, child, true);
		if (child)
			child->seen = scan;
	}
	for (child = node->first_child; child; child = next) {
		char name[NAME_MAX + 1];

		next = child->next_sibling;
		if (child->seen == scan)
			continue;
		snprintf(name, sizeof(name), "%s", child->name);
		sync_child(w, node, dirfd(dir), name, child, false);
	}
}

static void sync_root(struct eg_cgwatch *w, struct root *root, bool deep)
{
	EG_CLOSE int mount = eg_cgroupfs_open_dir(w->fs, "", false);

	if (mount < 0)
		note(w, mount);
	else
		root->node = sync_child(w, NULL, mount, root->path, root->node, deep);
}

static int open_node(const struct eg_cgwatch *w, const struct eg_cgnode *node)
{
	EG_CLOSE int fd = -1;
	char path[PATH_MAX];
	uint64_t id;
	int r;

	eg_cgtree_path(node, path);
	fd = eg_cgroupfs_open_dir(w->fs, path, true);
	if (fd < 0)
		return fd;
	r = eg_cgroupfs_fd_id(fd, &id);
	return r ? r : id == node->id ? EG_TAKE_FD(fd) : -ENOENT; /* another of that name */
}

static void handle_event(struct eg_cgwatch *w, const struct inotify_event *event)
{
	EG_CLOSE int fd = -1;
	struct eg_cgnode *node;

	if (event->mask & IN_Q_OVERFLOW) {
		w->stats.overflows++;
		eg_cgwatch_rescan(w);
		return;
	}
	node = eg_cgtree_find_wd(&w->tree, event->wd);
	if (!node) /* known to be dead */
		return;
	if (event->mask & (IN_DELETE_SELF | IN_IGNORED)) {
		if (!node->parent)
			eg_cgwatch_check_roots(w);
		return;
	}
	if (!(event->mask & IN_ISDIR) || event->len == 0)
		return;
	fd = open_node(w, node);
	if (fd >= 0)
		sync_child(w, node, fd, event->name, eg_cgtree_find(&w->tree, node, event->name), false);
	else if (fd != -ENOENT) /* ENOENT: its own death is in the queue, and takes the children with it */
		note(w, fd);
}

int eg_cgwatch_process(struct eg_cgwatch *w)
{
	EG_FREE char *buffer = malloc(READ_SIZE);

	if (w->fd < 0)
		return 0;
	if (!buffer)
		return -ENOMEM;
	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t len = read(w->fd, buffer, READ_SIZE);

		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		for (char *at = buffer; at < buffer + len;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			handle_event(w, event);
			at += sizeof(*event) + event->len;
		}
	}
	return 0;
}

void eg_cgwatch_check_roots(struct eg_cgwatch *w)
{
	if (w->rescan_due) {
		eg_cgwatch_rescan(w);
		return;
	}
	for (size_t i = 0; i < w->root_count; i++)
		sync_root(w, &w->roots[i], false);
}

static void open_inotify(struct eg_cgwatch *w)
{
	if (w->fd < 0)
		w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		w->stats.last_error = -errno;
}

void eg_cgwatch_rescan(struct eg_cgwatch *w)
{
	open_inotify(w);
	w->stats.rescans++;
	w->rescan_due = false;
	for (size_t i = 0; i < w->root_count; i++)
		sync_root(w, &w->roots[i], true);
}

int eg_cgwatch_new(const struct eg_cgroupfs *fs, const struct eg_cgwatch_ops *ops, struct eg_cgwatch **ret_watch)
{
	struct eg_cgwatch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fs = fs;
	w->ops = *ops;
	w->fd = -1;
	open_inotify(w);
	*ret_watch = w;
	return 0;
}

void eg_cgwatch_free(struct eg_cgwatch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->root_count; i++)
		free(w->roots[i].path);
	free(w->roots);
	eg_cgtree_clear(&w->tree);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

int eg_cgwatch_fd(const struct eg_cgwatch *w)
{
	return w->fd;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && path[len] == '/';
}

int eg_cgwatch_add_root(struct eg_cgwatch *w, const char *path)
{
	struct root *roots;
	char *copy;

	for (size_t i = 0; i < w->root_count; i++) {
		if (strcmp(w->roots[i].path, path) == 0)
			return -EEXIST;
		if (is_below(path, w->roots[i].path) || is_below(w->roots[i].path, path))
			return -EINVAL;
	}
	roots = reallocarray(w->roots, w->root_count + 1, sizeof(*roots));
	if (!roots)
		return -ENOMEM;
	w->roots = roots;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	roots[w->root_count] = (struct root){ .path = copy };
	sync_root(w, &roots[w->root_count++], true);
	return 0;
}

void eg_cgwatch_stats(const struct eg_cgwatch *w, struct eg_cgwatch_stats *ret_stats)
{
	*ret_stats = w->stats;
	ret_stats->cgroups = w->tree.count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgtree.h - what cgwatch knows of the tree: nodes found by (parent, name) and by watch
 *
 * Only memory; it never looks at the file system.
 */
#ifndef EG_CORE_CGTREE_H
#define EG_CORE_CGTREE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct eg_cgnode {
	struct eg_cgnode *parent; /* NULL: a root */
	struct eg_cgnode *first_child;
	struct eg_cgnode *prev_sibling, *next_sibling;
	struct eg_cgnode *next_by_name; /* hash chains */
	struct eg_cgnode *next_by_wd;
	uint64_t id;
	uint64_t seen; /* number of the scan that saw it last */
	int wd; /* -1: not watched */
	unsigned depth; /* levels below its root, at most EG_CGROUPFS_DEPTH */
	char name[]; /* of a root: its whole path */
};

/* Zero-initialise. */
struct eg_cgtree {
	struct eg_cgnode **by_name;
	struct eg_cgnode **by_wd;
	size_t buckets; /* of both; a power of two */
	size_t count;
};

/* Adds a node without a watch. NULL: no memory, or too deep. */
struct eg_cgnode *eg_cgtree_add(struct eg_cgtree *tree, struct eg_cgnode *parent, const char *name, uint64_t id);
/* Removes and frees a node that has no children (any more). */
void eg_cgtree_remove(struct eg_cgtree *tree, struct eg_cgnode *node);
/* Frees everything. */
void eg_cgtree_clear(struct eg_cgtree *tree);
/* For a node without one. */
void eg_cgtree_set_wd(struct eg_cgtree *tree, struct eg_cgnode *node, int wd);
/* parent NULL: a root. NULL: not known. */
struct eg_cgnode *eg_cgtree_find(const struct eg_cgtree *tree, const struct eg_cgnode *parent, const char *name);
struct eg_cgnode *eg_cgtree_find_wd(const struct eg_cgtree *tree, int wd);
/* Path from the cgroup2 mount; its length. */
size_t eg_cgtree_path(const struct eg_cgnode *node, char ret_path[PATH_MAX]);

#endif

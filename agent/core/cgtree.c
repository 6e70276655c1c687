// SPDX-License-Identifier: Apache-2.0
#include "cgtree.h"

#include <stdlib.h>
#include <string.h>

#include "cgroupfs.h"

#define BUCKETS_MIN 256

static size_t hash_name(const struct eg_cgnode *parent, const char *name)
{
	size_t h = (size_t)((uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return h ^ h >> 29;
}

static struct eg_cgnode **name_bucket(const struct eg_cgtree *tree, const struct eg_cgnode *parent,
				      const char *name)
{
	return &tree->by_name[hash_name(parent, name) & (tree->buckets - 1)];
}

static struct eg_cgnode **wd_bucket(const struct eg_cgtree *tree, int wd)
{
	return &tree->by_wd[(size_t)wd & (tree->buckets - 1)];
}

static void chain_name(struct eg_cgtree *tree, struct eg_cgnode *node)
{
	struct eg_cgnode **bucket = name_bucket(tree, node->parent, node->name);

	node->next_by_name = *bucket;
	*bucket = node;
}

static void chain_wd(struct eg_cgtree *tree, struct eg_cgnode *node)
{
	struct eg_cgnode **bucket = wd_bucket(tree, node->wd);

	node->next_by_wd = *bucket;
	*bucket = node;
}

/* Makes room; without memory for it the chains only get longer. -1: no table at all. */
static int grow(struct eg_cgtree *tree)
{
	struct eg_cgtree bigger = { .buckets = tree->buckets ? tree->buckets * 2 : BUCKETS_MIN, .count = tree->count };

	bigger.by_name = calloc(bigger.buckets, sizeof(struct eg_cgnode *));
	bigger.by_wd = calloc(bigger.buckets, sizeof(struct eg_cgnode *));
	if (!bigger.by_name || !bigger.by_wd) {
		free(bigger.by_name);
		free(bigger.by_wd);
		return tree->buckets ? 0 : -1;
	}
	for (size_t i = 0; i < tree->buckets; i++) {
		struct eg_cgnode *node, *next;

		for (node = tree->by_name[i]; node; node = next) {
			next = node->next_by_name;
			chain_name(&bigger, node);
			if (node->wd >= 0)
				chain_wd(&bigger, node);
		}
	}
	free(tree->by_name);
	free(tree->by_wd);
	*tree = bigger;
	return 0;
}

struct eg_cgnode *eg_cgtree_add(struct eg_cgtree *tree, struct eg_cgnode *parent, const char *name, uint64_t id)
{
	struct eg_cgnode *node;

	if ((parent && parent->depth >= EG_CGROUPFS_DEPTH) || (tree->count >= tree->buckets && grow(tree)))
		return NULL;
	node = calloc(1, sizeof(*node) + strlen(name) + 1);
	if (!node)
		return NULL;
	node->parent = parent;
	node->depth = parent ? parent->depth + 1 : 0;
	node->id = id;
	node->wd = -1;
	strcpy(node->name, name);
	if (parent) {
		node->next_sibling = parent->first_child;
		if (node->next_sibling)
			node->next_sibling->prev_sibling = node;
		parent->first_child = node;
	}
	chain_name(tree, node);
	tree->count++;
	return node;
}

void eg_cgtree_remove(struct eg_cgtree *tree, struct eg_cgnode *node)
{
	struct eg_cgnode **link = name_bucket(tree, node->parent, node->name);

	while (*link != node)
		link = &(*link)->next_by_name;
	*link = node->next_by_name;
	if (node->wd >= 0) {
		link = wd_bucket(tree, node->wd);
		while (*link != node)
			link = &(*link)->next_by_wd;
		*link = node->next_by_wd;
	}
	if (node->prev_sibling)
		node->prev_sibling->next_sibling = node->next_sibling;
	else if (node->parent)
		node->parent->first_child = node->next_sibling;
	if (node->next_sibling)
		node->next_sibling->prev_sibling = node->prev_sibling;
	tree->count--;
	free(node);
}

void eg_cgtree_clear(struct eg_cgtree *tree)
{
	for (size_t i = 0; i < tree->buckets; i++) {
		struct eg_cgnode *node, *next;

		for (node = tree->by_name[i]; node; node = next) {
			next = node->next_by_name;
			free(node);
		}
	}
	free(tree->by_name);
	free(tree->by_wd);
	*tree = (struct eg_cgtree){ 0 };
}

void eg_cgtree_set_wd(struct eg_cgtree *tree, struct eg_cgnode *node, int wd)
{
	node->wd = wd;
	chain_wd(tree, node);
}

struct eg_cgnode *eg_cgtree_find(const struct eg_cgtree *tree, const struct eg_cgnode *parent, const char *name)
{
	struct eg_cgnode *node = tree->buckets ? *name_bucket(tree, parent, name) : NULL;

	while (node && (node->parent != parent || strcmp(node->name, name) != 0))
		node = node->next_by_name;
	return node;
}

struct eg_cgnode *eg_cgtree_find_wd(const struct eg_cgtree *tree, int wd)
{
	struct eg_cgnode *node = tree->buckets ? *wd_bucket(tree, wd) : NULL;

	while (node && node->wd != wd)
		node = node->next_by_wd;
	return node;
}

size_t eg_cgtree_path(const struct eg_cgnode *node, char ret_path[PATH_MAX])
{
	size_t len = node->parent ? eg_cgtree_path(node->parent, ret_path) : 0, name_len = strlen(node->name);

	if (len + name_len + 2 > PATH_MAX) /* nobody can open such a path, so nobody found it */
		return len;
	if (node->parent)
		ret_path[len++] = '/';
	memcpy(ret_path + len, node->name, name_len + 1);
	return len + name_len;
}

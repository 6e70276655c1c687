// SPDX-License-Identifier: Apache-2.0
/*
 * compile_tree.c - which rules come together at a place, each combination compiled once
 *
 * Theory of operation. Places (prefixes, names) are visited outer before inner. The rules
 * around a place and its own, in that order, are a path in a tree of rules; equal paths are
 * one node. Only a node that is new is compiled into a span, from the span of the nearest
 * compiled node above it, so the cost is that of distinct combinations of rules, not of places.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

#define NO_SPAN UINT32_MAX
#define NO_NODE UINT32_MAX

struct eg_rule_node { /* a path of rules */
	uint32_t above;
	uint32_t rule;
	uint32_t span; /* NO_SPAN: not compiled yet */
};

static uint32_t *cell_of(struct eg_rule_tree *tree, uint32_t above, uint32_t rule)
{
	uint64_t h = ((uint64_t)above << 32 | rule) * 0x9e3779b97f4a7c15ull;

	for (size_t at = (size_t)(h >> 32);; at++) {
		uint32_t *cell = &tree->table[at & (tree->table_size - 1)];

		if (*cell == NO_NODE || (tree->nodes[*cell].above == above && tree->nodes[*cell].rule == rule))
			return cell;
	}
}

/* Twice the room for nodes, and a table of four times as many cells. */
static int grow(struct eg_rule_tree *tree)
{
	size_t room = tree->node_room ? tree->node_room * 2 : 64;
	struct eg_rule_node *nodes = reallocarray(tree->nodes, room, sizeof(*nodes));
	uint32_t *table;

	if (!nodes)
		return -ENOMEM;
	tree->nodes = nodes;
	table = reallocarray(NULL, room * 4, sizeof(*table));
	if (!table)
		return -ENOMEM;
	memset(table, 0xff, room * 4 * sizeof(*table));
	free(tree->table);
	tree->table = table;
	tree->table_size = room * 4;
	tree->node_room = room;
	for (size_t i = EG_RULE_TREE_ROOT + 1; i < tree->node_count; i++)
		*cell_of(tree, nodes[i].above, nodes[i].rule) = (uint32_t)i;
	return 0;
}

int eg_rule_tree_init(struct eg_rule_tree *tree, struct eg_spans *spans, eg_rule_tree_fn add, const void *ctx)
{
	int r;

	*tree = (struct eg_rule_tree){.spans = spans, .add = add, .ctx = ctx};
	r = grow(tree);
	if (r)
		return r;
	tree->nodes[EG_RULE_TREE_ROOT] = (struct eg_rule_node){NO_NODE, NO_NODE, 0};
	tree->node_count = 1;
	return 0;
}

void eg_rule_tree_clear(struct eg_rule_tree *tree)
{
	free(tree->nodes);
	free(tree->table);
	eg_segments_clear(&tree->segments);
	*tree = (struct eg_rule_tree){0};
}

int eg_rule_tree_below(struct eg_rule_tree *tree, uint32_t above, uint32_t rule, uint32_t *ret)
{
	uint32_t *cell;
	int r;

	if (tree->node_count == tree->node_room) {
		r = grow(tree);
		if (r)
			return r;
	}
	cell = cell_of(tree, above, rule);
	if (*cell == NO_NODE) {
		tree->nodes[tree->node_count] = (struct eg_rule_node){above, rule, NO_SPAN};
		*cell = (uint32_t)tree->node_count++;
	}
	*ret = *cell;
	return 0;
}

int eg_rule_tree_span(struct eg_rule_tree *tree, uint32_t node, struct eg_rule_span *ret)
{
	const struct eg_rule_span *base;
	uint32_t at = node;
	int r = 0;

	tree->segments.count = 0;
	for (; !r && tree->nodes[at].span == NO_SPAN; at = tree->nodes[at].above)
		r = tree->add(tree->ctx, tree->nodes[at].rule, &tree->segments);
	if (!r && at != node) {
		base = &tree->spans->items[tree->nodes[at].span];
		for (uint32_t i = 0; !r && i < base->count; i++) {
			const struct eg_match *match = &tree->spans->matches[base->first + i];

			r = eg_segments_add(&tree->segments, match->lo, match->hi, match->rule);
		}
		if (!r)
			r = eg_spans_intern(tree->spans, &tree->segments, &tree->nodes[node].span);
	}
	if (!r)
		*ret = tree->spans->items[tree->nodes[node].span];
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * compile_span.c - sets of services, each kept once
 *
 * Theory of operation. The segments of all rules that cover a prefix are swept from the
 * lowest service to the highest; a heap holds the rules that are open at this point, the
 * one that comes first on top, and the stretch to the next change is that rule's. The result
 * is written behind the last span and looked up by its contents: if it was there before, it
 * is taken back. So prefixes with the same services share one span, however they came by
 * them, and a million addresses of one rule cost one.
 */
#include "compile_impl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PROTO_OF(service) ((service) >> 16)

/* The items with room for one more; NULL without memory, then they are as they were. */
static void *grown(void *items, size_t *room, size_t count, size_t size)
{
	size_t next = *room ? *room * 2 : 16;
	void *more;

	if (count < *room)
		return items;
	more = reallocarray(items, next, size);
	if (more)
		*room = next;
	return more;
}

int eg_segments_add(struct eg_segments *segments, uint32_t lo, uint32_t hi, uint32_t rule)
{
	struct eg_segment *more = grown(segments->items, &segments->room, segments->count, sizeof(*more));

	if (!more)
		return -ENOMEM;
	segments->items = more;
	segments->items[segments->count++] = (struct eg_segment){lo, hi, rule};
	return 0;
}

void eg_segments_clear(struct eg_segments *segments)
{
	free(segments->items);
	*segments = (struct eg_segments){0};
}

int eg_spans_init(struct eg_spans *spans, const struct eg_rule_mark *marks)
{
	*spans = (struct eg_spans){.marks = marks, .table_size = 64};
	spans->table = calloc(spans->table_size, sizeof(*spans->table));
	spans->items = grown(NULL, &spans->room, 0, sizeof(*spans->items));
	if (!spans->table || !spans->items)
		return -ENOMEM;
	spans->items[spans->count++] = (struct eg_rule_span){0, 0};
	return 0;
}

void eg_spans_clear(struct eg_spans *spans)
{
	free(spans->matches);
	free(spans->items);
	free(spans->table);
	free(spans->heap);
	*spans = (struct eg_spans){0};
}

/* ---- Heap of open segments, the one that comes first on top ------------------------------ */

static bool is_of_a_rule(uint32_t rule)
{
	return rule < EG_POLICY_RULES_MAX;
}

/* Lower comes first; see eg_spans_intern. */
static uint32_t rank(const struct eg_spans *spans, uint32_t rule)
{
	uint32_t flags = is_of_a_rule(rule) ? spans->marks[rule].flags : 0;

	if (rule == EG_RULE_GUARDRAIL)
		return 0;
	if (rule == EG_RULE_DNS)
		return 1;
	return 2 + rule + (flags & EG_MATCH_CONNECT ? 2u << 16 : flags & EG_MATCH_SNI ? 1u << 16 : 0);
}

static int heap_push(struct eg_spans *spans, const struct eg_segment *segment)
{
	struct eg_segment *more = grown(spans->heap, &spans->heap_room, spans->heap_count, sizeof(*more));
	size_t at = spans->heap_count;

	if (!more)
		return -ENOMEM;
	spans->heap = more;
	spans->heap_count++;
	while (at && rank(spans, segment->rule) < rank(spans, spans->heap[(at - 1) / 2].rule)) {
		spans->heap[at] = spans->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	spans->heap[at] = *segment;
	return 0;
}

static void heap_pop(struct eg_spans *spans)
{
	struct eg_segment last = spans->heap[--spans->heap_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= spans->heap_count)
			break;
		if (child + 1 < spans->heap_count &&
		    rank(spans, spans->heap[child + 1].rule) < rank(spans, spans->heap[child].rule))
			child++;
		if (rank(spans, last.rule) <= rank(spans, spans->heap[child].rule))
			break;
		spans->heap[at] = spans->heap[child];
		at = child;
	}
	spans->heap[at] = last;
}

/* ---- Sweep ------------------------------------------------------------------------------- */

/* Appends lo .. hi to the span that begins at first, or makes its last interval longer. */
static int emit(struct eg_spans *spans, size_t first, uint32_t lo, uint32_t hi, uint32_t rule)
{
	const struct eg_rule_mark none = {0};
	const struct eg_rule_mark *mark = is_of_a_rule(rule) ? &spans->marks[rule] : &none;
	struct eg_match *more;

	if (spans->match_count > first) {
		struct eg_match *last = &spans->matches[spans->match_count - 1];

		if (last->rule == rule && last->hi + 1 == lo &&
		    (PROTO_OF(last->hi) == PROTO_OF(lo) || rule == EG_RULE_GUARDRAIL)) {
			last->hi = hi;
			return 0;
		}
	}
	if (spans->match_count - first >= EG_MATCHES_MAX)
		return -E2BIG;
	if (spans->match_count >= EG_COMPILE_MATCHES_MAX)
		return -ENOSPC;
	more = grown(spans->matches, &spans->match_room, spans->match_count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	spans->matches = more;
	spans->matches[spans->match_count++] = (struct eg_match){
		.lo = lo,
		.hi = hi,
		.rule = (uint16_t)rule,
		.flags = mark->flags,
		.meter_out = mark->meter_out,
		.meter_in = mark->meter_in,
		.meter_flows = mark->meter_flows,
	};
	return 0;
}

static int by_start(const void *left, const void *right)
{
	const struct eg_segment *a = left, *b = right;

	return (a->lo > b->lo) - (a->lo < b->lo);
}

/* Writes the disjoint intervals of the segments behind the last span. */
static int sweep(struct eg_spans *spans, struct eg_segments *segments)
{
	size_t first = spans->match_count, next = 0;
	uint32_t at = 0;
	int r;

	spans->heap_count = 0;
	qsort(segments->items, segments->count, sizeof(*segments->items), by_start);
	while (next < segments->count || spans->heap_count) {
		const struct eg_segment *top;
		uint32_t end;

		if (!spans->heap_count)
			at = segments->items[next].lo;
		while (next < segments->count && segments->items[next].lo <= at) {
			r = heap_push(spans, &segments->items[next++]);
			if (r)
				return r;
		}
		top = &spans->heap[0];
		if (top->hi < at) {
			heap_pop(spans);
			continue;
		}
		end = top->hi;
		if (next < segments->count && segments->items[next].lo <= end)
			end = segments->items[next].lo - 1;
		r = emit(spans, first, at, end, top->rule);
		if (r)
			return r;
		at = end + 1;
	}
	return 0;
}

/* ---- Contents kept once ------------------------------------------------------------------ */

static size_t hash_of(const struct eg_match *matches, size_t count)
{
	const unsigned char *byte = (const unsigned char *)matches;
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < count * sizeof(*matches); i++)
		h = (h ^ byte[i]) * 1099511628211ull;
	return (size_t)(h ^ h >> 32);
}

static uint32_t *cell_of(struct eg_spans *spans, const struct eg_rule_span *span)
{
	const struct eg_match *matches = spans->matches;
	size_t at = hash_of(&matches[span->first], span->count);

	for (;; at++) {
		uint32_t *cell = &spans->table[at & (spans->table_size - 1)];
		const struct eg_rule_span *other = &spans->items[*cell];

		if (!*cell)
			return cell;
		if (other->count == span->count &&
		    !memcmp(&matches[other->first], &matches[span->first], span->count * sizeof(*matches)))
			return cell;
	}
}

/* Keeps a quarter of the table free. */
static int table_grow(struct eg_spans *spans)
{
	size_t size = spans->table_size * 2;
	uint32_t *table;

	if (spans->count * 4 < spans->table_size * 3)
		return 0;
	table = calloc(size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(spans->table);
	spans->table = table;
	spans->table_size = size;
	for (size_t i = 1; i < spans->count; i++)
		*cell_of(spans, &spans->items[i]) = (uint32_t)i;
	return 0;
}

/* Keeps the span that was just written at the end of matches, or takes it back. */
static int keep(struct eg_spans *spans, size_t first, uint32_t *ret)
{
	const struct eg_rule_span span = {(uint32_t)first, (uint32_t)(spans->match_count - first)};
	struct eg_rule_span *more = grown(spans->items, &spans->room, spans->count, sizeof(*more));
	uint32_t *cell;

	if (!more)
		return -ENOMEM;
	spans->items = more;
	if (table_grow(spans))
		return -ENOMEM;
	cell = cell_of(spans, &span);
	if (*cell) {
		spans->match_count = first;
	} else {
		*cell = (uint32_t)spans->count;
		spans->items[spans->count++] = span;
	}
	*ret = *cell;
	return 0;
}

int eg_spans_intern(struct eg_spans *spans, struct eg_segments *segments, uint32_t *ret)
{
	size_t first = spans->match_count;
	int r;

	if (!segments->count) {
		*ret = 0;
		return 0;
	}
	r = sweep(spans, segments);
	if (!r)
		r = keep(spans, first, ret);
	if (r)
		spans->match_count = first;
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * jsonpos.c - a scanner of JSON text with a bounded stack
 *
 * Theory of operation. One loop walks the text, with a frame for each object and array that is
 * open: no recursion, so the depth of a hostile text costs nothing. It knows the hash of the
 * path of where it is, built key by key and index by index. A check is a walk that stops at
 * the first fault; a search is a walk with a visitor that is shown every key and value with
 * the hash of its path. A hash that two paths share would misplace a diagnostic, no more.
 */
#include "jsonpos_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Places ----------------------------------------------------------------------------------- */

/* 0xff and 0xfe are in no UTF-8 text, so that no key looks like a path. */
uint64_t eg_jsonpos_key(uint64_t parent, const char *key)
{
	uint64_t hash = eg_jsonpos_hash(parent, 0xff);

	for (; *key; key++)
		hash = eg_jsonpos_hash(hash, (unsigned char)*key);
	return hash;
}

uint64_t eg_jsonpos_index(uint64_t parent, size_t index)
{
	uint64_t hash = (eg_jsonpos_hash(parent, 0xfe) ^ index) * EG_JSONPOS_PRIME;

	return hash ^ hash >> 32;
}

/* Counts lines on the way from one offset to a later one. */
struct lines {
	const char *text;
	size_t begin; /* of the line */
	unsigned line;
};

static void lines_advance(struct lines *lines, size_t offset)
{
	const char *end;

	while ((end = memchr(lines->text + lines->begin, '\n', offset - lines->begin))) {
		lines->begin = (size_t)(end - lines->text) + 1;
		lines->line++;
	}
}

void eg_jsonpos_place(const char *text, size_t offset, unsigned *ret_line, unsigned *ret_column)
{
	struct lines lines = {text, 0, 1};

	lines_advance(&lines, offset);
	*ret_line = lines.line;
	*ret_column = (unsigned)(offset - lines.begin) + 1;
}

const char *eg_jsonpos_show(const struct eg_jsonpos_scanner *s, size_t offset, const char *stop,
			    char ret[EG_JSONPOS_SHOWN + 1])
{
	size_t n = 0;

	for (; n < EG_JSONPOS_SHOWN && offset < s->len && !strchr(stop, s->text[offset]); n++, offset++)
		ret[n] = s->text[offset] > 0x20 && s->text[offset] < 0x7f ? s->text[offset] : '?';
	ret[n] = '\0';
	return ret;
}

void eg_jsonpos_path(const struct eg_jsonpos_scanner *s, char *ret, size_t size)
{
	char key[EG_JSONPOS_SHOWN + 1];
	size_t used = 0;

	ret[0] = '\0';
	for (unsigned i = 0; i < s->depth && used < size; i++) {
		const struct eg_jsonpos_frame *frame = &s->stack[i];
		int n;

		if (!frame->object)
			n = snprintf(ret + used, size - used, "[%zu]", frame->index);
		else if (frame->key != EG_JSONPOS_NO_KEY)
			n = snprintf(ret + used, size - used, "%s%s", used ? "." : "",
				     eg_jsonpos_show(s, frame->key + 1, "\"", key));
		else
			break;
		used += n > 0 ? (size_t)n : 0;
	}
}

/* ---- The walk --------------------------------------------------------------------------------- */

static void skip_space(struct eg_jsonpos_scanner *s)
{
	while (s->at < s->len &&
	       (s->text[s->at] == ' ' || s->text[s->at] == '\n' || s->text[s->at] == '\t' || s->text[s->at] == '\r'))
		s->at++;
}

/* To the value of the next member or element of the innermost frame. */
static int enter(struct eg_jsonpos_scanner *s, uint64_t *ret_hash)
{
	struct eg_jsonpos_frame *frame = &s->stack[s->depth - 1];
	uint64_t hash = eg_jsonpos_hash(frame->hash, 0xff);
	size_t begin = s->at;
	int r;

	if (!frame->object) {
		*ret_hash = eg_jsonpos_index(frame->hash, frame->index);
		return 0;
	}
	if (s->at >= s->len || s->text[s->at] != '"')
		return eg_jsonpos_unexpected(s, "a key");
	r = eg_jsonpos_string(s, &hash);
	if (r)
		return r;
	frame->key = begin;
	if (s->visit) {
		size_t behind = s->at;

		s->at = begin;
		s->visit(s->userdata, s, hash, true);
		s->at = behind;
	}
	skip_space(s);
	if (!eg_jsonpos_one(s, ":"))
		return eg_jsonpos_unexpected(s, "a colon");
	skip_space(s);
	*ret_hash = hash;
	return 0;
}

/* Behind a value: leaves the frames that end there. *ret_more is whether another value follows. */
static int leave(struct eg_jsonpos_scanner *s, uint64_t *ret_hash, bool *ret_more)
{
	for (skip_space(s); s->depth; skip_space(s)) {
		struct eg_jsonpos_frame *frame = &s->stack[s->depth - 1];
		size_t comma = s->at;

		if (eg_jsonpos_one(s, frame->object ? "}" : "]")) {
			s->depth--;
			continue;
		}
		if (!eg_jsonpos_one(s, ","))
			return eg_jsonpos_unexpected(s, frame->object ? "a comma or }" : "a comma or ]");
		skip_space(s);
		if (s->at < s->len && (s->text[s->at] == '}' || s->text[s->at] == ']'))
			return eg_jsonpos_fault(s, comma, "Remove the comma", "Nothing follows this comma");
		frame->index++;
		frame->key = EG_JSONPOS_NO_KEY;
		*ret_more = true;
		return enter(s, ret_hash);
	}
	*ret_more = false;
	return 0;
}

/* An opening bracket. *ret_empty: the closing one follows. */
static int open_frame(struct eg_jsonpos_scanner *s, uint64_t hash, uint64_t *ret_hash, bool *ret_empty)
{
	bool object = s->text[s->at] == '{';

	if (s->depth == EG_JSONPOS_DEPTH)
		return eg_jsonpos_fault(s, s->at, "Nothing in a policy is nested that deep",
					"Objects and lists are nested more than %d deep", EG_JSONPOS_DEPTH);
	s->stack[s->depth++] = (struct eg_jsonpos_frame){object, hash, s->at++, EG_JSONPOS_NO_KEY, 0};
	skip_space(s);
	*ret_empty = s->at < s->len && s->text[s->at] == (object ? '}' : ']');
	if (*ret_empty || s->at >= s->len)
		return *ret_empty ? 0 : eg_jsonpos_fault_end(s);
	return enter(s, ret_hash);
}

static int walk(struct eg_jsonpos_scanner *s)
{
	uint64_t hash = EG_JSONPOS_ROOT;
	bool more = true;
	int r = 0;

	skip_space(s);
	while (!r && more) {
		bool empty = true;

		if (s->visit)
			s->visit(s->userdata, s, hash, false);
		if (s->at < s->len && (s->text[s->at] == '{' || s->text[s->at] == '[')) {
			r = open_frame(s, hash, &hash, &empty);
			if (r || !empty)
				continue;
		} else {
			r = eg_jsonpos_scalar(s);
		}
		if (!r)
			r = leave(s, &hash, &more);
	}
	if (!r && s->at < s->len)
		return eg_jsonpos_fault(s, s->at, "Remove it", "There is text behind the end of the JSON value");
	return r;
}

/* ---- Public ----------------------------------------------------------------------------------- */

int eg_jsonpos_check(const char *text, size_t len, struct eg_diag *ret)
{
	struct eg_jsonpos_scanner s = {.text = text, .len = len, .fault = ret};
	const char *mark = NULL;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		mark = "Save the file as UTF-8 without it";
	else if (len >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		mark = "Save the file as UTF-8; it is UTF-16 now";
	if (mark)
		return eg_jsonpos_fault(&s, 0, mark, "The text begins with a byte order mark");
	return walk(&s);
}

struct search {
	struct eg_jsonpos_query *queries;
	size_t count;
	unsigned depths; /* bit n: some query has depth n */
	struct lines lines;
};

static int compare_queries(const void *a, const void *b)
{
	uint64_t x = ((const struct eg_jsonpos_query *)a)->hash, y = ((const struct eg_jsonpos_query *)b)->hash;

	return (x > y) - (x < y);
}

static void visit_search(void *userdata, const struct eg_jsonpos_scanner *s, uint64_t hash, bool key)
{
	struct search *search = userdata;
	size_t low = 0, high = search->count;

	if (!(search->depths & 1u << s->depth))
		return;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (search->queries[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < search->count && search->queries[low].hash == hash; low++) {
		struct eg_jsonpos_query *query = &search->queries[low];

		if (query->key != key || query->line)
			continue;
		lines_advance(&search->lines, s->at);
		query->offset = s->at;
		query->line = search->lines.line;
		query->column = (unsigned)(s->at - search->lines.begin) + 1;
	}
}

void eg_jsonpos_find(const char *text, size_t len, struct eg_jsonpos_query *queries, size_t count)
{
	struct search search = {queries, count, 0, {text, 0, 1}};
	struct eg_jsonpos_scanner s = {.text = text, .len = len, .visit = visit_search, .userdata = &search};

	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		queries[i].line = 0;
		search.depths |= queries[i].depth <= EG_JSONPOS_DEPTH ? 1u << queries[i].depth : 0;
	}
	qsort(queries, count, sizeof(*queries), compare_queries);
	walk(&s);
}

struct twin {
	size_t end; /* the second key begins before */
	uint64_t hash;
	size_t first;
	size_t second;
	struct eg_diag *diag; /* its path */
};

static void visit_last(void *userdata, const struct eg_jsonpos_scanner *s, uint64_t hash, bool key)
{
	struct twin *twin = userdata;

	if (!key || s->at >= twin->end)
		return;
	twin->hash = hash;
	twin->second = s->at;
}

static void visit_twin(void *userdata, const struct eg_jsonpos_scanner *s, uint64_t hash, bool key)
{
	struct twin *twin = userdata;

	if (!key || hash != twin->hash)
		return;
	if (twin->first == EG_JSONPOS_NO_KEY)
		twin->first = s->at;
	if (s->at == twin->second)
		eg_jsonpos_path(s, twin->diag->path, sizeof(twin->diag->path));
}

bool eg_jsonpos_duplicate(const char *text, size_t len, size_t end, struct eg_diag *ret)
{
	struct twin twin = {end, 0, EG_JSONPOS_NO_KEY, EG_JSONPOS_NO_KEY, ret};
	struct eg_jsonpos_scanner s = {.text = text, .len = len, .visit = visit_last, .userdata = &twin};
	char key[EG_JSONPOS_SHOWN + 1];
	unsigned line, column;

	walk(&s);
	s = (struct eg_jsonpos_scanner){.text = text, .len = len, .visit = visit_twin, .userdata = &twin};
	*ret = (struct eg_diag){.level = EG_DIAG_ERROR};
	if (twin.second != EG_JSONPOS_NO_KEY)
		walk(&s);
	if (twin.first == twin.second)
		return false;
	eg_jsonpos_place(text, twin.second, &ret->line, &ret->column);
	eg_jsonpos_place(text, twin.first, &line, &column);
	snprintf(ret->message, sizeof(ret->message),
		 "The key \"%s\" is there twice; it was given at line %u, column %u",
		 eg_jsonpos_show(&s, twin.second + 1, "\"", key), line, column);
	snprintf(ret->fix, sizeof(ret->fix), "Remove one of the two");
	return true;
}

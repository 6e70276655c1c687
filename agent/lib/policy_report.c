// SPDX-License-Identifier: Apache-2.0
/*
 * policy_report.c - findings about a policy, and where they stand in its text
 */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "jsonpos.h"
#include "policy_impl.h"

#define NAME_MAX_LEN 32 /* of names that are compared for likeness */

struct eg_policy_finding {
	struct eg_diag diag;
	struct eg_jsonpos_query query;
};

/* ---- Text ----------------------------------------------------------------------------------------- */

/* C0, DEL, and C1 in UTF-8: what a terminal might obey. */
static bool control(const unsigned char *text)
{
	return *text < 0x20 || *text == 0x7f || (*text == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0);
}

bool eg_policy_plain(const char *text)
{
	while (*text && !control((const unsigned char *)text))
		text++;
	return !*text;
}

const char *eg_policy_show(const char *text, char ret[EG_POLICY_SHOWN])
{
	const unsigned char *from = (const unsigned char *)text;
	size_t n = 0;

	ret[n++] = '"';
	while (*from) {
		size_t len = *from < 0xc0 ? 1 : *from < 0xe0 ? 2 : *from < 0xf0 ? 3 : 4;

		if (n + len > EG_POLICY_SHOWN - sizeof("...\"")) {
			memcpy(ret + n, "...", 3);
			n += 3;
			break;
		}
		if (control(from))
			ret[n++] = '?';
		else
			for (size_t i = 0; i < len; i++)
				ret[n++] = (char)from[i];
		from += len;
	}
	ret[n++] = '"';
	ret[n] = '\0';
	return ret;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop, replace or swap; case is no difference. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LEN + 1], len_a = strlen(a), len_b = strlen(b);

	if (len_a > NAME_MAX_LEN || len_b > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);

			row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], second[j - 2] + 1);
		}
	}
	return rows[len_a % 3][len_b];
}

const char *eg_policy_nearest(const char *text, const char *const *names, size_t count, size_t stride)
{
	const char *best = NULL;
	size_t best_distance = 3;

	for (size_t i = 0; i < count; i++) {
		const char *name = *(const char *const *)((const char *)names + i * stride);
		size_t d = distance(text, name), common = least(strlen(text), strlen(name));

		if (common >= 3 && !strncasecmp(text, name, common))
			d = least(d, 2); /* "protocol" for "proto" */
		if (d < best_distance && d * 2 <= common) {
			best = name;
			best_distance = d;
		}
	}
	return best;
}

/* ---- Findings --------------------------------------------------------------------------------------- */

bool eg_policy_full(const struct eg_policy_reader *reader)
{
	return reader->count >= EG_DIAGS_MAX || reader->r;
}

void eg_policy_no_memory(struct eg_policy_reader *reader)
{
	reader->r = -ENOMEM;
}

/* Of keys that somebody made up, only what can't harm a terminal or a path's reader. */
static void append_key(char *path, size_t size, const char *key)
{
	size_t used = strlen(path);

	if (used && used + 1 < size)
		path[used++] = '.';
	for (size_t n = 0; *key && used + 1 < size && n < 64; n++, key++)
		path[used++] = *key > 0x20 && *key < 0x7f ? *key : '?';
	path[used] = '\0';
}

static void locate(const struct eg_policy_at *at, struct eg_policy_finding *finding)
{
	struct eg_jsonpos_query *query = &finding->query;
	char *path = finding->diag.path;

	if (!at) {
		query->hash = EG_JSONPOS_ROOT;
		return;
	}
	locate(at->up, finding);
	query->depth++;
	if (at->key) {
		query->hash = eg_jsonpos_key(query->hash, at->key);
		append_key(path, sizeof(finding->diag.path), at->key);
	} else {
		size_t used = strlen(path);

		query->hash = eg_jsonpos_index(query->hash, at->index);
		snprintf(path + used, sizeof(finding->diag.path) - used, "[%zu]", at->index);
	}
}

__attribute__((format(printf, 7, 0))) static void add(struct eg_policy_reader *reader, enum eg_diag_level level,
						      const char *code, const struct eg_policy_at *at, bool key,
						      const char *fix,
						      const char *format, va_list args)
{
	struct eg_policy_finding *finding;

	reader->errors += level == EG_DIAG_ERROR;
	if (eg_policy_full(reader))
		return;
	if (!reader->findings)
		reader->findings = calloc(EG_DIAGS_MAX, sizeof(*reader->findings));
	if (!reader->findings) {
		eg_policy_no_memory(reader);
		return;
	}
	finding = &reader->findings[reader->count];
	finding->diag.level = level;
	finding->diag.code = code;
	finding->query.key = key;
	finding->query.number = reader->count++;
	locate(at, finding);
	vsnprintf(finding->diag.message, sizeof(finding->diag.message), format, args);
	snprintf(finding->diag.fix, sizeof(finding->diag.fix), "%s", fix);
}

void eg_policy_error(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *fix,
		     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(reader, EG_DIAG_ERROR, NULL, at, false, fix, format, args);
	va_end(args);
}

void eg_policy_error_key(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *fix,
			 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(reader, EG_DIAG_ERROR, NULL, at, true, fix, format, args);
	va_end(args);
}

static const struct {
	const char *code;
	enum eg_diag_level level;
} lints[EG_LINT_COUNT_] = {
#define EG_LINT(name, level, code, when) [EG_LINT_##name] = {code, EG_DIAG_##level},
#include "lint.def"
#undef EG_LINT
};

void eg_policy_lint_add(struct eg_policy_reader *reader, enum eg_lint lint, const struct eg_policy_at *at,
			const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(reader, lints[lint].level, lints[lint].code, at, false, fix, format, args);
	va_end(args);
}

/* ---- Report ------------------------------------------------------------------------------------------- */

static int compare_findings(const void *a, const void *b)
{
	const struct eg_jsonpos_query *x = &((const struct eg_policy_finding *)a)->query;
	const struct eg_jsonpos_query *y = &((const struct eg_policy_finding *)b)->query;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void ask_rules(const struct eg_policy *policy, struct eg_jsonpos_query *queries)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		bool egress = i < policy->egress_count;
		uint64_t list = eg_jsonpos_key(EG_JSONPOS_ROOT, egress ? "egress" : "ingress");

		queries[i] = (struct eg_jsonpos_query){
			.hash = eg_jsonpos_index(list, egress ? i : i - policy->egress_count),
			.depth = 2,
			.number = EG_DIAGS_MAX + i,
		};
	}
}

int eg_policy_report(struct eg_policy_reader *reader, bool rules, const char *text, size_t len, struct eg_diags *diags)
{
	EG_FREE struct eg_policy_finding *findings = EG_TAKE_PTR(reader->findings);
	size_t rule_count = rules ? reader->policy->rule_count : 0, count = reader->count + rule_count;
	EG_FREE struct eg_jsonpos_query *queries = calloc(count + 1, sizeof(*queries));

	if (!queries)
		return -ENOMEM;
	for (size_t i = 0; i < reader->count; i++)
		queries[i] = findings[i].query;
	if (rules)
		ask_rules(reader->policy, queries + reader->count);
	eg_jsonpos_find(text, len, queries, count);
	for (size_t i = 0; i < count; i++) {
		const struct eg_jsonpos_query *query = &queries[i];

		if (query->number >= EG_DIAGS_MAX) {
			reader->policy->rules[query->number - EG_DIAGS_MAX].line = query->line;
			reader->policy->rules[query->number - EG_DIAGS_MAX].column = query->column;
		} else {
			findings[query->number].query = *query;
			findings[query->number].diag.line = query->line;
			findings[query->number].diag.column = query->column;
		}
	}
	if (reader->count)
		qsort(findings, reader->count, sizeof(*findings), compare_findings);
	for (size_t i = 0; i < reader->count; i++)
		eg_diags_add(diags, &findings[i].diag);
	reader->count = 0;
	return reader->r;
}

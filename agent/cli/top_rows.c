// SPDX-License-Identifier: Apache-2.0
#include "top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull

const char *const eg_top_sorts[EG_TOP_SORT_COUNT_] = {
	[EG_TOP_RATE] = "rate", [EG_TOP_CAP] = "cap",	[EG_TOP_DENIED] = "denied",
	[EG_TOP_LIVE] = "live", [EG_TOP_NAME] = "name",
};

int eg_top_sort_parse(const char *text)
{
	for (int i = 0; i < EG_TOP_SORT_COUNT_; i++)
		if (strcmp(text, eg_top_sorts[i]) == 0)
			return i;
	return -1;
}

/* ---- One sample ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct eg_top_row *)a)->app, ((const struct eg_top_row *)b)->app);
}

static struct eg_top_row *find(struct eg_top_row *rows, size_t count, const char *app)
{
	struct eg_top_row key = {0};

	if (!app || !count)
		return NULL;
	snprintf(key.app, sizeof(key.app), "%s", app);
	return bsearch(&key, rows, count, sizeof(*rows), by_name);
}

static void set_row(struct eg_top_row *row, const json_t *app)
{
	const char *name = eg_json_text(app, "app"), *state = eg_json_text(app, "state");

	*row = (struct eg_top_row){
		.bytes_out = eg_json_u64(app, "bytes_out"),
		.bytes_in = eg_json_u64(app, "bytes_in"),
		.denied = eg_json_u64(app, "denied"),
		.sockets = eg_json_u64(app, "sockets"),
		.cap_percent = -1,
	};
	snprintf(row->app, sizeof(row->app), "%s", name ? name : "?");
	snprintf(row->state, sizeof(row->state), "%s", state ? state : "?");
}

static void set_caps(struct eg_top_row *row, const json_t *caps)
{
	json_t *cap;
	size_t i;

	json_array_foreach(caps, i, cap) {
		uint64_t limit = eg_json_u64(cap, "limit");
		double percent = limit ? (double)eg_json_u64(cap, "used") * 100 / (double)limit : 100;

		if (percent > row->cap_percent)
			row->cap_percent = percent > 999 ? 999 : (int)percent;
	}
}

/* A slot that has a new app counts from 0 again. */
static uint64_t per_second(uint64_t now, uint64_t before, uint64_t ns)
{
	return ns && now > before ? (uint64_t)((double)(now - before) * SECOND / (double)ns) : 0;
}

static void set_rates(struct eg_top_row *row, const struct eg_top_row *before, uint64_t ns)
{
	if (!before)
		return;
	row->out_per_s = per_second(row->bytes_out, before->bytes_out, ns);
	row->in_per_s = per_second(row->bytes_in, before->bytes_in, ns);
	row->denied_per_s = per_second(row->denied, before->denied, ns);
}

static void sum_up(struct eg_top *top)
{
	top->sum = (struct eg_top_row){0};
	top->killed = 0;
	for (size_t i = 0; i < top->count; i++) {
		const struct eg_top_row *row = &top->rows[i];

		top->sum.out_per_s += row->out_per_s;
		top->sum.in_per_s += row->in_per_s;
		top->sum.denied_per_s += row->denied_per_s;
		top->sum.sockets += row->sockets;
		top->killed += strcmp(row->state, "killed") == 0;
	}
}

int eg_top_take(struct eg_top *top, const json_t *apps, const json_t *usage, uint64_t now_ns)
{
	const json_t *list = json_object_get(apps, "apps");
	size_t count = json_array_size(list), i;
	EG_FREE struct eg_top_row *rows = calloc(count + 1, sizeof(*rows));
	EG_FREE const struct eg_top_row **shown = calloc(count + 1, sizeof(*shown));
	uint64_t ns = top->when_ns ? now_ns - top->when_ns : 0;
	json_t *app;

	if (!rows || !shown)
		return -ENOMEM;
	json_array_foreach(list, i, app)
		set_row(&rows[i], app);
	qsort(rows, count, sizeof(*rows), by_name);
	json_array_foreach(json_object_get(usage, "usage"), i, app) {
		struct eg_top_row *row = find(rows, count, eg_json_text(app, "app"));

		if (row)
			set_caps(row, json_object_get(app, "caps"));
	}
	for (i = 0; i < count; i++)
		set_rates(&rows[i], find(top->rows, top->count, rows[i].app), ns);
	free(top->rows);
	free(top->shown);
	top->rows = EG_TAKE_PTR(rows);
	top->shown = EG_TAKE_PTR(shown);
	top->count = count;
	top->when_ns = now_ns;
	sum_up(top);
	eg_top_arrange(top);
	return 0;
}

/* ---- Which, and in what order ----------------------------------------------------------------- */

static int larger(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct eg_top_row *x = *(const struct eg_top_row *const *)a, *y = *(const struct eg_top_row *const *)b;
	int r = 0;

	switch (*(enum eg_top_sort *)ctx) {
	case EG_TOP_RATE:
		r = larger(x->out_per_s + x->in_per_s, y->out_per_s + y->in_per_s);
		break;
	case EG_TOP_CAP:
		r = larger((uint64_t)x->cap_percent + 1, (uint64_t)y->cap_percent + 1);
		break;
	case EG_TOP_DENIED:
		r = larger(x->denied_per_s, y->denied_per_s);
		r = r ? r : larger(x->denied, y->denied);
		break;
	case EG_TOP_LIVE:
		r = larger(x->sockets, y->sockets);
		break;
	case EG_TOP_NAME:
	case EG_TOP_SORT_COUNT_:
		break;
	}
	return r ? r : strcmp(x->app, y->app);
}

void eg_top_arrange(struct eg_top *top)
{
	top->shown_count = 0;
	for (size_t i = 0; i < top->count; i++)
		if (strstr(top->rows[i].app, top->filter) || strstr(top->rows[i].state, top->filter))
			top->shown[top->shown_count++] = &top->rows[i];
	if (top->shown_count)
		qsort_r(top->shown, top->shown_count, sizeof(*top->shown), compare, &top->sort);
}

void eg_top_clear(struct eg_top *top)
{
	free(top->rows);
	free(top->shown);
	*top = (struct eg_top){0};
}

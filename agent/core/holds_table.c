// SPDX-License-Identifier: Apache-2.0
#include "holds_impl.h"

#include <string.h>

/* ---- The table ----------------------------------------------------------------------- */

static struct eg_holds_app **bucket_of(struct eg_holds *holds, const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return &holds->apps[h % EG_HOLDS_BUCKETS];
}

static struct eg_holds_app *find_app(struct eg_holds *holds, const char *name)
{
	struct eg_holds_app *app = *bucket_of(holds, name);

	while (app && strcmp(app->name, name) != 0)
		app = app->next;
	return app;
}

static int layer_index(uint32_t layer)
{
	return eg_hold_layer_name(layer) ? __builtin_ctz(layer) : -1;
}

struct eg_holds_slot *eg_holds_find_slot(struct eg_holds *holds, const char *name, uint32_t layer)
{
	struct eg_holds_app *app = find_app(holds, name);
	int i = layer_index(layer);

	return app && i >= 0 ? app->slots[i] : NULL;
}

struct eg_holds_slot *eg_holds_get_slot(struct eg_holds *holds, const char *name, uint32_t layer)
{
	struct eg_holds_app *app = find_app(holds, name), **bucket = bucket_of(holds, name);
	struct eg_holds_slot *slot;

	if (!app) {
		app = calloc(1, sizeof(*app));
		if (!app)
			return NULL;
		snprintf(app->name, sizeof(app->name), "%s", name);
		app->next = *bucket;
		*bucket = app;
		holds->app_count++;
	}
	slot = app->slots[layer_index(layer)];
	if (!slot) {
		slot = calloc(1, sizeof(*slot));
		if (!slot)
			return NULL;
		slot->record.lifted = true;
		app->slots[layer_index(layer)] = slot;
	}
	return slot;
}

int eg_holds_each_slot(struct eg_holds *holds, eg_holds_slot_fn fn, void *ctx)
{
	int r = 0;

	for (size_t b = 0; b < EG_HOLDS_BUCKETS; b++)
		for (struct eg_holds_app *app = holds->apps[b]; app; app = app->next)
			for (int i = 0; i < EG_HOLD_LAYERS && r == 0; i++)
				if (app->slots[i])
					r = fn(ctx, app->slots[i]);
	return r;
}

void eg_holds_free_slots(struct eg_holds *holds)
{
	for (size_t b = 0; b < EG_HOLDS_BUCKETS; b++) {
		while (holds->apps[b]) {
			struct eg_holds_app *app = holds->apps[b];

			holds->apps[b] = app->next;
			for (int i = 0; i < EG_HOLD_LAYERS; i++)
				free(app->slots[i]);
			free(app);
		}
	}
}

/* ---- Questions ------------------------------------------------------------------------ */

uint32_t eg_holds_layers(struct eg_holds *holds, const char *name)
{
	uint32_t layers = 0;
	struct eg_holds_app *app;

	EG_HOLDS_LOCKED(holds);
	app = find_app(holds, name);
	for (int i = 0; app && i < EG_HOLD_LAYERS; i++)
		layers |= (uint32_t)eg_holds_in_force(app->slots[i]) << i;
	return layers;
}

static void put_info(struct eg_holds *holds, const struct eg_holds_slot *slot, struct eg_hold_info *info)
{
	info->hold = slot->record.hold;
	info->durable = eg_journal_durable(holds->journal, slot->ticket);
}

size_t eg_holds_of(struct eg_holds *holds, const char *name, struct eg_hold_info infos[EG_HOLD_LAYERS])
{
	size_t count = 0;
	struct eg_holds_app *app;

	EG_HOLDS_LOCKED(holds);
	app = find_app(holds, name);
	for (int i = 0; app && i < EG_HOLD_LAYERS; i++)
		if (eg_holds_in_force(app->slots[i]))
			put_info(holds, app->slots[i], &infos[count++]);
	return count;
}

static int count_in_force(void *ctx, struct eg_holds_slot *slot)
{
	*(size_t *)ctx += eg_holds_in_force(slot);
	return 0;
}

struct listing {
	struct eg_holds *holds;
	struct eg_hold_info *infos;
	size_t count;
};

static int put_in_list(void *ctx, struct eg_holds_slot *slot)
{
	struct listing *list = ctx;

	if (eg_holds_in_force(slot))
		put_info(list->holds, slot, &list->infos[list->count++]);
	return 0;
}

static int compare_infos(const void *a, const void *b)
{
	const struct eg_hold_info *x = a, *y = b;
	int order = strcmp(x->hold.app, y->hold.app);

	return order ? order : (x->hold.layer > y->hold.layer) - (x->hold.layer < y->hold.layer);
}

int eg_holds_list(struct eg_holds *holds, struct eg_hold_info **ret_infos, size_t *ret_count)
{
	struct listing list = { .holds = holds };
	size_t count = 0;

	EG_HOLDS_LOCKED(holds);
	eg_holds_each_slot(holds, count_in_force, &count);
	list.infos = calloc(count + 1, sizeof(*list.infos));
	if (!list.infos)
		return -ENOMEM;
	eg_holds_each_slot(holds, put_in_list, &list);
	qsort(list.infos, list.count, sizeof(*list.infos), compare_infos);
	*ret_infos = list.infos;
	*ret_count = list.count;
	return 0;
}

struct lasts {
	uint32_t layer;
	struct eg_hold_record *records; /* room for all; NULL: they are counted */
	size_t count;
};

static int put_last(void *ctx, struct eg_holds_slot *slot)
{
	struct lasts *lasts = ctx;

	if (slot->record.hold.layer != lasts->layer || !slot->record.hold.generation)
		return 0;
	if (lasts->records)
		lasts->records[lasts->count] = slot->record;
	lasts->count++;
	return 0;
}

int eg_holds_last(struct eg_holds *holds, uint32_t layer, struct eg_hold_record **ret_records, size_t *ret_count)
{
	struct lasts lasts = { .layer = layer };

	EG_HOLDS_LOCKED(holds);
	eg_holds_each_slot(holds, put_last, &lasts);
	lasts.records = calloc(lasts.count + 1, sizeof(*lasts.records));
	if (!lasts.records)
		return -ENOMEM;
	lasts.count = 0;
	eg_holds_each_slot(holds, put_last, &lasts);
	*ret_records = lasts.records;
	*ret_count = lasts.count;
	return 0;
}

void eg_holds_stats(struct eg_holds *holds, struct eg_holds_stats *ret_stats)
{
	struct eg_journal_stats journal;
	struct eg_holds_stats stats = { 0 };

	EG_HOLDS_LOCKED(holds);
	eg_journal_stats(holds->journal, &journal);
	eg_holds_each_slot(holds, count_in_force, &stats.in_force);
	stats.known = holds->app_count;
	stats.pending = journal.pending;
	stats.written = journal.written;
	stats.write_failures = journal.write_failures;
	stats.last_error = journal.last_error;
	stats.corrupt_lines = journal.corrupt_lines + holds->direct_corrupt;
	stats.direct_merged = holds->direct_merged;
	*ret_stats = stats;
}

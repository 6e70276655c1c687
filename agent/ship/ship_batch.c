// SPDX-License-Identifier: Apache-2.0
#include "ship_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void eg_item_clear(struct eg_item *item)
{
	free(item->id);
	free(item->type);
	free(item->app);
	free(item->host);
	free(item->text);
	*item = (struct eg_item){0};
}

int eg_ship_batch_init(struct eg_ship_batch *batch, size_t room)
{
	*batch = (struct eg_ship_batch){
		.items = calloc(room, sizeof(*batch->items)),
		.weights = calloc(room, sizeof(*batch->weights)),
		.settled = calloc(room, sizeof(*batch->settled)),
		.parcel = calloc(room, sizeof(*batch->parcel)),
		.places = calloc(room, sizeof(*batch->places)),
		.outcomes = calloc(room, sizeof(*batch->outcomes)),
		.room = room,
	};
	if (batch->items && batch->weights && batch->settled && batch->parcel && batch->places && batch->outcomes)
		return 0;
	eg_ship_batch_free(batch);
	return -ENOMEM;
}

void eg_ship_batch_clear(struct eg_ship_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		eg_item_clear(&batch->items[i]);
	batch->count = 0;
	batch->open = 0;
	batch->bytes = 0;
}

void eg_ship_batch_free(struct eg_ship_batch *batch)
{
	eg_ship_batch_clear(batch);
	free(batch->items);
	free(batch->weights);
	free(batch->settled);
	free(batch->parcel);
	free(batch->places);
	free(batch->outcomes);
	*batch = (struct eg_ship_batch){0};
}

void eg_ship_batch_add(struct eg_ship_batch *batch, struct eg_item *item, uint64_t weight, uint64_t now_ns)
{
	if (!batch->count)
		batch->begun_ns = now_ns;
	batch->items[batch->count] = *item;
	batch->weights[batch->count] = weight;
	batch->settled[batch->count] = false;
	batch->bytes += item->len;
	batch->count++;
	batch->open++;
	*item = (struct eg_item){0};
}

const struct eg_item *eg_ship_batch_parcel(struct eg_ship_batch *batch, size_t first, size_t count, size_t *ret_count)
{
	size_t n = 0;

	for (size_t i = first; i < first + count; i++) {
		if (batch->settled[i])
			continue;
		batch->parcel[n] = batch->items[i]; /* borrowed */
		batch->places[n++] = i;
	}
	*ret_count = n;
	return batch->parcel;
}

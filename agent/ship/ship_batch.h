/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship_batch.h - items that go out together
 */
#ifndef EG_SHIP_SHIP_BATCH_H
#define EG_SHIP_SHIP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "item.h"
#include "protocol.h"

struct eg_ship_batch {
	struct eg_item *items;
	uint64_t *weights; /* records of the spool that each item stands for: 1, or more of a roll-up */
	bool *settled; /* delivered, or in the dead-letter file */
	struct eg_item *parcel; /* room for eg_ship_batch_parcel */
	size_t *places;
	enum eg_outcome *outcomes; /* room for what a protocol says of each */
	size_t count;
	size_t open; /* not settled yet */
	size_t room;
	size_t bytes; /* of their texts */
	uint64_t begun_ns; /* monotonic, when the first came */
};

int eg_ship_batch_init(struct eg_ship_batch *batch, size_t room);
void eg_ship_batch_clear(struct eg_ship_batch *batch); /* empties it */
void eg_ship_batch_free(struct eg_ship_batch *batch);

/* Takes what the item owns. There has to be room. */
void eg_ship_batch_add(struct eg_ship_batch *batch, struct eg_item *item, uint64_t weight, uint64_t now_ns);

/* Those of a range that are not settled, one after the other; batch->places says where each is from. */
const struct eg_item *eg_ship_batch_parcel(struct eg_ship_batch *batch, size_t first, size_t count, size_t *ret_count);

void eg_item_clear(struct eg_item *item);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds_impl.h - what the files of holds share with each other, and nobody else uses
 *
 * Theory of operation. For each app name and layer there is one slot with the latest
 * record: a hold, or its lifting. A lifted one stays, because its generation says which
 * records are too old to be believed. The table is the truth of the running agent; the
 * journal is the table written down, so that replaying its lines in order, each only if
 * its generation is above what is known, gives the table again. Records of one slot are
 * queued under the table's lock and so keep their order.
 *
 * The --direct journal is another file, because two programs must not append to one
 * that is also compacted. Its entries carry random ids; the slot remembers the last id it
 * took (also in its record, also when it is lifted). The file is emptied only when all
 * that came from it is durable here. If the agent dies in between, entries up to the
 * remembered one are known to be merged: a restored app isn't killed a second time.
 */
#ifndef EG_CORE_HOLDS_IMPL_H
#define EG_CORE_HOLDS_IMPL_H

#include <pthread.h>

#include "../lib/cleanup.h"
#include "holds.h"
#include "holds_journal.h"

#define EG_HOLDS_BUCKETS 1024

struct eg_holds_slot {
	struct eg_hold_record record;
	uint64_t ticket; /* of the record */
	size_t direct_mark; /* while merging: entries of the file up to here are merged */
};

struct eg_holds_app {
	struct eg_holds_app *next;
	char name[EG_APP_NAME_LEN];
	struct eg_holds_slot *slots[EG_HOLD_LAYERS]; /* NULL: never had one */
};

struct eg_holds {
	char *state_dir;
	struct eg_journal *journal;
	int direct_fd; /* inotify */
	pthread_mutex_t lock; /* of all below */
	struct eg_holds_app *apps[EG_HOLDS_BUCKETS];
	size_t app_count;
	uint64_t direct_merged;
	uint64_t direct_corrupt;
};

static inline void eg_holds_unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

/* Holds the lock to the end of the scope. */
#define EG_HOLDS_LOCKED(holds)                                                                        \
	EG_CLEANUP(eg_holds_unlock) pthread_mutex_t *locked __attribute__((unused)) = &(holds)->lock; \
	pthread_mutex_lock(locked)

/* All below: with the lock. */

/* NULL: there is none. */
struct eg_holds_slot *eg_holds_find_slot(struct eg_holds *holds, const char *name, uint32_t layer);
/* Made, as lifted and of generation 0, if it is new; layer is one. NULL: no memory. */
struct eg_holds_slot *eg_holds_get_slot(struct eg_holds *holds, const char *name, uint32_t layer);
void eg_holds_free_slots(struct eg_holds *holds);

static inline bool eg_holds_in_force(const struct eg_holds_slot *slot)
{
	return slot && !slot->record.lifted;
}

/* Stops at the first value that isn't 0 and returns it. */
typedef int (*eg_holds_slot_fn)(void *ctx, struct eg_holds_slot *slot);
int eg_holds_each_slot(struct eg_holds *holds, eg_holds_slot_fn fn, void *ctx);

/* eg_holds_add() */
int eg_holds_add_locked(struct eg_holds *holds, const struct eg_hold *hold, bool *ret_already,
			struct eg_holds_slot **ret_slot);

#endif

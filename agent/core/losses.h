/* SPDX-License-Identifier: Apache-2.0 */
/*
 * losses.h - what was not told, and has not been told to be so
 *
 * Theory of operation. The kernel counts losses by slot and cause in map `losses`; its counters
 * only grow and outlive the agent. Here is kept how much of them events have told, so that the
 * difference can be told once a second, and only for slots that changed. That, too, has to
 * outlive the agent: it is a file in the log's directory, named after the map (its id and the
 * boot), a record for each slot, written after the events are on disk. A crash between the two
 * tells one second twice; never not at all.
 *
 * What the agent's own queue had no room for is counted here, too, by slot.
 */
#ifndef EG_CORE_LOSSES_H
#define EG_CORE_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

#include <egret/abi.h>

enum eg_losses_cause {
	EG_LOSSES_SUPPRESSED = EG_LOSS_SUPPRESSED,
	EG_LOSSES_RING_FULL = EG_LOSS_RING_FULL,
	EG_LOSSES_QUEUE_FULL = EG_LOSS_COUNT_,
	EG_LOSSES_COUNT_
};

struct eg_losses_config {
	uint32_t slots; /* size of the map */
	/* Reads the kernel's counters of slots first .. first + count: 0 or -errno. */
	int (*read)(void *ctx, uint32_t first, uint32_t count, struct eg_losses *ret);
	void *ctx;
	uint64_t map_id; /* tells this map from another of this boot */
};

/* Fills all but ctx, which has to point at the map's fd; -errno if that map isn't one of ours. */
int eg_losses_config_map(int map_fd, struct eg_losses_config *ret);

struct eg_loss_ledger;

int eg_losses_new(const struct eg_losses_config *config, struct eg_loss_ledger **ret);
void eg_losses_free(struct eg_loss_ledger *l);

/* A record that found no room in the queue. Any thread; never blocks. */
void eg_losses_drop(struct eg_loss_ledger *l, const struct eg_event *e);

/* Takes up what was told before, from the file in dir (made if missing). -errno: nothing was told. */
int eg_losses_restore(struct eg_loss_ledger *l, const char *dir);

/* Type of a callback, as C has no shorter way to name it twice. */
typedef bool eg_losses_tell(void *ctx, uint32_t slot, enum eg_losses_cause cause, const struct eg_loss *sum);

/*
 * Calls tell for each of the first `used` slots and cause with something new. It returns false if
 * it can't take more now: that one and the rest stay for the next time. 0 or -errno of reading.
 */
int eg_losses_collect(struct eg_loss_ledger *l, uint32_t used, eg_losses_tell *tell, void *ctx);

/* What tell took so far is on disk: remember that across a restart. -errno: could not. */
int eg_losses_commit(struct eg_loss_ledger *l);

#endif

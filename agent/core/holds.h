/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds.h - the holds in force: a table in memory, a journal behind it
 *
 * Every function is thread-safe. None but eg_holds_open(), eg_holds_wait_durable(), eg_holds_settle(),
 * eg_holds_merge_direct() and eg_holds_close() touches a disk or waits. The caller stores
 * the kill word of the datapath; the order is: kill word, eg_holds_add(), cut the
 * sockets, eg_holds_wait_durable().
 *
 * Generations. They are counted per app and layer, also across lifting, restart and reboot. 0 means "the next one": right for local and auto.
 * The control plane brings its own; a record not above the last one is refused.
 */
#ifndef EG_CORE_HOLDS_H
#define EG_CORE_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/hold.h"

struct eg_holds;

struct eg_holds_stats {
	size_t in_force;
	size_t known; /* apps that have, or ever had, a hold */
	uint64_t pending; /* records not durable yet */
	uint64_t written;
	uint64_t write_failures; /* since start; each was, or is being, retried */
	int last_error; /* 0, or -errno while the journal can't be written: alarm */
	uint64_t corrupt_lines; /* found at start, the file is kept as holds.journal.bad: alarm */
	uint64_t direct_merged;
};

struct eg_hold_info {
	struct eg_hold hold;
	bool durable;
};

/* Called, with no lock held, for each --direct hold that was merged, to kill its app. */
typedef void (*eg_holds_merged_fn)(void *ctx, const struct eg_hold *hold);

/*
 * Loads state_dir/holds.journal (made if missing, with the directory) and starts the
 * thread that writes it. A torn tail is tolerated, a damaged line in the middle is
 * counted. -errno if an existing journal can't be read: whoever opens must not go on as
 * if nothing were killed.
 */
int eg_holds_open(const char *state_dir, struct eg_holds **ret_holds);
/* Stops; records still pending are tried once more, for up to timeout_ms. NULL is fine. */
void eg_holds_close(struct eg_holds *holds, int timeout_ms);

/*
 * Begins a hold, or confirms one in force (*ret_already; its actor, time and reason
 * stay, and if somebody else asks it becomes shared). hold->generation as above.
 * *ret_ticket is what to wait for, also for a confirmed hold whose record is pending.
 * -EINVAL: not one layer, bad name. -ESTALE: generation not above the last. -ENOMEM.
 */
int eg_holds_add(struct eg_holds *holds, const struct eg_hold *hold, bool *ret_already, uint64_t *ret_ticket);

struct eg_hold_lift {
	const char *app; /* or EG_HOLD_ALL_APPS */
	uint32_t layer; /* exactly one */
	enum eg_hold_role role;
	uint32_t uid;
	uint64_t generation; /* 0: the next one */
	uint64_t now_utc_ns;
	const char *actor;
	const char *reason; /* may be NULL */
};

/*
 * Lifts one layer. -ENOENT: not in force. -EPERM: not theirs to lift. -ESTALE:
 * generation not above the last. A control-plane lift of a hold not in force is
 * remembered (so that an older kill that arrives late is refused) and gives -ENOENT.
 */
int eg_holds_lift(struct eg_holds *holds, const struct eg_hold_lift *lift, uint64_t *ret_ticket);

/* True once the record of that ticket, and all before it, are fsynced. Waits up to timeout_ms. */
bool eg_holds_wait_durable(struct eg_holds *holds, uint64_t ticket, int timeout_ms);
/* The same of all records that there are now. */
bool eg_holds_settle(struct eg_holds *holds, int timeout_ms);

/* EG_HOLD_* in force for exactly this name; pass EG_HOLD_ALL_APPS for those on all apps. */
uint32_t eg_holds_layers(struct eg_holds *holds, const char *name);
/* Number of holds of one app, up to EG_HOLD_LAYERS, written to infos. */
size_t eg_holds_of(struct eg_holds *holds, const char *name, struct eg_hold_info infos[EG_HOLD_LAYERS]);
/* All holds in force, sorted by app and layer; the caller frees *ret_infos. */
int eg_holds_list(struct eg_holds *holds, struct eg_hold_info **ret_infos, size_t *ret_count);
/* The last record of this layer for each app that ever had one, lifted ones included; the caller frees. */
int eg_holds_last(struct eg_holds *holds, uint32_t layer, struct eg_hold_record **ret_records, size_t *ret_count);
void eg_holds_stats(struct eg_holds *holds, struct eg_holds_stats *ret_stats);

/* Readable when the direct journal may have changed; stays owned by holds. -1: no inotify, poll by time. */
int eg_holds_direct_fd(const struct eg_holds *holds);
/*
 * Merges what `egret kill --direct` wrote. Call once at start, when eg_holds_direct_fd()
 * is readable, and every second (which also retries). Returns how many holds were merged
 * now, or -errno. Entries are removed from the file only when their record is durable in
 * the journal, and are never merged twice.
 */
int eg_holds_merge_direct(struct eg_holds *holds, eg_holds_merged_fn merged, void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - what is known of an app at one moment, in one file, for who looks into it later
 *
 * Taken by hand (POST /v1/apps/APP/snapshot) and after each kill. On a kill the sockets are noted
 * as they are found to be reset, which costs the kill nothing; the rest is gathered behind it, on a
 * thread of its own. The files are DIR/APP-TIME.json (0600) below the state directory (snapshot_files.h).
 */
#ifndef EG_CORE_SNAPSHOT_H
#define EG_CORE_SNAPSHOT_H

#include "agent_impl.h"
#include "sockdiag.h"

#define EG_SNAPSHOT_DIR	    "snapshots"
#define EG_SNAPSHOT_SOCKETS 16384 /* in one file; more are counted */
#define EG_SNAPSHOT_EVENTS  1000 /* the app's newest */
#define EG_SNAPSHOT_TASKS   512
#define EG_SNAPSHOT_WAITING 64 /* kills whose snapshot is not taken yet; of more it is left out, which is told */

/* Sockets as a dump found them. Zero-initialise; eg_socket_notes_clear frees. */
struct eg_socket_notes {
	struct eg_sockdiag_sock *items;
	size_t count;
	size_t room;
	size_t left_out;
	bool of_many; /* of several apps */
};

/* For struct eg_cut_request: notes it, and lets it be cut. ctx: struct eg_socket_notes. */
bool eg_socket_note(void *ctx, const struct eg_sockdiag_sock *sock);
void eg_socket_notes_clear(struct eg_socket_notes *notes);

/* ---- snapshots.c: behind kills, on a thread of its own ------------------------------------------------ */

int eg_snapshots_start(struct eg_agent *agent, struct eg_snapshots **ret);
/* Takes those that are wanted yet, and no more. It looks at everything, so it is stopped before anything goes. NULL is fine. */
void eg_snapshots_stop(struct eg_snapshots *snapshots);
/* Once nobody kills any more. NULL is fine. */
void eg_snapshots_free(struct eg_snapshots *snapshots);

struct eg_snapshots_stats {
	uint64_t files;
	uint64_t bytes;
	uint64_t evicted; /* deleted to make room, since the start */
	bool evicted_young; /* one of less than a day, and within the last day */
};
/* NULL is fine: nothing. */
void eg_snapshots_stats(struct eg_snapshots *snapshots, struct eg_snapshots_stats *ret);
/* Never waits. Takes what notes holds. NULL is fine. */
void eg_snapshots_want(struct eg_snapshots *snapshots, const char *app, const char *why, const char *actor,
		       struct eg_socket_notes *notes);

/* ---- snapshot_gather.c ---------------------------------------------------------------------------- */

/* All but the sockets, if notes is given; a new reference, NULL if there is no such app or no memory. */
json_t *eg_snapshot_gather(struct eg_agent *agent, const char *app, const char *why, const char *actor,
			   const struct eg_socket_notes *notes);

/* ---- snapshot_tasks.c ----------------------------------------------------------------------------- */

/* The processes of these cgroups: command line, user, capabilities, namespaces. Never their environment. */
json_t *eg_snapshot_tasks(const struct eg_cgroupfs *fs, const uint64_t *cgroup_ids, size_t count);

#endif

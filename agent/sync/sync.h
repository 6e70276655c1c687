/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.h - keeps the agent equal to what the control plane wants
 *
 * Theory of operation. A source (source.h) says what is wanted: all of it, or a change, each at a revision
 * of its own. What the agent has is asked once and followed from then on, and asked again every REFRESH_S,
 * since others may change it. The difference, app by app, is what is done: kills before anything else,
 * then restores, then policies. What one app's policy was refused for is kept as that app's error, and
 * tried again when its document changes, or with the next refresh.
 *
 * A policy that is missing is deleted DELETE_AFTER_S later, together with what else is missing by then,
 * unless that is too much at once: then deletions pause until a person gives the policies back or writes
 * "deleted" in their place.
 *
 * One thread. Everything durable is the agent's, but for last_good.h.
 */
#ifndef EG_SYNC_SYNC_H
#define EG_SYNC_SYNC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/control_config.h"
#include "desired.h"
#include "fetch.h"
#include "last_good.h"
#include "state.h"

struct eg_sync {
	const struct eg_control_config *control;
	struct eg_credentials credentials;
	struct eg_document_rules rules;
	char *host;
	json_t *host_labels;
	char *version;
	int state_fd;
	int door_fd;

	json_t *have; /* NULL: not known yet */
	struct eg_desired desired;
	bool complete; /* desired is all that there is */
	uint64_t revision;
	struct eg_last_good last;

	json_t *errors;	 /* by app: {"code", "message", "hash", "policy"} */
	json_t *missing; /* by app: since when, ms */
	bool look_for_missing;
	char paused[400]; /* "": deletions are not paused */

	bool connected;
	char endpoint[256];
	char message[400];   /* why it is not */
	uint64_t refresh_ms; /* when the agent is asked again */
	uint64_t report_ms;  /* no report before */
	char *reported;	     /* the last, as text */
	bool told;	     /* what is written back says it, too */
	struct eg_state *state; /* of the source; NULL: none is written back */
	uint64_t state_ms;	/* no state before */

	/* Set by the source: looks for kills while many policies are put, which can take long. May be NULL. */
	int (*between)(void *ctx);
	void *between_ctx;
	uint64_t between_ms; /* the next */
	uint64_t worked_ms;  /* when the source last gave us something to do */
	bool in_between;
};

/* What egretd says on standard input; and, still as root, the files that the configuration names. */
int eg_sync_open(struct eg_sync *sync, const json_t *setup, struct eg_error *err);

/* ---- For the sources. Not 0: the agent is gone, and so should we be. ------------------------------------------- */

/* All that is wanted; takes the documents. */
int eg_sync_replace(struct eg_sync *sync, struct eg_desired *desired, uint64_t revision);
/* One document: a new one, taken; or none any more. */
int eg_sync_document(struct eg_sync *sync, struct eg_document *document, uint64_t revision);
int eg_sync_gone(struct eg_sync *sync, enum eg_document_kind kind, bool of_host, const char *app, uint64_t revision);
/* A kill that was found while policies are put, taken: only the hold is looked at. */
int eg_sync_kill(struct eg_sync *sync, struct eg_document *document);
/* Before a source gives us several documents: as far as it knows there are no other kills. */
void eg_sync_begin(struct eg_sync *sync);
void eg_sync_end(struct eg_sync *sync);
/* Whether the source is reached, at which endpoint, or why not. */
int eg_sync_connection(struct eg_sync *sync, bool connected, const char *endpoint, const char *message);
/* About once a second. */
int eg_sync_idle(struct eg_sync *sync);

uint64_t eg_sync_now_ms(void); /* monotonic */

#endif

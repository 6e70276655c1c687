/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.h - from what is wanted and what there is to what has to be done; pure
 *
 * For one app at a time, so that nothing of one holds back another. A kill is wanted if any document
 * says so; it ends only by a document that says so, with a generation above what the agent knows: that
 * documents are missing, can't be read, or are for other hosts changes nothing. A policy that is missing
 * is deleted, but not by one app's rule alone: see eg_reconcile_pauses.
 */
#ifndef EG_SYNC_RECONCILE_H
#define EG_SYNC_RECONCILE_H

#include <jansson.h>
#include <stdbool.h>

#include "desired.h"

/* The agent's GET /v1/control: "policies" and "holds", by app. */
struct eg_reconcile {
	const char *source; /* "etcd", "https" */
	const json_t *have;
	const json_t *floors; /* by app: {"generation", "hash"} of the last numbered policy that was accepted */
};

enum eg_policy_step {
	EG_POLICY_KEEP, /* as it should be, or nobody knows better */
	EG_POLICY_PUT,
	EG_POLICY_DELETE,  /* a document says so */
	EG_POLICY_MISSING, /* ours, and no document has it any more */
};
enum eg_hold_step { EG_HOLD_KEEP, EG_HOLD_KILL, EG_HOLD_RESTORE };

struct eg_steps {
	enum eg_policy_step policy;
	const struct eg_document *policy_document; /* of PUT and DELETE */
	enum eg_hold_step hold;
	const struct eg_document *hold_document;
	uint64_t hold_generation;
	struct eg_error error; /* why something of it is not done; status 0: nothing */
};

/* wanted NULL: no document is there for the app. */
void eg_reconcile_app(const struct eg_reconcile *reconcile, const char *app, const struct eg_desired_app *wanted,
		      struct eg_steps *ret);

/* Whether deletions wait for a person: all of a source's policies are missing, or several that are over a tenth. */
bool eg_reconcile_pauses(size_t missing, size_t ours);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "reconcile.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *member)
{
	json_int_t number = json_integer_value(json_object_get(object, member));

	return number > 0 ? (uint64_t)number : 0;
}

static void copy_error(struct eg_error *to, const struct eg_error *from)
{
	if (to->status || !from->status)
		return;
	*to = *from;
	to->details = NULL;
}

static const struct eg_document *document_of(const struct eg_desired_app *wanted, enum eg_document_kind kind,
					     bool of_host)
{
	return wanted ? wanted->documents[2 * (size_t)kind + of_host] : NULL;
}

/* ---- Kills ------------------------------------------------ */

/* All that the documents say, put together. */
struct word {
	const struct eg_document *document; /* NULL: they say nothing */
	bool killed;
	uint64_t generation;
};

static void hear(struct word *word, const struct eg_document *document)
{
	if (!document || document->error.status || !document->applies)
		return;
	if (!word->document || (document->killed && !word->killed) ||
	    (document->killed == word->killed && document->generation > word->generation))
		word->document = document;
	word->killed = word->killed || document->killed;
	if (document->generation > word->generation)
		word->generation = document->generation;
}

static void step_hold(const struct eg_reconcile *reconcile, const char *app, const struct eg_desired_app *wanted,
		      struct eg_steps *ret)
{
	const json_t *known = json_object_get(json_object_get(reconcile->have, "holds"), app);
	bool killed = json_is_true(json_object_get(known, "killed")), newer;
	struct word word = {0};

	for (int of_host = 0; of_host < 2; of_host++) {
		const struct eg_document *document = document_of(wanted, EG_DOCUMENT_KILL, of_host);

		if (document && document->applies)
			copy_error(&ret->error, &document->error);
		hear(&word, document);
	}
	newer = !known || word.generation > number_of(known, "generation");
	/* a kill that is newer than the one in force is told: it ends what an admin of the host may have overridden */
	if (!word.document || (word.killed == killed && !(killed && newer)))
		return;
	if (!newer) {
		eg_error_set(&ret->error, 409, "stale_generation",
			     "The %s has the generation %llu, but the last word on it here has %llu: it was ignored. "
			     "Write it anew "
			     "with a \"generation\" above that.",
			     word.killed ? "kill" : "restore", (unsigned long long)word.generation,
			     (unsigned long long)number_of(known, "generation"));
		return;
	}
	ret->hold = word.killed ? EG_HOLD_KILL : EG_HOLD_RESTORE;
	ret->hold_document = word.document;
	ret->hold_generation = word.generation;
}

/* ---- Policies ------------------------------------------------ */

/* This host's own document goes before the fleet's; one that is for other hosts is none. */
static const struct eg_document *policy_of(const struct eg_desired_app *wanted)
{
	for (int of_host = 1; of_host >= 0; of_host--) {
		const struct eg_document *document = document_of(wanted, EG_DOCUMENT_POLICY, of_host);

		if (document && document->applies)
			return document;
	}
	return NULL;
}

/* A number that was given once is never given to something else, and never to something older. */
static bool goes_back(const struct eg_reconcile *reconcile, const struct eg_document *document, struct eg_error *err)
{
	const json_t *floor = json_object_get(reconcile->floors, document->app);
	uint64_t last = number_of(floor, "generation");

	if (!floor ||
	    !document->numbered) /* without a number of its own it is not signed, and is as good as its store */
		return false;
	if (document->generation > last ||
	    (document->generation == last && strcmp(text_of(floor, "hash"), document->hash) == 0))
		return false;
	eg_error_set(err, 409, "stale_generation",
		     "The policy has the generation %llu, and %llu was accepted before%s: it was refused.",
		     (unsigned long long)document->generation, (unsigned long long)last,
		     document->generation == last ? " with another content" : "");
	return true;
}

static void step_policy(const struct eg_reconcile *reconcile, const char *app, const struct eg_desired_app *wanted,
			struct eg_steps *ret)
{
	const json_t *known = json_object_get(json_object_get(reconcile->have, "policies"), app);
	bool ours = known && strcmp(text_of(known, "source"), reconcile->source) == 0;
	const struct eg_document *document = policy_of(wanted);

	if (!document) {
		ret->policy = ours ? EG_POLICY_MISSING : EG_POLICY_KEEP;
		return;
	}
	copy_error(&ret->error, &document->error);
	if (document->error.status || goes_back(reconcile, document, &ret->error))
		return;
	if (document->deleted)
		ret->policy = ours ? EG_POLICY_DELETE : EG_POLICY_KEEP;
	else if (!ours || strcmp(text_of(known, "hash"), document->hash) != 0)
		ret->policy = EG_POLICY_PUT;
	ret->policy_document = document;
}

void eg_reconcile_app(const struct eg_reconcile *reconcile, const char *app, const struct eg_desired_app *wanted,
		      struct eg_steps *ret)
{
	*ret = (struct eg_steps){.policy = EG_POLICY_KEEP, .hold = EG_HOLD_KEEP};
	step_hold(reconcile, app, wanted, ret);
	step_policy(reconcile, app, wanted, ret);
}

bool eg_reconcile_pauses(size_t missing, size_t ours)
{
	return missing && (missing >= ours || (missing >= 2 && missing * 10 > ours));
}

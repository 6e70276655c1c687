/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - what the control plane says of one app: a policy, or a kill; read, checked, targeted
 *
 * Pure. egret-sync(8) describes the documents. One that can't be used keeps its error and says nothing
 * about the app: what is in force stays.
 */
#ifndef EG_SYNC_DOCUMENT_H
#define EG_SYNC_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/error.h"
#include "signature.h"

enum eg_document_kind { EG_DOCUMENT_POLICY, EG_DOCUMENT_KILL, EG_DOCUMENT_KINDS_ };

/* By what documents are judged. */
struct eg_document_rules {
	const char *host;
	const json_t *host_labels;
	const struct eg_public_key *keys; /* none: signatures are not asked for */
	size_t key_count;
};

struct eg_document {
	enum eg_document_kind kind;
	char app[EG_APP_NAME_LEN]; /* a kill's may be "*" */
	bool of_host;		   /* from the keys of this host: it goes before the fleet's */
	bool applies;		   /* to this host */
	bool numbered;		   /* the generation is the document's own, not its place in the store */
	uint64_t generation;
	struct eg_error error; /* status 0: it can be used */

	/* Of a policy */
	bool deleted; /* it says that there shall be none */
	bool take_over;
	char *text; /* NULL if deleted */
	size_t len;
	char hash[65]; /* SHA-256 of the canonical JSON, as the agent's */

	/* Of a kill; these may be NULL */
	bool killed;
	char *reason;
	char *ticket;
	char *by;
};

struct eg_document_source {
	enum eg_document_kind kind;
	const char *app;
	bool of_host;
	bool trusted;	     /* what it came in was signed */
	uint64_t generation; /* where the document has none */
};

/* 0, also for one with an error; -ENOMEM. */
int eg_document_parse(const struct eg_document_rules *rules, const struct eg_document_source *from, const char *value,
		      size_t len, struct eg_document **ret);
/* The same of an object at hand. */
int eg_document_read(const struct eg_document_rules *rules, const struct eg_document_source *from, const json_t *object,
		     struct eg_document **ret);
void eg_document_free(struct eg_document *document);

/*
 * The text that is signed within {"signed": TEXT, "signature": BASE64}. 0 and the parsed text (new
 * reference); with keys, -EBADMSG and *err ("unsigned", "bad_signature") unless one of them made it.
 */
int eg_document_unwrap(const struct eg_document_rules *rules, const json_t *object, json_t **ret, struct eg_error *err);

#endif

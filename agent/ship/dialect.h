/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialect.h - what HTTP receivers have in common, and the table of what they don't
 *
 * A protocol over HTTP renders items into a body, and judges the answer. Both are pure functions, so that tests and
 * fuzzers call them without a socket; in between stands http.h.
 */
#ifndef EG_SHIP_DIALECT_H
#define EG_SHIP_DIALECT_H

#include "answer.h"
#include "body.h"
#include "protocol.h"

struct eg_dialect {
	const char *path; /* that "url" is completed with, unless it ends so; NULL: "url" is all of it */
	const char *alias; /* another end of "url" that stands for path; NULL: none */
	const char *query; /* "name=value" to ask with; NULL: none */
	const char *scheme; /* of Authorization, for the token */
	const char *content_type; /* NULL: the configuration's */
	size_t answer_per_item; /* bytes that an answer may have for each item, beyond EG_HTTP_ANSWER_MAX */

	/* What only this receiver is particular about; NULL: nothing. -EINVAL with *err filled. */
	int (*check)(const struct eg_sink_config *config, struct eg_error *err);
	/* The same bytes for the same items. Out of memory: body->failed. */
	void (*render)(const struct eg_sink_config *config, const struct eg_item *items, size_t count,
		       struct eg_body *body);
	/* One more header, "Name: value", that the items decide on; NULL: none. */
	void (*header)(const struct eg_sink_config *config, const struct eg_item *items, size_t count, char *ret,
		       size_t size);
	/* Fills *result (zeroed but for `items`) by an answer with any status. */
	void (*judge)(const struct eg_answer *answer, size_t count, struct eg_result *result);
};

extern const struct eg_dialect eg_dialect_hec, eg_dialect_elastic, eg_dialect_otlp, eg_dialect_loki, eg_dialect_webhook;

/* protocol.h's functions for dialects that need nothing of their own; a sink of theirs is a struct eg_speaker. */
int eg_dialect_open(const struct eg_dialect *dialect, const struct eg_sink_config *config, const atomic_bool *stopping,
		    void **ret, struct eg_error *err);
void eg_dialect_send(void *sink, const struct eg_item *items, size_t count, struct eg_result *result);
void eg_dialect_close(void *sink);

/*
 * The URL of path (NULL: the dialect's own) at the receiver: "https://h/p/", "https://h/p" and "https://h/p/v1/logs"
 * all give "https://h/p/v1/logs". A query of url stays, and the dialect's is put behind it. NULL without memory.
 */
char *eg_dialect_url(const struct eg_dialect *dialect, const char *url, const char *path);

#endif

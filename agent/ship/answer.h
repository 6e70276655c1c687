/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h - what an HTTP receiver answered, and what its status means for the batch
 *
 * Pure functions; anything may be in an answer, since the receiver need not be who we think it is.
 */
#ifndef EG_SHIP_ANSWER_H
#define EG_SHIP_ANSWER_H

#include <jansson.h>

#include "protocol.h"

/* "Retry-After" is kept up to here: a receiver's mistake must not stop the export for years. */
#define EG_ANSWER_RETRY_MAX_NS (3600ull * 1000000000)

struct eg_answer {
	const char *peer; /* host:port, for people */
	long status;
	const char *body; /* NUL-terminated; may have NULs before len, too */
	size_t len;
	bool cut; /* it was longer than what we keep */
	uint64_t retry_after_ns; /* 0: not asked for */
	const char *location; /* of a redirect; "" */
	const char *secrets[2]; /* never repeated, should the receiver do so; NULL: none */
};

/*
 * Ends the judgement if it can: *result is then filled, and false returned. True: the status is 200 to 204 and the
 * answer is whole; the protocol has to say what that proves.
 *
 *   408, 409, 425, 429, 5xx   RETRY   also an answer that is too long to be read
 *   400, 413, 422             SPLIT   an event in it may be the cause
 *   all others                PAUSE   credentials (401, 403, 407) or configuration: 404, 405, 415, and redirects,
 *                                     which are never followed: they could carry events and the token elsewhere, and
 *                                     turn a POST into a GET. The address belongs into "url".
 */
bool eg_answer_accepted(const struct eg_answer *answer, struct eg_result *result);

/* Fills *result: "PEER <words> (status): <detail>", the detail without secrets and control characters, and bounded. */
void eg_answer_say(const struct eg_answer *answer, struct eg_result *result, enum eg_outcome outcome, const char *words,
		   const char *detail, size_t len);
/* The same with the answer's body as the detail. */
void eg_answer_tell(const struct eg_answer *answer, struct eg_result *result, enum eg_outcome outcome,
		    const char *words);
/* It was accepted, and the body can't be what this receiver says: RETRY. */
void eg_answer_odd(const struct eg_answer *answer, struct eg_result *result);

/* The body as a JSON object, a new reference; NULL: it is none. */
json_t *eg_answer_object(const struct eg_answer *answer);
/* Only white space, or nothing. */
bool eg_answer_is_empty(const struct eg_answer *answer);
/* A page for people, as portals and proxies send it in the place of an answer. */
bool eg_answer_is_page(const struct eg_answer *answer);

/*
 * Retry-After (RFC 9110, 10.2.3): seconds, or a date. date: the answer's own "Date" ("" if it has none), which the
 * wait is counted from rather than from our clock (now_s, UTC): one of the two may be wrong. 0: no such thing, or past.
 */
uint64_t eg_answer_retry_after(const char *value, const char *date, int64_t now_s);

#endif

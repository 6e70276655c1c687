/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - requests to a control plane: TLS, bounds, and deadlines set the same way for all of them
 *
 * A handle belongs to one thread. No proxy and no redirect is followed, whatever the environment says.
 */
#ifndef EG_SYNC_FETCH_H
#define EG_SYNC_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/control_config.h"

/* The contents of the files that the configuration names; read before privileges are dropped. NULL: not given. */
struct eg_credentials {
	char *password; /* without the end of its line */
	char *token;
	char *ca; /* PEM */
	char *cert;
	char *key;
	char **signers; /* PEM of each public key; ends with NULL, never NULL */
};

/* 0, or -EINVAL with *err (code "no_credentials") naming the file. */
int eg_credentials_read(const struct eg_control_config *control, struct eg_credentials *ret, struct eg_error *err);
void eg_credentials_clear(struct eg_credentials *credentials);

struct eg_fetch;

struct eg_fetch_ask {
	const char *method; /* "GET", "POST", "PUT", "DELETE" */
	const char *url;
	const char *const *headers; /* "Name: value"; ends with NULL; may be NULL */
	const char *body;	    /* NULL: none */
	size_t body_len;
	size_t max;	     /* bytes of the answer, once unpacked; more is -EFBIG */
	unsigned timeout_ms; /* of all; 0: none, for streams */
	bool gzip;	     /* may come packed */
	/* A stream's: each piece as it comes, instead of a body; not 0 ends it. */
	int (*on_data)(void *ctx, const char *bytes, size_t len);
	/* About once a second, while nothing comes too; not 0 ends it. */
	int (*on_idle)(void *ctx);
	void *ctx;
};

struct eg_fetch_answer {
	long status;
	char *body; /* NUL-terminated, owned */
	size_t len;
	char etag[256];		/* with its quotes; "" */
	uint64_t retry_after_s; /* 0: not given */
};

/* credentials are borrowed; NULL: plain. -ENOMEM. */
int eg_fetch_new(const struct eg_credentials *credentials, struct eg_fetch **ret);
void eg_fetch_free(struct eg_fetch *http);
/*
 * 0: there is an answer, of whatever status; -EFBIG: it is larger than max; -ECANCELED: a callback ended it;
 * -EIO: none came, and why is in message.
 */
int eg_fetch_send(struct eg_fetch *http, const struct eg_fetch_ask *ask, struct eg_fetch_answer *ret, char *message,
		 size_t size);
void eg_fetch_answer_clear(struct eg_fetch_answer *answer);

#endif

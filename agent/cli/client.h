/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one caller of the agent's HTTP API on its Unix socket
 */
#ifndef EG_CLI_CLIENT_H
#define EG_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "../lib/cleanup.h"
#include "../lib/error.h"

#define EG_CLIENT_SOCKET    "/run/egret/egret.sock"
#define EG_CLIENT_WAIT_S    30 /* an answer takes at most this long, unless the request says otherwise */
#define EG_CLIENT_BYTES_MAX (512u << 20) /* of an answer that is not streamed */

struct eg_client;

/* Connects at the first request. 0, -ENOMEM, or -EINVAL: the path can't be a socket's. */
int eg_client_new(const char *socket, struct eg_client **ret, struct eg_error *err);
void eg_client_free(struct eg_client *client);
EG_DEFINE_CLEANUP(client, struct eg_client *, eg_client_free);

struct eg_client_request {
	const char *method;
	const char *path; /* with its query: see eg_client_path */
	const char *body; /* JSON, or NULL */
	size_t len;
	const char *if_match; /* a revision without its quotes, or NULL */
	unsigned wait_s; /* 0: EG_CLIENT_WAIT_S */
};

/*
 * 0 with the answer's JSON (a new reference). -EREMOTEIO: the agent answered with an error, which
 * is in *err with its status. Otherwise err->status is 0: -ECONNREFUSED nobody listens, -ETIMEDOUT
 * somebody does and does not answer, -EACCES the socket is not ours to open, -EPROTO what came is
 * no answer of an agent, -ENOMEM.
 */
int eg_client_call(struct eg_client *client, const struct eg_client_request *request, json_t **ret,
		   struct eg_error *err);

/* For NDJSON: line gets each line as it comes, without its newline. Nonzero ends the stream, and is returned. */
typedef int (*eg_client_line_fn)(void *ctx, const char *line, size_t len);
int eg_client_stream(struct eg_client *client, const char *path, eg_client_line_fn line, void *ctx,
		     struct eg_error *err);

/* "PATH?key=value&...": pairs of strings end with NULL; a pair whose value is NULL is left out. NULL without memory. */
char *eg_client_path(const char *path, ...) __attribute__((sentinel));

#endif

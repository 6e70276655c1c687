/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - one sink's way to its receiver: POST, and what came back
 *
 * Theory of operation. A sink has one libcurl handle, and so at most one connection, which is kept between batches.
 * HTTP/1.1 over TCP or TLS 1.2 and later; the receiver's certificate and its name are always checked, against the
 * authorities of "tls.ca" alone where that is given. Redirects are never followed. A proxy comes from the
 * configuration only; the environment (http_proxy, no_proxy, netrc) is never asked. An https:// proxy is checked
 * against the same "tls.ca".
 *
 * Token, password and certificates are files. Before each request they are looked at, and read again when they
 * changed, or when the receiver refused what we had; with new certificates begins a new handle, since libcurl keeps
 * connections, sessions and authorities. A file that can't be used is PAUSE, and says which.
 *
 * Answers are read into bounded memory and never unpacked. A request ends by its deadline, and within a second once
 * we are to stop.
 *
 * The process has to ignore SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
 */
#ifndef EG_SHIP_HTTP_H
#define EG_SHIP_HTTP_H

#include "answer.h"
#include "protocol.h"

#define EG_HTTP_ANSWER_MAX (64u << 10)

struct eg_http;

struct eg_http_request {
	const char *url;
	const char *content_type;
	const char *header; /* one more, "Name: value"; NULL: none */
	const void *body;
	size_t len;
	bool gzip; /* body is in gzip form */
	size_t answer_max; /* bytes; longer ones are cut */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
};

/*
 * scheme: of Authorization for the token, such as "Bearer". config and stopping are borrowed. Reads the credentials
 * and looks at the certificates' files once, so that what is wrong is said at the start: -errno with *err filled.
 */
int eg_http_new(const struct eg_sink_config *config, const char *scheme, const atomic_bool *stopping,
		struct eg_http **ret, struct eg_error *err);
void eg_http_free(struct eg_http *http);

/* True: *ret is the answer, valid until the next call. False: there is none, *result says why. */
bool eg_http_post(struct eg_http *http, const struct eg_http_request *request, struct eg_answer *ret,
		  struct eg_result *result);

uint64_t eg_http_now_ns(void);

/* Sleeps. False: it ended early, because we are to stop or the deadline came. */
bool eg_http_sleep(const struct eg_http *http, uint64_t ns, uint64_t deadline_ns);

#endif

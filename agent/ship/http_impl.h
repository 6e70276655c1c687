/* SPDX-License-Identifier: Apache-2.0 */
/* http_impl.h - what http.c and its parts share */
#ifndef EG_SHIP_HTTP_IMPL_H
#define EG_SHIP_HTTP_IMPL_H

#include <curl/curl.h>

#include "body.h"
#include "curl_options.h"
#include "http.h"
#include "secret.h"
#include "tls_files.h"

#define EG_HTTP_STOP_MS	   100 /* how often we look whether we are to stop */
#define EG_HTTP_HEADER_MAX 256
#define EG_HTTP_PEER_MAX   280

/* Who we say we are. */
struct eg_http_auth {
	const struct eg_sink_config *config;
	const char *scheme; /* of the token */
	struct eg_secret secret; /* token or password; path NULL: none */
	char *header; /* "Authorization: ..."; NULL: none */
};

struct eg_http {
	const struct eg_sink_config *config;
	const atomic_bool *stopping;
	char peer[EG_HTTP_PEER_MAX];
	char proxy[EG_HTTP_PEER_MAX]; /* ""; none */
	bool distrusted;
	struct eg_http_auth auth;
	struct eg_tls_files files;

	CURLM *multi; /* with easy; NULL: to be made */
	CURL *easy;
	char words[CURL_ERROR_SIZE];

	/* Of the answer that is coming. */
	struct eg_body body;
	size_t body_max;
	bool cut;
	char retry_after[EG_HTTP_HEADER_MAX];
	char date[EG_HTTP_HEADER_MAX];
	char location[EG_HTTP_HEADER_MAX];
};

/* Of one request. CURLE_ABORTED_BY_CALLBACK: we are to stop. The caller takes easy out of http->multi. */
CURLcode eg_http_perform(const struct eg_http *http, CURL *easy);

/*
 * With TLS 1.3 a receiver judges our certificate after the handshake has ended for us, and what we sent meanwhile makes
 * its connection end in a reset that swallows its reason. So, after such an end: connects again, sends nothing, and
 * listens for a moment. True: ret has an alert, in libcurl's words.
 */
bool eg_http_probe(const struct eg_http *http, uint64_t deadline_ns, char ret[CURL_ERROR_SIZE]);

/* All that does not depend on the request. */
bool eg_http_options_set(const struct eg_sink_config *config, CURL *easy);

/* ---- http_auth.c --------------------------------------------------------------------------------------- */

void eg_http_auth_init(struct eg_http_auth *auth, const struct eg_sink_config *config, const char *scheme);
/* Makes the header, if it is not up to date. -errno with *err filled. */
int eg_http_auth_renew(struct eg_http_auth *auth, bool again, struct eg_error *err);
/* What follows the scheme in the header; NULL: nothing. */
const char *eg_http_auth_value(const struct eg_http_auth *auth);
void eg_http_auth_drop(struct eg_http_auth *auth);

#endif

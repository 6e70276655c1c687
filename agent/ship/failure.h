/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - a request that got no answer: what to do, and why, in plain words
 *
 * Pure. What speaks of certificates and of the proxy's refusal is PAUSE (somebody has to act, the files are read
 * again meanwhile); all that a network can do is RETRY. Neither ever drops an event.
 */
#ifndef EG_SHIP_FAILURE_H
#define EG_SHIP_FAILURE_H

#include <curl/curl.h>

#include "protocol.h"

struct eg_failure {
	CURLcode code;
	const char *peer; /* host:port of the receiver */
	const char *proxy; /* of the proxy; NULL: none */
	bool connected; /* the connection stood, and its TLS if it has any */
	bool tls;
	bool stopped; /* we gave up, because we are to stop */
	long verify; /* OpenSSL's result of the certificate check; 0: none */
	long os_errno;
	long connect_status; /* of the proxy's answer to CONNECT; 0: none */
	uint64_t timeout_ns;
	const char *detail; /* libcurl's words; "" */
};

void eg_failure_tell(const struct eg_failure *failure, struct eg_result *result);

/* The connection broke off, and its TLS stood or nearly did: behind that may be a refusal that was lost with it. */
bool eg_failure_may_be_refusal(const struct eg_failure *failure);

#endif

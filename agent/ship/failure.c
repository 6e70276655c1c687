// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../lib/units.h"

static void say(struct eg_result *result, enum eg_outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct eg_result *result, enum eg_outcome outcome, const char *format, ...)
{
	va_list args;

	result->outcome = outcome;
	va_start(args, format);
	vsnprintf(result->error, sizeof(result->error), format, args);
	va_end(args);
	for (char *c = result->error; *c; c++) { /* names in a certificate may have any bytes */
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	}
}

/* Whom the connection goes to, and so whom its failure speaks of. */
static const char *near_end(const struct eg_failure *failure)
{
	return failure->proxy ? failure->proxy : failure->peer;
}

/* X509_V_ERR_..., from OpenSSL's x509_vfy.h; libcurl passes them on. */
static const char *certificate_words(long verify)
{
	switch (verify) {
	case 0:
	case 1: /* what libcurl leaves there when the chain is good, but the name, which it looks at itself, is not */
	case 62:
		return "is for another host";
	case 9:
		return "is not valid yet";
	case 10:
		return "has expired";
	case 2:
	case 18:
	case 19:
	case 20:
	case 21:
		return "is not signed by an authority that we know; see \"tls.ca\"";
	case 23:
		return "has been revoked";
	default:
		return "is not good";
	}
}

static bool is_alert(const char *detail)
{
	return strstr(detail, " alert ") != NULL;
}

/* What a receiver that wants a client certificate says when there is none, or another. */
static bool is_certificate_alert(const char *detail)
{
	return is_alert(detail) && (strstr(detail, "certificate") || strstr(detail, "unknown ca") ||
				    strstr(detail, "handshake failure") || strstr(detail, "access denied"));
}

/* Neither an alert nor a broken record, but a connection that ended while TLS was being spoken. */
static bool is_cut(const struct eg_failure *failure)
{
	return failure->os_errno == ECONNRESET || failure->os_errno == EPIPE || strstr(failure->detail, "SYSCALL") ||
	       strstr(failure->detail, "unexpected eof");
}

static void tell_tls(const struct eg_failure *failure, struct eg_result *result)
{
	const char *end = near_end(failure);

	if (is_certificate_alert(failure->detail))
		say(result, EG_OUTCOME_PAUSE, "%.80s refuses our certificate, or wants one; see \"tls.cert\": %.160s",
		    end, failure->detail);
	else if (is_cut(failure))
		say(result, EG_OUTCOME_RETRY, "%.80s broke off while TLS began", end);
	else
		say(result, EG_OUTCOME_PAUSE, "no TLS with %.80s: %.240s", end, failure->detail);
}

static void tell_connect(const struct eg_failure *failure, struct eg_result *result)
{
	const char *end = near_end(failure);

	if (failure->os_errno == ECONNREFUSED)
		say(result, EG_OUTCOME_RETRY, "connection refused by %.80s", end);
	else
		say(result, EG_OUTCOME_RETRY, "no connection to %.80s: %.160s", end,
		    failure->os_errno ? strerror((int)failure->os_errno) : failure->detail);
}

static void tell_timeout(const struct eg_failure *failure, struct eg_result *result)
{
	char span[48];

	eg_units_span_text(failure->timeout_ns, span, sizeof(span));
	if (failure->connected)
		say(result, EG_OUTCOME_RETRY, "no answer within %s from %.80s", span, failure->peer);
	else
		say(result, EG_OUTCOME_RETRY, "no connection within %s to %.80s", span, near_end(failure));
}

/* The connection stood, or seemed to, and then ended. */
static void tell_broken(const struct eg_failure *failure, struct eg_result *result)
{
	if (failure->connect_status >= 400 && failure->connect_status < 500)
		say(result, EG_OUTCOME_PAUSE, "the proxy %.80s does not let us through to %.80s (%ld)",
		    near_end(failure), failure->peer, failure->connect_status);
	else if (failure->connect_status >= 300)
		say(result, EG_OUTCOME_RETRY, "the proxy %.80s has no way to %.80s (%ld)", near_end(failure),
		    failure->peer, failure->connect_status);
	else if (is_alert(failure->detail)) /* TLS 1.3 has a client's certificate judged after the handshake */
		tell_tls(failure, result);
	else
		say(result, EG_OUTCOME_RETRY, "%.80s broke off before its answer was whole: %.200s", near_end(failure),
		    failure->detail);
}

void eg_failure_tell(const struct eg_failure *failure, struct eg_result *result)
{
	if (failure->stopped) {
		say(result, EG_OUTCOME_RETRY, "stopped while waiting for %.80s", failure->peer);
		return;
	}
	switch (failure->code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		say(result, EG_OUTCOME_PAUSE, "certificate of %.80s %s: %.200s", near_end(failure),
		    certificate_words(failure->verify), failure->detail);
		return;
	case CURLE_SSL_CERTPROBLEM:
		say(result, EG_OUTCOME_PAUSE, "our certificate or its key can't be used; see \"tls.cert\": %.240s",
		    failure->detail);
		return;
	case CURLE_SSL_CACERT_BADFILE:
		say(result, EG_OUTCOME_PAUSE, "\"tls.ca\" can't be used: %.240s", failure->detail);
		return;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		tell_tls(failure, result);
		return;
	case CURLE_COULDNT_CONNECT:
		tell_connect(failure, result);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		say(result, EG_OUTCOME_RETRY, "no address is known for the name of %.80s", near_end(failure));
		return;
	case CURLE_OPERATION_TIMEDOUT:
		tell_timeout(failure, result);
		return;
	case CURLE_OUT_OF_MEMORY:
		say(result, EG_OUTCOME_RETRY, "no memory is left for a request");
		return;
	default:
		tell_broken(failure, result);
		return;
	}
}

bool eg_failure_may_be_refusal(const struct eg_failure *failure)
{
	return failure->tls && !is_alert(failure->detail) &&
	       (failure->code == CURLE_SEND_ERROR || failure->code == CURLE_RECV_ERROR ||
		failure->code == CURLE_GOT_NOTHING);
}

// SPDX-License-Identifier: Apache-2.0
/* syslog_stream.c - links over TCP and TLS, by libcurl */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../lib/cleanup.h"
#include "curl_options.h"
#include "syslog_link_impl.h"

#define MS_NS	 1000000ull
#define SLICE_MS 200
#define READS_MAX 16 /* one that talks without end must not keep us from sending */

static bool set_options(struct eg_syslog_link *link, uint64_t timeout_ns)
{
	bool tls = link->transport == EG_SYSLOG_TLS, v6 = strchr(link->host, ':') != NULL;
	CURL *easy = link->easy;
	bool bad = !eg_curl_options_set(link->config, easy);
	char url[300];

	snprintf(url, sizeof(url), "%s://%s%s%s:%s/", tls ? "https" : "http", v6 ? "[" : "", link->host, v6 ? "]" : "",
		 link->port);
	EG_CURL_SET(URL, url);
	EG_CURL_SET(CONNECT_ONLY, 1L);
	EG_CURL_SET(ERRORBUFFER, link->said);
	EG_CURL_SET(CONNECTTIMEOUT_MS, (long)(timeout_ns / MS_NS) + 1);
	EG_CURL_SET(HTTPPROXYTUNNEL, link->config->proxy ? 1L : 0L);
	EG_CURL_SET(SSL_ENABLE_ALPN, 0L); /* it is not HTTP that we will speak */
	EG_CURL_SET(SSL_SESSIONID_CACHE, 0L); /* a resumed session would not know files that have changed since */
	return !bad;
}

/* CURLE_ABORTED_BY_CALLBACK: told to stop. */
static CURLcode connect_now(struct eg_syslog_link *link, uint64_t deadline_ns)
{
	int running = 1, left;
	CURLMsg *message;

	while (running) {
		if (curl_multi_perform(link->multi, &running) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (atomic_load(link->stopping))
			return CURLE_ABORTED_BY_CALLBACK;
		if (running && eg_syslog_now_ns() > deadline_ns)
			return CURLE_OPERATION_TIMEDOUT;
		if (running)
			curl_multi_poll(link->multi, NULL, 0, SLICE_MS, NULL);
	}
	message = curl_multi_info_read(link->multi, &left);
	return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

/* An alert is the receiver's own word about our certificate, version or ciphers; anything else is the network's. */
static bool is_alert(const char *said)
{
	return strstr(said, " alert ") || strstr(said, "wrong version number") || strstr(said, "unsupported protocol");
}

static bool explain(const struct eg_syslog_link *link, CURLcode code, struct eg_result *result)
{
	const char *said = link->said[0] ? link->said : curl_easy_strerror(code);
	const struct eg_sink_config *config = link->config;

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return eg_syslog_fail(result, EG_OUTCOME_PAUSE, "the certificate of %s is not good: %s", link->place,
				      said);
	case CURLE_SSL_CERTPROBLEM:
		return eg_syslog_fail(result, EG_OUTCOME_PAUSE, "our certificate or key can't be used (%s, %s): %s",
				      config->cert_file, config->key_file ? config->key_file : "no key", said);
	case CURLE_SSL_CACERT_BADFILE:
		return eg_syslog_fail(result, EG_OUTCOME_PAUSE, "the CA file %s can't be used: %s",
				      config->ca_file ? config->ca_file : "of the host", said);
	case CURLE_SSL_CONNECT_ERROR:
		return eg_syslog_fail(result, is_alert(said) ? EG_OUTCOME_PAUSE : EG_OUTCOME_RETRY,
				      "no TLS with %s: %s", link->place, said);
	case CURLE_ABORTED_BY_CALLBACK:
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: told to stop", link->place);
	case CURLE_OPERATION_TIMEDOUT:
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "can't connect to %s: no answer in time", link->place);
	default:
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "can't connect to %s: %s", link->place, said);
	}
}

bool eg_syslog_stream_open(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	uint64_t now = eg_syslog_now_ns();
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code;

	link->said[0] = '\0';
	link->datagram = false;
	link->multi = curl_multi_init();
	link->easy = link->multi ? curl_easy_init() : NULL;
	if (!link->easy || !set_options(link, deadline_ns > now ? deadline_ns - now : 0) ||
	    curl_multi_add_handle(link->multi, link->easy) != CURLM_OK)
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: no memory is left, or libcurl is of no use",
				      link->place);
	code = connect_now(link, deadline_ns);
	if (code != CURLE_OK)
		return explain(link, code, result);
	if (curl_easy_getinfo(link->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return explain(link, CURLE_COULDNT_CONNECT, result);
	link->fd = fd;
	return true;
}

static ssize_t read_some(struct eg_syslog_link *link, char *ret, size_t size)
{
	size_t n = 0;
	CURLcode code;

	if (!link->easy) {
		ssize_t got = recv(link->fd, ret, size, MSG_DONTWAIT);

		return got < 0 ? -errno : got;
	}
	link->said[0] = '\0';
	code = curl_easy_recv(link->easy, ret, size, &n);
	if (code == CURLE_OK)
		return (ssize_t)n;
	if (code == CURLE_AGAIN)
		return -EAGAIN;
	if (!link->said[0])
		strcpy(link->said, curl_easy_strerror(code));
	return -EIO;
}

bool eg_syslog_stream_drain(struct eg_syslog_link *link, bool *ret_came, struct eg_result *result)
{
	char buf[4096];
	ssize_t n = -EAGAIN;

	*ret_came = true;
	for (int i = 0; i < READS_MAX; i++) {
		n = read_some(link, buf, sizeof(buf));
		if (n <= 0)
			break;
	}
	if (n > 0 || n == -EAGAIN)
		return true;
	if (n == -EIO && is_alert(link->said))
		return eg_syslog_fail(result, EG_OUTCOME_PAUSE, "%s refuses our certificate, or asks for one: %s",
				      link->place, link->said);
	if (n < 0)
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: the connection broke: %s", link->place,
				      n == -EIO ? link->said : strerror((int)-n));
	if (link->transport == EG_SYSLOG_TLS)
		return eg_syslog_fail(result, EG_OUTCOME_RETRY,
				      "%s closed the connection; it may not accept our certificate, or ask for one",
				      link->place);
	return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s closed the connection", link->place);
}

ssize_t eg_syslog_stream_write(struct eg_syslog_link *link, const char *bytes, size_t len)
{
	size_t n = 0;
	CURLcode code;

	link->said[0] = '\0';
	code = curl_easy_send(link->easy, bytes, len, &n);
	if (code == CURLE_OK && n > 0)
		return (ssize_t)n;
	if (code == CURLE_OK || code == CURLE_AGAIN)
		return -EAGAIN;
	if (!link->said[0])
		strcpy(link->said, curl_easy_strerror(code));
	return -EIO;
}

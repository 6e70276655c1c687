// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "failure.h"
#include "http_impl.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

uint64_t eg_http_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

bool eg_http_sleep(const struct eg_http *http, uint64_t ns, uint64_t deadline_ns)
{
	const uint64_t slice = EG_HTTP_STOP_MS * NS_PER_MS, end = eg_http_now_ns() + ns;

	for (uint64_t now = eg_http_now_ns(); now < end; now = eg_http_now_ns()) {
		uint64_t left = end - now < slice ? end - now : slice;

		if (now >= deadline_ns || atomic_load(http->stopping))
			return false;
		nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
	}
	return true;
}

/* ---- The answer, as it comes ---------------------------------------------------------------------------- */

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct eg_http *http = arg;
	size_t len = size * count, room = http->body_max - http->body.len;

	if (len > room) {
		eg_body_add(&http->body, data, room);
		http->cut = true;
		return 0; /* the transfer ends here */
	}
	eg_body_add(&http->body, data, len);
	return http->body.failed ? 0 : len;
}

static void take_value(const char *line, size_t len, const char *name, char ret[EG_HTTP_HEADER_MAX])
{
	size_t skip = strlen(name);

	if (len <= skip || strncasecmp(line, name, skip) != 0)
		return;
	while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (len > skip && strchr("\r\n \t", line[len - 1]))
		len--;
	if (len - skip < EG_HTTP_HEADER_MAX)
		snprintf(ret, EG_HTTP_HEADER_MAX, "%.*s", (int)(len - skip), line + skip);
}

static void forget_headers(struct eg_http *http)
{
	http->retry_after[0] = http->date[0] = http->location[0] = '\0';
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
	struct eg_http *http = arg;
	size_t len = size * count;

	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) /* after a 100 Continue comes another */
		forget_headers(http);
	take_value(line, len, "Retry-After:", http->retry_after);
	take_value(line, len, "Date:", http->date);
	take_value(line, len, "Location:", http->location);
	return len;
}

/* ---- The handle ------------------------------------------------------------------------------------------ */

static void drop_handle(struct eg_http *http)
{
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	http->easy = NULL;
	http->multi = NULL;
}

bool eg_http_options_set(const struct eg_sink_config *config, CURL *easy)
{
	bool bad = !eg_curl_options_set(config, easy);

	EG_CURL_SET(PROTOCOLS_STR, "http,https");
	EG_CURL_SET(FOLLOWLOCATION, 0L);
	EG_CURL_SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	EG_CURL_SET(NETRC, (long)CURL_NETRC_IGNORED);
	EG_CURL_SET(SUPPRESS_CONNECT_HEADERS, 1L);
	EG_CURL_SET(HEADEROPT, (long)CURLHEADER_SEPARATE); /* the token is not for the proxy */
	EG_CURL_SET(USERAGENT, "egret-ship/" EG_VERSION);
	return !bad;
}

static bool make_handle(struct eg_http *http)
{
	CURL *easy;
	bool bad = false;

	eg_tls_files_take(http->config, &http->files);
	http->multi = curl_multi_init();
	http->easy = easy = curl_easy_init();
	if (!http->multi || !easy || !eg_http_options_set(http->config, easy)) {
		drop_handle(http);
		return false;
	}
	EG_CURL_SET(ERRORBUFFER, http->words);
	EG_CURL_SET(WRITEFUNCTION, take_body);
	EG_CURL_SET(WRITEDATA, http);
	EG_CURL_SET(HEADERFUNCTION, take_header);
	EG_CURL_SET(HEADERDATA, http);
	if (bad)
		drop_handle(http);
	return !bad;
}

/* Files that changed are read again. */
static int renew(struct eg_http *http, struct eg_error *err)
{
	bool again = http->distrusted;
	int r = eg_http_auth_renew(&http->auth, again, err);

	if (http->multi && (again || eg_tls_files_differ(http->config, &http->files)))
		drop_handle(http);
	if (!r && !http->multi)
		r = eg_tls_files_check(http->config, err);
	if (r)
		return r;
	http->distrusted = false;
	if (http->multi || make_handle(http))
		return 0;
	eg_error_set(err, 500, "no_memory", "no memory is left for a connection");
	return -ENOMEM;
}

/* ---- One request ------------------------------------------------------------------------------------------- */

static bool add_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *more = line ? curl_slist_append(*headers, line) : *headers;

	if (more)
		*headers = more;
	return more || !line;
}

static bool add_headers(const struct eg_http *http, const struct eg_http_request *request, struct curl_slist **headers)
{
	char line[2048];
	const char *name;
	json_t *value;
	bool good;

	snprintf(line, sizeof(line), "Content-Type: %s", request->content_type);
	good = add_header(headers, line) && add_header(headers, "Accept: application/json") &&
	       add_header(headers, "Expect:") && add_header(headers, request->gzip ? "Content-Encoding: gzip" : NULL) &&
	       add_header(headers, request->header) &&
	       add_header(headers, request->signature) && add_header(headers, http->auth.header);
	json_object_foreach(http->config->headers, name, value) {
		snprintf(line, sizeof(line), "%s: %s", name, json_string_value(value));
		good = good && add_header(headers, line);
	}
	return good;
}

static void free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *one = headers; one; one = one->next)
		explicit_bzero(one->data, strlen(one->data)); /* the token is among them */
	curl_slist_free_all(headers);
}

static bool set_request(CURL *easy, const struct eg_http_request *request, struct curl_slist *headers, uint64_t now_ns)
{
	uint64_t ms = request->deadline_ns > now_ns ? (request->deadline_ns - now_ns) / NS_PER_MS : 0;
	bool bad = false;

	EG_CURL_SET(URL, request->url);
	EG_CURL_SET(POST, 1L);
	EG_CURL_SET(POSTFIELDS, request->body);
	EG_CURL_SET(POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
	EG_CURL_SET(HTTPHEADER, headers);
	EG_CURL_SET(TIMEOUT_MS, (long)(ms ? ms : 1));
	return !bad;
}

CURLcode eg_http_perform(const struct eg_http *http, CURL *easy)
{
	CURLcode code = CURLE_OUT_OF_MEMORY;
	CURLMsg *message;
	int running = 1, more;

	if (curl_multi_add_handle(http->multi, easy))
		return code;
	while (curl_multi_perform(http->multi, &running) == CURLM_OK && running) {
		if (atomic_load(http->stopping)) {
			code = CURLE_ABORTED_BY_CALLBACK;
			break;
		}
		if (curl_multi_poll(http->multi, NULL, 0, EG_HTTP_STOP_MS, NULL))
			break;
	}
	while ((message = curl_multi_info_read(http->multi, &more))) {
		if (message->msg == CURLMSG_DONE)
			code = message->data.result;
	}
	return code;
}

static long info(CURL *easy, CURLINFO which)
{
	long value = 0;

	curl_easy_getinfo(easy, which, &value);
	return value;
}

static void tell_failure(struct eg_http *http, CURLcode code, uint64_t deadline_ns, struct eg_result *result)
{
	char words[CURL_ERROR_SIZE];
	curl_off_t ready_us = 0;
	struct eg_failure failure = {
		.code = code,
		.peer = http->peer,
		.proxy = http->proxy[0] ? http->proxy : NULL,
		.tls = strncasecmp(http->config->url, "https:", 6) == 0,
		.stopped = code == CURLE_ABORTED_BY_CALLBACK,
		.verify = info(http->easy, CURLINFO_SSL_VERIFYRESULT),
		.os_errno = info(http->easy, CURLINFO_OS_ERRNO),
		.connect_status = info(http->easy, CURLINFO_HTTP_CONNECTCODE),
		.timeout_ns = http->config->timeout_ns,
		.detail = http->words[0] ? http->words : curl_easy_strerror(code),
	};

	curl_easy_getinfo(http->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	failure.connected = ready_us > 0;
	if (eg_failure_may_be_refusal(&failure) && eg_http_probe(http, deadline_ns, words))
		failure.detail = words;
	eg_failure_tell(&failure, result);
	if (result->outcome == EG_OUTCOME_PAUSE)
		http->distrusted = true;
}

static void begin_answer(struct eg_http *http, size_t max)
{
	eg_body_reset(&http->body);
	http->body_max = max;
	http->cut = false;
	http->words[0] = '\0';
	forget_headers(http);
}

static void end_answer(struct eg_http *http, struct eg_answer *ret)
{
	*ret = (struct eg_answer){
		.peer = http->peer,
		.status = info(http->easy, CURLINFO_RESPONSE_CODE),
		.body = http->body.data ? http->body.data : "",
		.len = http->body.len,
		.cut = http->cut,
		.retry_after_ns = eg_answer_retry_after(http->retry_after, http->date, time(NULL)),
		.location = http->location,
		.secrets = {http->auth.secret.text, eg_http_auth_value(&http->auth)},
	};
	if (http->body.data)
		http->body.data[http->body.len] = '\0';
	if (ret->status == 401 || ret->status == 403 || ret->status == 407)
		http->distrusted = true;
}

bool eg_http_post(struct eg_http *http, const struct eg_http_request *request, struct eg_answer *ret,
		  struct eg_result *result)
{
	struct curl_slist *headers = NULL;
	struct eg_error err = {0};
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (renew(http, &err)) {
		result->outcome = EG_OUTCOME_PAUSE;
		snprintf(result->error, sizeof(result->error), "%.500s", err.message);
		eg_error_clear(&err);
		return false;
	}
	begin_answer(http, request->answer_max);
	if (add_headers(http, request, &headers) && set_request(http->easy, request, headers, eg_http_now_ns())) {
		code = eg_http_perform(http, http->easy);
		curl_multi_remove_handle(http->multi, http->easy);
	}
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
	free_headers(headers);
	if (code == CURLE_OK || (http->cut && code == CURLE_WRITE_ERROR)) {
		end_answer(http, ret);
		return true;
	}
	tell_failure(http, code, request->deadline_ns, result);
	return false;
}

/* ---- From open to close --------------------------------------------------------------------------------------- */

/* "host:port" of a URL. */
static bool place_of(const char *url, char ret[EG_HTTP_PEER_MAX])
{
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL;
	bool good = parts && !curl_url_set(parts, CURLUPART_URL, url, 0) &&
		    !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
		    !curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);

	if (good)
		snprintf(ret, EG_HTTP_PEER_MAX, "%.255s:%.8s", host, port);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return good;
}

static int check(struct eg_http *http, struct eg_error *err)
{
	const struct eg_sink_config *config = http->config;

	if (!place_of(config->url, http->peer))
		return eg_error_set(err, 400, "bad_config", "\"url\": %.200s can't be read as a URL", config->url);
	if (config->proxy && !place_of(config->proxy, http->proxy))
		return eg_error_set(err, 400, "bad_config", "\"proxy\": %.200s can't be read as a URL", config->proxy);
	if (config->username && strchr(config->username, ':'))
		return eg_error_set(err, 400, "bad_config", "\"username\": a colon would end the name");
	return renew(http, err);
}

int eg_http_new(const struct eg_sink_config *config, const char *scheme, const atomic_bool *stopping,
		struct eg_http **ret, struct eg_error *err)
{
	struct eg_http *http = calloc(1, sizeof(*http));
	int r;

	if (!http) {
		eg_error_set(err, 500, "no_memory", "no memory is left for a sink");
		return -ENOMEM;
	}
	http->config = config;
	http->stopping = stopping;
	eg_http_auth_init(&http->auth, config, scheme);
	r = check(http, err);
	if (r) {
		eg_http_free(http);
		return r;
	}
	*ret = http;
	return 0;
}

void eg_http_free(struct eg_http *http)
{
	if (!http)
		return;
	drop_handle(http);
	eg_http_auth_drop(&http->auth);
	eg_body_free(&http->body);
	free(http);
}

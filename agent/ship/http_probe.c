// SPDX-License-Identifier: Apache-2.0
/*
 * http_probe.c - why did the receiver end the connection?
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "http_impl.h"

#define NS_PER_MS  1000000ull
#define CONNECT_MS 3000ull
#define LISTEN_MS  1000
#define ALERT	   " alert "

/*
 * libcurl's notes; the error buffer would keep the first error only, and that may be another. An alert has its name in
 * OpenSSL's words.
 */
static int take_note(CURL *easy, curl_infotype type, char *data, size_t len, void *words)
{
	(void)easy;
	if (type == CURLINFO_TEXT && memmem(data, len, ALERT, strlen(ALERT)))
		snprintf(words, CURL_ERROR_SIZE, "%.*s", (int)(len - (data[len - 1] == '\n')), data);
	return 0;
}

static bool set_probe(const struct eg_http *http, CURL *easy, uint64_t left_ms, char words[CURL_ERROR_SIZE])
{
	bool bad = !eg_http_options_set(http->config, easy);

	EG_CURL_SET(URL, http->config->url);
	EG_CURL_SET(CONNECT_ONLY, 1L);
	EG_CURL_SET(CONNECTTIMEOUT_MS, (long)(left_ms < CONNECT_MS ? left_ms : CONNECT_MS));
	EG_CURL_SET(VERBOSE, 1L);
	EG_CURL_SET(DEBUGFUNCTION, take_note);
	EG_CURL_SET(DEBUGDATA, words);
	return !bad;
}

/* Until something comes, or the connection ends; take_note has heard it. */
static void listen_to(const struct eg_http *http, CURL *easy, uint64_t deadline_ns)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	char data[256];
	size_t len;

	if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) || fd == CURL_SOCKET_BAD)
		return;
	for (int ms = 0; ms < LISTEN_MS && eg_http_now_ns() < deadline_ns && !atomic_load(http->stopping);
	     ms += EG_HTTP_STOP_MS) {
		if (curl_easy_recv(easy, data, sizeof(data), &len) != CURLE_AGAIN)
			return;
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, EG_HTTP_STOP_MS);
	}
}

bool eg_http_probe(const struct eg_http *http, uint64_t deadline_ns, char ret[CURL_ERROR_SIZE])
{
	uint64_t now = eg_http_now_ns(), left_ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0;
	CURL *easy = left_ms ? curl_easy_init() : NULL;

	ret[0] = '\0';
	if (!easy)
		return false;
	if (set_probe(http, easy, left_ms, ret) && !eg_http_perform(http, easy))
		listen_to(http, easy, deadline_ns);
	curl_multi_remove_handle(http->multi, easy);
	curl_easy_cleanup(easy);
	return ret[0] != '\0';
}

// SPDX-License-Identifier: Apache-2.0
/*
 * source_https.c - follows a bundle at a URL: an ETag, and a long poll for the next one
 *
 * Each request says which bundle we have (If-None-Match) and how long the server may keep it open
 * (Prefer: wait=N, RFC 7240): it answers when there is another one, or 304 when the time is over. A server
 * that doesn't wait is asked again after a pause. A bundle is all that is wanted, or is refused as a whole;
 * within one that is taken, each document stands for itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "bundle.h"
#include "report.h"
#include "source.h"

#define NS_PER_S 1000000000ull
#define BUNDLE_MAX (64u << 20)
#define SLACK_MS 15000u /* beyond what the server may wait */
#define SOON_MS 1000u	/* a 304 that comes sooner did not wait */

struct source {
	struct eg_sync *sync;
	struct eg_fetch *http;
	char etag[256];
	uint64_t retry_after_s;
	int result;
};

static int on_idle(void *ctx)
{
	struct source *source = ctx;

	source->result = eg_sync_idle(source->sync);
	return source->result != 0;
}

/* 0: an answer is in *ret; else why not is in *err. */
static int ask(struct source *source, struct eg_fetch_answer *ret, struct eg_error *err)
{
	const struct eg_control_config *control = source->sync->control;
	const unsigned wait_s = (unsigned)(control->wait_ns / NS_PER_S);
	char prefer[64], match[300], token[4400], host[300], why[400] = "";
	const char *headers[5] = {prefer, host};
	size_t count = 2;
	const struct eg_fetch_ask request = {
		.method = "GET",
		.url = control->endpoints[0],
		.headers = headers,
		.max = BUNDLE_MAX,
		.timeout_ms = wait_s * 1000 + SLACK_MS,
		.gzip = true,
		.on_idle = on_idle,
		.ctx = source,
	};

	snprintf(prefer, sizeof(prefer), "Prefer: wait=%u", wait_s);
	snprintf(host, sizeof(host), "Egret-Host: %s", source->sync->host);
	snprintf(match, sizeof(match), "If-None-Match: %s", source->etag);
	snprintf(token, sizeof(token), "Authorization: Bearer %s", source->sync->credentials.token);
	if (source->etag[0])
		headers[count++] = match;
	if (source->sync->credentials.token)
		headers[count++] = token;
	headers[count] = NULL;
	source->retry_after_s = 0; /* what an earlier answer said was for then */
	if (eg_fetch_send(source->http, &request, ret, why, sizeof(why)))
		return eg_error_set(err, 503, "unreachable", "%s.", why);
	source->retry_after_s = ret->retry_after_s;
	if (ret->status == 200 || (ret->status == 304 && source->etag[0]))
		return 0;
	eg_error_set(err, 502, "refused", "%s answered %ld.", control->endpoints[0], ret->status);
	eg_fetch_answer_clear(ret);
	return -EINVAL;
}

static int take_bundle(struct source *source, const struct eg_fetch_answer *answer, struct eg_error *err)
{
	struct eg_sync *sync = source->sync;
	struct eg_bundle bundle = {0};
	int r = eg_bundle_parse(&sync->rules, answer->body, answer->len, sync->last.bundle_revision, &bundle, err);

	if (r)
		return r;
	if (bundle.trusted && bundle.revision > sync->last.bundle_revision) {
		sync->last.bundle_revision = bundle.revision;
		sync->last.changed = true;
	}
	source->result = eg_sync_replace(sync, &bundle.desired, bundle.revision);
	snprintf(source->etag, sizeof(source->etag), "%s", answer->etag);
	if (!source->result)
		eg_report_state(sync, true);
	return 0;
}

/* One request. 0: there was an answer that could be used. */
static int follow(struct source *source, bool *ret_waited, struct eg_error *err)
{
	struct eg_fetch_answer answer = {0};
	uint64_t begun = eg_sync_now_ms();
	int r = ask(source, &answer, err);

	*ret_waited = false;
	if (r)
		return r;
	source->sync->connected = true;
	source->sync->message[0] = '\0';
	snprintf(source->sync->endpoint, sizeof(source->sync->endpoint), "%s", source->sync->control->endpoints[0]);
	if (answer.status == 200)
		r = take_bundle(source, &answer, err);
	*ret_waited = !r && (answer.status == 200 ? answer.etag[0] != '\0' : eg_sync_now_ms() - begun >= SOON_MS);
	eg_fetch_answer_clear(&answer);
	return r;
}

int eg_source_https_run(struct eg_sync *sync)
{
	struct source source = {.sync = sync};
	unsigned pause_ms = EG_SOURCE_PAUSE_MIN_MS;
	int r = eg_fetch_new(&sync->credentials, &source.http);

	if (!r && sync->control->state_url)
		r = eg_state_https_start(sync->control, &sync->credentials, sync->host, &sync->state);
	while (!r) {
		struct eg_error err = {0};
		bool waited = false;
		int failed = follow(&source, &waited, &err);

		r = source.result;
		if (!r && failed)
			r = eg_sync_connection(sync, false, sync->control->endpoints[0], err.message);
		eg_error_clear(&err);
		if (!failed && waited)
			pause_ms = EG_SOURCE_PAUSE_MIN_MS;
		else if (!failed)
			pause_ms = (unsigned)(sync->control->wait_ns / 1000000); /* it does not wait: so do we */
		if (pause_ms < source.retry_after_s * 1000 && source.retry_after_s < 600)
			pause_ms = (unsigned)source.retry_after_s * 2000; /* of which at least half is waited */
		if (!r && (failed || !waited))
			r = eg_source_pause(sync, &pause_ms);
	}
	eg_state_stop(sync->state);
	sync->state = NULL;
	eg_fetch_free(source.http);
	return r;
}

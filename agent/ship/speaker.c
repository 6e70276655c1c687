// SPDX-License-Identifier: Apache-2.0
#include "speaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "sign.h"

int eg_speaker_open(struct eg_speaker *speaker, const struct eg_dialect *dialect, const struct eg_sink_config *config,
		    const atomic_bool *stopping, struct eg_error *err)
{
	int r = dialect->check ? dialect->check(config, err) : 0;

	speaker->dialect = dialect;
	speaker->config = config;
	if (r)
		return r;
	speaker->url = eg_dialect_url(dialect, config->url, NULL);
	if (!speaker->url) {
		eg_error_set(err, 500, "no_memory", "no memory is left for a sink");
		return -ENOMEM;
	}
	speaker->hmac.key = "hmac_key_file";
	speaker->hmac.path = config->hmac_key_file;
	if (speaker->hmac.path) {
		r = eg_secret_read(&speaker->hmac, false, err);
		if (r < 0)
			return r;
	}
	return eg_http_new(config, dialect->scheme, stopping, &speaker->http, err);
}

void eg_speaker_close(struct eg_speaker *speaker)
{
	eg_http_free(EG_TAKE_PTR(speaker->http));
	free(EG_TAKE_PTR(speaker->url));
	eg_secret_drop(&speaker->hmac);
	eg_speaker_rest(speaker);
}

void eg_speaker_rest(struct eg_speaker *speaker)
{
	eg_body_free(&speaker->body);
	eg_body_free(&speaker->packed);
}

bool eg_speaker_render(struct eg_speaker *speaker, const struct eg_item *items, size_t count, struct eg_result *result)
{
	eg_speaker_rest(speaker);
	speaker->dialect->render(speaker->config, items, count, &speaker->body);
	if (speaker->config->gzip && !speaker->body.failed)
		eg_body_gzip(&speaker->packed, speaker->body.data, speaker->body.len);
	if (!speaker->body.failed && !speaker->packed.failed)
		return true;
	result->outcome = EG_OUTCOME_RETRY;
	snprintf(result->error, sizeof(result->error), "no memory is left for a batch of %zu events", count);
	return false;
}

/* "" where nothing is to be signed. False: there is no key, *result says why. */
static bool sign(struct eg_speaker *speaker, const struct eg_body *body, char ret[EG_SIGN_HEADER_MAX],
		 struct eg_result *result)
{
	struct eg_error err = {0};

	ret[0] = '\0';
	if (!speaker->hmac.path)
		return true;
	if (eg_secret_read(&speaker->hmac, false, &err) < 0) {
		result->outcome = EG_OUTCOME_PAUSE;
		snprintf(result->error, sizeof(result->error), "%.500s", err.message);
		eg_error_clear(&err);
		return false;
	}
	eg_sign_header(speaker->hmac.text, (int64_t)time(NULL), body->data, body->len, ret);
	return true;
}

bool eg_speaker_post(struct eg_speaker *speaker, const char *header, size_t count, uint64_t deadline_ns,
		     struct eg_answer *ret, struct eg_result *result)
{
	return eg_speaker_post_to(speaker, speaker->url, header, count, deadline_ns, ret, result);
}

bool eg_speaker_post_to(struct eg_speaker *speaker, const char *url, const char *header, size_t count,
			uint64_t deadline_ns, struct eg_answer *ret, struct eg_result *result)
{
	char signature[EG_SIGN_HEADER_MAX];
	const struct eg_sink_config *config = speaker->config;
	const struct eg_body *body = config->gzip ? &speaker->packed : &speaker->body;
	struct eg_http_request request = {
		.url = url,
		.content_type = speaker->dialect->content_type ? speaker->dialect->content_type : config->content_type,
		.header = header && header[0] ? header : NULL,
		.body = body->data,
		.len = body->len,
		.gzip = config->gzip,
		.answer_max = EG_HTTP_ANSWER_MAX + count * speaker->dialect->answer_per_item,
		.deadline_ns = deadline_ns,
	};

	if (!sign(speaker, body, signature, result))
		return false;
	request.signature = signature[0] ? signature : NULL;
	return eg_http_post(speaker->http, &request, ret, result);
}

// SPDX-License-Identifier: Apache-2.0
#include "speaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/cleanup.h"

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
	return eg_http_new(config, dialect->scheme, stopping, &speaker->http, err);
}

void eg_speaker_close(struct eg_speaker *speaker)
{
	eg_http_free(EG_TAKE_PTR(speaker->http));
	free(EG_TAKE_PTR(speaker->url));
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

bool eg_speaker_post(struct eg_speaker *speaker, const char *header, size_t count, uint64_t deadline_ns,
		     struct eg_answer *ret, struct eg_result *result)
{
	const struct eg_sink_config *config = speaker->config;
	const struct eg_body *body = config->gzip ? &speaker->packed : &speaker->body;
	struct eg_http_request request = {
		.url = speaker->url,
		.content_type = speaker->dialect->content_type ? speaker->dialect->content_type : config->content_type,
		.header = header && header[0] ? header : NULL,
		.body = body->data,
		.len = body->len,
		.gzip = config->gzip,
		.answer_max = EG_HTTP_ANSWER_MAX + count * speaker->dialect->answer_per_item,
		.deadline_ns = deadline_ns,
	};

	return eg_http_post(speaker->http, &request, ret, result);
}

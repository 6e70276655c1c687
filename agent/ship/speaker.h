/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speaker.h - one sink that speaks a dialect: it renders and posts
 */
#ifndef EG_SHIP_SPEAKER_H
#define EG_SHIP_SPEAKER_H

#include "dialect.h"
#include "http.h"

struct eg_speaker {
	const struct eg_dialect *dialect;
	const struct eg_sink_config *config;
	struct eg_http *http;
	char *url;
	struct eg_body body; /* as rendered */
	struct eg_body packed; /* as sent, with "compression" */
};

/* As protocol.h's open. *speaker is zeroed memory; close it also when this fails. */
int eg_speaker_open(struct eg_speaker *speaker, const struct eg_dialect *dialect, const struct eg_sink_config *config,
		    const atomic_bool *stopping, struct eg_error *err);
void eg_speaker_close(struct eg_speaker *speaker);
/* Gives back the memory of what was rendered: many sinks wait for most of the time. */
void eg_speaker_rest(struct eg_speaker *speaker);

/* The items into speaker->body, and packed. False: *result is filled. */
bool eg_speaker_render(struct eg_speaker *speaker, const struct eg_item *items, size_t count, struct eg_result *result);
/* Posts what was rendered. False: no answer, *result is filled. */
bool eg_speaker_post(struct eg_speaker *speaker, const char *header, size_t count, uint64_t deadline_ns,
		     struct eg_answer *ret, struct eg_result *result);

#endif

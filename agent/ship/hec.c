// SPDX-License-Identifier: Apache-2.0
#include "hec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "dialect.h"

#define NS_PER_S UINT64_C(1000000000)

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* ---- Rendering ------------------------------------------------------------------------------------------- */

static void add_member(struct eg_body *body, const char *name, const char *text)
{
	if (!text || !text[0])
		return;
	eg_body_text(body, ",");
	eg_body_string(body, name);
	eg_body_text(body, ":");
	eg_body_string(body, text);
}

/* Concatenated objects; a newline between them is white space to Splunk, and a help to those who look. */
static void render(const struct eg_sink_config *config, const struct eg_item *items, size_t count, struct eg_body *body)
{
	for (size_t i = 0; i < count; i++) {
		const struct eg_item *item = &items[i];

		eg_body_format(body, "{\"time\":%" PRIu64 ".%09" PRIu64, item->ts_ns / NS_PER_S,
			       item->ts_ns % NS_PER_S);
		add_member(body, "host", item->host);
		add_member(body, "source", config->source);
		add_member(body, "sourcetype", config->sourcetype);
		add_member(body, "index", config->index);
		eg_body_text(body, ",\"fields\":{\"event_id\":");
		eg_body_string(body, item->id);
		add_member(body, "type", item->type);
		add_member(body, "app", item->app);
		eg_body_text(body, "},\"event\":");
		eg_body_add(body, item->text, item->len);
		eg_body_text(body, "}\n");
	}
}

/* ---- Judging ----------------------------------------------------------------------------------------------- */

/* Splunk's own number for what happened; -1: it says none. */
static json_int_t code_of(const json_t *object)
{
	const json_t *code = json_object_get(object, "code");

	return json_is_integer(code) ? json_integer_value(code) : -1;
}

/* 400, but no event is to blame: splitting the batch would make dead letters of them all. */
static const char *configuration_words(json_int_t code)
{
	switch (code) {
	case 7:
		return "does not have this index, or not for this token; see \"index\"";
	case 10:
	case 11:
		return "wants a channel: the token has acknowledgement enabled; see \"ack\"";
	case 14:
		return "has acknowledgement disabled for this token; see \"ack\"";
	default:
		return NULL;
	}
}

static void judge(const struct eg_answer *answer, size_t count, struct eg_result *result)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = eg_answer_object(answer);
	const char *words = answer->status == 400 ? configuration_words(code_of(object)) : NULL;

	(void)count;
	if (words)
		eg_answer_tell(answer, result, EG_OUTCOME_PAUSE, words);
	else if (!eg_answer_accepted(answer, result))
		return;
	else if (code_of(object) != 0)
		eg_answer_odd(answer, result);
	else
		result->outcome = EG_OUTCOME_DELIVERED;
}

int64_t eg_hec_ack_id(const struct eg_answer *answer, struct eg_result *result)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = eg_answer_object(answer);
	const json_t *id = json_object_get(object, "ackId");

	if (json_is_integer(id) && json_integer_value(id) >= 0)
		return json_integer_value(id);
	eg_answer_tell(answer, result, EG_OUTCOME_PAUSE,
		       "took the batch but won't acknowledge it: enable that for the token, or see \"ack\"");
	return -1;
}

enum eg_hec_ack eg_hec_judge_ack(const struct eg_answer *answer, int64_t id, struct eg_result *result)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = NULL;
	const json_t *acks, *known;
	char key[24];

	if (answer->status != 200) {
		judge(answer, 1, result);
		if (result->outcome == EG_OUTCOME_SPLIT || result->outcome == EG_OUTCOME_DELIVERED)
			result->outcome = EG_OUTCOME_RETRY; /* of the question; it says nothing of the events */
		return EG_HEC_ACK_FAILED;
	}
	object = eg_answer_object(answer);
	acks = json_object_get(object, "acks");
	snprintf(key, sizeof(key), "%" PRId64, id);
	known = json_object_get(acks, key);
	if (!json_is_object(acks) || answer->cut || (known && !json_is_boolean(known))) {
		eg_answer_odd(answer, result);
		return EG_HEC_ACK_FAILED;
	}
	return json_is_true(known) ? EG_HEC_ACK_YES : EG_HEC_ACK_NOT_YET;
}

const struct eg_dialect eg_dialect_hec = {
	.path = "/services/collector/event",
	.alias = "/services/collector",
	.scheme = "Splunk",
	.content_type = "application/json",
	.render = render,
	.judge = judge,
};

// SPDX-License-Identifier: Apache-2.0
/*
 * proto_otlp.c - OpenTelemetry logs over HTTP, in the JSON form of OTLP: POST /v1/logs
 *
 * An event is a log record, and its body is the event itself, as a map with types: lowerCamelCase names, 64-bit
 * integers as strings, enumerations as integers. What a pipeline routes by is an attribute as well.
 *
 * Proof is a 2xx with nothing in it, or with a JSON object whose partialSuccess has rejected nothing. A populated
 * partialSuccess must never be sent again, says the specification; yet it does not say which records were rejected,
 * only how many. So none of this batch is proved, and none may go out twice: all its events go to the dead letters,
 * which then have the rejected ones among them. An event that is called a dead letter but did arrive is the lesser
 * error; one that is called delivered and is nowhere would be a loss in silence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "dialect.h"

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* ---- Values --------------------------------------------------------------------------------------------- */

static void add_value(struct eg_body *body, const json_t *value);

static void add_pair(struct eg_body *body, const char *key, const json_t *value)
{
	eg_body_text(body, "{\"key\":");
	eg_body_string(body, key);
	eg_body_text(body, ",\"value\":");
	add_value(body, value);
	eg_body_text(body, "}");
}

static void add_map(struct eg_body *body, const json_t *object)
{
	const char *separator = "", *key;
	json_t *value;

	eg_body_text(body, "{\"kvlistValue\":{\"values\":[");
	json_object_foreach((json_t *)object, key, value) {
		eg_body_text(body, separator);
		add_pair(body, key, value);
		separator = ",";
	}
	eg_body_text(body, "]}}");
}

static void add_list(struct eg_body *body, const json_t *list)
{
	eg_body_text(body, "{\"arrayValue\":{\"values\":[");
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			eg_body_text(body, ",");
		add_value(body, json_array_get(list, i));
	}
	eg_body_text(body, "]}}");
}

/* What has a NUL in it is left to jansson. */
static void add_string(struct eg_body *body, const json_t *value)
{
	const char *text = json_string_value(value);

	if (strlen(text) == json_string_length(value))
		eg_body_string(body, text);
	else
		eg_body_json(body, value);
}

/* As an AnyValue. As deep as the event, which jansson has bounded. */
static void add_value(struct eg_body *body, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		add_map(body, value);
		return;
	case JSON_ARRAY:
		add_list(body, value);
		return;
	case JSON_STRING:
		eg_body_text(body, "{\"stringValue\":");
		add_string(body, value);
		break;
	case JSON_INTEGER:
		eg_body_format(body, "{\"intValue\":\"%" JSON_INTEGER_FORMAT "\"", json_integer_value(value));
		break;
	case JSON_REAL:
		eg_body_text(body, "{\"doubleValue\":");
		eg_body_json(body, value);
		break;
	case JSON_TRUE:
		eg_body_text(body, "{\"boolValue\":true");
		break;
	case JSON_FALSE:
		eg_body_text(body, "{\"boolValue\":false");
		break;
	case JSON_NULL:
	default:
		eg_body_text(body, "{");
		break;
	}
	eg_body_text(body, "}");
}

static void add_text(struct eg_body *body, const char *separator, const char *key, const char *text)
{
	if (!text[0])
		return;
	eg_body_text(body, separator);
	eg_body_text(body, "{\"key\":");
	eg_body_string(body, key);
	eg_body_text(body, ",\"value\":{\"stringValue\":");
	eg_body_string(body, text);
	eg_body_text(body, "}}");
}

/* ---- Records ---------------------------------------------------------------------------------------------- */

/* The log data model, appendix B: what syslog's severities are called there. */
static void add_severity(struct eg_body *body, enum eg_severity severity)
{
	int number = 9;
	const char *text = "INFO";

	if (severity <= EG_SEVERITY_ALERT) {
		number = 19;
		text = "ERROR3";
	} else if (severity <= EG_SEVERITY_WARNING) {
		number = 13;
		text = "WARN";
	} else if (severity == EG_SEVERITY_NOTICE) {
		number = 10;
		text = "INFO2";
	}
	eg_body_format(body, "\"severityNumber\":%d,\"severityText\":\"%s\"", number, text);
}

static void add_record(struct eg_body *body, const struct eg_item *item)
{
	EG_CLEANUP(eg_cleanup_json) json_t *event = json_loadb(item->text, item->len, JSON_ALLOW_NUL, NULL);

	eg_body_format(body, "{\"timeUnixNano\":\"%" PRIu64 "\",\"observedTimeUnixNano\":\"%" PRIu64 "\",", item->ts_ns,
		       item->ts_ns);
	add_severity(body, item->severity);
	eg_body_text(body, ",\"body\":");
	if (event) {
		add_value(body, event);
	} else {
		eg_body_text(body, "{\"stringValue\":");
		eg_body_string(body, item->text);
		eg_body_text(body, "}");
	}
	eg_body_text(body, ",\"attributes\":[");
	add_text(body, "", "event.id", item->id);
	add_text(body, ",", "event.name", item->type);
	add_text(body, ",", "egret.app", item->app);
	eg_body_text(body, "]}");
}

static void begin_resource(const struct eg_sink_config *config, const char *host, struct eg_body *body)
{
	const char *name;
	json_t *value;

	eg_body_text(body, "{\"resource\":{\"attributes\":[");
	add_text(body, "", "service.name", "egret");
	add_text(body, ",", "service.version", EG_VERSION);
	add_text(body, ",", "host.name", host);
	json_object_foreach(config->labels, name, value)
		add_text(body, ",", name, json_string_value(value));
	eg_body_text(body, "]},\"scopeLogs\":[{\"scope\":{\"name\":\"egret\",\"version\":\"" EG_VERSION
			   "\"},\"logRecords\":[");
}

/* One resource for each run of events from one host: for all of them, as a rule. */
static void render(const struct eg_sink_config *config, const struct eg_item *items, size_t count, struct eg_body *body)
{
	eg_body_text(body, "{\"resourceLogs\":[");
	for (size_t i = 0; i < count; i++) {
		bool begins = i == 0 || strcmp(items[i - 1].host, items[i].host) != 0;

		if (begins && i)
			eg_body_text(body, "]}]},");
		if (begins)
			begin_resource(config, items[i].host, body);
		else
			eg_body_text(body, ",");
		add_record(body, &items[i]);
	}
	eg_body_text(body, "]}]}]}");
}

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* A 64-bit integer: a string by the specification, a number from some. False: neither. */
static bool read_count(const json_t *value, uint64_t *ret)
{
	const char *text = json_string_value(value);
	char *end;

	*ret = 0;
	if (!value || json_is_null(value))
		return true;
	if (json_is_integer(value)) {
		*ret = json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
		return true;
	}
	if (!text || !text[0])
		return false;
	*ret = strtoull(text, &end, 10);
	return !*end && text[0] != '-';
}

static void reject_all(const struct eg_answer *answer, uint64_t rejected, const json_t *partial, size_t count,
		       struct eg_result *result)
{
	const char *message = json_string_value(json_object_get(partial, "errorMessage"));
	char text[400];

	snprintf(text, sizeof(text),
		 "%" PRIu64 " of %zu, and does not say which, so all are kept as dead letters: %.240s", rejected, count,
		 message ? message : "no reason given");
	eg_answer_say(answer, result, EG_OUTCOME_SPLIT, "rejected some events", text, strlen(text));
	result->has_items = true;
	for (size_t i = 0; i < count; i++)
		result->items[i] = EG_OUTCOME_SPLIT;
}

static void judge(const struct eg_answer *answer, size_t count, struct eg_result *result)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = NULL;
	const json_t *partial;
	uint64_t rejected;

	if (!eg_answer_accepted(answer, result))
		return;
	if (eg_answer_is_empty(answer)) {
		result->outcome = EG_OUTCOME_DELIVERED;
		return;
	}
	object = eg_answer_object(answer);
	partial = json_object_get(object, "partialSuccess");
	if (!object || (partial && !json_is_null(partial) && !json_is_object(partial)) ||
	    !read_count(json_object_get(partial, "rejectedLogRecords"), &rejected))
		eg_answer_odd(answer, result);
	else if (rejected)
		reject_all(answer, rejected, partial, count, result);
	else
		result->outcome = EG_OUTCOME_DELIVERED; /* an errorMessage alone is a warning */
}

const struct eg_dialect eg_dialect_otlp = {
	.path = "/v1/logs",
	.scheme = "Bearer",
	.content_type = "application/json",
	.render = render,
	.judge = judge,
};

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	return eg_dialect_open(&eg_dialect_otlp, config, stopping, ret, err);
}

const struct eg_protocol eg_protocol_otlp = {open_sink, eg_dialect_send, eg_dialect_close};

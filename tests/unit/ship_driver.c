// SPDX-License-Identifier: Apache-2.0
/*
 * ship_driver.c - one sink of egret-ship by itself, for the end-to-end tests
 *
 *   ship_driver '{"name": ..., "type": "hec", ...}'     an entry of "sinks"
 *
 * Each line on stdin is a batch: an array of {"id", "type", "app", "host", "ts_ns", "severity", "event": {...}}, or
 * with "text", the event's JSON as it is. Each line on stdout is what became of it: {"outcome", "status", "error", "retry_after_ns", "items": [...] or null}. What
 * is refused at the start is the one line {"refused": SENTENCE}. SIGTERM is what makes egret-ship stop.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../../agent/ship/protocol.h"

static const char *const outcomes[EG_OUTCOME_COUNT_] = {"delivered", "retry", "pause", "split"};
static atomic_bool stopping;

static void stop(int number)
{
	(void)number;
	atomic_store(&stopping, true);
}

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static const struct eg_protocol *protocol_of(enum eg_sink_type type)
{
	switch (type) {
	case EG_SINK_FILE:
		return &eg_protocol_file;
	case EG_SINK_SYSLOG:
		return &eg_protocol_syslog;
	case EG_SINK_HEC:
		return &eg_protocol_hec;
	case EG_SINK_ELASTIC:
		return &eg_protocol_elastic;
	case EG_SINK_OTLP:
		return &eg_protocol_otlp;
	case EG_SINK_LOKI:
		return &eg_protocol_loki;
	case EG_SINK_WEBHOOK:
		return &eg_protocol_webhook;
	default:
		return NULL;
	}
}

static void print(json_t *line)
{
	json_dumpf(checked(line), stdout, JSON_COMPACT);
	puts("");
	fflush(stdout);
	json_decref(line);
}

static char *member(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return checked(strdup(text ? text : ""));
}

static struct eg_item item_of(const json_t *item)
{
	json_t *event = json_object_get(item, "event");
	struct eg_item ret = {
		.ts_ns = (uint64_t)json_integer_value(json_object_get(item, "ts_ns")),
		.severity = (enum eg_severity)json_integer_value(json_object_get(item, "severity")),
		.id = member(item, "id"),
		.type = member(item, "type"),
		.app = member(item, "app"),
		.host = member(item, "host"),
		.text = event ? checked(json_dumps(event, JSON_COMPACT)) : member(item, "text"),
	};

	ret.len = strlen(ret.text);
	return ret;
}

static void report(const struct eg_result *result, size_t count)
{
	json_t *items = result->has_items ? json_array() : json_null();

	for (size_t i = 0; result->has_items && i < count; i++)
		json_array_append_new(items, json_string(outcomes[result->items[i]]));
	print(json_pack("{ss, sI, ss, sI, so}", "outcome", outcomes[result->outcome], "status", (json_int_t)result->status,
			"error", result->error, "retry_after_ns", (json_int_t)result->retry_after_ns, "items", items));
}

static void send_batch(const struct eg_protocol *protocol, void *sink, const json_t *batch)
{
	size_t count = json_array_size(batch);
	struct eg_item *items = checked(calloc(count, sizeof(*items)));
	struct eg_result result = {.items = checked(calloc(count, sizeof(*result.items)))};

	for (size_t i = 0; i < count; i++)
		items[i] = item_of(json_array_get(batch, i));
	protocol->send(sink, items, count, &result);
	report(&result, count);
	for (size_t i = 0; i < count; i++) {
		free(items[i].id);
		free(items[i].type);
		free(items[i].app);
		free(items[i].host);
		free(items[i].text);
	}
	free(items);
	free(result.items);
}

static int serve(const struct eg_sink_config *config, struct eg_error *err)
{
	const struct eg_protocol *protocol = protocol_of(config->type);
	size_t room = 0;
	char *line = NULL;
	void *sink;

	if (!protocol || protocol->open(config, &stopping, &sink, err))
		return 1;
	print(json_pack("{sb}", "open", 1));
	while (!atomic_load(&stopping) && getline(&line, &room, stdin) > 0) {
		json_t *batch = checked(json_loads(line, JSON_ALLOW_NUL, NULL));

		send_batch(protocol, sink, batch);
		json_decref(batch);
	}
	free(line);
	protocol->close(sink);
	return 0;
}

int main(int argc, char **argv)
{
	struct eg_sinks_config sinks = {0};
	struct eg_error err = {0};
	json_t *given;
	int r = 1;

	if (argc != 2)
		return 2;
	given = json_pack("[o]", checked(json_loads(argv[1], 0, NULL)));
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
	if (eg_sinks_config_parse("egret.json", given, &sinks, &err) == 0)
		r = serve(sinks.sinks, &err);
	if (r)
		print(json_pack("{ss}", "refused", err.message));
	eg_error_clear(&err);
	eg_sinks_config_free(&sinks);
	json_decref(given);
	return r;
}

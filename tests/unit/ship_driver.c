// SPDX-License-Identifier: Apache-2.0
/*
 * ship_driver.c - one protocol of egret-ship by itself, for the end-to-end tests
 *
 *   ship_driver syslog|file '{"url": ..., "ca": ..., "path": ..., "timeout": SECONDS, ...}'
 *
 * Each line on stdin is a batch, an array of {"id", "type", "app", "host", "ts_ns", "severity", "text"}; each line on
 * stdout is what became of it: {"outcome", "status", "error", "items"}. A configuration that is refused is the one
 * line {"refused": SENTENCE}. SIGTERM is what makes egret-ship stop: the batch under way ends, then the program.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/ship/protocol.h"

static atomic_bool stopping;

static void stop(int number)
{
	(void)number;
	atomic_store(&stopping, true);
}

static char *text_of(const json_t *config, const char *key)
{
	const char *value = json_string_value(json_object_get(config, key));

	return value ? strdup(value) : NULL;
}

static uint64_t number_of(const json_t *config, const char *key, uint64_t otherwise)
{
	json_t *value = json_object_get(config, key);

	return value ? (uint64_t)json_integer_value(value) : otherwise;
}

static struct eg_sink_config config_of(const json_t *config)
{
	return (struct eg_sink_config){
		.name = "driver",
		.url = text_of(config, "url"),
		.proxy = text_of(config, "proxy"),
		.ca_file = text_of(config, "ca"),
		.cert_file = text_of(config, "cert"),
		.key_file = text_of(config, "key"),
		.path = text_of(config, "path"),
		.facility = (uint8_t)number_of(config, "facility", 16),
		.timeout_ns = number_of(config, "timeout", 30) * 1000000000u,
		.rotate_bytes = number_of(config, "rotate_bytes", 64 << 20),
		.rotate_ns = number_of(config, "rotate_ns", 86400ull * 1000000000),
		.keep_bytes = number_of(config, "keep_bytes", 1 << 30),
		.keep_ns = number_of(config, "keep_ns", 30 * 86400ull * 1000000000),
	};
}

static char *member(const json_t *item, const char *key)
{
	const char *value = json_string_value(json_object_get(item, key));

	return strdup(value ? value : "");
}

static struct eg_item item_of(const json_t *item)
{
	struct eg_item ret = {
		.ts_ns = number_of(item, "ts_ns", 0),
		.severity = (enum eg_severity)number_of(item, "severity", EG_SEVERITY_INFO),
		.id = member(item, "id"),
		.type = member(item, "type"),
		.app = member(item, "app"),
		.host = member(item, "host"),
		.text = member(item, "text"),
	};

	ret.len = strlen(ret.text);
	return ret;
}

static const char *const outcomes[] = {"delivered", "retry", "pause", "split"};

static void report(const struct eg_result *result, size_t count)
{
	json_t *items = json_null(), *line;

	if (result->has_items) {
		items = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(items, json_string(outcomes[result->items[i]]));
	}
	line = json_pack("{ss, sI, ss, so}", "outcome", outcomes[result->outcome], "status", (json_int_t)result->status,
			 "error", result->error, "items", items);
	json_dumpf(line, stdout, JSON_COMPACT);
	puts("");
	fflush(stdout);
	json_decref(line);
}

static void send_batch(const struct eg_protocol *protocol, void *sink, const json_t *batch)
{
	size_t count = json_array_size(batch);
	struct eg_item *items = calloc(count, sizeof(*items));
	struct eg_result result = {.items = calloc(count, sizeof(*result.items))};

	if (!items || !result.items)
		abort();
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

int main(int argc, char **argv)
{
	const struct eg_protocol *protocol;
	struct eg_sink_config config;
	struct eg_error err = {0};
	size_t room = 0;
	char *line = NULL;
	json_t *given;
	void *sink;

	if (argc != 3)
		return 2;
	protocol = strcmp(argv[1], "file") == 0 ? &eg_protocol_file : &eg_protocol_syslog;
	given = json_loads(argv[2], 0, NULL);
	if (!given)
		return 2;
	config = config_of(given);
	json_decref(given);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
	if (protocol->open(&config, &stopping, &sink, &err) < 0) {
		json_t *refused = json_pack("{ss}", "refused", err.message);

		json_dumpf(refused, stdout, JSON_COMPACT);
		puts("");
		json_decref(refused);
		return 1;
	}
	while (!atomic_load(&stopping) && getline(&line, &room, stdin) > 0) {
		json_t *batch = json_loads(line, 0, NULL);

		if (!batch)
			return 2;
		send_batch(protocol, sink, batch);
		json_decref(batch);
	}
	protocol->close(sink);
	free(line);
	free(config.url);
	free(config.proxy);
	free(config.ca_file);
	free(config.cert_file);
	free(config.key_file);
	free(config.path);
	return 0;
}

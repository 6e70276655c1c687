// SPDX-License-Identifier: Apache-2.0
/*
 * Any JSON object, redacted or not, must render in every schema as an object that can be written and read
 * again, or be refused; and an event of ours must never be.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/ship/schema.h"

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

static void check_written(const json_t *made)
{
	char *text = json_dumps(made, JSON_COMPACT);
	json_t *again;

	CHECK(text && !strchr(text, '\n'));
	again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json_is_object(again));
	json_decref(again);
	free(text);
}

static void check_rendered(const json_t *event, int expected)
{
	char id[EG_COMMUNITY_ID_LEN];

	for (int schema = 0; schema < EG_SCHEMA_COUNT_; schema++) {
		json_t *made = NULL;
		int r = eg_schema_render((enum eg_sink_schema)schema, event, &made);

		CHECK(r == 0 || r == -EINVAL);
		CHECK(expected || r == 0);
		if (r)
			continue;
		check_written(made);
		json_decref(made);
	}
	CHECK(eg_schema_severity(event) >= EG_SEVERITY_ALERT);
	CHECK(eg_community_id(event, id) == -ENOENT || (memchr(id, 0, sizeof(id)) && strncmp(id, "1:", 2) == 0));
}

/* The same members with what every event of ours has. */
static json_t *made_ours(json_t *object, uint8_t pick)
{
	static const char *const types[] = {"flow", "deny", "cap", "rate", "kill", "restore", "expire", "policy", "dns",
					    "alert", "agent", "relax", "tag", "lost", "suppressed", "novel"};

	json_object_set_new(object, "ts", json_string("2026-11-25T21:00:00.123456789Z"));
	json_object_set_new(object, "event_id", json_string("box-7-42"));
	json_object_set_new(object, "type", json_string(types[pick % (sizeof(types) / sizeof(types[0]))]));
	return object;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *const drop[] = {"labels.team", "actor.via", "comm", NULL};
	char *const hash[] = {"uid", "actor.uid", "actor", "dst", "labels", "refused_name", "name", NULL};
	const struct eg_redaction redaction = {.drop = drop, .hash = hash, .key = data, .key_len = size};
	json_t *event = size ? json_loadb((const char *)data + 1, size - 1, 0, NULL) : NULL;

	if (!json_is_object(event)) {
		json_decref(event);
		return 0;
	}
	check_rendered(event, -EINVAL);
	check_rendered(made_ours(event, *data), 0);
	CHECK(eg_redact(&redaction, event) == 0);
	check_rendered(event, 0);
	json_decref(event);
	return 0;
}

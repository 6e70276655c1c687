// SPDX-License-Identifier: Apache-2.0
/*
 * Any JSON as "sinks": either it is refused in one sentence that names the key, or every sink keeps
 * what sink_config.h promises to those who act on it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/lib/sink_config.h"

#define CHECK(condition)         \
	do {                     \
		if (!(condition)) \
			abort(); \
	} while (0)

static void check_sink(const struct eg_sink_config *sink)
{
	CHECK(sink->name[0] && strspn(sink->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(sink->name));
	CHECK(sink->type < EG_SINK_COUNT_ && sink->schema < EG_SCHEMA_COUNT_);
	CHECK((sink->type == EG_SINK_FILE) == !sink->url && (sink->type == EG_SINK_FILE) == !!sink->path);
	CHECK(sink->batch_events && sink->batch_bytes && sink->batch_ns && sink->timeout_ns && sink->rollup_ns);
	CHECK(!sink->cert_file == !sink->key_file && !sink->hash == !sink->hash_key_file);
	CHECK(!sink->username == !sink->password_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_sinks_config sinks = {0};
	struct eg_error err = {0};
	json_t *value = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

	if (!value)
		return 0;
	if (eg_sinks_config_parse("f", value, &sinks, &err) == 0) {
		for (size_t i = 0; i < sinks.count; i++)
			check_sink(&sinks.sinks[i]);
		eg_sinks_config_free(&sinks);
	} else {
		CHECK(strncmp(err.message, "f: \"sinks", 9) == 0 && !strpbrk(err.message, "\n\r\x1b"));
	}
	eg_error_clear(&err);
	json_decref(value);
	return 0;
}

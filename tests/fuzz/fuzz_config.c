// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as /etc/egret/egret.json: either it is refused with a sentence that names the file, or what
 * comes out is whole: every setting within the bounds that config.h gives.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/core/config.h"

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void check_config(const struct eg_config *config)
{
	CHECK(config->max_apps >= 1 && config->max_apps <= 100000);
	CHECK(config->max_rules >= 1 && config->max_rules <= 4000000);
	CHECK(config->max_names >= 1 && config->max_names <= 1000000);
	CHECK(config->root_count <= EG_CONFIG_ROOTS_MAX);
	for (size_t i = 0; i < config->root_count; i++)
		CHECK(config->roots[i].path && config->roots[i].path[0]);
	CHECK(is_power_of_two(config->ring_bytes) && is_power_of_two(config->priority_ring_bytes));
	CHECK(config->grant_floor_ns && config->grant_floor_ns <= config->grant_ceiling_ns);
	CHECK(config->event_segment_bytes && config->event_segment_bytes <= config->event_quota_bytes);
	CHECK(json_is_object(config->host_labels) && json_is_array(config->sinks) && json_is_array(config->routes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_config *config = NULL;
	struct eg_error err = {0};
	int r = eg_config_parse("fuzz.json", (const char *)data, size, &config, &err);

	CHECK((r == 0) == (config != NULL));
	CHECK(r == 0 || (err.status && err.code[0] && strstr(err.message, "fuzz.json")));
	if (config && !eg_config_check(config, &err))
		check_config(config);
	eg_config_free(config);
	eg_error_clear(&err);
	return 0;
}

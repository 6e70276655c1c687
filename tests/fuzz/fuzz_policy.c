// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a policy: either it is refused with an error that has a place, or what comes out
 * keeps the limits of policy.h, and its canonical JSON reads as the same policy again.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/lib/policy.h"

#define CHECK(condition)         \
	do {                     \
		if (!(condition)) \
			abort(); \
	} while (0)

static void check_diags(const struct eg_diags *diags)
{
	char line[1024];
	json_t *json = eg_diags_json(diags); /* fails on text that is not UTF-8 */

	CHECK(json && json_array_size(json) == diags->count);
	json_decref(json);
	for (size_t i = 0; i < diags->count; i++) {
		CHECK(diags->items[i].line && diags->items[i].column && diags->items[i].message[0]);
		CHECK(diags->items[i].level != EG_DIAG_ERROR || diags->items[i].fix[0]);
		CHECK(!strpbrk(eg_diag_text(diags, &diags->items[i], line, sizeof(line)), "\n\r\x1b"));
	}
}

static void check_caps(const struct eg_policy_cap *caps, size_t count)
{
	CHECK(count <= EG_POLICY_CAPS_MAX);
	for (size_t i = 0; i < count; i++)
		CHECK(caps[i].bytes && caps[i].bytes <= 1ull << 47 && caps[i].per_ns >= 1000000000ull &&
		      caps[i].per_ns <= 31 * 86400000000000ull && caps[i].per_ns % 1000000000ull == 0);
}

static void check_rule(const struct eg_policy_rule *rule)
{
	CHECK(rule->id && rule->line && rule->column);
	CHECK(rule->self || rule->cidr_count + rule->name_count);
	CHECK((rule->port_count > 0) == (rule->proto == IPPROTO_TCP || rule->proto == IPPROTO_UDP));
	CHECK(rule->self == !rule->proto);
	for (size_t i = 0; i < rule->port_count; i++)
		CHECK(rule->ports[i].lo <= rule->ports[i].hi && (rule->ports[i].lo || rule->ports[i].hi == 65535));
	for (size_t i = 0; i < rule->cidr_count; i++)
		CHECK(rule->cidrs[i].bits <= 128);
	check_caps(rule->limits.egress, rule->limits.egress_count);
	check_caps(rule->limits.ingress, rule->limits.ingress_count);
}

static void check_policy(const struct eg_policy *policy, const char *text, size_t len)
{
	struct eg_diags diags = {0};
	struct eg_policy *again = NULL;
	char *canonical = json_dumps(policy->json, JSON_COMPACT | JSON_SORT_KEYS);

	CHECK(eg_policy_app_name(policy->app) && policy->labels);
	check_caps(policy->limits.egress, policy->limits.egress_count);
	check_caps(policy->limits.ingress, policy->limits.ingress_count);
	for (size_t i = 0; i < policy->rule_count; i++)
		check_rule(&policy->rules[i]);
	eg_policy_lint(policy, text, len, &diags);
	CHECK(!diags.errors);
	eg_policy_check_lifetime(policy, text, len, policy->expires_utc_ns, 1, &diags);
	check_diags(&diags);
	eg_diags_clear(&diags);

	CHECK(canonical && !eg_policy_parse(NULL, canonical, strlen(canonical), &again, &diags));
	CHECK(again->rule_count == policy->rule_count && !memcmp(again->hash, policy->hash, sizeof(policy->hash)));
	eg_policy_free(again);
	eg_diags_clear(&diags);
	free(canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	int r = eg_policy_parse("fuzz", (const char *)data, size, &policy, &diags);

	CHECK((r == 0) == (policy != NULL) && (r == 0) == (diags.errors == 0));
	check_diags(&diags);
	if (policy)
		check_policy(policy, (const char *)data, size);
	eg_policy_free(policy);
	eg_diags_clear(&diags);
	return 0;
}

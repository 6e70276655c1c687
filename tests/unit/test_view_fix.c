// SPDX-License-Identifier: Apache-2.0
/*
 * test_view_fix.c - hints: for each reason whole, and what can be pasted is a rule of a policy
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/agent_impl.h"
#include "../../agent/lib/cleanup.h"

static const char *fix_of(uint32_t reason, const char *peer, uint8_t proto, json_t **ret)
{
	const struct eg_fix fix = {reason, peer, 443, proto, EG_DIR_EGRESS};

	*ret = eg_fix_json(&fix);
	assert_non_null(*ret);
	return json_string_value(*ret);
}

static void every_reason(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < EG_REASON_COUNT_; reason++) {
		json_t *json;
		const char *text = fix_of(reason, "192.0.2.1", IPPROTO_TCP, &json);

		assert_true(!text || (strlen(text) > 20 && strlen(text) < 500));
		assert_true(reason != EG_REASON_NONE || !text);
		json_decref(json);
	}
}

/* The longest name there is leaves the rule whole. */
static void rules_to_paste(void **state)
{
	static const uint32_t reasons[] = {EG_REASON_NO_RULE, EG_REASON_NO_RULE_PORT, EG_REASON_NO_GRANT};
	char name[EG_NAME_SIZE];

	(void)state;
	memset(name, 'x', EG_NAME_MAX);
	name[EG_NAME_MAX] = '\0';
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};

		for (size_t p = 0; p < sizeof(protos); p++) {
			json_t *json, *rule;
			const char *text = fix_of(reasons[i], name, protos[p], &json);
			const char *at = strstr(text, "add to \"egress\": {");

			assert_non_null(at);
			rule = json_loads(strchr(at, '{'), 0, NULL);
			assert_non_null(rule);
			assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "to"), 0)), name);
			json_decref(rule);
			json_decref(json);
		}
	}
}

/* A protocol that no rule can have: nothing to paste, but what to do about names is still said. */
static void no_rule_can(void **state)
{
	json_t *json;

	(void)state;
	assert_null(fix_of(EG_REASON_NO_RULE, "192.0.2.1", IPPROTO_SCTP, &json));
	json_decref(json);
	assert_null(strstr(fix_of(EG_REASON_NO_GRANT, "192.0.2.1", IPPROTO_SCTP, &json), "add to"));
	json_decref(json);
}

static void protocols(void **state)
{
	char fallback[16];
	uint8_t number;

	(void)state;
	assert_true(eg_proto_number("icmp", &number));
	assert_int_equal(number, IPPROTO_ICMP);
	assert_false(eg_proto_number("sctp", &number));
	assert_string_equal(eg_proto_name(IPPROTO_ICMPV6, fallback), "icmp");
	assert_string_equal(eg_proto_name(132, fallback), "132");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason),
		cmocka_unit_test(rules_to_paste),
		cmocka_unit_test(no_rule_can),
		cmocka_unit_test(protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

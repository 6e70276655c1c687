// SPDX-License-Identifier: Apache-2.0
/*
 * policy_alerts.c - "alerts": from what on somebody is to be told, or the app is to be killed
 */
#include <stdlib.h>

#include "alert.h"
#include "policy_impl.h"

static void read_when(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	*(int *)into = eg_policy_choice(reader, at, value, eg_alert_names, EG_ALERT_COUNT_);
}

static void read_action(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {"alert", "kill"};

	*(int *)into = eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));
}

static void read_over(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      struct eg_alert *alert)
{
	bool bytes = eg_alert_of_bytes(alert->when);
	const char *fix = bytes ? "Write bytes in a time from 1s to 31d, such as \"100MiB/min\"" :
				  "Write a number in a time from 1s to 31d, such as \"60/min\"";
	const char *wanted = bytes ? "bytes in a time" : "a number in a time";
	const char *text = eg_policy_string(reader, at, value, wanted, fix);
	int r = text ? eg_alert_over(alert->when, text, &alert->over, &alert->per_ns) : 0;

	if (r)
		eg_policy_bad_unit(reader, at, r, text, wanted, fix);
}

struct words {
	int when;
	int action;
};

static void read_alert(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		       struct eg_alert *ret)
{
	static const struct eg_policy_key keys[] = {
		{"when", read_when, offsetof(struct words, when), EG_POLICY_REQUIRED},
		{"over", NULL, 0, EG_POLICY_REQUIRED}, /* read when `when` is known */
		{"action", read_action, offsetof(struct words, action), EG_POLICY_REQUIRED},
	};
	const json_t *over = json_object_get(value, "over");
	const struct eg_policy_at here = {at, "over", 0};
	struct words words = {.when = -1, .action = -1};

	if (!eg_policy_object(reader, at, value, keys, EG_POLICY_COUNT(keys), &words) || words.when < 0)
		return;
	ret->when = (enum eg_alert_when)words.when;
	ret->kill = words.action == 1;
	if (over && !json_is_null(over))
		read_over(reader, &here, over, ret);
}

void eg_policy_read_alerts(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	struct eg_policy *policy = reader->policy;
	size_t count = json_array_size(value);

	(void)into;
	if (!eg_policy_list(reader, at, value, EG_ALERTS_MAX, "a list of alerts", "Write [{\"when\": \"denied\", ...}]"))
		return;
	policy->alerts = calloc(count, sizeof(*policy->alerts));
	if (!policy->alerts) {
		eg_policy_no_memory(reader);
		return;
	}
	policy->alert_count = count;
	for (size_t i = 0; i < count && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		read_alert(reader, &here, json_array_get(value, i), &policy->alerts[i]);
	}
}

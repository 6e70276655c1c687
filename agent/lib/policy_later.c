// SPDX-License-Identifier: Apache-2.0
/*
 * policy_later.c - "alerts": their shape is checked now, so that a policy that is accepted
 * today is not refused on the day they are evaluated
 */
#include <string.h>

#include "policy_impl.h"
#include "units.h"

#define LIST_MAX 256

enum when { WHEN_NONE = -1, WHEN_DENIED, WHEN_NEW_FLOWS, WHEN_EGRESS_BYTES, WHEN_INGRESS_BYTES };

static void read_when(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {"denied", "new_flows", "egress_bytes", "ingress_bytes"};

	*(enum when *)into = (enum when)eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));
}

static void read_alert_action(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			      void *into)
{
	static const char *const names[] = {"alert", "kill"};

	(void)into;
	eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));
}

static void check_over(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		       enum when when)
{
	const char *fix = "Write bytes in a time, such as \"100MiB/min\"";
	const char *text;
	uint64_t count, bytes, per;
	int r;

	if (when < WHEN_EGRESS_BYTES) {
		eg_policy_count_rate(reader, at, value, "Write a number in a time, such as \"60/min\"", &count, &per);
		return;
	}
	text = eg_policy_string(reader, at, value, "bytes in a time", fix);
	r = text ? eg_units_bytes_rate(text, &bytes, &per) : 0;
	if (r)
		eg_policy_bad_unit(reader, at, r, text, "bytes in a time", fix);
}

static void read_alert(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value)
{
	static const struct eg_policy_key keys[] = {
		{"when", read_when, 0, EG_POLICY_REQUIRED},
		{"over", NULL, 0, EG_POLICY_REQUIRED}, /* read when `when` is known */
		{"action", read_alert_action, 0, EG_POLICY_REQUIRED},
	};
	const json_t *over = json_object_get(value, "over");
	const struct eg_policy_at here = {at, "over", 0};
	enum when when = WHEN_NONE;

	if (eg_policy_object(reader, at, value, keys, EG_POLICY_COUNT(keys), &when) && over &&
	    !json_is_null(over) && when != WHEN_NONE)
		check_over(reader, &here, over, when);
}

void eg_policy_read_alerts(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	if (!eg_policy_list(reader, at, value, LIST_MAX, "a list of alerts", "Write [{\"when\": \"denied\", ...}]"))
		return;
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		read_alert(reader, &here, json_array_get(value, i));
	}
	*(bool *)into = true;
	eg_policy_warn(reader, at, "Keep it if later versions are to act on it",
		       "\"%s\" is not yet evaluated by this version", at->key);
}

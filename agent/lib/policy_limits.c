// SPDX-License-Identifier: Apache-2.0
/*
 * policy_limits.c - caps and rates, of an app or of a rule
 */
#include <inttypes.h>
#include <string.h>

#include "policy_impl.h"
#include "units.h"

#define NS_PER_S   1000000000ull
#define PER_MAX_NS (31 * 86400 * NS_PER_S)
#define BYTES_MAX  (1ull << 47)

struct target {
	struct eg_policy_limits *limits;
	bool of_rule;
};

/* ---- Caps --------------------------------------------------------------------------------------------- */

static void read_bytes(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	uint64_t *ret = into;
	const char *text;
	int r;

	if (json_is_integer(value)) {
		json_int_t bytes = json_integer_value(value);

		if (bytes < 1 || (uint64_t)bytes > BYTES_MAX)
			eg_policy_error(reader, at, "Write 1 to 140737488355328, or a size such as \"50MiB\"",
					"%" JSON_INTEGER_FORMAT " bytes can't be a cap", bytes);
		else
			*ret = (uint64_t)bytes;
		return;
	}
	text = eg_policy_string(reader, at, value, "a size", "Write a size such as \"50MiB\"");
	if (!text)
		return;
	r = eg_units_bytes(text, ret);
	if (r)
		eg_policy_bad_unit(reader, at, r, text, "a size",
				   "Write a size such as \"50MiB\" or \"2GB\", at most \"128TiB\"");
}

static void read_per(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	const char *fix = "Write whole seconds from \"1s\" to \"31d\", such as \"1h\"";
	const char *text = eg_policy_string(reader, at, value, "a span of time", fix);
	char shown[EG_POLICY_SHOWN];
	uint64_t ns;
	int r;

	if (!text)
		return;
	r = eg_units_span(text, &ns);
	if (r)
		eg_policy_bad_unit(reader, at, r, text, "a span of time", fix);
	else if (ns < NS_PER_S || ns > PER_MAX_NS || ns % NS_PER_S)
		eg_policy_error(reader, at, fix, "%s can't be the window of a cap", eg_policy_show(text, shown));
	else
		*(uint64_t *)into = ns;
}

static void read_action(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {[EG_CAP_DROP] = "drop", [EG_CAP_ALERT] = "alert", [EG_CAP_KILL] = "kill"};
	int choice = eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));

	if (choice >= 0)
		*(enum eg_cap_action *)into = (enum eg_cap_action)choice;
}

static const struct eg_policy_key cap_keys[] = {
	{"bytes", read_bytes, offsetof(struct eg_policy_cap, bytes), EG_POLICY_REQUIRED},
	{"per", read_per, offsetof(struct eg_policy_cap, per_ns), EG_POLICY_REQUIRED},
	{"action", read_action, offsetof(struct eg_policy_cap, action), 0},
};

static void read_cap(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		     struct eg_policy_cap *caps, size_t *count)
{
	struct eg_policy_cap cap = {.action = EG_CAP_DROP};
	char span[32];

	if (!eg_policy_object(reader, at, value, cap_keys, EG_POLICY_COUNT(cap_keys), &cap) || !cap.bytes ||
	    !cap.per_ns)
		return;
	for (size_t i = 0; i < *count; i++)
		if (caps[i].per_ns == cap.per_ns) {
			eg_policy_error(reader, at, "Keep one of them, or give them different windows",
					"Two caps of one direction have the same window of %s",
					eg_units_span_text(cap.per_ns, span, sizeof(span)));
			return;
		}
	caps[(*count)++] = cap;
}

static void read_caps(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, bool of_rule,
		      struct eg_policy_cap *caps, size_t *count)
{
	size_t max = of_rule ? 1 : EG_POLICY_CAPS_MAX;

	if (!json_is_array(value)) {
		read_cap(reader, at, value, caps, count);
		return;
	}
	if (json_array_size(value) > max) {
		eg_policy_error(reader, at,
				of_rule ? "Keep one; the app's own limits may have several" : "Keep the tightest",
				"There are %zu caps here; at most %zu %s accepted", json_array_size(value), max,
				max == 1 ? "is" : "are");
		return;
	}
	if (!eg_policy_list(reader, at, value, max, "a cap, or a list of caps", ""))
		return;
	for (size_t i = 0; i < json_array_size(value); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		read_cap(reader, &here, json_array_get(value, i), caps, count);
	}
}

static void read_egress(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	const struct target *target = into;

	read_caps(reader, at, value, target->of_rule, target->limits->egress, &target->limits->egress_count);
}

static void read_ingress(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	const struct target *target = into;

	read_caps(reader, at, value, target->of_rule, target->limits->ingress, &target->limits->ingress_count);
}

/* ---- Rates ---------------------------------------------------------------------------------------------- */

static void read_egress_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			     void *into)
{
	const char *fix = "Write a rate such as \"10Mbit/s\"";
	const struct target *target = into;
	const char *text;
	int r;

	if (target->of_rule) {
		eg_policy_error_key(reader, at, "Write it into the \"limits\" of the policy",
				    "A rule can't have a rate of its own");
		return;
	}
	text = eg_policy_string(reader, at, value, "a rate", fix);
	if (!text)
		return;
	r = eg_units_bitrate(text, &target->limits->egress_rate_bits);
	if (r)
		eg_policy_bad_unit(reader, at, r, text, "a rate", fix);
}

static void read_ingress_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			      void *into)
{
	(void)value;
	(void)into;
	eg_policy_error_key(reader, at, "Write a cap, such as \"ingress\": {\"bytes\": \"500MiB\", \"per\": \"1h\"}",
			    "What others send can't be slowed down here: there is no ingress rate");
}

bool eg_policy_count_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  const char *fix, uint64_t *ret_count, uint64_t *ret_per_ns)
{
	const char *text = eg_policy_string(reader, at, value, "a number in a time", fix);
	int r = text ? eg_units_count_rate(text, ret_count, ret_per_ns) : 0;

	if (r)
		eg_policy_bad_unit(reader, at, r, text, "a number in a time", fix);
	return text && !r;
}

static void read_new_flows(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	const struct target *target = into;

	eg_policy_count_rate(reader, at, value, "Write a number in a time, such as \"100/min\"",
			     &target->limits->new_flows, &target->limits->new_flows_per_ns);
}

static const struct eg_policy_key limit_keys[] = {
	{"egress", read_egress, 0, 0},
	{"ingress", read_ingress, 0, 0},
	{"egress_rate", read_egress_rate, 0, 0},
	{"new_flows", read_new_flows, 0, 0},
	{"ingress_rate", read_ingress_rate, 0, EG_POLICY_REFUSED},
};

void eg_policy_read_limits(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   struct eg_policy_limits *limits, bool of_rule)
{
	struct target target = {limits, of_rule};

	if (!eg_policy_object(reader, at, value, limit_keys, EG_POLICY_COUNT(limit_keys), &target))
		return;
	if (limits->egress_count + (limits->egress_rate_bits != 0) > EG_POLICY_CAPS_MAX)
		eg_policy_error(reader, at, "Drop a cap or the rate",
				"There are %zu egress caps and a rate; at most %d are accepted, the rate counted",
				limits->egress_count, EG_POLICY_CAPS_MAX);
}

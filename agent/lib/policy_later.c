// SPDX-License-Identifier: Apache-2.0
/*
 * policy_later.c - "dns" and "alerts": their shape is checked now, so that a policy that is
 * accepted today is not refused on the day they are evaluated
 */
#include <string.h>

#include "policy_impl.h"
#include "units.h"

#define LIST_MAX 256

static void warn_later(struct eg_policy_reader *reader, const struct eg_policy_at *at, void *into)
{
	*(bool *)into = true;
	eg_policy_warn(reader, at, "Keep it if later versions are to act on it",
		       "\"%s\" is not yet evaluated by this version", at->key);
}

/* ---- dns -------------------------------------------------------------------------------------------------- */

static void read_resolvers(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	const char *wanted = "the address of a resolver";

	(void)into;
	if (!eg_policy_list(reader, at, value, LIST_MAX, "a list of addresses", "Write [\"10.0.0.2\"]"))
		return;
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		struct eg_cidr cidr;

		if (eg_policy_cidr(reader, &here, json_array_get(value, i), wanted, &cidr) && cidr.bits != 128)
			eg_policy_error(reader, &here, "Write each resolver's address", "A prefix is not %s", wanted);
	}
}

static void read_count_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			    void *into)
{
	const char *fix = "Write a number in a time, such as \"60/min\"";
	const char *text = eg_policy_string(reader, at, value, "a number in a time", fix);
	uint64_t count, per;
	int r = text ? eg_units_count_rate(text, &count, &per) : 0;

	(void)into;
	if (r)
		eg_policy_bad_unit(reader, at, r, text, "a number in a time", fix);
}

static void read_suffixes(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into)
{
	const char *fix = "Write [\"corp.example.com\"]";

	(void)into;
	if (!eg_policy_list(reader, at, value, LIST_MAX, "a list of DNS names", fix))
		return;
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		const char *text = eg_policy_string(reader, &here, json_array_get(value, i), "a DNS name", fix);

		if (text)
			free(eg_policy_name(reader, &here, text));
	}
}

static void read_dns_types(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	static const char *const types[] = {"A",   "AAAA", "CNAME", "SRV", "TXT",   "MX",
					    "PTR", "NS",   "SOA",   "CAA", "HTTPS", "SVCB"};

	(void)into;
	if (!eg_policy_list(reader, at, value, LIST_MAX, "a list of record types", "Write [\"SRV\", \"TXT\"]"))
		return;
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		eg_policy_choice(reader, &here, json_array_get(value, i), types, EG_POLICY_COUNT(types));
	}
}

void eg_policy_read_dns(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const struct eg_policy_key keys[] = {
		{"resolvers", read_resolvers, 0, 0},
		{"rate", read_count_rate, 0, 0},
		{"ask_only", read_suffixes, 0, 0},
		{"types", read_dns_types, 0, 0},
	};

	if (eg_policy_object(reader, at, value, keys, EG_POLICY_COUNT(keys), into))
		warn_later(reader, at, into);
}

/* ---- alerts ------------------------------------------------------------------------------------------------- */

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
	uint64_t bytes, per;
	int r;

	if (when < WHEN_EGRESS_BYTES) {
		read_count_rate(reader, at, value, NULL);
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
	warn_later(reader, at, into);
}

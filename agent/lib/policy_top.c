// SPDX-License-Identifier: Apache-2.0
/*
 * policy_top.c - the keys of the document itself
 */
#include <string.h>

#include "glob.h"
#include "labels.h"
#include "policy_impl.h"
#include "units.h"

#define CGROUP_MAX_LEN 1023

#define FIELD(field) offsetof(struct eg_policy, field)

static void read_version(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	(void)into;
	if (!json_is_integer(value))
		eg_policy_wanted(reader, at, value, "the number of a version", "Write 1");
	else if (json_integer_value(value) != EG_POLICY_VERSION)
		eg_policy_error(reader, at, "Write 1, or update the agent",
				"This policy is of version %" JSON_INTEGER_FORMAT "; this agent accepts version %d",
				json_integer_value(value), EG_POLICY_VERSION);
}

static void read_app(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	const char *fix = "Write 1 to 63 of a-z 0-9 . _ -, the first a letter or digit";
	const char *text = eg_policy_string(reader, at, value, "the name of the app", fix);
	char shown[EG_POLICY_SHOWN];

	if (text && eg_policy_app_name(text))
		strcpy(into, text); /* its length was checked */
	else if (text)
		eg_policy_error(reader, at, fix, "%s can't be the name of an app", eg_policy_show(text, shown));
}

static void read_labels(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	const char *fix = "Write 1 to 63 of A-Z a-z 0-9 . _ / -";
	char shown[EG_POLICY_SHOWN];
	const char *key;
	json_t *label;

	if (!json_is_object(value)) {
		eg_policy_wanted(reader, at, value, "an object of texts", "Write {\"team\": \"hr\"}");
		return;
	}
	if (json_object_size(value) > EG_POLICY_LABELS_MAX)
		eg_policy_error(reader, at, "Leave some out", "There are %zu labels; at most %d are accepted",
				json_object_size(value), EG_POLICY_LABELS_MAX);
	json_object_foreach((json_t *)value, key, label) {
		const struct eg_policy_at here = {at, key, 0};
		const char *text;

		if (eg_policy_full(reader))
			return;
		if (!eg_labels_word(key))
			eg_policy_error_key(reader, &here, fix, "%s can't be the key of a label",
					    eg_policy_show(key, shown));
		text = eg_policy_string(reader, &here, label, "a text", fix);
		if (text && !eg_labels_word(text))
			eg_policy_error(reader, &here, fix, "%s can't be the value of a label",
					eg_policy_show(text, shown));
	}
	*(json_t **)into = json_incref((json_t *)value);
}

static void read_expires(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	const char *fix = "Write date, time and offset, such as \"2027-01-31T00:00:00Z\"";
	const char *text = eg_policy_string(reader, at, value, "a moment", fix);
	int r = text ? eg_units_moment(text, into) : 0;
	char shown[EG_POLICY_SHOWN];

	if (r)
		eg_policy_error(reader, at, fix, "%s is not a moment with an offset (RFC 3339)",
				eg_policy_show(text, shown));
}

static void read_mode(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {[EG_MODE_ENFORCE] = "enforce", [EG_MODE_AUDIT] = "audit"};
	int choice = eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));

	if (choice >= 0)
		*(enum eg_mode *)into = (enum eg_mode)choice;
}

static void read_log(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {"rollup", "full"};

	*(bool *)into = eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names)) == 1;
}

/* For editors; a URL that nobody here fetches. */
static void read_schema(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	(void)into;
	eg_policy_string(reader, at, value, "the address of a JSON schema", "Write it in double quotes");
}

/* ---- cgroups -------------------------------------------------------------------------------------------- */

static bool check_cgroup(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text)
{
	char shown[EG_POLICY_SHOWN], fix[EG_POLICY_SHOWN + 16];

	if (strlen(text) <= CGROUP_MAX_LEN && !eg_glob_check(text))
		return true;
	if (text[0] == '/' && !eg_glob_check(text + 1)) {
		snprintf(fix, sizeof(fix), "Write %s", eg_policy_show(text + 1, shown));
		eg_policy_error(reader, at, fix,
				"The path of a cgroup begins below the cgroup2 mount, without a slash");
	} else {
		eg_policy_error(reader, at,
				"Write a path such as \"microapps.slice/app-*.scope\"; * and ? stay within a part",
				"%s can't be the path of a cgroup", eg_policy_show(text, shown));
	}
	return false;
}

static void read_cgroups(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	struct eg_policy *policy = into;

	if (!eg_policy_list(reader, at, value, EG_POLICY_CGROUPS_MAX, "a list of cgroup paths",
			    "Write [\"microapps.slice/app-*.scope\"]"))
		return;
	policy->cgroups = calloc(json_array_size(value), sizeof(*policy->cgroups));
	for (size_t i = 0; policy->cgroups && i < json_array_size(value); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		const char *text = eg_policy_string(reader, &here, json_array_get(value, i), "the path of a cgroup",
						    "Write it in double quotes");

		if (!text || !check_cgroup(reader, &here, text))
			continue;
		policy->cgroups[policy->cgroup_count] = strdup(text);
		if (!policy->cgroups[policy->cgroup_count++])
			eg_policy_no_memory(reader);
	}
	if (!policy->cgroups)
		eg_policy_no_memory(reader);
}

/* ---- Rules and limits ------------------------------------------------------------------------------------- */

static void read_limits(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	eg_policy_read_limits(reader, at, value, into, false);
}

/* A rule that names the loopback, in a policy that turns it off. */
static void check_self(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_at egress = {NULL, "egress", 0};

	for (size_t i = 0; !policy->self && i < policy->rule_count; i++)
		if (policy->rules[i].self)
			eg_policy_error(reader, &(struct eg_policy_at){&egress, NULL, i},
					"Leave the rule out, or \"self\": false",
					"This rule allows \"self\", and \"self\": false forbids it");
}

void eg_policy_read(struct eg_policy_reader *reader, const json_t *root)
{
	static const struct eg_policy_key keys[] = {
		{"version", read_version, 0, EG_POLICY_REQUIRED},
		{"app", read_app, FIELD(app), EG_POLICY_REQUIRED},
		{"owner", eg_policy_read_text, FIELD(owner), 0},
		{"ticket", eg_policy_read_text, FIELD(ticket), 0},
		{"purpose", eg_policy_read_text, FIELD(purpose), 0},
		{"labels", read_labels, FIELD(labels), 0},
		{"expires", read_expires, FIELD(expires_utc_ns), EG_POLICY_REQUIRED},
		{"mode", read_mode, FIELD(mode), 0},
		{"cgroups", read_cgroups, 0, 0},
		{"egress", NULL, 0, 0}, /* after the rest, both at once */
		{"ingress", NULL, 0, 0},
		{"dns", eg_policy_read_dns, FIELD(dns), 0},
		{"limits", read_limits, FIELD(limits), 0},
		{"alerts", eg_policy_read_alerts, 0, 0},
		{"self", eg_policy_read_bool, FIELD(self), 0},
		{"raw_sockets", eg_policy_read_bool, FIELD(raw_sockets), 0},
		{"allow_netns_admin", eg_policy_read_bool, FIELD(allow_netns_admin), 0},
		{"log", read_log, FIELD(log_full), 0},
		{"catalog_id", eg_policy_read_text, FIELD(catalog_id), 0},
		{"request_id", eg_policy_read_text, FIELD(request_id), 0},
		{"$schema", read_schema, 0, 0},
	};
	const json_t *version = json_object_get(root, "version"), *ingress = json_object_get(root, "ingress");
	struct eg_policy *policy = reader->policy;

	reader->version = json_integer_value(version);
	if (!eg_policy_object(reader, NULL, root, keys, EG_POLICY_COUNT(keys), policy))
		return;
	policy->ingress_set = json_is_array(ingress);
	eg_policy_read_rules(reader, json_object_get(root, "egress"), ingress);
	check_self(reader);
	if (!policy->labels)
		policy->labels = json_object();
	if (!policy->labels)
		eg_policy_no_memory(reader);
}

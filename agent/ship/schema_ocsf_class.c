// SPDX-License-Identifier: Apache-2.0
/*
 * schema_ocsf_class.c - which class of OCSF 1.8 an event belongs to, and the numbers that follow from that
 *
 * Every *_id goes with its text: receivers show the text, and search the number.
 */
#include "schema_impl.h"

#include <stdio.h>
#include <string.h>

struct caption {
	unsigned id;
	const char *text;
};

struct eg_ocsf_class {
	unsigned uid;
	const char *name;
	unsigned category;
	const char *category_name;
	struct caption activities[9]; /* those that we use */
};

enum { BASE, FINDING, ENTITY, NETWORK, DNS, LIFECYCLE, ERROR };

static const struct eg_ocsf_class classes[] = {
	[BASE] = {0, "Base Event", 0, "Uncategorized", {{99, "Other"}}},
	[FINDING] = {2004, "Detection Finding", 2, "Findings", {{1, "Create"}}},
	[ENTITY] = {3004, "Entity Management", 3, "Identity & Access Management",
		    {{1, "Create"}, {3, "Update"}, {4, "Delete"}}},
	[NETWORK] = {4001, "Network Activity", 4, "Network Activity",
		     {{1, "Open"}, {2, "Close"}, {3, "Reset"}, {5, "Refuse"}, {6, "Traffic"}}},
	[DNS] = {4003, "DNS Activity", 4, "Network Activity", {{1, "Query"}, {2, "Response"}, {6, "Traffic"}}},
	[LIFECYCLE] = {6002, "Application Lifecycle", 6, "Application Activity",
		       {{3, "Start"}, {4, "Stop"}, {6, "Enable"}, {7, "Disable"}, {99, "Other"}}},
	[ERROR] = {6008, "Application Error", 6, "Application Activity", {{1, "General Error"}}},
};

enum {
	NO_DISPOSITION = 0,
	ALLOWED = 1,
	BLOCKED = 2,
	DROPPED = 6,
	RESTORED = 9,
	LOGGED = 17,
	ALERTED = 19,
	RESET = 21,
	REVOKED = 24,
};

static const struct caption dispositions[] = {
	{ALLOWED, "Allowed"}, {BLOCKED, "Blocked"}, {DROPPED, "Dropped"}, {RESTORED, "Restored"},
	{LOGGED, "Logged"},   {ALERTED, "Alert"},   {RESET, "Reset"},	  {REVOKED, "Access Revoked"},
};

struct row {
	const char *action; /* the longest that fits comes first */
	unsigned class;
	unsigned activity;
	unsigned disposition;
	bool alert;
};

static const struct row rows[] = {
	{"flow-start", NETWORK, 1, ALLOWED, false},
	{"flow-end", NETWORK, 2, ALLOWED, false},
	{"flow", NETWORK, 6, ALLOWED, false},
	{"deny", NETWORK, 5, BLOCKED, false},
	{"cap", NETWORK, 6, DROPPED, true},
	{"rate", NETWORK, 6, DROPPED, false},
	{"agent-cut-foreign-sockets", NETWORK, 3, RESET, false},
	{"dns-refused", DNS, 1, BLOCKED, false},
	{"dns-dropped", DNS, 2, DROPPED, false},
	{"dns-forged", DNS, 2, DROPPED, false},
	{"dns-prefetched", DNS, 6, ALLOWED, false},
	{"dns", DNS, 2, ALLOWED, false},
	{"kill", LIFECYCLE, 7, REVOKED, true},
	{"expire", LIFECYCLE, 7, REVOKED, false},
	{"restore", LIFECYCLE, 6, RESTORED, false},
	{"agent-start", LIFECYCLE, 3, NO_DISPOSITION, false},
	{"agent-stop", LIFECYCLE, 4, NO_DISPOSITION, false},
	{"policy-delete", ENTITY, 4, NO_DISPOSITION, false},
	{"policy", ENTITY, 3, NO_DISPOSITION, false},
	{"agent-tag", ENTITY, 3, NO_DISPOSITION, false},
	{"alert-relax-end", FINDING, 1, LOGGED, false},
	{"alert-netns-admin-end", FINDING, 1, LOGGED, false},
	{"alert", FINDING, 1, ALERTED, true},
	{"agent-ambiguous-cgroup", ERROR, 1, NO_DISPOSITION, false},
	{"agent-log-recovered", ERROR, 1, NO_DISPOSITION, false},
	{"agent-snapshot-failed", ERROR, 1, NO_DISPOSITION, false},
	{"agent", LIFECYCLE, 99, NO_DISPOSITION, false},
	{"lost", ERROR, 1, NO_DISPOSITION, false},
	{"suppressed", ERROR, 1, NO_DISPOSITION, false},
	{"", BASE, 99, NO_DISPOSITION, false},
};

static const char *caption(const struct caption *captions, size_t count, unsigned id)
{
	for (size_t i = 0; i < count; i++)
		if (captions[i].text && captions[i].id == id)
			return captions[i].text;
	return NULL;
}

/* What a verdict or a threshold makes of the row. */
static struct row find_row(const struct eg_form *form)
{
	struct row row;
	size_t i = 0;

	while (rows[i].action[0] && !eg_form_is(form, rows[i].action))
		i++;
	row = rows[i];
	if (eg_form_is(form, "policy-apply") && !eg_form_text(form, "previous_rev"))
		row.activity = 1;
	if (eg_form_is(form, "cap") && !eg_schema_cap_full(form))
		row.disposition = ALERTED;
	if (eg_schema_audited(form) && row.disposition && row.disposition != RESET) {
		row.disposition = LOGGED;
		if (eg_form_is(form, "deny"))
			row.activity = 6;
	}
	return row;
}

static void put_disposition(struct eg_form *form, const struct row *row)
{
	bool denied = row->disposition == BLOCKED || row->disposition == DROPPED || row->disposition == RESET ||
		      row->disposition == REVOKED;

	if (row->alert)
		eg_form_put_bool(form, "is_alert", true);
	if (!row->disposition)
		return;
	eg_form_put_int(form, "disposition_id", row->disposition);
	eg_form_put_text(form, "disposition",
			 caption(dispositions, sizeof(dispositions) / sizeof(dispositions[0]), row->disposition));
	eg_form_put_int(form, "action_id", denied ? 2 : 1);
	eg_form_put_text(form, "action", denied ? "Denied" : "Allowed");
}

static void put_severity(struct eg_form *form)
{
	static const struct caption captions[] = {{1, "Informational"}, {2, "Low"}, {3, "Medium"}, {4, "High"}};
	const struct caption *is = captions;

	switch (eg_schema_severity_of(form)) {
	case EG_SEVERITY_ALERT:
		is = &captions[3];
		break;
	case EG_SEVERITY_WARNING:
		is = &captions[2];
		break;
	case EG_SEVERITY_NOTICE:
		is = &captions[1];
		break;
	default:
		break;
	}
	eg_form_put_int(form, "severity_id", is->id);
	eg_form_put_text(form, "severity", is->text);
}

/* Of a finding, status is how far its treatment has come. */
static void put_status(struct eg_form *form, const struct row *row)
{
	json_t *ok = json_object_get(form->event, "ok");
	bool failed = json_is_boolean(ok) ? !json_is_true(ok) : eg_schema_refused(form) && row->class != ERROR;

	if (row->class == FINDING) {
		eg_form_put_int(form, "status_id", 1);
		eg_form_put_text(form, "status", "New");
		return;
	}
	if (row->class == BASE || row->class == ERROR)
		return;
	eg_form_put_int(form, "status_id", failed ? 2 : 1);
	eg_form_put_text(form, "status", failed ? "Failure" : "Success");
	if (failed && !form->ingress && !form->answer && (row->class == NETWORK || row->class == DNS))
		eg_form_put_text(form, "status_code", "EPERM");
}

const struct eg_ocsf_class *eg_ocsf_classify(struct eg_form *form)
{
	const struct row row = find_row(form);
	const struct eg_ocsf_class *class = &classes[row.class];
	const size_t count = sizeof(class->activities) / sizeof(class->activities[0]);
	const char *activity = caption(class->activities, count, row.activity);
	char type[128];

	eg_form_put_int(form, "category_uid", class->category);
	eg_form_put_text(form, "category_name", class->category_name);
	eg_form_put_int(form, "class_uid", class->uid);
	eg_form_put_text(form, "class_name", class->name);
	eg_form_put_int(form, "activity_id", row.activity);
	eg_form_put_text(form, "activity_name", row.activity == 99 ? form->action : activity);
	eg_form_put_int(form, "type_uid", (json_int_t)class->uid * 100 + row.activity);
	snprintf(type, sizeof(type), "%s: %s", class->name, activity);
	eg_form_put_text(form, "type_name", type);
	put_severity(form);
	put_status(form, &row);
	put_disposition(form, &row);
	return class;
}

unsigned eg_ocsf_class_uid(const struct eg_ocsf_class *class)
{
	return class->uid;
}

// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema_impl.h"

/* ---- Severity ------------------------------------------------------------------------------------------ */

/* The longest action that fits comes first. */
static const struct {
	const char *action;
	enum eg_severity severity;
} severities[] = {
	{"kill", EG_SEVERITY_ALERT},
	{"cap", EG_SEVERITY_WARNING},
	{"expire", EG_SEVERITY_WARNING},
	{"lost", EG_SEVERITY_WARNING},
	{"suppressed", EG_SEVERITY_WARNING},
	{"deny", EG_SEVERITY_WARNING},
	{"rate", EG_SEVERITY_NOTICE},
	{"restore", EG_SEVERITY_NOTICE},
	{"policy", EG_SEVERITY_NOTICE},
	{"alert-relax-end", EG_SEVERITY_NOTICE},
	{"alert-netns-admin-end", EG_SEVERITY_NOTICE},
	{"alert-control-connected", EG_SEVERITY_NOTICE},
	{"alert-table-filling-end", EG_SEVERITY_NOTICE},
	{"alert-quota-filling-end", EG_SEVERITY_NOTICE},
	{"alert-quota-filling", EG_SEVERITY_WARNING},
	{"alert-guard-restored", EG_SEVERITY_WARNING},
	{"alert", EG_SEVERITY_ALERT},
	{"agent-start", EG_SEVERITY_NOTICE},
	{"agent-stop", EG_SEVERITY_NOTICE},
	{"agent-reattach", EG_SEVERITY_WARNING},
	{"agent-ambiguous-cgroup", EG_SEVERITY_WARNING},
	{"agent-cut-foreign-sockets", EG_SEVERITY_WARNING},
	{"agent-log-recovered", EG_SEVERITY_WARNING},
	{"agent-snapshot-failed", EG_SEVERITY_WARNING},
	{"agent-snapshots-evicted", EG_SEVERITY_NOTICE},
};

/* Denials that only follow from something that was told already, that a retry mends, or that outsiders cause. */
static bool is_mild(const struct eg_form *form)
{
	static const char *const reasons[] = {
		"killed",      "killed_all", "expired",	     "policy_deleted", "cap_egress",
		"cap_ingress", "hello_held", "dns_shortage", "no_ingress_rule",
	};
	const char *reason = eg_form_text(form, "reason");

	for (size_t i = 0; reason && i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

enum eg_severity eg_schema_severity_of(const struct eg_form *form)
{
	if (eg_form_is(form, "deny") && (eg_schema_audited(form) || is_mild(form)))
		return EG_SEVERITY_NOTICE;
	if (eg_form_is(form, "dns") && eg_schema_refused(form))
		return is_mild(form) ? EG_SEVERITY_NOTICE : EG_SEVERITY_WARNING;
	if (eg_form_is(form, "dns") && eg_schema_audited(form))
		return EG_SEVERITY_NOTICE;
	if (eg_form_is(form, "cap") && !eg_schema_cap_full(form))
		return EG_SEVERITY_NOTICE;
	for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
		if (eg_form_is(form, severities[i].action))
			return severities[i].severity;
	return EG_SEVERITY_INFO;
}

enum eg_severity eg_schema_severity(const json_t *event)
{
	enum eg_severity severity;
	struct eg_form form;

	if (eg_form_begin(&form, event) < 0)
		return EG_SEVERITY_INFO;
	severity = eg_schema_severity_of(&form);
	eg_form_clear(&form);
	return severity;
}

/* ---- What both schemas ask ----------------------------------------------------------------------------- */

bool eg_schema_refused(const struct eg_form *form)
{
	return form->verdict && strcmp(form->verdict, "deny") == 0;
}

bool eg_schema_audited(const struct eg_form *form)
{
	return form->verdict && strcmp(form->verdict, "audit") == 0;
}

bool eg_schema_cap_full(const struct eg_form *form)
{
	json_int_t percent;

	return !eg_form_number(form, "percent", &percent) || percent >= 100;
}

void eg_schema_uid(const struct eg_form *form, char *ret, size_t size)
{
	const char *text = eg_form_text(form, "uid");
	json_int_t uid;

	ret[0] = 0;
	if (eg_form_number(form, "uid", &uid))
		snprintf(ret, size, "%" JSON_INTEGER_FORMAT, uid);
	else if (text && strlen(text) < size)
		snprintf(ret, size, "%s", text);
}

/* ---- Rendering ------------------------------------------------------------------------------------------- */

int eg_schema_render(enum eg_sink_schema schema, const json_t *event, json_t **ret)
{
	struct eg_form form;
	int r = eg_form_begin(&form, event);

	if (r < 0)
		return r;
	switch (schema) {
	case EG_SCHEMA_ECS:
		eg_schema_ecs(&form);
		return eg_form_end(&form, "egret", ret);
	case EG_SCHEMA_OCSF:
		eg_schema_ocsf(&form);
		return eg_form_end(&form, "unmapped", ret);
	default:
		eg_form_clear(&form);
		*ret = json_incref((json_t *)event);
		return 0;
	}
}

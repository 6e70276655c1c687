// SPDX-License-Identifier: Apache-2.0
/*
 * schema_ecs_class.c - which kind, category and types of ECS 9.4 an event has, and its outcome
 */
#include "schema_impl.h"

#include <stdio.h>

struct class {
	const char *action; /* the longest that fits comes first */
	const char *kind;
	const char *category;
	const char *types[2];
};

static const struct class classes[] = {
	{"flow-start", "event", "network", {"connection", "start"}},
	{"flow-end", "event", "network", {"connection", "end"}},
	{"flow", "event", "network", {"connection", "info"}},
	{"deny", "event", "network", {"connection"}},
	{"dns", "event", "network", {"protocol", "info"}},
	{"cap", "alert", "network", {"info"}},
	{"rate", "event", "network", {"denied", "info"}},
	{"kill", "alert", "network", {"denied", "end"}},
	{"expire", "event", "network", {"denied", "end"}},
	{"restore", "event", "configuration", {"change"}},
	{"policy-delete", "event", "configuration", {"deletion"}},
	{"policy", "event", "configuration", {"change"}},
	{"alert-relax-end", "event", "configuration", {"change"}},
	{"alert-relax", "alert", "configuration", {"change"}},
	{"alert-deletions-paused", "alert", "configuration", {"info"}},
	{"alert-netns-admin-end", "event", "intrusion_detection", {"info"}},
	{"alert-netns-admin", "alert", "intrusion_detection", {"info"}},
	{"alert-guard-restored", "alert", "intrusion_detection", {"info"}},
	{"alert-guard-lost", "alert", "intrusion_detection", {"info"}},
	{"alert-root-lost", "alert", "intrusion_detection", {"info"}},
	{"alert", "alert", "network", {"info"}},
	{"agent-start", "event", "process", {"start"}},
	{"agent-stop", "event", "process", {"end"}},
	{"agent-reload", "event", "configuration", {"change"}},
	{"agent-tag", "event", "configuration", {"change"}},
	{"agent-reattach", "event", "configuration", {"change"}},
	{"agent-ambiguous-cgroup", "event", "configuration", {"info"}},
	{"agent-cut-foreign-sockets", "event", "network", {"denied", "end"}},
	{"", "event", "host", {"info"}},
};

static const struct class *find_class(const struct eg_form *form)
{
	const struct class *class = classes;

	while (class->action[0] && !eg_form_is(form, class->action))
		class++;
	return class;
}

/* Whether a packet or a question was let through, in flows, denials and DNS. */
static void put_verdict(struct eg_form *form)
{
	if (!form->verdict || !(eg_form_is(form, "flow") || eg_form_is(form, "deny") || eg_form_is(form, "dns")))
		return;
	if (eg_schema_refused(form)) {
		eg_form_add_text(form, "event.type", "denied");
		eg_form_put_text(form, "event.outcome", "failure");
		if (!form->ingress && !form->answer)
			eg_form_put_text(form, "error.code", "EPERM");
		return;
	}
	eg_form_add_text(form, "event.type", "allowed");
	eg_form_put_text(form, "event.outcome", "success");
}

static void put_outcome(struct eg_form *form)
{
	json_t *ok = json_object_get(form->event, "ok");

	if (json_is_boolean(ok))
		eg_form_put_text(form, "event.outcome", json_is_true(ok) ? "success" : "failure");
	else if (eg_form_is(form, "kill") || eg_form_is(form, "restore") || eg_form_is(form, "policy"))
		eg_form_put_text(form, "event.outcome", "success");
}

static const char *level(enum eg_severity severity)
{
	switch (severity) {
	case EG_SEVERITY_ALERT:
		return "alert";
	case EG_SEVERITY_WARNING:
		return "warning";
	case EG_SEVERITY_NOTICE:
		return "notice";
	default:
		return "info";
	}
}

void eg_ecs_classify(struct eg_form *form)
{
	const struct class *class = find_class(form);
	enum eg_severity severity = eg_schema_severity_of(form);
	char dataset[EG_FORM_ACTION_LEN];

	snprintf(dataset, sizeof(dataset), "egret.%s", form->type);
	eg_form_put_text(form, "event.kind", class->kind);
	eg_form_add_text(form, "event.category", class->category);
	if (eg_form_is(form, "policy-apply") && !eg_form_text(form, "previous_rev"))
		eg_form_add_text(form, "event.type", "creation");
	else
		for (size_t i = 0; i < 2; i++)
			eg_form_add_text(form, "event.type", class->types[i]);
	if (eg_form_is(form, "cap") && eg_schema_cap_full(form))
		eg_form_add_text(form, "event.type", "denied");
	put_verdict(form);
	put_outcome(form);
	eg_form_put_text(form, "event.action", form->action);
	eg_form_put_text(form, "event.module", "egret");
	eg_form_put_text(form, "event.dataset", dataset);
	eg_form_put_int(form, "event.severity", severity);
	eg_form_put_text(form, "log.level", level(severity));
	eg_form_done(form, "type");
}

// SPDX-License-Identifier: Apache-2.0
/*
 * control_report.c - what egret-sync is told of this host, and what it tells: status, alarms, events
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/policy.h"
#include "agent_impl.h"
#include "clock.h"
#include "control_impl.h"

#define EVENTS_AT_ONCE 200 /* of policies refused, by one report */
#define ALARMS_MAX 5
#define LOST_ALARM_NS (60 * EG_NS_PER_S)
#define SETTLE_MS 100

/* ---- What there is ------------------------------------------------ */

struct view {
	struct eg_agent *agent;
	json_t *policies;
};

static void put_policy(void *ctx, struct eg_entry *entry)
{
	struct view *view = ctx;
	const struct eg_applied *now = entry->now;
	char hash[65];

	if (!now || entry->deleted)
		return;
	for (size_t i = 0; i < sizeof(now->hash); i++)
		snprintf(hash + 2 * i, 3, "%02x", now->hash[i]);
	json_object_set_new(view->policies, entry->name,
			    json_pack("{s:s,s:s,s:s,s:I}", "source", eg_source_name(now->source), "rev", now->rev,
				      "hash", hash, "number", (json_int_t)now->number));
}

static json_t *last_holds(struct eg_agent *agent)
{
	EG_FREE struct eg_hold_record *records = NULL;
	json_t *holds = json_object();
	size_t count = 0;

	if (eg_holds_last(agent->holds, EG_HOLD_CONTROL, &records, &count) < 0)
		return holds;
	for (size_t i = 0; i < count; i++)
		json_object_set_new(holds, records[i].hold.app,
				    json_pack("{s:b,s:I}", "killed", !records[i].lifted, "generation",
					      (json_int_t)records[i].hold.generation));
	return holds;
}

/* The control plane is told where its kill is passed over, and until when. */
static void add_override(struct eg_agent *agent, const char *app, json_t *hold)
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry && eg_override_on(agent, entry))
		json_object_set_new(hold, "overridden_until", eg_override_json(agent, entry));
	pthread_mutex_unlock(&agent->lock);
}

/* Said when it begins, and when it ends. */
static void tell_settled(struct eg_agent *agent, bool settled)
{
	struct eg_control *control = __atomic_load_n(&agent->control, __ATOMIC_ACQUIRE);
	bool was;

	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	was = !control->unsettled;
	control->unsettled = !settled;
	pthread_mutex_unlock(&control->lock);
	if (was && !settled)
		eg_log_err("kills are in force but not on disk yet: they would not outlive a reboot");
	else if (!was && settled)
		eg_log_notice("every kill is on disk");
}

/*
 * Those of every layer, for the state that is written back. That is where the control plane is told that
 * its kills hold, so the disk is waited for here, once for however many there were (see eg_kill_control).
 */
static json_t *in_force(struct eg_agent *agent)
{
	EG_FREE struct eg_hold_info *infos = NULL;
	json_t *list = json_array();
	size_t count = 0;

	tell_settled(agent, eg_holds_settle(agent->holds, SETTLE_MS));
	if (eg_holds_list(agent->holds, &infos, &count) < 0)
		return list;
	for (size_t i = 0; i < count; i++) {
		json_t *hold = json_pack("{s:s,s:s}", "app", infos[i].hold.app, "layer", eg_hold_layer_name(infos[i].hold.layer));

		if (!infos[i].durable)
			json_object_set_new(hold, "durable", json_false());
		if (infos[i].hold.layer == EG_HOLD_CONTROL)
			add_override(agent, infos[i].hold.app, hold);
		json_array_append_new(list, hold);
	}
	return list;
}

int eg_agent_control_view(struct eg_agent *agent, bool with_policies, const struct eg_actor *actor, json_t **ret,
			  struct eg_error *err)
{
	struct view view = {.agent = agent, .policies = json_object()};

	if (with_policies)
		eg_apps_each(agent, put_policy, &view);
	*ret = json_pack("{s:s,s:o,s:o,s:o}", "source", eg_source_name(actor->source), "policies", view.policies,
			 "holds", last_holds(agent), "in_force", in_force(agent));
	return *ret ? 0 : eg_error_set(err, 500, "no_memory", "Out of memory.");
}

int eg_agent_control_hold(struct eg_agent *agent, const struct eg_control_hold *asked, const struct eg_actor *actor,
			  json_t **ret, struct eg_error *err)
{
	struct eg_hold hold;
	char text[64];

	if (!asked->killed)
		return eg_restore_control(agent, asked, actor, ret, err);
	eg_kill_hold(&hold, asked->app, EG_HOLD_CONTROL, actor, asked->reason, asked->ticket);
	snprintf(text, sizeof(text), "%s via=%s", asked->by ? asked->by : "control plane", actor->via);
	eg_hold_set_text(hold.actor, sizeof(hold.actor), text);
	hold.generation = asked->generation;
	return eg_kill_control(agent, &hold, ret, err);
}

/* ---- What it says ------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool same_error(const json_t *a, const json_t *b)
{
	return strcmp(text_of(a, "app"), text_of(b, "app")) == 0 &&
	       strcmp(text_of(a, "message"), text_of(b, "message")) == 0;
}

/* Sorted by app on both sides, so that one walk finds what is new. */
static void tell_errors(struct eg_agent *agent, const struct eg_actor *actor, const json_t *before, const json_t *now)
{
	size_t i, at = 0, told = 0;
	const json_t *error;
	char text[64];

	eg_actor_text(actor, text, sizeof(text));
	json_array_foreach (now, i, error) {
		const char *app = text_of(error, "app");

		while (at < json_array_size(before) && strcmp(text_of(json_array_get(before, at), "app"), app) < 0)
			at++;
		if ((at < json_array_size(before) && same_error(json_array_get(before, at), error)) ||
		    told++ >= EVENTS_AT_ONCE)
			continue;
		eg_log_warning("app %s: %s", app, text_of(error, "message"));
		pthread_mutex_lock(&agent->lock);
		eg_notice(agent, "alert", eg_registry_find(agent, app), app,
			  json_pack("{s:s,s:s,s:s,s:s}", "action", "control_refused", "actor", text, "code",
				    text_of(error, "code"), "cause", text_of(error, "message")));
		pthread_mutex_unlock(&agent->lock);
	}
}

static void tell_pause(struct eg_agent *agent, const char *before, const char *now)
{
	if (strcmp(before, now) == 0)
		return;
	if (!now[0]) {
		eg_log_notice("deletions of the control plane's policies go on");
		return;
	}
	eg_log_err("%s", now);
	eg_notice(agent, "alert", NULL, NULL, json_pack("{s:s,s:s}", "action", "deletions_paused", "cause", now));
}

static void tell_connection(struct eg_agent *agent, const json_t *report, bool was, bool is)
{
	if (was == is)
		return;
	if (is)
		eg_log_notice("the control plane is reached at %s", text_of(report, "endpoint"));
	else
		eg_log_warning("the control plane can't be reached, what is in force stays: %s",
			       text_of(report, "message"));
	eg_notice(agent, "alert", NULL, NULL,
		  json_pack("{s:s,s:s,s:s*}", "action", is ? "control_connected" : "control_lost", "endpoint",
			    text_of(report, "endpoint"), "cause", is ? NULL : text_of(report, "message")));
}

static int check_report(const json_t *report, struct eg_error *err)
{
	const json_t *errors = json_object_get(report, "errors"), *error;
	const char *last = "";
	size_t i;

	if (errors && !json_is_array(errors))
		return eg_error_set(err, 400, "bad_value", "\"errors\" must be a list.");
	json_array_foreach (errors, i, error) {
		const char *app = text_of(error, "app");

		if ((!eg_policy_app_name(app) && strcmp(app, EG_HOLD_ALL_APPS) != 0) || strcmp(app, last) < 0)
			return eg_error_set(err, 400, "bad_value", "\"errors\" must be sorted by \"app\".");
		last = app;
	}
	return 0;
}

int eg_agent_control_report(struct eg_agent *agent, const json_t *report, const struct eg_actor *actor, json_t **ret,
			    struct eg_error *err)
{
	struct eg_control *control = __atomic_load_n(&agent->control, __ATOMIC_ACQUIRE);
	json_t *before, *now = json_deep_copy(report);
	bool is = json_is_true(json_object_get(report, "connected"));

	if (!control || !now || check_report(report, err) < 0) {
		json_decref(now);
		return err->status ? -EINVAL : eg_error_set(err, 503, "busy", "The agent is still starting.");
	}
	pthread_mutex_lock(&control->lock);
	before = control->report;
	control->report = json_incref(now);
	control->report_utc_ns = eg_clock_utc_ns();
	control->trouble[0] = '\0';
	if (is)
		control->lost_utc_ns = 0;
	else if (!control->lost_utc_ns)
		control->lost_utc_ns = control->report_utc_ns;
	pthread_mutex_unlock(&control->lock);
	tell_connection(agent, report, before ? json_is_true(json_object_get(before, "connected")) : false, is);
	tell_errors(agent, actor, json_object_get(before, "errors"), json_object_get(now, "errors"));
	tell_pause(agent, text_of(before, "paused"), text_of(now, "paused"));
	json_decref(before);
	json_decref(now);
	*ret = json_object();
	return 0;
}

/* ---- Status ------------------------------------------------ */

json_t *eg_control_json(struct eg_agent *agent)
{
	struct eg_control *control = __atomic_load_n(&agent->control, __ATOMIC_ACQUIRE);
	const struct eg_control_config *config = eg_agent_config(agent)->control;
	json_t *json;

	if (!control || !config)
		return json_null();
	pthread_mutex_lock(&control->lock);
	json = json_pack("{s:s,s:i,s:I,s:o}", "source", eg_control_source_name(config->source), "pid",
			 (int)control->pid, "starts", (json_int_t)control->starts, "trouble",
			 control->trouble[0] ? json_string(control->trouble) : json_null());
	if (json && control->report) {
		json_object_update(json, control->report);
		json_object_set_new(json, "reported", eg_time_json(control->report_utc_ns));
	}
	pthread_mutex_unlock(&control->lock);
	return json;
}

static void add(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(json_t *list, const char *format, ...)
{
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

static void add_errors(json_t *list, const json_t *errors)
{
	size_t count = json_array_size(errors);

	for (size_t i = 0; i < count && i < ALARMS_MAX; i++)
		add(list, "control plane, app %s: %s", text_of(json_array_get(errors, i), "app"),
		    text_of(json_array_get(errors, i), "message"));
	if (count > ALARMS_MAX)
		add(list, "control plane: %zu further apps have errors", count - ALARMS_MAX);
}

void eg_control_alarms(struct eg_agent *agent, json_t *list)
{
	struct eg_control *control = __atomic_load_n(&agent->control, __ATOMIC_ACQUIRE);

	if (!control || !eg_agent_config(agent)->control)
		return;
	pthread_mutex_lock(&control->lock);
	if (control->trouble[0])
		add(list, "%s", control->trouble);
	if (control->lost_utc_ns && eg_clock_utc_ns() - control->lost_utc_ns > LOST_ALARM_NS)
		add(list, "the control plane can't be reached: %s", text_of(control->report, "message"));
	if (text_of(control->report, "paused")[0])
		add(list, "%s", text_of(control->report, "paused"));
	add_errors(list, json_object_get(control->report, "errors"));
	pthread_mutex_unlock(&control->lock);
}

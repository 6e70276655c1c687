// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "agent_client.h"

#define NS_PER_S 1000000000ull
#define REPORT_MS 10
#define ERRORS_MAX 1000	     /* in a report, and in the state */
#define STATE_MAX (1u << 20) /* etcd takes 1.5 MiB */
#define STATE_SOON_MS 500    /* between two that say something new */
#define STATE_EVERY_MS 10000 /* kills by hand and the sinks' lag change without us */

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

static int by_app(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, as the agent asks for. */
static json_t *errors_list(const struct eg_sync *sync)
{
	size_t count = json_object_size(sync->errors), i = 0;
	EG_FREE const char **apps = calloc(count + 1, sizeof(*apps));
	json_t *list = json_array(), *error;
	const char *app;

	if (!apps)
		return list;
	json_object_foreach (sync->errors, app, error)
		apps[i++] = app;
	qsort(apps, count, sizeof(*apps), by_app);
	for (i = 0; i < count && i < ERRORS_MAX; i++) {
		error = json_object_get(sync->errors, apps[i]);
		json_array_append_new(list,
				      json_pack("{s:s,s:O,s:O}", "app", apps[i], "code", json_object_get(error, "code"),
						"message", json_object_get(error, "message")));
	}
	return list;
}

static size_t count_ours(const struct eg_sync *sync)
{
	const char *app, *name = eg_control_source_name(sync->control->source);
	size_t count = 0;
	json_t *policy;

	json_object_foreach (json_object_get(sync->have, "policies"), app, policy)
		count += strcmp(json_string_value(json_object_get(policy, "source")), name) == 0;
	return count;
}

int eg_report_send(struct eg_sync *sync, bool at_once)
{
	EG_CLEANUP(eg_cleanup_json) json_t *report = NULL;
	EG_FREE char *text = NULL;
	struct eg_error err = {0};
	int r = 0;

	if (!at_once && eg_sync_now_ms() < sync->report_ms)
		return 0;
	sync->report_ms = eg_sync_now_ms() + REPORT_MS;
	report = json_pack("{s:b,s:s,s:s,s:I,s:I,s:s,s:o}", "connected", sync->connected, "endpoint", sync->endpoint,
			   "message", sync->message, "revision", (json_int_t)sync->revision, "policies",
			   (json_int_t)count_ours(sync), "paused", sync->paused, "errors", errors_list(sync));
	text = report ? json_dumps(report, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (!text || (sync->reported && strcmp(text, sync->reported) == 0))
		return 0;
	if (eg_agent_client_report(sync->door_fd, report, &err)) {
		r = strcmp(err.code, "agent_gone") == 0 ? -EPIPE : 0;
		eg_log_err("the agent did not take the report: %s", err.message);
		eg_error_clear(&err);
		return r;
	}
	free(sync->reported);
	sync->reported = EG_TAKE_PTR(text);
	sync->told = false;
	return 0;
}

/* ---- What is written back ------------------------------------------------ */

static json_t *policies_state(const struct eg_sync *sync, bool all)
{
	const char *app, *name = eg_control_source_name(sync->control->source);
	json_t *list = json_object(), *policy, *error;

	json_object_foreach (json_object_get(sync->have, "policies"), app, policy) {
		if (all && strcmp(json_string_value(json_object_get(policy, "source")), name) == 0)
			json_object_set_new(list, app, json_pack("{s:O}", "rev", json_object_get(policy, "rev")));
	}
	json_object_foreach (sync->errors, app, error) {
		json_t *entry = json_object_get(list, app);

		if (!entry) {
			entry = json_object();
			json_object_set_new(list, app, entry);
		}
		json_object_set_new(entry, "error",
				    json_pack("{s:O,s:O}", "code", json_object_get(error, "code"), "message",
					      json_object_get(error, "message")));
		if (!all && json_object_size(list) >= ERRORS_MAX)
			break;
	}
	return list;
}

static json_t *time_json(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_string(text);
}

static json_t *sinks_state(struct eg_sync *sync)
{
	struct eg_error err = {0};
	json_t *answer = NULL, *sinks = NULL;

	if (eg_agent_client_get(sync->door_fd, "/v1/sinks", &answer, &err) == 0) {
		sinks = json_incref(json_object_get(answer, "sinks"));
		json_decref(answer);
	}
	eg_error_clear(&err); /* an agent without sinks has none to tell of */
	return sinks ? sinks : json_array();
}

static json_t *make_state(struct eg_sync *sync)
{
	json_t *state, *fresh = NULL;
	struct eg_error err = {0};

	/* Holds of other layers come and go without us. */
	if (eg_agent_client_get(sync->door_fd, "/v1/control?policies=0", &fresh, &err)) {
		eg_error_clear(&err);
		return NULL;
	}
	state = json_pack("{s:i,s:s,s:s,s:O,s:o,s:I,s:I,s:I,s:I,s:o,s:O?,s:s,s:o}", "schema", 1, "host", sync->host,
			  "version", sync->version, "labels", sync->host_labels, "time", time_json(), "lease_s",
			  (json_int_t)(sync->control->lease_ns / NS_PER_S), "revision", (json_int_t)sync->revision,
			  "policy_count", (json_int_t)count_ours(sync), "error_count",
			  (json_int_t)json_object_size(sync->errors), "policies", policies_state(sync, true), "killed",
			  json_object_get(fresh, "in_force"), "paused", sync->paused, "sinks", sinks_state(sync));
	json_decref(fresh);
	/* A host with more than fits tells the numbers and what is wrong. */
	if (state && json_dumpb(state, NULL, 0, JSON_COMPACT) > STATE_MAX)
		json_object_set_new(state, "policies", policies_state(sync, false));
	return state;
}

/* Whether no kill waits for the disk any more. */
static bool is_settled(const json_t *state)
{
	const json_t *hold;
	size_t i;

	json_array_foreach (json_object_get(state, "killed"), i, hold) {
		if (json_is_false(json_object_get(hold, "durable")))
			return false;
	}
	return true;
}

void eg_report_state(struct eg_sync *sync, bool at_once)
{
	uint64_t now = eg_sync_now_ms();
	json_t *state;

	if (!sync->state ||
	    (!at_once && (now < sync->state_ms || (sync->told && now < sync->state_ms + STATE_EVERY_MS))))
		return;
	state = make_state(sync);
	if (!state)
		return;
	sync->told = is_settled(state);
	eg_state_set(sync->state, state);
	sync->state_ms = now + STATE_SOON_MS;
}

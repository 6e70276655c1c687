// SPDX-License-Identifier: Apache-2.0
/*
 * ship_status.c - a sink's report as JSON
 */
#include <stdio.h>
#include <time.h>

#include "ship.h"
#include "sink_impl.h"

static json_t *moment(uint64_t utc_ns)
{
	time_t seconds = (time_t)(utc_ns / EG_NS_PER_S);
	struct tm tm;
	char text[32];

	if (!utc_ns || !gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

/* A receiver's words may be any bytes. */
static json_t *words(const char *text)
{
	char clean[512];
	size_t len = 0;
	json_t *json = text[0] ? json_string(text) : json_null();

	if (json)
		return json;
	for (; len < sizeof(clean) - 1 && text[len]; len++)
		clean[len] = (text[len] >= ' ' && text[len] < 0x7f) ? text[len] : '?';
	clean[len] = '\0';
	return json_string(clean);
}

json_t *eg_ship_status(const struct eg_sink_config *config, const struct eg_sink_report *report, uint64_t lag_events,
		       uint64_t lag_bytes, struct eg_pace *pace)
{
	const struct eg_tally *tally = &report->tally;
	uint64_t spooled = report->held + report->waiting + lag_events, now = eg_ship_utc_ns(), eta_ms;
	uint64_t lag_ms = report->oldest_ns && now > report->oldest_ns ? (now - report->oldest_ns) / 1000000 : 0;
	enum eg_backlog backlog = eg_pace_look(pace, eg_ship_mono_ns(), report->waiting + lag_events, lag_ms, &eta_ms);
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{"produced", eg_tally_settled(tally) + spooled},
		{"delivered", tally->delivered},
		{"filtered", tally->filtered},
		{"spooled", spooled},
		{"dead_lettered", tally->dead_lettered},
		{"evicted", tally->evicted},
		{"lost", report->lost},
		{"held", report->held},
		{"lag_events", report->waiting + lag_events},
		{"lag_bytes", lag_bytes},
		{"lag_ms", lag_ms},
		{"eta_ms", eta_ms},
		{"requests", report->requests},
		{"retries", report->retries},
		{"damaged_bytes", report->damaged_bytes},
	};
	json_t *status = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", config->name, "type",
				   eg_sink_type_name(config->type), "state", eg_sink_state_name(report->state), "backlog",
				   eg_backlog_name(backlog), "last_success", moment(report->last_success_ns), "last_error_at", moment(report->last_error_ns),
				   "last_error", words(report->last_error), "note", words(report->note));

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(status, numbers[i].name, json_integer((json_int_t)(numbers[i].value & INT64_MAX)));
	return status;
}

json_t *eg_ship_route_status(const struct eg_sink_config *config, const struct eg_route_report *report)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name", config->name, "type",
			 eg_sink_type_name(config->type), "state", eg_sink_state_name(report->state), "done",
			 (json_int_t)report->done, "delivered", (json_int_t)report->delivered, "filtered",
			 (json_int_t)report->filtered, "refused", (json_int_t)report->refused, "waiting",
			 (json_int_t)report->waiting, "requests", (json_int_t)report->requests, "retries",
			 (json_int_t)report->retries, "last_success", moment(report->last_success_ns), "last_error_at",
			 moment(report->last_error_ns), "last_error", words(report->last_error));
}

json_t *eg_ship_tested(const struct eg_sink_tested *tested)
{
	static const char *const outcomes[EG_OUTCOME_COUNT_] = {
		[EG_OUTCOME_DELIVERED] = "delivered", [EG_OUTCOME_RETRY] = "not now",
		[EG_OUTCOME_PAUSE] = "not with this configuration", [EG_OUTCOME_SPLIT] = "refused",
	};
	const struct eg_result *result = &tested->result;

	return json_pack("{s:{s:I, s:s, s:b, s:s, s:I, s:I, s:o}}", "tested", "id", (json_int_t)tested->id, "name",
			 tested->name, "ok", result->outcome == EG_OUTCOME_DELIVERED, "outcome", outcomes[result->outcome],
			 "status", (json_int_t)result->status, "took_ms", (json_int_t)(tested->took_ns / 1000000), "answer",
			 words(result->error));
}

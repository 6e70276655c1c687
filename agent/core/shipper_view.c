// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_view.c - sinks as people and programs see them
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "../lib/cleanup.h"
#include "agent_impl.h"
#include "clock.h"
#include "shipper_impl.h"

#define TEST_WAIT_S 150 /* a request that is on its way may take a minute or two, the test's own as much */

/* ---- GET /v1/sinks ------------------------------------------------------------------------------- */

static void put_text(json_t *object, const char *key, const char *text)
{
	json_t *json = text[0] ? json_string(text) : NULL;

	json_object_set_new(object, key, json ? json : json_null());
}

/* What is told of a backlog is of the moment; counts stay true without a child. */
static json_t *sink_json(const struct eg_told_sink *sink, bool running)
{
	json_t *object = json_object();

	put_text(object, "name", sink->name);
	put_text(object, "type", sink->type);
	put_text(object, "state", running && sink->state[0] ? sink->state : "not running");
	put_text(object, "backlog", running ? sink->backlog : "");
	for (size_t i = 0; i < EG_TOLD_NUMBERS_; i++)
		json_object_set_new(object, eg_told_names[i], json_integer((json_int_t)sink->numbers[i]));
	if (!running || strcmp(sink->backlog, "shrinking") != 0)
		json_object_set_new(object, "eta_ms", json_null());
	put_text(object, "last_success", sink->last_success);
	put_text(object, "last_error_at", sink->last_error_at);
	put_text(object, "last_error", sink->last_error);
	put_text(object, "note", sink->note);
	return object;
}

json_t *eg_shipper_json(struct eg_shipper *s)
{
	json_t *answer, *list = json_array();
	bool running;

	pthread_mutex_lock(&s->lock);
	running = s->child.control_fd >= 0;
	for (size_t i = 0; i < s->told.count; i++)
		json_array_append_new(list, sink_json(&s->told.sinks[i], running));
	answer = json_pack("{s:b, s:I, s:I, s:o, s:o}", "running", running, "pid", (json_int_t)s->child.process.pid, "restarts",
			   (json_int_t)(s->starts ? s->starts - 1 : 0), "sinks", list, "routes",
			   eg_shipper_routes_json(s));
	put_text(answer, "problem", s->problem);
	pthread_mutex_unlock(&s->lock);
	return answer;
}

/* ---- POST /v1/sinks/NAME/test ----------------------------------------------------------------------- */

static bool is_known(const struct eg_shipper *s, const char *name)
{
	for (size_t i = 0; i < s->told.count; i++) {
		if (strcmp(s->told.sinks[i].name, name) == 0)
			return true;
	}
	for (size_t i = 0; i < s->told.route_count; i++) {
		if (strcmp(s->told.routes[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Under the lock. 0, or -errno with *err. */
static int ask(struct eg_shipper *s, const char *name, struct eg_shipper_test **ret, struct eg_error *err)
{
	char text[128];
	int len;

	if (!is_known(s, name))
		return eg_error_set(err, 404, "no_sink", "There is no sink or route %.32s.", name);
	if (s->child.control_fd < 0 || s->no_tests)
		return eg_error_set(err, 503, "no_ship", "egret-ship does not run: %.200s",
				    s->problem[0] ? s->problem : "it is being started.");
	for (size_t i = 0; i < EG_SHIPPER_TESTS && !*ret; i++) {
		if (!s->tests[i].id)
			*ret = &s->tests[i];
	}
	if (!*ret)
		return eg_error_set(err, 429, "busy", "%d tests are under way: try again.", EG_SHIPPER_TESTS);
	**ret = (struct eg_shipper_test){.id = ++s->test_id};
	len = snprintf(text, sizeof(text), "{\"test\":\"%s\",\"id\":%" PRIu64 "}", name, s->test_id);
	if (send(s->child.control_fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len)
		return 0;
	**ret = (struct eg_shipper_test){0};
	*ret = NULL;
	return eg_error_set(err, 503, "no_ship", "egret-ship can't be asked just now: try again.");
}

int eg_shipper_test(struct eg_shipper *s, const char *name, json_t **ret, struct eg_error *err)
{
	struct eg_shipper_test *test = NULL;
	struct timespec deadline;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += TEST_WAIT_S;
	pthread_mutex_lock(&s->lock);
	r = ask(s, name, &test, err);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): r is 0 only with a test */
	while (!r && !test->answer && !test->dropped &&
	       pthread_cond_clockwait(&s->answered, &s->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	if (!r && !test->answer)
		r = eg_error_set(err, 503, "no_answer",
				 test->dropped ? "egret-ship ended before the test did." : "The test has no answer yet.");
	else if (!r)
		*ret = EG_TAKE_PTR(test->answer);
	if (test)
		*test = (struct eg_shipper_test){0};
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- Metrics and alarms -------------------------------------------------------------------------------- */

static void metric(FILE *out, const struct eg_shipper *s, const char *name, const char *type, const char *help,
		   enum eg_told_number which, uint64_t divisor)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	for (size_t i = 0; i < s->told.count; i++) {
		uint64_t value = s->told.sinks[i].numbers[which];

		if (divisor > 1)
			fprintf(out, "%s{sink=\"%s\"} %" PRIu64 ".%03" PRIu64 "\n", name, s->told.sinks[i].name, value / divisor,
				value % divisor);
		else
			fprintf(out, "%s{sink=\"%s\"} %" PRIu64 "\n", name, s->told.sinks[i].name, value);
	}
}

static void print_states(FILE *out, const struct eg_shipper *s)
{
	static const char *const states[] = {"starting", "ok", "retrying", "paused", "failing"};

	fprintf(out, "# HELP egret_sink_state 1 for the state that a sink is in.\n# TYPE egret_sink_state gauge\n");
	for (size_t i = 0; i < s->told.count; i++) {
		for (size_t j = 0; j < sizeof(states) / sizeof(states[0]); j++)
			fprintf(out, "egret_sink_state{sink=\"%s\",state=\"%s\"} %d\n", s->told.sinks[i].name, states[j],
				s->child.control_fd >= 0 && strcmp(s->told.sinks[i].state, states[j]) == 0);
	}
}

/* Nothing of one that is being measured, or told of by nobody. */
static void print_etas(FILE *out, const struct eg_shipper *s)
{
	fprintf(out, "# HELP egret_sink_backlog_eta_seconds When a backlog is gone, as it shrank in the last minute; +Inf: "
		     "it does not shrink.\n# TYPE egret_sink_backlog_eta_seconds gauge\n");
	for (size_t i = 0; s->child.control_fd >= 0 && i < s->told.count; i++) {
		const struct eg_told_sink *sink = &s->told.sinks[i];
		uint64_t ms = sink->numbers[EG_TOLD_ETA_MS];

		if (strcmp(sink->backlog, "none") == 0 || strcmp(sink->backlog, "shrinking") == 0)
			fprintf(out, "egret_sink_backlog_eta_seconds{sink=\"%s\"} %" PRIu64 ".%03" PRIu64 "\n", sink->name,
				ms / 1000, ms % 1000);
		else if (strcmp(sink->backlog, "not_shrinking") == 0)
			fprintf(out, "egret_sink_backlog_eta_seconds{sink=\"%s\"} +Inf\n", sink->name);
	}
}

void eg_shipper_metrics(struct eg_shipper *s, FILE *out)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	fprintf(out, "# HELP egret_ship_up 1 while egret-ship runs.\n# TYPE egret_ship_up gauge\negret_ship_up %d\n",
		s->child.control_fd >= 0);
	fprintf(out,
		"# HELP egret_ship_restarts_total Starts of egret-ship after its first.\n"
		"# TYPE egret_ship_restarts_total counter\negret_ship_restarts_total %" PRIu64 "\n",
		s->starts ? s->starts - 1 : 0);
	print_states(out, s);
	metric(out, s, "egret_sink_produced_total", "counter", "Events that the sink was to deal with.", EG_TOLD_PRODUCED, 1);
	metric(out, s, "egret_sink_delivered_total", "counter", "Events delivered, those within roll-ups included.",
	       EG_TOLD_DELIVERED, 1);
	metric(out, s, "egret_sink_filtered_total", "counter", "Events that are not for this sink.", EG_TOLD_FILTERED, 1);
	metric(out, s, "egret_sink_spooled", "gauge", "Events in the spool that wait for this sink.", EG_TOLD_SPOOLED, 1);
	metric(out, s, "egret_sink_dead_letters_total", "counter", "Events refused for what they are.", EG_TOLD_DEAD_LETTERED,
	       1);
	metric(out, s, "egret_sink_evicted_total", "counter", "Events gone from the spool before their turn.", EG_TOLD_EVICTED,
	       1);
	metric(out, s, "egret_sink_held", "gauge", "Allowed flows that wait for their roll-up.", EG_TOLD_HELD, 1);
	metric(out, s, "egret_sink_lag_events", "gauge", "Events that are late: spooled, without those held.",
	       EG_TOLD_LAG_EVENTS, 1);
	metric(out, s, "egret_sink_lag_bytes", "gauge", "Bytes in the spool that the sink has not read.", EG_TOLD_LAG_BYTES, 1);
	metric(out, s, "egret_sink_lag_seconds", "gauge", "Age of the oldest event that waits.", EG_TOLD_LAG_MS, 1000);
	print_etas(out, s);
	metric(out, s, "egret_sink_requests_total", "counter", "Requests to the receiver since egret-ship began.",
	       EG_TOLD_REQUESTS, 1);
	metric(out, s, "egret_sink_retries_total", "counter", "Those that have to be made again.", EG_TOLD_RETRIES, 1);
	metric(out, s, "egret_sink_damaged_bytes_total", "counter", "Bytes of the spool in which no event was readable.",
	       EG_TOLD_DAMAGED_BYTES, 1);
	eg_shipper_routes_metrics(s, out);
	pthread_mutex_unlock(&s->lock);
}

void eg_shipper_alarms(struct eg_shipper *s, json_t *list)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->problem[0])
		json_array_append_new(list, json_string(s->problem));
	if (s->child.control_fd >= 0 && eg_clock_mono_ns() - s->sinks_heard_ns > EG_SHIPPER_SILENT_NS)
		json_array_append_new(list, json_string("egret-ship says nothing of its sinks: does the disk hang?"));
	for (size_t i = 0; i < s->told.count; i++) {
		const struct eg_told_sink *sink = &s->told.sinks[i];

		if (s->child.control_fd >= 0 && (strcmp(sink->state, "paused") == 0 || strcmp(sink->state, "failing") == 0))
			json_array_append_new(list, json_sprintf("sink %s is %s: %.300s", sink->name, sink->state, sink->last_error));
	}
	eg_shipper_routes_alarms(s, list);
	pthread_mutex_unlock(&s->lock);
}

/* ---- agent.h ------------------------------------------------------------------------------------------ */

int eg_agent_sinks(struct eg_agent *agent, json_t **ret, struct eg_error *err)
{
	json_t *answer = agent->shipper ? eg_shipper_json(agent->shipper) : NULL;

	if (!answer)
		return eg_error_set(err, 503, "no_ship", "egret-ship is not watched yet: try again.");
	*ret = answer;
	return 0;
}

int eg_agent_sink_test(struct eg_agent *agent, const char *sink, json_t **ret, struct eg_error *err)
{
	if (!agent->shipper)
		return eg_error_set(err, 503, "no_ship", "egret-ship is not watched yet: try again.");
	return eg_shipper_test(agent->shipper, sink, ret, err);
}

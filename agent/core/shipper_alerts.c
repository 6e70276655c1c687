// SPDX-License-Identifier: Apache-2.0
/*
 * shipper_alerts.c - when a sink falls behind, or loses events, and when that is over
 *
 * Behind is a sink that can't go on without somebody (paused, failing), at once; one that has retried for
 * 30 s; and one whose oldest event is five minutes old. A loss (evicted, or in the dead letters) is told when
 * it begins, and is over after five minutes without another. Each is an event of the type alert, and goes to
 * all sinks: those that work tell of the one that does not.
 */
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "shipper_impl.h"

#define RETRYING_NS   (30 * EG_NS_PER_S)
#define LATE_MS	      300000u
#define LATE_OVER_MS  60000u
#define LOSS_OVER_NS  (300 * EG_NS_PER_S)

static bool is(const struct eg_told_sink *sink, const char *state)
{
	return strcmp(sink->state, state) == 0;
}

static void tell(struct eg_shipper *s, const struct eg_told_sink *sink, const char *action)
{
	eg_log_warning("sink %s: %s (%s)%s%s", sink->name, action, sink->state, sink->last_error[0] ? ": " : "",
		       sink->last_error);
	eg_notice(s->agent, "alert", NULL, NULL,
		  json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "action", action, "sink", sink->name, "state",
			    sink->state, "lag_events", (json_int_t)sink->numbers[EG_TOLD_LAG_EVENTS], "lag_ms",
			    (json_int_t)sink->numbers[EG_TOLD_LAG_MS], "dead_lettered",
			    (json_int_t)sink->numbers[EG_TOLD_DEAD_LETTERED], "evicted",
			    (json_int_t)sink->numbers[EG_TOLD_EVICTED], "cause", sink->last_error));
}

static bool is_late(const struct eg_told_sink *sink, struct eg_shipper_alert *alert, uint64_t now)
{
	uint64_t lag_ms = sink->numbers[EG_TOLD_LAG_MS];

	if (is(sink, "ok") || is(sink, "starting"))
		alert->trouble_ns = 0;
	else if (!alert->trouble_ns)
		alert->trouble_ns = now;
	if (is(sink, "paused") || is(sink, "failing"))
		return true;
	if (alert->trouble_ns && now - alert->trouble_ns >= RETRYING_NS)
		return true;
	return lag_ms >= (alert->late ? LATE_OVER_MS : LATE_MS) || (alert->late && alert->trouble_ns);
}

static void look_at(struct eg_shipper *s, const struct eg_told_sink *sink, struct eg_shipper_alert *alert)
{
	uint64_t now = eg_clock_mono_ns(), lost = sink->numbers[EG_TOLD_LOST];
	bool late = is_late(sink, alert, now);

	if (late != alert->late)
		tell(s, sink, late ? "sink_late" : "sink_caught_up");
	alert->late = late;
	if (lost < alert->lost) /* the child is another one, and counts anew */
		alert->lost = 0;
	if (lost > alert->lost) {
		alert->lost = lost;
		alert->loss_ns = now;
		if (!alert->losing)
			tell(s, sink, "sink_losing");
		alert->losing = true;
	} else if (alert->losing && now - alert->loss_ns > LOSS_OVER_NS) {
		alert->losing = false;
		tell(s, sink, "sink_losing_ended");
	}
}

void eg_shipper_alerts(struct eg_shipper *s)
{
	for (size_t i = 0; i < s->count && i < EG_SINKS_MAX; i++) /* the thread that calls this alone changes them */
		look_at(s, &s->sinks[i], &s->alerts[i]);
}

void eg_shipper_alerts_reset(struct eg_shipper *s)
{
	memset(s->alerts, 0, sizeof(s->alerts));
}

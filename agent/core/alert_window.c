// SPDX-License-Identifier: Apache-2.0
#include "alert_window.h"

#define STEPS (EG_ALERT_WINDOW_SAMPLES - 2)

static uint32_t place(const struct eg_alert_window *w, uint32_t i)
{
	return (w->first + i) % EG_ALERT_WINDOW_SAMPLES;
}

void eg_alert_window_begin(struct eg_alert_window *w, uint64_t per_ns, uint64_t now_ns, uint64_t value)
{
	w->per_ns = per_ns;
	w->first = 0;
	w->count = 1;
	w->at_ns[0] = now_ns;
	w->value[0] = value;
}

/* Of the samples that lie before the window only the newest is needed: where the window begins. */
static void forget(struct eg_alert_window *w, uint64_t now_ns)
{
	while (w->count > 1 && (w->at_ns[place(w, 1)] + w->per_ns <= now_ns || w->count == EG_ALERT_WINDOW_SAMPLES)) {
		w->first = place(w, 1);
		w->count--;
	}
}

uint64_t eg_alert_window_add(struct eg_alert_window *w, uint64_t now_ns, uint64_t value)
{
	uint32_t last = place(w, w->count - 1);
	uint64_t from;

	forget(w, now_ns);
	from = w->value[w->first];
	if (now_ns - w->at_ns[last] >= w->per_ns / STEPS) {
		last = place(w, w->count++);
		w->at_ns[last] = now_ns;
		w->value[last] = value;
	}
	return value > from ? value - from : 0;
}

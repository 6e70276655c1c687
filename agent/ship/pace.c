// SPDX-License-Identifier: Apache-2.0
#include "pace.h"

#define NS_PER_MS 1000000u

static const char *const names[EG_BACKLOG_COUNT_] = {
	[EG_BACKLOG_NONE] = "none",
	[EG_BACKLOG_MEASURING] = "measuring",
	[EG_BACKLOG_SHRINKING] = "shrinking",
	[EG_BACKLOG_NOT_SHRINKING] = "not_shrinking",
};

const char *eg_backlog_name(enum eg_backlog backlog)
{
	return names[backlog];
}

/* Looks come more often than once a second when states change. */
static void remember(struct eg_pace *pace, uint64_t mono_ns, uint64_t events)
{
	size_t last = (pace->next + EG_PACE_SAMPLES - 1) % EG_PACE_SAMPLES;

	if (pace->count && mono_ns - pace->samples[last].mono_ns < EG_PACE_EVERY_NS * 9 / 10)
		return;
	pace->samples[pace->next].mono_ns = mono_ns;
	pace->samples[pace->next].events = events;
	pace->next = (pace->next + 1) % EG_PACE_SAMPLES;
	if (pace->count < EG_PACE_SAMPLES)
		pace->count++;
}

/*
 * Since the sample that is so many back. In double: events times nanoseconds pass 64 bits, and an estimate
 * has no use for the last digits.
 */
static enum eg_backlog since(const struct eg_pace *pace, size_t back, uint64_t mono_ns, uint64_t events, uint64_t *ret_eta_ms)
{
	size_t first = (pace->next + EG_PACE_SAMPLES - back) % EG_PACE_SAMPLES;
	uint64_t before = pace->samples[first].events, took_ns = mono_ns - pace->samples[first].mono_ns;
	double eta_ms;

	if (took_ns < EG_PACE_LEAST_NS)
		return EG_BACKLOG_MEASURING;
	if (before <= events)
		return EG_BACKLOG_NOT_SHRINKING;
	eta_ms = (double)events * ((double)took_ns / NS_PER_MS) / (double)(before - events);
	if (eta_ms > (double)EG_PACE_MOST_MS)
		return EG_BACKLOG_NOT_SHRINKING;
	*ret_eta_ms = (uint64_t)eta_ms;
	return EG_BACKLOG_SHRINKING;
}

enum eg_backlog eg_pace_look(struct eg_pace *pace, uint64_t mono_ns, uint64_t events, uint64_t lag_ms, uint64_t *ret_eta_ms)
{
	enum eg_backlog backlog;

	*ret_eta_ms = 0;
	remember(pace, mono_ns, events);
	if (!events || lag_ms < EG_PACE_LATE_MS)
		return EG_BACKLOG_NONE;
	backlog = since(pace, pace->count, mono_ns, events, ret_eta_ms);
	if (backlog == EG_BACKLOG_NOT_SHRINKING && pace->count > EG_PACE_SHORT)
		backlog = since(pace, EG_PACE_SHORT, mono_ns, events, ret_eta_ms);
	return backlog;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * meters.h - caps and rates, exact on any number of CPUs
 *
 * Theory of operation. A byte cap is one word: the low 16 bits of the window's number above
 * 48 bits of bytes used. A packet reserves its bytes by compare-and-swap before it is sent,
 * so the word never passes the limit, and the first packet of a new window replaces tag and
 * sum in the same store. When the swap loses too often, the bytes are added without looking
 * and the sum is looked at afterwards: what does not fit is refused and stays charged, so a
 * race can cost an app a packet of its cap and never gives it one.
 *
 * Windows are utc / length. The number never decreases: with the clock turned back, the
 * window stays until the clock has caught up.
 *
 * Rates (of bytes and of new flows) are a token bucket kept as one "theoretical arrival
 * time" (the GCRA of ITU-T I.371): a taker moves it on by its cost, unless that would put it
 * more than the burst ahead of now.
 */
#ifndef EG_BPF_METERS_H
#define EG_BPF_METERS_H

#include "clock.h"
#include "events.h"
#include "maps.h"
#include "verdict.h"

#define EG_METER_TRIES     8
#define EG_METER_TAG_SHIFT 48
#define EG_METER_USED_MASK ((1ull << EG_METER_TAG_SHIFT) - 1)
#define EG_METER_LISTED    4 /* meters in one list */

enum eg_take {
	EG_TAKE_OK = 0,
	EG_TAKE_DENIED = 1 << 0,
	EG_TAKE_WARN = 1 << 1, /* 80 % passed, first time in this window */
	EG_TAKE_HIT = 1 << 2, /* 100 % reached or refused, first time in this window */
	EG_TAKE_FULL = 1 << 3, /* 100 % reached or refused */
	EG_TAKE_TAG_SHIFT = 16, /* above: the low 8 bits of the window that was charged */
};

static __always_inline const struct eg_meter_conf *eg_meter_conf_at(const struct eg_ruleset *ruleset, __u32 number)
{
	__u32 index = number - 1;

	if (index >= EG_METERS_PER_APP)
		return NULL;
	return &ruleset->meters[index];
}

static __always_inline struct eg_meter *eg_meter_at(void *map, __u32 app, const struct eg_meter_conf *conf)
{
	__u32 key = app * EG_METERS_PER_APP + (conf->state & (EG_METERS_PER_APP - 1));

	return bpf_map_lookup_elem(map, &key);
}

/* The number of the window in force; rolls over to the one that utc_ns lies in. */
static __always_inline __u64 eg_meter_window(struct eg_meter *meter, __u64 per_ns, __u64 utc_ns)
{
	__u64 window = *(volatile __u64 *)&meter->window;
	__u64 next;

	if (utc_ns < *(volatile __u64 *)&meter->window_end_utc_ns || !per_ns)
		return window;
	next = utc_ns / per_ns;
	if (next <= window)
		return window;
	if (__sync_val_compare_and_swap(&meter->window, window, next) != window)
		return *(volatile __u64 *)&meter->window;
	*(volatile __u64 *)&meter->window_end_utc_ns = (next + 1) * per_ns;
	return next;
}

/* Bytes used in the given window. */
static __always_inline __u64 eg_meter_used(__u64 word, __u64 window)
{
	return word >> EG_METER_TAG_SHIFT == (window & 0xffff) ? word & EG_METER_USED_MASK : 0;
}

/* True for the first to ask. A window that is over tells nothing any more. */
static __always_inline bool eg_meter_announce(struct eg_meter *meter, __u64 window, __u64 limit, __u64 bit)
{
	__u64 seen = *(volatile __u64 *)&meter->announced;
	__u64 says = EG_METER_SAYS(window, limit);

	if (EG_METER_SAYS_WINDOW(seen) > window)
		return false;
	if ((seen & ~3ull) == says)
		says = seen;
	return !(says & bit) && __sync_val_compare_and_swap(&meter->announced, seen, says | bit) == seen;
}

static __always_inline int eg_meter_take_bytes(struct eg_meter *meter, const struct eg_meter_conf *conf,
					       __u64 bytes, __u64 utc_ns)
{
	__u64 window = eg_meter_window(meter, conf->per_ns, utc_ns);
	__u64 tag;
	bool alert_only = conf->action == EG_CAP_ALERT;
	__u64 limit = conf->limit, after = 0;
	bool taken = false;
	int result = EG_TAKE_OK;

	for (int i = 0; i < EG_METER_TRIES; i++) {
		__u64 word = *(volatile __u64 *)&meter->word;

		/* after the word: who came before the roll-over must not put the old window's tag on the new sum */
		window = *(volatile __u64 *)&meter->window;
		tag = (window & 0xffff) << EG_METER_TAG_SHIFT;
		after = eg_meter_used(word, window) + bytes;
		if (after > limit && !alert_only)
			break;
		if (__sync_val_compare_and_swap(&meter->word, word, tag | after) == word) {
			taken = true;
			break;
		}
	}
	if (!taken && (after <= limit || alert_only)) {
		__u64 word = __sync_fetch_and_add(&meter->word, bytes);

		after = (word & EG_METER_USED_MASK) + bytes;
		taken = alert_only || (after <= limit && word >> EG_METER_TAG_SHIFT == (window & 0xffff));
	}
	if (!taken)
		result |= EG_TAKE_DENIED;
	if (after >= limit)
		result |= EG_TAKE_FULL;
	if (after >= limit && eg_meter_announce(meter, window, limit, EG_METER_FULL))
		result |= EG_TAKE_HIT;
	else if (taken && after >= limit - limit / 5 && eg_meter_announce(meter, window, limit, EG_METER_WARNED))
		result |= EG_TAKE_WARN;
	return result | (int)((window & 0xff) << EG_TAKE_TAG_SHIFT);
}

static __always_inline int eg_meter_take_tokens(struct eg_meter *meter, __u64 cost_ns, __u64 burst_ns, __u64 now)
{
	for (int i = 0; i < EG_METER_TRIES; i++) {
		__u64 word = *(volatile __u64 *)&meter->word;
		__u64 next = (word > now ? word : now) + cost_ns;

		if (next - now > burst_ns)
			return EG_TAKE_DENIED;
		if (__sync_val_compare_and_swap(&meter->word, word, next) == word)
			return EG_TAKE_OK;
	}
	return EG_TAKE_DENIED; /* lost every race: another CPU spends at this very moment */
}

/* Gives back what a later meter, or nobody, wanted. Losing every race leaves it charged. */
static __always_inline void eg_meter_give(struct eg_meter *meter, const struct eg_meter_conf *conf, __u64 bytes,
					  __u64 tag)
{
	if (conf->kind != EG_METER_BYTES)
		return;
	for (int i = 0; i < EG_METER_TRIES; i++) {
		__u64 word = *(volatile __u64 *)&meter->word;

		/* taken in a window that is over: the new one was never charged */
		if ((word >> EG_METER_TAG_SHIFT & 0xff) != tag || (word & EG_METER_USED_MASK) < bytes)
			return;
		if (__sync_val_compare_and_swap(&meter->word, word, word - bytes) == word)
			return;
	}
}

/*
 * A second meter (`again`) sees packets bunched by queues that come after the first: twice the
 * burst. By itself, as a list of four has every way through it four times in a row.
 */
EG_GLOBAL int eg_meter_take(struct eg_meter *meter, const struct eg_meter_conf *conf, __u32 amount,
			    const struct eg_clock *clock, bool again)
{
	if (!meter || !conf || !clock)
		return EG_TAKE_DENIED;
	switch (conf->kind) {
	case EG_METER_BYTES:
		return eg_meter_take_bytes(meter, conf, amount, clock->utc_ns);
	case EG_METER_RATE:
		return eg_meter_take_tokens(meter, (__u64)amount * conf->per_ns >> 16, conf->limit << again,
					    clock->boot_ns);
	case EG_METER_FLOWS:
		return eg_meter_take_tokens(meter, conf->per_ns, conf->limit, clock->boot_ns);
	case EG_METER_DNS:
		return eg_meter_take_tokens(meter, (__u64)amount * conf->per_ns, conf->limit, clock->boot_ns);
	default:
		return EG_TAKE_DENIED;
	}
}

static __always_inline __u8 eg_meter_reason(const struct eg_meter_conf *conf)
{
	if (conf->kind == EG_METER_RATE)
		return EG_REASON_RATE_EGRESS;
	if (conf->kind == EG_METER_FLOWS)
		return EG_REASON_NEW_FLOWS;
	if (conf->kind == EG_METER_DNS)
		return EG_REASON_DNS_RATE;
	return conf->dir == EG_DIR_EGRESS ? EG_REASON_CAP_EGRESS : EG_REASON_CAP_INGRESS;
}

#define EG_METER_EVENT(type, percent) ((__u32)(type) | (__u32)(percent) << 8)

/* An event of a meter. says: EG_METER_EVENT(). */
EG_GLOBAL int eg_tell_meter(const struct eg_who *who, const struct eg_meter_conf *conf, const struct eg_meter *meter,
			    __u32 uid, __u32 says)
{
	enum eg_loss_cause cause;
	struct eg_event *event;

	if (!who || !conf || !meter)
		return 0;
	event = eg_event_begin(who, false, EG_BUDGET_NONE, &cause);
	if (!event) {
		eg_event_lost(who->app, cause);
		return 0;
	}
	event->type = (__u8)says;
	event->reason = eg_meter_reason(conf);
	event->dir = conf->dir;
	event->rule = (__u16)conf->rule;
	event->uid = uid;
	if (conf->kind == EG_METER_BYTES) {
		event->percent = (__u16)(says >> 8);
		event->limit = conf->limit;
		event->used = meter->word & EG_METER_USED_MASK;
		event->window_ns = conf->per_ns;
		event->window_end_utc_ns = meter->window_end_utc_ns;
	} else {
		event->limit = conf->per_ns;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/*
 * Raises the auto kill, and tells it, unless one is in force. Not only at the first time in a
 * window: after a restore, or the end of audit, the cap is used up still, and kills again.
 */
static __always_inline void eg_meter_kill(const struct eg_who *who, const struct eg_ruleset *ruleset,
					  const struct eg_meter *meter, const struct eg_meter_conf *conf,
					  const struct eg_clock *clock)
{
	struct eg_app *app = eg_app_at(who->app);
	__u64 kills;

	if (!app || eg_relaxed(app, ruleset, clock))
		return;
	kills = *(volatile __u64 *)&app->state.auto_kill;
	if (kills <= *(volatile __u64 *)&app->ctl.auto_cleared &&
	    __sync_val_compare_and_swap(&app->state.auto_kill, kills, kills + 1) == kills)
		eg_tell_meter(who, conf, meter, ruleset->uid, EG_METER_EVENT(EG_EVENT_KILL, 100));
}

/* A `rate` event, once a second for each app; the packets themselves are counted by reason. */
static __always_inline void eg_rate_tell(const struct eg_who *who, const struct eg_ruleset *ruleset,
					 const struct eg_meter *meter, const struct eg_meter_conf *conf, __u64 now)
{
	struct eg_app *app = eg_app_at(who->app);
	__u64 last;

	if (!app)
		return;
	last = *(volatile __u64 *)&app->state.rate_event_ns;
	if (now - last < 1000ull * 1000 * 1000 && last)
		return;
	if (__sync_val_compare_and_swap(&app->state.rate_event_ns, last, now) == last)
		eg_tell_meter(who, conf, meter, ruleset->uid, EG_METER_EVENT(EG_EVENT_RATE, 0));
}

static __always_inline int eg_meters_take_from(void *map, bool again, const struct eg_who *who,
					       const struct eg_ruleset *ruleset, __u32 list, __u32 amount,
					       const struct eg_clock *clock)
{
	int reason = EG_REASON_NONE;
	int taken = 0;
	__u32 tags = 0; /* 8 bits for each meter of the list: its frame has no room for more */

	for (int i = 0; i < EG_METER_LISTED; i++) {
		const struct eg_meter_conf *conf = eg_meter_conf_at(ruleset, list >> 8 * i & 0xff);
		struct eg_meter *meter;
		int took;

		if (!conf)
			continue;
		meter = eg_meter_at(map, who->app, conf);
		if (!meter)
			return EG_REASON_INTERNAL;
		took = eg_meter_take(meter, conf, amount, clock, again);
		tags |= ((__u32)took >> EG_TAKE_TAG_SHIFT & 0xff) << 8 * i;
		if (!again && took & (EG_TAKE_WARN | EG_TAKE_HIT))
			eg_tell_meter(who, conf, meter, ruleset->uid,
				      EG_METER_EVENT(EG_EVENT_CAP, took & EG_TAKE_FULL ? 100 : 80));
		if (!again && took & EG_TAKE_FULL && conf->action == EG_CAP_KILL)
			eg_meter_kill(who, ruleset, meter, conf, clock);
		if (took & EG_TAKE_DENIED) {
			reason = eg_meter_reason(conf);
			if (!again && conf->kind != EG_METER_BYTES)
				eg_rate_tell(who, ruleset, meter, conf, clock->boot_ns);
			taken = i;
			break;
		}
	}
	if (reason == EG_REASON_NONE)
		return EG_REASON_NONE;
	for (int i = 0; i < EG_METER_LISTED; i++) {
		const struct eg_meter_conf *conf = eg_meter_conf_at(ruleset, list >> 8 * i & 0xff);
		struct eg_meter *meter;

		if (i >= taken)
			break;
		if (!conf)
			continue;
		meter = eg_meter_at(map, who->app, conf);
		if (meter)
			eg_meter_give(meter, conf, amount, tags >> 8 * i & 0xff);
	}
	return reason;
}

/*
 * Takes amount (wire bytes; ignored by EG_METER_FLOWS) from every meter of the list, or from
 * none. Returns EG_REASON_NONE or the reason of the one that refused.
 */
EG_GLOBAL int eg_meters_take(const struct eg_who *who, const struct eg_ruleset *ruleset, __u32 list, __u32 amount,
			     const struct eg_clock *clock)
{
	if (!who || !ruleset || !clock)
		return EG_REASON_INTERNAL;
	return eg_meters_take_from(&meters, false, who, ruleset, list, amount, clock);
}

/* The same from the guard's meters; tells nothing, since the first meters have told it. */
EG_GLOBAL int eg_meters_take_again(const struct eg_who *who, const struct eg_ruleset *ruleset, __u32 list,
				   __u32 amount, const struct eg_clock *clock)
{
	if (!who || !ruleset || !clock)
		return EG_REASON_INTERNAL;
	return eg_meters_take_from(&guard_meters, true, who, ruleset, list, amount, clock);
}

/*
 * EG_REASON_NONE, or the reason why a new connection had better not be tried: a cap was hit in this
 * window. What is left of it may be room for small packets, but a connection would stall in it.
 */
EG_GLOBAL int eg_meters_spent(const struct eg_who *who, const struct eg_ruleset *ruleset, __u32 list,
			      const struct eg_clock *clock)
{
	if (!who || !ruleset || !clock)
		return EG_REASON_INTERNAL;
	for (int i = 0; i < EG_METER_LISTED; i++) {
		const struct eg_meter_conf *conf = eg_meter_conf_at(ruleset, list >> 8 * i & 0xff);
		struct eg_meter *meter;
		__u64 window;

		if (!conf || conf->kind != EG_METER_BYTES || conf->action == EG_CAP_ALERT)
			continue;
		meter = eg_meter_at(&meters, who->app, conf);
		if (!meter)
			return EG_REASON_INTERNAL;
		window = eg_meter_window(meter, conf->per_ns, clock->utc_ns);
		if ((meter->announced | EG_METER_WARNED) !=
			    (EG_METER_SAYS(window, conf->limit) | EG_METER_FULL | EG_METER_WARNED) &&
		    eg_meter_used(meter->word, window) < conf->limit)
			continue;
		if (conf->action == EG_CAP_KILL)
			eg_meter_kill(who, ruleset, meter, conf, clock);
		return eg_meter_reason(conf);
	}
	return EG_REASON_NONE;
}

#endif

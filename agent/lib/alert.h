/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert.h - a threshold on what an app does: {"when": "denied", "over": "20/min", "action": "alert"}
 */
#ifndef EG_LIB_ALERT_H
#define EG_LIB_ALERT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EG_ALERTS_MAX	  32 /* of one policy; as many of the host's */
#define EG_ALERT_PER_MIN_NS 1000000000ull
#define EG_ALERT_PER_MAX_NS (31 * 86400 * 1000000000ull)

enum eg_alert_when {
	EG_ALERT_DENIED, /* what the app itself sent out, and was refused: never what came in */
	EG_ALERT_DNS_REFUSED, /* of which look-ups */
	EG_ALERT_NEW_FLOWS,
	EG_ALERT_EGRESS_BYTES, /* IP bytes */
	EG_ALERT_INGRESS_BYTES,
	EG_ALERT_COUNT_
};

struct eg_alert {
	enum eg_alert_when when;
	uint64_t over; /* it is more than so many ... */
	uint64_t per_ns; /* ... within this long: EG_ALERT_PER_MIN_NS .. EG_ALERT_PER_MAX_NS */
	bool kill; /* and not only told */
};

/* Names of enum eg_alert_when in policies and events, in its order. */
extern const char *const eg_alert_names[EG_ALERT_COUNT_];

static inline bool eg_alert_of_bytes(enum eg_alert_when when)
{
	return when == EG_ALERT_EGRESS_BYTES || when == EG_ALERT_INGRESS_BYTES;
}

/* Reads "over": as eg_units_count_rate or eg_units_bytes_rate, by `when`; -ERANGE also for a time out of range. */
int eg_alert_over(enum eg_alert_when when, const char *text, uint64_t *ret_over, uint64_t *ret_per_ns);

/* "20 in 1m", "100 MiB in 1h": for people. Returns ret. */
const char *eg_alert_over_text(const struct eg_alert *alert, char *ret, size_t size);

#endif

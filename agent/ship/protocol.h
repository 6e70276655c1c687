/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol.h - what the engine asks of a receiver's protocol: send these items, say what became of them
 *
 * One batch is in flight per sink, on that sink's own thread. The engine keeps the items, tries again,
 * bisects, writes dead letters and moves the cursor; a protocol renders the same bytes for the same
 * items each time, and judges the answer. It never says "delivered" without the receiver's own proof.
 */
#ifndef EG_SHIP_PROTOCOL_H
#define EG_SHIP_PROTOCOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/error.h"
#include "../lib/sink_config.h"
#include "item.h"

enum eg_outcome {
	EG_OUTCOME_DELIVERED,
	EG_OUTCOME_RETRY, /* network, time-out, 408, 425, 429, 5xx, an answer that can't be read: again, later */
	EG_OUTCOME_PAUSE, /* 401, 403, 404, TLS: credentials or configuration; read the files again, never drop */
	EG_OUTCOME_SPLIT, /* 413, 400: of several items, one may be the cause. Of one item: it is poison */
	EG_OUTCOME_COUNT_
};

struct eg_result {
	enum eg_outcome outcome; /* of the batch, or of what `items` leaves open */
	uint64_t retry_after_ns; /* a floor that the receiver asked for; 0: none */
	long status; /* HTTP status; 0: none came */
	char error[512]; /* plain words, for people: what came back. No secrets. "" when delivered */
	/*
	 * Filled by a protocol that knows more, one for each item, after it set has_items; the engine
	 * provides room for `count` of them. SPLIT there means: this very item is poison.
	 */
	bool has_items;
	enum eg_outcome *items;
};

struct eg_protocol {
	/* config is borrowed until close. -errno with *err filled: what is wrong with it, such as a file that can't be read. */
	int (*open)(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err);
	/*
	 * Sends count >= 1 items, waits for the proof. Ends within timeout_ns of the configuration, and within
	 * a second once *stopping is true (then: EG_OUTCOME_RETRY). Credentials and certificates are read again when
	 * their files changed. result comes zeroed but for `items`.
	 */
	void (*send)(void *sink, const struct eg_item *items, size_t count, struct eg_result *result);
	void (*close)(void *sink);
};

extern const struct eg_protocol eg_protocol_file, eg_protocol_hec, eg_protocol_elastic, eg_protocol_otlp,
	eg_protocol_loki, eg_protocol_syslog, eg_protocol_webhook;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - one receiver, on a thread of its own: from the spool to the receiver's proof
 *
 * Theory of operation. The thread reads records in order. What is for this sink and goes at once is
 * rendered into a batch; allowed flows are only counted, as held for their roll-up. A full batch, or one
 * that waited long enough, is sent until every item of it is settled: delivered by the protocol's own proof,
 * or in the dead-letter file. Only then the cursor moves. When a window of flows ends, its end is stored,
 * then the window is read a second time and rolled up (sink_roll.c). Nothing but the batch and one
 * window's groups is ever in memory.
 *
 * A sink shares nothing with another but the spool, which it only reads: one that hangs holds back nobody.
 */
#ifndef EG_SHIP_SINK_H
#define EG_SHIP_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/sink_config.h"
#include "protocol.h"
#include "tally.h"

enum eg_sink_state {
	EG_SINK_STARTING,
	EG_SINK_OK, /* up to date, or getting there */
	EG_SINK_RETRYING, /* the receiver can't be reached, or asked for patience */
	EG_SINK_PAUSED, /* credentials, configuration, or everything is refused: somebody has to look */
	EG_SINK_FAILING, /* this host's own trouble: spool, cursor or dead letters */
	EG_SINK_STATE_COUNT_
};

const char *eg_sink_state_name(enum eg_sink_state state);

/* All of one moment: tally + held + waiting + what the spool has from `read` on is what was produced. */
struct eg_sink_report {
	enum eg_sink_state state;
	struct eg_tally tally;
	uint64_t held; /* for their roll-up */
	uint64_t waiting; /* read, and not settled */
	struct eg_spool_pos read;
	uint64_t lost; /* dead-lettered and evicted since the sink was started */
	uint64_t oldest_ns; /* "ts" of the oldest that waits, UTC; 0: none does */
	uint64_t requests;
	uint64_t retries;
	uint64_t damaged_bytes; /* of the spool, that no record could be read from */
	uint64_t last_success_ns; /* UTC; 0: never */
	uint64_t last_error_ns;
	char last_error[512]; /* plain words; kept after a success */
	char note[160]; /* what happened to the cursor at start; "": nothing */
};

/* What came back from a test event. */
struct eg_sink_tested {
	uint64_t id; /* as it was asked */
	const char *name; /* of the sink */
	struct eg_result result;
	uint64_t took_ns;
};

/* What all sinks have in common; outlives them. */
struct eg_sink_place {
	const char *spool_dir;
	int cursor_fd; /* directory of cursors and dead letters */
	const char *host; /* of test events */
	/* Called on a sink's thread: its report changed in a way that somebody waits for. */
	void (*changed)(void *ctx);
	void (*tested)(void *ctx, const struct eg_sink_tested *tested);
	void *ctx;
};

struct eg_sink;

/* config and place are borrowed until it is freed. 0 or -errno. */
int eg_sink_start(const struct eg_sink_place *place, const struct eg_sink_config *config,
		  const struct eg_protocol *protocol, struct eg_sink **ret);
void eg_sink_ask_to_stop(struct eg_sink *sink);
/* True: the thread has ended, or does so within wait_ns. */
bool eg_sink_join(struct eg_sink *sink, uint64_t wait_ns);
/* Only after it was joined. NULL is fine. */
void eg_sink_free(struct eg_sink *sink);

const char *eg_sink_name(const struct eg_sink *sink);
void eg_sink_report(struct eg_sink *sink, struct eg_sink_report *ret);
/* A test event, once what is on its way has ended; place->tested has the answer. -EBUSY: one is asked for already. */
int eg_sink_test(struct eg_sink *sink, uint64_t id);

#endif

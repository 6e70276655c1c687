/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipper_impl.h - what the files of the shipper share
 */
#ifndef EG_CORE_SHIPPER_IMPL_H
#define EG_CORE_SHIPPER_IMPL_H

#include <pthread.h>
#include <stdbool.h>

#include "shipper.h"

#define EG_SHIPPER_TESTS   8 /* under way at once */
#define EG_SHIPPER_MESSAGE (128u << 10)

struct eg_shipper_test {
	uint64_t id; /* 0: the place is free */
	json_t *answer;
	bool dropped; /* the child went before it answered */
};

/* What an alert was told of, so that it is told once. */
struct eg_shipper_alert {
	bool late;
	uint64_t trouble_ns; /* monotonic, since when the sink is not ok; 0: it is */
	bool losing;
	uint64_t lost; /* as of the last report */
	uint64_t loss_ns; /* monotonic, of the last loss */
};

struct eg_shipper {
	struct eg_agent *agent;
	pthread_t thread;
	int wake_fd;
	bool stopping;
	bool reload;
	uint64_t started_ns; /* monotonic, as those below; of the thread */
	uint64_t heard_ns;
	uint64_t start_ns; /* not before */
	uint64_t pause_ns;
	struct eg_shipper_alert alerts[EG_SINKS_MAX];
	char message[EG_SHIPPER_MESSAGE];

	pthread_mutex_t lock; /* of what follows; the thread alone changes the child */
	pthread_cond_t answered;
	struct eg_ship_child child;
	uint64_t starts;
	char problem[512]; /* why no child runs; "" */
	struct eg_told_sink *sinks;
	size_t count;
	struct eg_shipper_test tests[EG_SHIPPER_TESTS];
	uint64_t test_id;
	bool no_tests;
};

/* ---- shipper_alerts.c: on the thread ------------------------------------------------------------- */

/* After a report: tells when a sink's lag or loss begins, and when it ends. */
void eg_shipper_alerts(struct eg_shipper *s);
void eg_shipper_alerts_reset(struct eg_shipper *s);

#endif

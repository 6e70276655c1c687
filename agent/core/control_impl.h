/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_impl.h - what control.c and control_report.c share
 */
#ifndef EG_CORE_CONTROL_IMPL_H
#define EG_CORE_CONTROL_IMPL_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "child.h"

struct eg_control {
	struct eg_child child; /* main thread, as what follows */
	json_t *setup;	       /* that the child was started with */
	uint64_t started_ns;   /* monotonic */
	uint64_t next_ns;      /* no start before */
	uint64_t pause_ns;
	bool anew; /* the child is to be started again: files that it reads may be others */

	pthread_mutex_t lock; /* of all below */
	pid_t pid;	      /* 0: none runs */
	uint64_t starts;
	char trouble[300]; /* why there is none; "" */
	json_t *report;	   /* the last; NULL: none came */
	uint64_t report_utc_ns;
	uint64_t lost_utc_ns; /* since when the control plane can't be reached; 0: it can */
	bool unsettled;	      /* kills waited for the disk when the state was last asked for */
};

#endif

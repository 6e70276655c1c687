/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch_impl.h - what prefetch.c (whom to ask, and when) and prefetch_grant.c (what comes of it) share
 */
#ifndef EG_CORE_PREFETCH_IMPL_H
#define EG_CORE_PREFETCH_IMPL_H

#include "agent_impl.h"
#include "lookup.h"
#include "prefetch_list.h"

/* A look-up that the helper has. */
struct eg_prefetch_out {
	uint64_t id; /* 0: none */
	struct eg_prefetch_job *job; /* NULL: nobody wants it any more */
	uint16_t type;
	uint64_t sent_ms;
};

struct eg_prefetch {
	struct eg_agent *agent;
	pthread_t thread;
	int wake_fd;
	bool stopping;
	bool changed; /* some policy is another one */

	/* the thread's own: */
	struct eg_prefetch_list list;
	struct eg_prefetch_out out[EG_LOOKUP_AT_ONCE];
	uint64_t next_id;
	struct eg_lookup lookup;
	uint64_t starts; /* of the helper */
	uint64_t helper_ms; /* when it was started last */
	uint64_t restart_ms; /* not before */
	uint64_t pause_ms;
	uint64_t round_ms;

	pthread_mutex_t lock; /* of what follows */
	struct eg_prefetch_stats stats;
};

/* The look-up is back. Frees its place. */
void eg_prefetch_take(struct eg_prefetch *p, struct eg_prefetch_out *out, const struct eg_lookup_told *told);
void eg_prefetch_failed(struct eg_prefetch *p, struct eg_prefetch_out *out, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* For the status. */
void eg_prefetch_complain(struct eg_prefetch *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In how many ms the job, whose look-ups are all back, is due again. */
uint64_t eg_prefetch_schedule(const struct eg_prefetch *p, const struct eg_prefetch_job *job);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch_list.h - which names are to be looked up, for whom, and when
 *
 * Pure; not thread-safe. A name that several apps want from the same resolvers is one job.
 */
#ifndef EG_CORE_PREFETCH_LIST_H
#define EG_CORE_PREFETCH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

/* An app that wants the name. */
struct eg_prefetch_sub {
	uint32_t slot;
	uint32_t gen;
	uint32_t uid; /* ruleset */
	uint32_t round; /* in which it was wanted last */
};

struct eg_prefetch_job {
	char *name;
	struct eg_addr *resolvers;
	size_t resolver_count;
	struct eg_prefetch_sub *subs;
	size_t sub_count;
	size_t sub_room;
	size_t sub_next; /* where the next one is looked for first */
	uint64_t due_ms; /* when to look it up */
	unsigned failures; /* in a row */
	/* While it is looked up: */
	bool busy; /* in the queue, or out */
	bool again; /* somebody new wants it: once more as soon as it is back */
	unsigned out; /* look-ups not back yet */
	size_t addresses; /* so far */
	uint32_t ttl_s; /* the smallest of them */
	char error[200]; /* "": none so far */
	struct eg_prefetch_job *next_in_bucket;
	struct eg_prefetch_job *next_in_queue;
};

struct eg_prefetch_list {
	struct eg_prefetch_job **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t count;
	size_t failing; /* jobs with failures */
	uint32_t round;
	struct eg_prefetch_job *queue; /* to be looked up now */
	struct eg_prefetch_job **queue_end;
};

void eg_prefetch_list_init(struct eg_prefetch_list *list);
void eg_prefetch_list_clear(struct eg_prefetch_list *list);

/*
 * A round tells all that is wanted: begin, want for each, end, which forgets the rest. gone is told
 * of each job before it is freed. What is new to an app, or to its policy, is due at once.
 */
void eg_prefetch_list_begin(struct eg_prefetch_list *list);
/* name as in a policy. 0 or -ENOMEM. */
int eg_prefetch_list_want(struct eg_prefetch_list *list, const char *name, const struct eg_addr *resolvers,
			  size_t resolver_count, const struct eg_prefetch_sub *sub);
void eg_prefetch_list_end(struct eg_prefetch_list *list, void (*gone)(void *ctx, struct eg_prefetch_job *job), void *ctx);

/* Queues what is due. Returns when the next one is, UINT64_MAX if none is waiting. */
uint64_t eg_prefetch_list_ripen(struct eg_prefetch_list *list, uint64_t now_ms);
/* The longest in the queue, taken out of it; or NULL. It stays busy. */
struct eg_prefetch_job *eg_prefetch_list_pop(struct eg_prefetch_list *list);
/* How its look-ups ended, for `failures` and `failing`. */
void eg_prefetch_list_outcome(struct eg_prefetch_list *list, struct eg_prefetch_job *job, bool failed);
/* Its look-ups are all back: it is due in so many ms, or at once if somebody new wants it. */
void eg_prefetch_list_done(struct eg_prefetch_job *job, uint64_t now_ms, uint64_t in_ms);

/* How long after the end of a look-up that failed so many times in a row the next one begins; jitter 0 .. 2^32 - 1. */
uint64_t eg_prefetch_backoff_ms(unsigned failures, uint32_t jitter);
/* The same for addresses that are granted for so long: before half of that is over. */
uint64_t eg_prefetch_renewal_ms(uint64_t life_ns, uint32_t jitter);

#endif

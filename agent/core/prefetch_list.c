// SPDX-License-Identifier: Apache-2.0
#include "prefetch_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN    64
#define BACKOFF_MIN_MS 1000u
#define BACKOFF_MAX_MS (5 * 60 * 1000u)
#define RENEWAL_MIN_MS 200u
#define NS_PER_MS      1000000u

/* ---- The table -------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 1099511628211ull; /* FNV-1a */
	return hash;
}

static uint64_t hash_key(const char *name, const struct eg_addr *resolvers, size_t resolver_count)
{
	uint64_t hash = hash_bytes(14695981039346656037ull, name, strlen(name));

	return hash_bytes(hash, resolvers, resolver_count * sizeof(*resolvers));
}

static bool has_key(const struct eg_prefetch_job *job, const char *name, const struct eg_addr *resolvers,
		    size_t resolver_count)
{
	return job->resolver_count == resolver_count && strcmp(job->name, name) == 0 &&
	       memcmp(job->resolvers, resolvers, resolver_count * sizeof(*resolvers)) == 0;
}

static struct eg_prefetch_job **bucket_of(struct eg_prefetch_list *list, uint64_t hash)
{
	return &list->buckets[hash & (list->bucket_count - 1)];
}

static int grow(struct eg_prefetch_list *list)
{
	size_t old_count = list->bucket_count, count = old_count ? old_count * 2 : BUCKETS_MIN;
	struct eg_prefetch_job **old = list->buckets, **buckets;

	if (list->count < old_count)
		return 0;
	buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	list->buckets = buckets;
	list->bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct eg_prefetch_job *job = old[i], *next; job; job = next) {
			struct eg_prefetch_job **bucket =
				bucket_of(list, hash_key(job->name, job->resolvers, job->resolver_count));

			next = job->next_in_bucket;
			job->next_in_bucket = *bucket;
			*bucket = job;
		}
	}
	free(old);
	return 0;
}

static void job_free(struct eg_prefetch_job *job)
{
	if (!job)
		return;
	free(job->name);
	free(job->resolvers);
	free(job->subs);
	free(job);
}

void eg_prefetch_list_init(struct eg_prefetch_list *list)
{
	*list = (struct eg_prefetch_list){.queue_end = &list->queue};
}

void eg_prefetch_list_clear(struct eg_prefetch_list *list)
{
	for (size_t i = 0; i < list->bucket_count; i++) {
		for (struct eg_prefetch_job *job = list->buckets[i], *next; job; job = next) {
			next = job->next_in_bucket;
			job_free(job);
		}
	}
	free(list->buckets);
	eg_prefetch_list_init(list);
}

/* ---- What is wanted ------------------------------------------------------------------------------------ */

static int find_or_make(struct eg_prefetch_list *list, const char *name, const struct eg_addr *resolvers,
			size_t resolver_count, struct eg_prefetch_job **ret)
{
	uint64_t hash = hash_key(name, resolvers, resolver_count);
	struct eg_prefetch_job **bucket, *job;

	if (grow(list))
		return -ENOMEM;
	bucket = bucket_of(list, hash);
	for (job = *bucket; job; job = job->next_in_bucket) {
		if (has_key(job, name, resolvers, resolver_count)) {
			*ret = job;
			return 0;
		}
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->name = strdup(name);
	job->resolvers = calloc(resolver_count + 1, sizeof(*resolvers));
	if (!job->name || !job->resolvers) {
		job_free(job);
		return -ENOMEM;
	}
	memcpy(job->resolvers, resolvers, resolver_count * sizeof(*resolvers));
	job->resolver_count = resolver_count;
	job->next_in_bucket = *bucket;
	*bucket = job;
	list->count++;
	*ret = job;
	return 0;
}

/* Rounds go through the apps in the same order, so it mostly stands where the last one found left off. */
static struct eg_prefetch_sub *find_sub(struct eg_prefetch_job *job, const struct eg_prefetch_sub *sub)
{
	for (size_t i = 0; i < job->sub_count; i++) {
		size_t at = (job->sub_next + i) % job->sub_count;

		if (job->subs[at].slot == sub->slot && job->subs[at].gen == sub->gen) {
			job->sub_next = at; /* not behind it: an app may want the name in two rules */
			return &job->subs[at];
		}
	}
	return NULL;
}

static int add_sub(struct eg_prefetch_job *job, const struct eg_prefetch_sub *sub, struct eg_prefetch_sub **ret)
{
	if (job->sub_count == job->sub_room) {
		size_t room = job->sub_room ? job->sub_room * 2 : 2;
		struct eg_prefetch_sub *subs = reallocarray(job->subs, room, sizeof(*subs));

		if (!subs)
			return -ENOMEM;
		job->subs = subs;
		job->sub_room = room;
	}
	*ret = &job->subs[job->sub_count++];
	**ret = *sub;
	return 0;
}

static void make_due(struct eg_prefetch_list *list, struct eg_prefetch_job *job)
{
	job->due_ms = 0;
	eg_prefetch_list_outcome(list, job, false);
	job->again = job->busy;
}

void eg_prefetch_list_begin(struct eg_prefetch_list *list)
{
	list->round++;
}

int eg_prefetch_list_want(struct eg_prefetch_list *list, const char *name, const struct eg_addr *resolvers,
			  size_t resolver_count, const struct eg_prefetch_sub *sub)
{
	struct eg_prefetch_sub *known;
	struct eg_prefetch_job *job;

	if (find_or_make(list, name, resolvers, resolver_count, &job))
		return -ENOMEM;
	known = find_sub(job, sub);
	if (!known) {
		if (add_sub(job, sub, &known))
			return -ENOMEM;
		make_due(list, job);
	} else if (known->uid != sub->uid) {
		known->uid = sub->uid;
		make_due(list, job);
	}
	known->round = list->round;
	return 0;
}

static void forget_subs(struct eg_prefetch_job *job, uint32_t round)
{
	size_t kept = 0;

	for (size_t i = 0; i < job->sub_count; i++) {
		if (job->subs[i].round == round)
			job->subs[kept++] = job->subs[i];
	}
	job->sub_count = kept;
	job->sub_next = 0;
}

static void unqueue_forgotten(struct eg_prefetch_list *list)
{
	struct eg_prefetch_job **at = &list->queue;

	while (*at) {
		if ((*at)->sub_count)
			at = &(*at)->next_in_queue;
		else
			*at = (*at)->next_in_queue;
	}
	list->queue_end = at;
}

void eg_prefetch_list_end(struct eg_prefetch_list *list, void (*gone)(void *ctx, struct eg_prefetch_job *job), void *ctx)
{
	for (size_t i = 0; i < list->bucket_count; i++) {
		for (struct eg_prefetch_job *job = list->buckets[i]; job; job = job->next_in_bucket)
			forget_subs(job, list->round);
	}
	unqueue_forgotten(list);
	for (size_t i = 0; i < list->bucket_count; i++) {
		struct eg_prefetch_job **at = &list->buckets[i];

		while (*at) {
			struct eg_prefetch_job *job = *at;

			if (job->sub_count) {
				at = &job->next_in_bucket;
				continue;
			}
			*at = job->next_in_bucket;
			list->count--;
			list->failing -= job->failures != 0;
			gone(ctx, job);
			job_free(job);
		}
	}
}

/* ---- When ----------------------------------------------------------------------------------------------- */

static void enqueue(struct eg_prefetch_list *list, struct eg_prefetch_job *job)
{
	job->busy = true;
	job->again = false;
	job->next_in_queue = NULL;
	*list->queue_end = job;
	list->queue_end = &job->next_in_queue;
}

uint64_t eg_prefetch_list_ripen(struct eg_prefetch_list *list, uint64_t now_ms)
{
	uint64_t soonest = UINT64_MAX;

	for (size_t i = 0; i < list->bucket_count; i++) {
		for (struct eg_prefetch_job *job = list->buckets[i]; job; job = job->next_in_bucket) {
			if (job->busy)
				continue;
			if (job->due_ms <= now_ms)
				enqueue(list, job);
			else if (job->due_ms < soonest)
				soonest = job->due_ms;
		}
	}
	return soonest;
}

struct eg_prefetch_job *eg_prefetch_list_pop(struct eg_prefetch_list *list)
{
	struct eg_prefetch_job *job = list->queue;

	if (!job)
		return NULL;
	list->queue = job->next_in_queue;
	if (!list->queue)
		list->queue_end = &list->queue;
	job->next_in_queue = NULL;
	job->addresses = 0;
	job->ttl_s = UINT32_MAX;
	job->error[0] = '\0';
	return job;
}

void eg_prefetch_list_outcome(struct eg_prefetch_list *list, struct eg_prefetch_job *job, bool failed)
{
	list->failing += failed && !job->failures;
	list->failing -= !failed && job->failures;
	job->failures = failed ? job->failures + 1 : 0;
}

void eg_prefetch_list_done(struct eg_prefetch_job *job, uint64_t now_ms, uint64_t in_ms)
{
	job->busy = false;
	job->due_ms = job->again ? 0 : now_ms + in_ms;
	job->again = false;
}

/* Less by up to a fifth, so that what began together doesn't stay together. */
static uint64_t shorten(uint64_t ms, uint32_t jitter)
{
	return ms - ms * jitter / 5 / UINT32_MAX;
}

uint64_t eg_prefetch_backoff_ms(unsigned failures, uint32_t jitter)
{
	uint64_t ms = BACKOFF_MIN_MS;

	for (unsigned i = 1; i < failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	return shorten(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS, jitter);
}

uint64_t eg_prefetch_renewal_ms(uint64_t life_ns, uint32_t jitter)
{
	uint64_t ms = shorten(life_ns / NS_PER_MS / 2, jitter);

	return ms > RENEWAL_MIN_MS ? ms : RENEWAL_MIN_MS;
}

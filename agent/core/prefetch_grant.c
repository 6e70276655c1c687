// SPDX-License-Identifier: Apache-2.0
/*
 * prefetch_grant.c - what the helper found becomes grants of every app that wants the name
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/log.h"
#include "../lib/revname.h"
#include "clock.h"
#include "prefetch_impl.h"

#define LEARN_TRIES 3 /* the kernel side may be short of room to work in for a moment */

/* ---- What went wrong -------------------------------------------------------------------------------- */

void eg_prefetch_complain(struct eg_prefetch *p, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&p->lock);
	va_start(args, format);
	vsnprintf(p->stats.last_error, sizeof(p->stats.last_error), format, args);
	va_end(args);
	p->stats.last_error_utc_ns = eg_clock_utc_ns();
	pthread_mutex_unlock(&p->lock);
}

/* The first one counts. */
static void blame(struct eg_prefetch_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void blame(struct eg_prefetch_job *job, const char *format, ...)
{
	va_list args;

	if (job->error[0])
		return;
	va_start(args, format);
	vsnprintf(job->error, sizeof(job->error), format, args);
	va_end(args);
}

/* ---- The end of a look-up ------------------------------------------------------------------------------ */

static void note(struct eg_prefetch *p, struct eg_prefetch_job *job, bool failed)
{
	bool were_failing = p->list.failing;

	eg_prefetch_list_outcome(&p->list, job, failed);
	if (failed)
		eg_prefetch_complain(p, "%s: %s", job->name, job->error);
	if (failed && !were_failing)
		eg_log_warning("prefetch: %s: %s", job->name, job->error);
	if (!p->list.failing && were_failing)
		eg_log_notice("prefetch: all names can be looked up again");
	pthread_mutex_lock(&p->lock);
	p->stats.lookups++;
	p->stats.failures += failed;
	pthread_mutex_unlock(&p->lock);
}

static void back(struct eg_prefetch *p, struct eg_prefetch_out *out)
{
	struct eg_prefetch_job *job = out->job;

	memset(out, 0, sizeof(*out));
	if (!job || --job->out)
		return;
	if (!job->addresses)
		blame(job, "the resolver knows no address of it");
	note(p, job, job->error[0]);
	eg_prefetch_list_done(job, eg_clock_boot_ns() / 1000000, eg_prefetch_schedule(p, job));
}

void eg_prefetch_failed(struct eg_prefetch *p, struct eg_prefetch_out *out, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (out->job)
		blame(out->job, "%s", text);
	back(p, out);
}

/* ---- Granting ---------------------------------------------------------------------------------------------- */

static uint64_t hash_name(const char *name)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a, as bpf/name.h has it */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211ull;
	return hash;
}

static int learn(struct eg_prefetch *p, struct eg_lesson *lesson)
{
	int r = -EIO;

	for (int i = 0; r == -EIO && i < LEARN_TRIES; i++)
		r = eg_kern_learn(p->agent->kern, lesson);
	return r;
}

/* One address for one app. True: it did not have it yet. */
static bool grant(struct eg_prefetch *p, struct eg_prefetch_job *job, const struct eg_prefetch_sub *sub,
		  const struct eg_dns_address *address)
{
	struct eg_lesson lesson = {
		.app = sub->slot,
		.gen = sub->gen,
		.addr = address->addr,
		.ttl_s = address->ttl_s,
		.name_hash = hash_name(job->name),
	};
	char text[EG_ADDR_TEXT];
	int r = eg_revname_from_text(job->name, strlen(job->name), lesson.name);

	if (!r)
		r = learn(p, &lesson);
	if (r)
		blame(job, "the kernel side took no grant (%s)", strerror(-r));
	else if (lesson.result == EG_REASON_DNS_PRIVATE)
		blame(job, "%s is not public, and no \"private\" list of its rules has it",
		      eg_addr_to_text(&address->addr, text));
	else if (lesson.result != EG_REASON_NONE)
		blame(job, "there is no room for more grants");
	return !r && lesson.granted;
}

static void tell(struct eg_prefetch *p, const struct eg_prefetch_job *job, const struct eg_prefetch_sub *sub,
		 json_t *addresses, uint32_t ttl_s)
{
	const struct eg_entry *entry;

	pthread_mutex_lock(&p->agent->lock);
	entry = eg_registry_at(p->agent, sub->slot, sub->gen);
	if (entry)
		eg_notice(p->agent, "dns", entry, NULL,
			  json_pack("{s:s,s:s,s:O,s:i,s:I}", "action", "prefetched", "name", job->name, "addresses",
				    addresses, "address_count", (int)json_array_size(addresses), "ttl", (json_int_t)ttl_s));
	pthread_mutex_unlock(&p->agent->lock);
	pthread_mutex_lock(&p->lock);
	p->stats.granted += json_array_size(addresses);
	pthread_mutex_unlock(&p->lock);
}

static void grant_all(struct eg_prefetch *p, struct eg_prefetch_job *job, const struct eg_prefetch_sub *sub,
		      const struct eg_dns_answer *answer)
{
	json_t *fresh = json_array();
	uint32_t ttl_s = UINT32_MAX;

	for (size_t i = 0; i < answer->count; i++) {
		char text[EG_ADDR_TEXT];

		if (answer->addrs[i].ttl_s < ttl_s)
			ttl_s = answer->addrs[i].ttl_s;
		if (grant(p, job, sub, &answer->addrs[i]))
			json_array_append_new(fresh, json_string(eg_addr_to_text(&answer->addrs[i].addr, text)));
	}
	if (json_array_size(fresh))
		tell(p, job, sub, fresh, ttl_s);
	json_decref(fresh);
}

/* The helper is not trusted to have kept the families apart. */
static bool is_of_type(const struct eg_dns_answer *answer, uint16_t type)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (eg_addr_v4mapped(&answer->addrs[i].addr) != (type == EG_DNS_A))
			return false;
	}
	return true;
}

static void take_addresses(struct eg_prefetch *p, struct eg_prefetch_job *job, const struct eg_dns_answer *answer)
{
	for (size_t i = 0; i < job->sub_count; i++)
		grant_all(p, job, &job->subs[i], answer);
	for (size_t i = 0; i < answer->count; i++) {
		if (answer->addrs[i].ttl_s < job->ttl_s)
			job->ttl_s = answer->addrs[i].ttl_s;
	}
	job->addresses += answer->count;
	if (answer->truncated)
		blame(job, "the resolver's answer is too long for UDP: %u addresses of it were taken", answer->count);
}

void eg_prefetch_take(struct eg_prefetch *p, struct eg_prefetch_out *out, const struct eg_lookup_told *told)
{
	static const char *const ends[] = {
		[EG_LOOKUP_SILENT] = "no resolver answers",
		[EG_LOOKUP_BROKEN] = "what the resolver answers can't be read",
		[EG_LOOKUP_UNREACHABLE] = "no resolver can be reached",
	};
	const struct eg_dns_answer *answer = &told->answer;
	uint16_t type = out->type;

	if (told->end != EG_LOOKUP_ANSWERED) {
		eg_prefetch_failed(p, out, "%s", ends[told->end]);
	} else if (answer->rcode && answer->rcode != 3) {
		eg_prefetch_failed(p, out, "the resolver refuses (code %u)", answer->rcode);
	} else if (answer->rcode || !is_of_type(answer, type)) {
		eg_prefetch_failed(p, out, "%s", answer->rcode ? "there is no such name" : "the look-up helper mixes families");
	} else {
		if (out->job)
			take_addresses(p, out->job, answer);
		back(p, out);
	}
}

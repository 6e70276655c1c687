// SPDX-License-Identifier: Apache-2.0
/*
 * evlog_quota.c - what goes when all segments together pass the quota
 *
 * One step at a time, on the disk's thread: allowed flows out of the oldest segment that has any, once there
 * are none all but what is vital, and then the oldest segment. Neither the newest segment nor one that the
 * disk may not have yet is touched, so nobody writes to what is copied here.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_impl.h"

struct step {
	struct eg_evlog_segment segment; /* as it is in the list */
	unsigned lowest; /* records below it go */
	bool whole; /* all of it goes */
	int dirfd; /* our own, and without the lock that the log's has */
};

static uint64_t sum(const uint64_t records[EG_SPOOL_CLASS_COUNT_], unsigned from, unsigned to)
{
	uint64_t all = 0;

	for (unsigned i = from; i < to; i++)
		all += records[i];
	return all;
}

/* Records of this process' own epoch may still be waiting for the disk. */
static bool is_durable(const struct eg_evlog *log, const struct eg_evlog_segment *s, uint64_t durable)
{
	return s->first.epoch != log->next.epoch || s->end <= durable;
}

/* The oldest segment that has records below `lowest`, if it is known or not known not to. */
static bool find_lesser(struct eg_evlog *log, uint64_t durable, unsigned lowest, struct step *ret)
{
	for (size_t i = 0; i + 1 < log->count; i++) {
		struct eg_evlog_segment *s = &log->segments[i];

		if (s->legacy || s->lowest >= lowest || !is_durable(log, s, durable))
			continue;
		if (s->counted && !sum(s->records, 0, lowest)) {
			s->lowest = lowest;
			continue;
		}
		ret->segment = *s;
		ret->lowest = lowest;
		ret->whole = s->counted && !sum(s->records, lowest, EG_SPOOL_CLASS_COUNT_);
		return true;
	}
	return false;
}

/* False: the quota is kept, or nothing can be done. */
static bool choose(struct eg_evlog *log, struct step *ret)
{
	uint64_t durable = eg_sync_durable(log->sync);
	bool found = false;

	*ret = (struct step){.dirfd = -1};
	pthread_mutex_lock(&log->lock);
	if (log->dirfd >= 0 && log->stats.bytes > log->quota_bytes && log->count > 1) {
		if (!log->segments[0].legacy)
			found = find_lesser(log, durable, EG_SPOOL_OTHER, ret) ||
				find_lesser(log, durable, EG_SPOOL_VITAL, ret);
		if (!found && is_durable(log, &log->segments[0], durable)) {
			ret->segment = log->segments[0];
			ret->whole = found = true;
		}
		if (found)
			ret->dirfd = openat(log->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	pthread_mutex_unlock(&log->lock);
	return ret->dirfd >= 0;
}

/* Lines of a segment of before the spool. */
static uint64_t count_lines(int dirfd, const char *name)
{
	EG_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char chunk[65536];
	uint64_t lines = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
		for (const char *p = chunk; (p = memchr(p, '\n', (size_t)(chunk + n - p))); p++)
			lines++;
	return lines;
}

/* The segment's place in the list; NULL: the log was closed meanwhile. With the lock held. */
static struct eg_evlog_segment *find(struct eg_evlog *log, const struct eg_evlog_segment *segment)
{
	for (size_t i = 0; i < log->count; i++)
		if (log->segments[i].legacy == segment->legacy &&
		    eg_spool_pos_compare(&log->segments[i].first, &segment->first) == 0)
			return &log->segments[i];
	return NULL;
}

/* With the lock held. */
static void add_to_gap(struct eg_evlog *log, const struct eg_spool_pos *first, const struct eg_spool_pos *last,
		       uint64_t bytes)
{
	struct eg_evlog_gap *gap = &log->gap;

	if (!gap->segments++ || eg_spool_pos_compare(first, &gap->first) < 0)
		gap->first = *first;
	if (eg_spool_pos_compare(last, &gap->last) > 0)
		gap->last = *last;
	gap->bytes += bytes;
	log->stats.bytes -= bytes;
	log->stats.evicted_bytes += bytes;
}

static void add_classes(struct eg_evlog *log, const uint64_t dropped[EG_SPOOL_CLASS_COUNT_])
{
	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++) {
		log->gap.events[i] += dropped[i];
		log->stats.evicted[i] += dropped[i];
	}
}

static void delete_segment(struct eg_evlog *log, const struct step *step)
{
	struct eg_spool_pos last = step->segment.first;
	struct eg_evlog_segment *s;
	char name[EG_SPOOL_NAME_LEN];
	uint64_t others = 0;

	eg_evlog_name(&step->segment, name);
	if (step->segment.legacy)
		others = count_lines(step->dirfd, name);
	/* One that can't be deleted is passed over: the quota must not make us spin. */
	unlinkat(step->dirfd, name, 0);
	pthread_mutex_lock(&log->lock);
	s = find(log, &step->segment);
	if (s) {
		if (!s->counted && s + 1 < log->segments + log->count && s[1].first.epoch == s->first.epoch)
			others = s[1].first.n - s->first.n; /* it could not be read */
		if (others)
			last.n += others - 1;
		else if (s->end > last.n)
			last.n = s->end - 1;
		add_to_gap(log, &step->segment.first, &last, s->bytes);
		if (s->counted)
			add_classes(log, s->records);
		log->gap.others += others;
		log->stats.evicted_others += others;
		memmove(s, s + 1, (size_t)(log->segments + --log->count - s) * sizeof(*s));
	}
	pthread_mutex_unlock(&log->lock);
}

static void note_damage(struct eg_evlog *log, const struct eg_evlog_kept *kept)
{
	log->damage.bytes += kept->damaged;
	log->damage.kept_bytes += kept->aside;
	log->damage.events += kept->missing;
	log->stats.damaged_bytes += kept->damaged;
}

static void shrink_segment(struct eg_evlog *log, struct step *step)
{
	struct eg_evlog_segment *s;
	struct eg_evlog_kept kept;
	char name[EG_SPOOL_NAME_LEN];
	int r = eg_evlog_copy(log, step->dirfd, &step->segment, step->lowest, &kept);
	bool changed = r == 0 && (sum(kept.dropped, 0, step->lowest) || kept.damaged);
	bool empty = r == 0 && !sum(kept.records, 0, EG_SPOOL_CLASS_COUNT_);

	eg_evlog_name(&step->segment, name);
	if (changed && !empty && renameat(step->dirfd, EG_EVLOG_COPY, step->dirfd, name) < 0)
		changed = false;
	if (r == 0 && (!changed || empty))
		unlinkat(step->dirfd, EG_EVLOG_COPY, 0);
	pthread_mutex_lock(&log->lock);
	s = find(log, &step->segment);
	/* One that can't be copied is left as it is, until its turn comes as the oldest. */
	if (s)
		s->lowest = step->lowest;
	if (s && changed) {
		note_damage(log, &kept);
		if (kept.first_dropped.epoch)
			add_to_gap(log, &kept.first_dropped, &kept.last_dropped, s->bytes - kept.bytes);
		else
			log->stats.bytes -= s->bytes - kept.bytes;
		add_classes(log, kept.dropped);
		s->bytes = kept.bytes;
		memcpy(s->records, kept.records, sizeof(s->records));
		s->counted = true;
		step->segment = *s;
	}
	pthread_mutex_unlock(&log->lock);
	if (s && changed && empty)
		delete_segment(log, step);
}

bool eg_evlog_evict(void *ctx)
{
	struct eg_evlog *log = ctx;
	struct step step;

	if (!choose(log, &step))
		return false;
	if (step.whole)
		delete_segment(log, &step);
	else
		shrink_segment(log, &step);
	close(step.dirfd);
	return true;
}

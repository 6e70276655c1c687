// SPDX-License-Identifier: Apache-2.0
#include "event_query.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_disk.h"
#include "event_json.h"

#define CHUNK       (128u << 10) /* longer than any line */
#define CHUNKS_CALL 32u /* read by one call at most */
#define TYPES_MAX   32u
#define NS          1000000000u

_Static_assert(CHUNK >= EG_EVENT_LINE_MAX, "a line fits into a chunk");

struct name {
	const char *s;
	size_t len;
};

struct eg_events_query {
	struct eg_evlog *log;
	struct eg_events *owner;
	char host[EG_EVENT_HOST_LEN];
	int fd; /* eventfd */
	atomic_bool ended;

	/* What matches. */
	bool follow;
	char app[EG_APP_NAME_LEN];
	char *types_text; /* types[] point into it */
	struct name types[TYPES_MAX];
	size_t type_count; /* 0: all */
	uint64_t cutoff_s; /* UTC second of `cutoff`; 0: none */
	char cutoff[EG_OUT_TS_MAX];
	uint64_t limit;

	/* Where the log ended when we came. */
	struct eg_evlog_key end;
	uint64_t end_bytes;

	/* Where we are: a line's beginning. */
	bool backward;
	uint64_t found; /* backward: lines that match behind us */
	struct eg_evlog_key key;
	int segment; /* fd of key; -1: not open */
	uint64_t offset;
	uint64_t last_epoch, last_n; /* of the line returned or passed last */

	/* chunk[at .. fill) are whole lines from before `offset`, to be looked at; forward only. */
	char *chunk;
	size_t at, fill;

	/* Part of a line, or a note, that the caller had no room for yet. */
	const char *rest;
	size_t rest_len;
	char note[512];
};

EG_DEFINE_CLEANUP(query, struct eg_events_query *, eg_query_free);

/* ---- The filter -------------------------------------------------------------------- */

static int set_types(struct eg_events_query *q, const char *types)
{
	char *save = NULL;

	if (!types)
		return 0;
	q->types_text = strdup(types);
	if (!q->types_text)
		return -ENOMEM;
	for (char *t = strtok_r(q->types_text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		if (q->type_count == TYPES_MAX || !eg_event_type_known(t, strlen(t)))
			return -EINVAL;
		q->types[q->type_count++] = (struct name){t, strlen(t)};
	}
	return q->type_count ? 0 : -EINVAL;
}

static int set_filter(struct eg_events_query *q, const struct eg_events_filter *filter, uint64_t utc_ns)
{
	struct eg_out_clock clock = {0};

	q->follow = filter->follow;
	q->limit = filter->limit;
	if (filter->app) {
		if (!filter->app[0] || strlen(filter->app) >= sizeof(q->app))
			return -EINVAL;
		memcpy(q->app, filter->app, strlen(filter->app) + 1);
	}
	if (filter->last_ns && filter->last_ns < utc_ns) {
		q->cutoff_s = (utc_ns - filter->last_ns) / NS;
		eg_out_ts(q->cutoff, &clock, utc_ns - filter->last_ns);
	}
	return set_types(q, filter->types);
}

static bool matches(const struct eg_events_query *q, const struct eg_event_head *head)
{
	if (q->app[0] && (head->app_len != strlen(q->app) || memcmp(head->app, q->app, head->app_len) != 0))
		return false;
	if (q->cutoff_s && memcmp(head->ts, q->cutoff, EG_OUT_TS_MAX) < 0)
		return false;
	for (size_t i = 0; i < q->type_count; i++)
		if (q->types[i].len == head->type_len &&
		    memcmp(q->types[i].s, head->type, head->type_len) == 0)
			return true;
	return q->type_count == 0;
}

/* ---- Life --------------------------------------------------------------------------- */

int eg_query_new(struct eg_evlog *log, struct eg_events *owner, const char *host,
		 const struct eg_events_filter *filter, uint64_t utc_ns, struct eg_events_query **ret)
{
	EG_CLEANUP(eg_cleanup_query) struct eg_events_query *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->fd = q->segment = -1;
	q->log = log;
	q->owner = owner;
	memcpy(q->host, host, strnlen(host, sizeof(q->host) - 1));
	r = set_filter(q, filter, utc_ns);
	if (r < 0)
		return r;
	q->chunk = malloc(CHUNK);
	if (!q->chunk)
		return -ENOMEM;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0)
		return -errno;
	/* An empty log ends before every segment. */
	if (eg_evlog_end(log, &q->end, &q->end_bytes))
		q->backward = q->limit > 0;
	q->key = q->end;
	q->offset = q->end_bytes;
	*ret = EG_TAKE_PTR(q);
	return 0;
}

static void close_segment(struct eg_events_query *q)
{
	if (q->segment >= 0)
		close(q->segment);
	q->segment = -1;
}

void eg_query_free(struct eg_events_query *q)
{
	if (!q)
		return;
	close_segment(q);
	if (q->fd >= 0)
		close(q->fd);
	free(q->types_text);
	free(q->chunk);
	free(q);
}

int eg_query_fd(const struct eg_events_query *q)
{
	return q->fd;
}

struct eg_events *eg_query_owner(const struct eg_events_query *q)
{
	return q->owner;
}

void eg_query_notify(struct eg_events_query *q)
{
	uint64_t one = 1;

	/* EAGAIN: it is readable as it is. */
	if (write(q->fd, &one, sizeof(one)) < 0)
		return;
}

void eg_query_end(struct eg_events_query *q)
{
	atomic_store(&q->ended, true);
	eg_query_notify(q);
}

static void go_to(struct eg_events_query *q, const struct eg_evlog_key *key, uint64_t offset)
{
	close_segment(q);
	q->key = *key;
	q->offset = offset;
}

static ssize_t read_chunk(struct eg_events_query *q, uint64_t offset, size_t len)
{
	ssize_t n = pread(q->segment, q->chunk, len, (off_t)offset);

	return n < 0 ? -errno : n;
}

/* ---- Backward ----------------------------------------------------------------------- */

/* From here on, forward. */
static void turn(struct eg_events_query *q)
{
	q->backward = false;
	q->at = q->fill = 0;
}

/* The lines of chunk[0 .. len), which begins at `start`; the last one ends at q->offset. */
static void pass_lines(struct eg_events_query *q, uint64_t start, size_t len)
{
	while (len) {
		const char *newline = memrchr(q->chunk, '\n', len - 1);
		size_t begin = newline ? (size_t)(newline - q->chunk) + 1 : 0;
		struct eg_event_head head;

		if (!newline && start > 0) {
			/* Begins before the chunk: seen again in the next, unless it is no line of ours. */
			if (len == CHUNK)
				q->offset = start;
			return;
		}
		q->offset = start + begin;
		if (eg_event_head_parse(q->chunk + begin, len - begin, &head) && matches(q, &head) &&
		    ++q->found == q->limit) {
			turn(q);
			return;
		}
		len = begin;
	}
}

/* True: all of the segment is older than what was asked for. (Its lines are not newer than its last write.) */
static bool too_old(const struct eg_events_query *q)
{
	struct stat st;

	return q->cutoff_s && fstat(q->segment, &st) == 0 && (uint64_t)st.st_mtim.tv_sec < q->cutoff_s;
}

static int step_backward(struct eg_events_query *q)
{
	struct eg_evlog_view view;

	if (q->segment < 0) {
		q->segment = eg_evlog_open_segment(q->log, &q->key);
		if (q->segment == -ENOENT) { /* evicted meanwhile, and what is before it, too */
			turn(q);
			return 0;
		}
		if (q->segment < 0)
			return q->segment;
		if (too_old(q)) {
			turn(q);
			return 0;
		}
	}
	if (q->limit == UINT64_MAX)
		q->offset = 0;
	if (q->offset) {
		size_t len = q->offset < CHUNK ? (size_t)q->offset : CHUNK;
		uint64_t start = q->offset - len;
		ssize_t n = read_chunk(q, start, len);

		if (n < 0)
			return (int)n;
		if ((size_t)n < len) {
			q->offset = start; /* somebody cut it: what is left is found before */
			return 0;
		}
		pass_lines(q, start, len);
		return 0;
	}
	eg_evlog_look(q->log, &q->key, &view);
	if (!view.has_previous) {
		turn(q);
		return 0;
	}
	go_to(q, &view.previous, 0);
	eg_evlog_look(q->log, &q->key, &view);
	q->offset = view.bytes;
	return 0;
}

/* ---- Forward ------------------------------------------------------------------------ */

/* Lines that the quota took before we came to them. */
static void note_gap(struct eg_events_query *q, uint64_t events)
{
	struct eg_out_clock clock = {0};
	struct timespec now;
	char *p = q->note;

	clock_gettime(CLOCK_REALTIME, &now);
	p = eg_out_lit(p, "{\"schema\":1,\"ts\":\"");
	p = eg_out_ts(p, &clock, (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec);
	p = eg_out_lit(p, "\",\"type\":\"lost\",\"host\":\"");
	p = eg_out_bytes(p, q->host, strlen(q->host));
	p = eg_out_lit(p, "\",\"cause\":\"follower\",\"events\":");
	p = eg_out_u64(p, events);
	p = eg_out_lit(p, "}\n");
	q->rest = q->note;
	q->rest_len = (size_t)(p - q->note);
}

/* Looks at lines until one is to be returned, or a gap to be told; false: no more in the chunk. */
static bool next_line(struct eg_events_query *q)
{
	while (q->at < q->fill) {
		const char *line = q->chunk + q->at;
		const char *newline = memchr(line, '\n', q->fill - q->at);
		size_t len = (size_t)(newline - line) + 1;
		struct eg_event_head head;

		if (!eg_event_head_parse(line, len, &head)) {
			q->at += len;
			continue;
		}
		if (q->last_n && head.epoch == q->last_epoch && head.n > q->last_n + 1) {
			note_gap(q, head.n - q->last_n - 1);
			q->last_n = head.n - 1;
			return true;
		}
		q->last_epoch = head.epoch;
		q->last_n = head.n;
		q->at += len;
		if (matches(q, &head)) {
			q->rest = line;
			q->rest_len = len;
			return true;
		}
	}
	return false;
}

/* Bytes of the segment that may be read now. */
static uint64_t readable(const struct eg_events_query *q, const struct eg_evlog_view *view)
{
	uint64_t bytes = view->bytes;
	struct stat st;

	if (!view->found && q->segment >= 0 && fstat(q->segment, &st) == 0)
		bytes = (uint64_t)st.st_size;
	if (!q->follow && eg_evlog_key_compare(&q->key, &q->end) == 0 && bytes > q->end_bytes)
		bytes = q->end_bytes;
	return bytes;
}

/* Fills the chunk, or goes to the next segment. enum eg_query_state: WAIT and END as for the caller. */
static int step_forward(struct eg_events_query *q)
{
	struct eg_evlog_view view;
	uint64_t bytes;
	ssize_t n;

	eg_evlog_look(q->log, &q->key, &view);
	if (q->segment < 0 && view.found)
		q->segment = eg_evlog_open_segment(q->log, &q->key);
	if (q->segment < 0 && q->segment != -ENOENT && view.found)
		return q->segment;
	bytes = q->segment < 0 ? 0 : readable(q, &view);
	if (q->offset < bytes) {
		const char *last;

		n = read_chunk(q, q->offset, bytes - q->offset < CHUNK ? (size_t)(bytes - q->offset) : CHUNK);
		if (n < 0)
			return (int)n;
		last = n ? memrchr(q->chunk, '\n', (size_t)n) : NULL;
		q->at = 0;
		q->fill = last ? (size_t)(last - q->chunk) + 1 : 0;
		q->offset += last ? q->fill : (uint64_t)n;
		if (n)
			return EG_QUERY_MORE;
	}
	if (!q->follow && eg_evlog_key_compare(&q->key, &q->end) >= 0)
		return EG_QUERY_END;
	if (view.has_next) {
		go_to(q, &view.next, 0);
		return EG_QUERY_MORE;
	}
	return q->follow ? EG_QUERY_WAIT : EG_QUERY_END;
}

int eg_query_read(struct eg_events_query *q, char *buf, size_t size, size_t *ret_len)
{
	unsigned chunks = 0;
	size_t len = 0;
	uint64_t ignored;
	int r = EG_QUERY_MORE;

	if (atomic_load(&q->ended)) {
		*ret_len = 0;
		return EG_QUERY_END;
	}
	/* Before the look at the log's end, so that what comes after it makes the fd readable again. */
	if (read(q->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return -errno;
	while (len < size && r == EG_QUERY_MORE) {
		if (q->rest_len || (!q->backward && next_line(q))) {
			size_t n = q->rest_len < size - len ? q->rest_len : size - len;

			memcpy(buf + len, q->rest, n);
			len += n;
			q->rest += n;
			q->rest_len -= n;
			continue;
		}
		if (chunks++ == CHUNKS_CALL)
			break;
		if (q->backward)
			r = step_backward(q);
		else
			r = step_forward(q);
	}
	if (r < 0 && !len)
		return r;
	*ret_len = len;
	return r < 0 ? EG_QUERY_MORE : r;
}

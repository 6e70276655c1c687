// SPDX-License-Identifier: Apache-2.0
#include "event_query.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/labels.h"
#include "../lib/spool_dir.h"
#include "../lib/spool_frame.h"
#include "event_json.h"

#define CHUNK      (2 * EG_SPOOL_FRAME_MAX)
#define CHUNK_MOST (CHUNK / EG_SPOOL_HEAD_LEN) /* records in it */
#define CALL_BYTES (4u << 20) /* looked at by one call */
#define TYPES_MAX  32u
#define NS         1000000000u

struct name {
	const char *s;
	size_t len;
};

struct eg_events_query {
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
	const struct eg_labels *labels; /* NULL: all */
	uint64_t cutoff_s; /* UTC second of `cutoff`; 0: none */
	char cutoff[EG_OUT_TS_MAX];
	uint64_t limit;

	struct eg_spool_pos end; /* where the log ended when we came */

	/* Going back: everything from `upper` on was looked at. */
	bool backward;
	char *dir;
	uint64_t found; /* matches behind us */
	struct eg_spool_pos upper;
	struct eg_spool_pos segment; /* that is looked at, if segment_fd >= 0 */
	int segment_fd;
	uint64_t offset; /* of it; what is before it was not looked at */
	char *chunk;
	uint64_t matching[CHUNK_MOST]; /* numbers of a chunk's records */

	/* Going forward. */
	struct eg_spool_reader *reader;
	struct eg_spool_record record; /* to be returned after a note; text NULL: none */

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
	q->labels = filter->labels;
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

static bool has_type(const struct eg_events_query *q, const struct eg_event_head *head)
{
	for (size_t i = 0; i < q->type_count; i++)
		if (q->types[i].len == head->type_len &&
		    memcmp(q->types[i].s, head->type, head->type_len) == 0)
			return true;
	return q->type_count == 0;
}

/* Last, since all of the line has to be read for it. */
static bool has_labels(const struct eg_events_query *q, const char *line, size_t len)
{
	json_t *event = q->labels ? json_loadb(line, len, 0, NULL) : NULL;
	bool has = !q->labels || (event && eg_labels_match(q->labels, json_object_get(event, "labels")));

	json_decref(event);
	return has;
}

static bool matches(const struct eg_events_query *q, const char *line, size_t len)
{
	struct eg_event_head head;

	if (!eg_event_head_parse(line, len, &head))
		return false;
	if (q->app[0] && (head.app_len != strlen(q->app) || memcmp(head.app, q->app, head.app_len) != 0))
		return false;
	if (q->cutoff_s && memcmp(head.ts, q->cutoff, EG_OUT_TS_MAX) < 0)
		return false;
	return has_type(q, &head) && has_labels(q, line, len);
}

/* ---- Life --------------------------------------------------------------------------- */

int eg_query_new(struct eg_evlog *log, struct eg_events *owner, const char *host,
		 const struct eg_events_filter *filter, uint64_t utc_ns, struct eg_events_query **ret)
{
	EG_CLEANUP(eg_cleanup_query) struct eg_events_query *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->fd = q->segment_fd = -1;
	q->owner = owner;
	memcpy(q->host, host, strnlen(host, sizeof(q->host) - 1));
	r = set_filter(q, filter, utc_ns);
	if (r < 0)
		return r;
	q->dir = strdup(eg_evlog_dir(log));
	q->chunk = malloc(CHUNK);
	if (!q->dir || !q->chunk)
		return -ENOMEM;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0)
		return -errno;
	q->end = q->upper = eg_evlog_number(log);
	q->backward = q->limit > 0;
	r = eg_spool_reader_new(q->dir, &q->end, &q->reader);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(q);
	return 0;
}

static void close_segment(struct eg_events_query *q)
{
	if (q->segment_fd >= 0)
		close(q->segment_fd);
	q->segment_fd = -1;
}

void eg_query_free(struct eg_events_query *q)
{
	if (!q)
		return;
	close_segment(q);
	eg_spool_reader_free(q->reader);
	if (q->fd >= 0)
		close(q->fd);
	free(q->dir);
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

/* ---- Backward ----------------------------------------------------------------------- */

/* From here on, forward, beginning at `from`; NULL: with the oldest there is. */
static void turn(struct eg_events_query *q, const struct eg_spool_pos *from)
{
	close_segment(q);
	q->backward = false;
	eg_spool_reader_seek(q->reader, from);
}

/* True: all of the segment is older than what was asked for. (Its lines are not newer than its last write.) */
static bool too_old(const struct eg_events_query *q, const struct stat *st)
{
	return q->cutoff_s && (uint64_t)st->st_mtim.tv_sec < q->cutoff_s;
}

/* Opens the segment that has what comes before `upper`, or turns. */
static int open_previous(struct eg_events_query *q)
{
	struct eg_spool_pos before = {q->upper.epoch, q->upper.n - 1};
	EG_CLOSE int dirfd = open(q->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct eg_spool_around around = {0};
	char name[EG_SPOOL_NAME_LEN];
	struct stat st;
	int r = 0;

	if (!q->upper.n) /* nothing comes before it in its epoch */
		before = (struct eg_spool_pos){q->upper.epoch - 1, EG_SPOOL_N_MAX};
	if (dirfd >= 0 && q->upper.epoch)
		r = eg_spool_dir_around(dirfd, &before, &around);
	if (r < 0)
		return r;
	if (!around.has_before) {
		turn(q, NULL);
		return 0;
	}
	eg_spool_segment_name(&around.before, name);
	q->segment_fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (q->segment_fd < 0)
		return errno == ENOENT ? 0 : -errno; /* evicted: look again */
	if (fstat(q->segment_fd, &st) < 0)
		return -errno;
	if (too_old(q, &st)) {
		turn(q, &q->upper);
		return 0;
	}
	q->segment = around.before;
	q->offset = (uint64_t)st.st_size;
	return 0;
}

static void leave_segment(struct eg_events_query *q)
{
	close_segment(q);
	q->upper = q->segment;
}

/* Looks through chunk[0 .. len), in which records begin anywhere: *ret_first is where the first one does. */
static size_t find_matching(struct eg_events_query *q, size_t len, size_t *ret_first)
{
	size_t at = 0, count = 0;

	*ret_first = len;
	while (at < len) {
		struct eg_spool_frame frame;
		struct eg_spool_pos pos;

		if (eg_spool_frame_decode(q->chunk + at, len - at, q->segment.epoch, &frame) != 1) {
			at += 1 + eg_spool_frame_find(q->chunk + at + 1, len - at - 1);
			continue;
		}
		if (*ret_first == len)
			*ret_first = at;
		at += eg_spool_frame_size(&frame);
		pos = (struct eg_spool_pos){q->segment.epoch, frame.n};
		/* What the next segment has again is not counted twice. */
		if (eg_spool_pos_compare(&pos, &q->upper) < 0 && matches(q, frame.text, frame.len))
			q->matching[count++] = frame.n;
	}
	return count;
}

/* The chunk before `offset`. */
static int look_at_chunk(struct eg_events_query *q)
{
	size_t len = q->offset < CHUNK ? (size_t)q->offset : CHUNK, count, first;
	uint64_t start = q->offset - len;
	ssize_t n = pread(q->segment_fd, q->chunk, len, (off_t)start);

	if (n < 0)
		return -errno;
	len = (size_t)n; /* less: somebody cut it */
	count = find_matching(q, len, &first);
	if (q->found + count >= q->limit) {
		turn(q, &(struct eg_spool_pos){q->segment.epoch, q->matching[count - (q->limit - q->found)]});
		return 0;
	}
	q->found += count;
	/* The one that begins before the chunk ends where the first in it begins, or nobody knows where. */
	if (!start)
		q->offset = 0;
	else if (first < len)
		q->offset = start + first;
	else
		q->offset = start + EG_SPOOL_FRAME_MAX;
	return 0;
}

static int step_backward(struct eg_events_query *q)
{
	if (q->limit == UINT64_MAX && !q->cutoff_s) {
		turn(q, NULL);
		return 0;
	}
	if (q->segment_fd < 0)
		return open_previous(q);
	if (q->offset && q->limit != UINT64_MAX)
		return look_at_chunk(q);
	leave_segment(q);
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
	p = eg_out_lit(p, EG_EVENT_BEGIN);
	p = eg_out_ts(p, &clock, (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec);
	p = eg_out_lit(p, "\",\"type\":\"lost\",\"host\":\"");
	p = eg_out_bytes(p, q->host, strlen(q->host));
	p = eg_out_lit(p, "\",\"cause\":\"follower\",\"events\":");
	p = eg_out_u64(p, events);
	p = eg_out_lit(p, "}\n");
	q->rest = q->note;
	q->rest_len = (size_t)(p - q->note);
}

/* Of the records missing before this one, those written since we came: what went before is told elsewhere. */
static uint64_t missed(const struct eg_events_query *q, const struct eg_spool_record *record)
{
	uint64_t since = 0;

	if (record->pos.epoch < q->end.epoch)
		return 0;
	if (record->pos.epoch == q->end.epoch)
		since = record->pos.n > q->end.n ? record->pos.n - q->end.n : 0;
	else
		since = record->missed;
	return record->missed < since ? record->missed : since;
}

static void take_line(struct eg_events_query *q)
{
	if (matches(q, q->record.text, q->record.len)) {
		q->rest = q->record.text;
		q->rest_len = q->record.len;
	}
	q->record.text = NULL;
}

/* Looks at the next record: enum eg_query_state, or -errno; *ret_bytes of it. */
static int step_forward(struct eg_events_query *q, size_t *ret_bytes)
{
	uint64_t gone;
	int r;

	if (q->record.text) { /* its note was returned */
		take_line(q);
		return EG_QUERY_MORE;
	}
	r = eg_spool_reader_next(q->reader, &q->record);
	if (r == 1 && !q->follow && eg_spool_pos_compare(&q->record.pos, &q->end) >= 0)
		r = 0;
	if (r <= 0) {
		q->record.text = NULL;
		return r < 0 ? r : q->follow ? EG_QUERY_WAIT : EG_QUERY_END;
	}
	*ret_bytes = q->record.len;
	gone = missed(q, &q->record);
	if (gone)
		note_gap(q, gone);
	else
		take_line(q);
	return EG_QUERY_MORE;
}

int eg_query_read(struct eg_events_query *q, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0, looked_at = 0, bytes = CHUNK;
	uint64_t ignored;
	int r = EG_QUERY_MORE;

	*ret_len = 0;
	if (atomic_load(&q->ended))
		return EG_QUERY_END;
	/* Before the look at the log's end, so that what comes after it makes the fd readable again. */
	if (read(q->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return -errno;
	while (len < size && r == EG_QUERY_MORE) {
		if (q->rest_len) {
			size_t n = q->rest_len < size - len ? q->rest_len : size - len;

			memcpy(buf + len, q->rest, n);
			len += n;
			q->rest += n;
			q->rest_len -= n;
			continue;
		}
		if (looked_at >= CALL_BYTES)
			break;
		if (q->backward)
			r = step_backward(q);
		else
			r = step_forward(q, &bytes);
		looked_at += bytes;
	}
	if (r < 0 && !len)
		return r;
	*ret_len = len;
	return r < 0 ? EG_QUERY_MORE : r;
}

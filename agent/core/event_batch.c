// SPDX-License-Identifier: Apache-2.0
#include "event_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/cleanup.h"

_Static_assert(EG_EVENT_META_MAX + EG_EVENT_FIXED_MAX <= EG_EVENT_LINE_MAX, "a kernel event is no longer than a line");
_Static_assert(EG_EVENT_LINE_MAX <= EG_SPOOL_TEXT_MAX, "a line fits into a frame");

int eg_event_batch_init(struct eg_event_batch *b, const char *host, struct eg_meta_cache *meta)
{
	*b = (struct eg_event_batch){.meta = meta, .text = malloc(EG_EVENT_BATCH_SIZE)};
	if (!b->text)
		return -ENOMEM;
	eg_event_stamp_init(&b->stamp, host);
	return 0;
}

void eg_event_batch_destroy(struct eg_event_batch *b)
{
	free(EG_TAKE_PTR(b->text));
}

static void forget_lines(struct eg_event_batch *b)
{
	b->used = 0;
	b->lines = 0;
	memset(b->records, 0, sizeof(b->records));
}

void eg_event_batch_clear(struct eg_event_batch *b, const struct eg_spool_pos *number)
{
	forget_lines(b);
	b->items = 0;
	if (b->stamp.epoch != number->epoch || b->stamp.n != number->n)
		eg_event_stamp_number(&b->stamp, number->epoch, number->n);
}

/* Where the next line's text goes: its frame's header comes before it. */
static char *next_line(struct eg_event_batch *b)
{
	return b->text + b->used + EG_SPOOL_HEAD_LEN;
}

static void line_added(struct eg_event_batch *b, enum eg_spool_class class, const char *end)
{
	struct eg_spool_frame frame = {
		.n = b->stamp.n - 1, /* the line has used it up */
		.class = class,
		.text = next_line(b),
		.len = (uint32_t)(end - next_line(b)),
	};

	eg_spool_frame_encode(b->text + b->used, b->stamp.epoch, &frame);
	if (!b->lines++) {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		b->begun_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
	b->records[class]++;
	b->used += eg_spool_frame_size(&frame);
}

int eg_event_batch_renumber(struct eg_event_batch *b, const struct eg_spool_pos *number)
{
	EG_FREE char *old = malloc(b->used + 1);
	uint64_t epoch = b->stamp.epoch;
	size_t len = b->used, at = 0;
	struct eg_spool_frame frame;

	if (!old)
		return -ENOMEM;
	memcpy(old, b->text, len);
	forget_lines(b);
	eg_event_stamp_number(&b->stamp, number->epoch, number->n);
	while (at < len && eg_spool_frame_decode(old + at, len - at, epoch, &frame) == 1) {
		line_added(b, frame.class, eg_event_renumber(next_line(b), &b->stamp, frame.text, frame.len));
		at += eg_spool_frame_size(&frame);
	}
	return 0;
}

/* What has to stay longest, and be on the disk first: what was refused, limited, cut off or changed, and losses. */
static enum eg_spool_class class_of(const struct eg_event *e)
{
	switch (e->type) {
	case EG_EVENT_FLOW_START:
	case EG_EVENT_FLOW_UPDATE:
	case EG_EVENT_FLOW_END:
		return e->audited ? EG_SPOOL_OTHER : EG_SPOOL_FLOW;
	case EG_EVENT_DENY:
	case EG_EVENT_CAP:
	case EG_EVENT_KILL:
	case EG_EVENT_EXPIRE:
		return EG_SPOOL_VITAL;
	default:
		return EG_SPOOL_OTHER;
	}
}

static enum eg_spool_class class_of_post(const char *type)
{
	static const char *const lesser[] = {"agent", "dns", "rate"};

	for (size_t i = 0; i < sizeof(lesser) / sizeof(lesser[0]); i++)
		if (strcmp(type, lesser[i]) == 0)
			return EG_SPOOL_OTHER;
	return EG_SPOOL_VITAL;
}

void eg_event_batch_add(struct eg_event_batch *b, const struct eg_event *e, const struct eg_event_named *named)
{
	size_t meta_len;
	const char *meta = eg_meta_cache_get(b->meta, e, &meta_len);

	line_added(b, class_of(e), eg_event_json(next_line(b), &b->stamp, e, named, meta, meta_len));
}

static void add_members(struct eg_event_batch *b, uint64_t utc_ns, const char *type, const char *members, size_t len)
{
	line_added(b, class_of_post(type), eg_event_json_members(next_line(b), &b->stamp, utc_ns, type, members, len));
}

void eg_event_batch_add_item(struct eg_event_batch *b, struct eg_queue_item *item)
{
	b->items++;
	if (item->ring_end)
		b->ring_end = item->ring_end;
	if (!item->post) {
		eg_event_batch_add(b, &item->event, item->named);
		free(EG_TAKE_PTR(item->named));
		return;
	}
	add_members(b, item->utc_ns, item->post,
		    item->post + strlen(item->post) + 1, item->members_len);
	free(EG_TAKE_PTR(item->post));
}

void eg_event_batch_pass_item(struct eg_event_batch *b, struct eg_queue_item *item)
{
	b->items++;
	b->ring_end = item->ring_end;
	free(EG_TAKE_PTR(item->named));
}

void eg_event_batch_add_loss(struct eg_event_batch *b, uint64_t utc_ns, uint32_t slot, enum eg_losses_cause cause,
		       const struct eg_loss *sum)
{
	static const char *const causes[EG_LOSSES_COUNT_] = {
		[EG_LOSSES_SUPPRESSED] = "event_budget",
		[EG_LOSSES_RING_FULL] = "ring_full",
		[EG_LOSSES_QUEUE_FULL] = "queue_full",
	};
	struct eg_event who = {.app = slot, .rule = EG_RULE_NONE};
	const char *type = cause == EG_LOSSES_SUPPRESSED ? "suppressed" : "lost";
	size_t meta_len;
	const char *meta = eg_meta_cache_get(b->meta, &who, &meta_len);

	line_added(b, EG_SPOOL_VITAL,
		   eg_event_json_loss(next_line(b), &b->stamp, utc_ns, type, causes[cause], sum, meta, meta_len));
}

static char *put_event_id(char *p, const struct eg_event_batch *b, const struct eg_spool_pos *pos)
{
	*p++ = '"';
	p = eg_out_bytes(p, b->stamp.host, strlen(b->stamp.host));
	*p++ = '-';
	p = eg_out_u64(p, pos->epoch);
	*p++ = '-';
	p = eg_out_u64(p, pos->n);
	*p++ = '"';
	return p;
}

void eg_event_batch_add_gap(struct eg_event_batch *b, uint64_t utc_ns, const struct eg_evlog_gap *gap)
{
	static const char *const names[EG_SPOOL_CLASS_COUNT_] = {
		[EG_SPOOL_FLOW] = ",\"allowed_flows\":",
		[EG_SPOOL_OTHER] = ",\"other\":",
		[EG_SPOOL_VITAL] = ",\"vital\":",
	};
	uint64_t events = gap->others;
	char members[512], *p = members;

	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++)
		events += gap->events[i];
	p = eg_out_lit(p, ",\"cause\":\"quota\",\"events\":");
	p = eg_out_u64(p, events);
	for (unsigned i = 0; i < EG_SPOOL_CLASS_COUNT_; i++) {
		p = eg_out_bytes(p, names[i], strlen(names[i]));
		p = eg_out_u64(p, gap->events[i]);
	}
	p = eg_out_lit(p, ",\"log_bytes\":");
	p = eg_out_u64(p, gap->bytes);
	p = eg_out_lit(p, ",\"segments\":");
	p = eg_out_u64(p, gap->segments);
	p = eg_out_lit(p, ",\"first_event_id\":");
	p = put_event_id(p, b, &gap->first);
	p = eg_out_lit(p, ",\"last_event_id\":");
	p = put_event_id(p, b, &gap->last);
	add_members(b, utc_ns, "lost", members, (size_t)(p - members));
}

void eg_event_batch_add_damage(struct eg_event_batch *b, uint64_t utc_ns, const struct eg_evlog_damage *damage)
{
	char members[256], *p = members;

	p = eg_out_lit(p, ",\"cause\":\"damage\",\"events\":");
	p = eg_out_u64(p, damage->events);
	p = eg_out_lit(p, ",\"damaged_bytes\":");
	p = eg_out_u64(p, damage->bytes);
	p = eg_out_lit(p, ",\"kept_bytes\":");
	p = eg_out_u64(p, damage->kept_bytes);
	p = eg_out_lit(p, ",\"torn_bytes\":");
	p = eg_out_u64(p, damage->torn_bytes);
	add_members(b, utc_ns, "lost", members, (size_t)(p - members));
}

void eg_event_batch_add_sync_errors(struct eg_event_batch *b, uint64_t utc_ns, uint64_t errors)
{
	char members[128], *p = members;

	p = eg_out_lit(p, ",\"event\":\"log_written_again\",\"errors\":");
	p = eg_out_u64(p, errors);
	add_members(b, utc_ns, "agent", members, (size_t)(p - members));
}

void eg_event_batch_add_recovered(struct eg_event_batch *b, uint64_t utc_ns, const char *error, uint64_t duration_ms)
{
	char members[1024], *p = members;

	p = eg_out_lit(p, ",\"event\":\"log_recovered\",\"error\":\"");
	p = eg_out_escaped(p, error, strnlen(error, 100));
	p = eg_out_lit(p, "\",\"duration_ms\":");
	p = eg_out_u64(p, duration_ms);
	add_members(b, utc_ns, "agent", members, (size_t)(p - members));
}

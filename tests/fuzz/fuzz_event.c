// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes in a record of the ring, and in the strings about its app, must give one line of
 * valid JSON, within its bound, whose head can be read back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../../agent/core/event_json.h"

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

/* Up to size bytes of the input, less one for a NUL that may also be missing. */
static void take(char *to, size_t size, const uint8_t **data, size_t *left)
{
	size_t len = *left ? **data % (size + 1) : 0;

	if (len > *left)
		len = *left;
	memcpy(to, *data, len);
	*data += len;
	*left -= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char meta_text[EG_EVENT_META_MAX], line[EG_EVENT_LINE_MAX];
	struct eg_event_meta meta = {.labels_json = "{\"team\":\"hr\"}"};
	struct eg_event_named named = {0};
	const struct eg_event *e = &named.e;
	struct eg_event_stamp stamp;
	struct eg_event_head head;
	size_t meta_len, len, record = sizeof(named.e);
	json_error_t error;
	json_t *o;

	/* The first byte says which of the two forms the record has, and whether its names have an end. */
	if (size) {
		record = *data & 1 ? sizeof(named) : sizeof(named.e);
		if (*data & 2)
			memset(&named, *data, sizeof(named));
		data++;
		size--;
	}
	memcpy(&named, data, size < record ? size : record);
	data += size < record ? size : record;
	size -= size < record ? size : record;
	take(meta.owner, sizeof(meta.owner), &data, &size);
	take(meta.ticket, sizeof(meta.ticket), &data, &size);
	take(meta.rule_id, sizeof(meta.rule_id), &data, &size);
	take(meta.cgroup, sizeof(meta.cgroup), &data, &size);
	eg_event_stamp_init(&stamp, e->comm[0] ? "host" : meta.owner);
	eg_event_stamp_number(&stamp, e->cgroup_id, e->seq);
	stamp.utc_offset_ns = (int64_t)e->used;
	meta_len = (size_t)(eg_event_meta_json(meta_text, &meta) - meta_text);
	CHECK(meta_len <= sizeof(meta_text));
	len = (size_t)(eg_event_json(line, &stamp, e, eg_event_named_of(e, record), meta_text, meta_len) - line);
	CHECK(len <= EG_EVENT_FIXED_MAX + meta_len);
	CHECK(memchr(line, '\n', len) == line + len - 1);
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	CHECK(o);
	json_decref(o);
	CHECK(eg_event_head_parse(line, len, &head));
	CHECK(head.epoch == e->cgroup_id && head.n == e->seq);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/units.h"
#include "ship_batch.h"
#include "schema.h"

int eg_hash_key_read(const struct eg_sink_config *sink, struct eg_hash_key *ret, struct eg_error *err)
{
	EG_CLOSE int fd = -1;
	ssize_t n;

	ret->len = 0;
	if (!sink->hash_key_file)
		return 0;
	fd = open(sink->hash_key_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	n = fd < 0 ? -1 : read(fd, ret->bytes, sizeof(ret->bytes));
	if (n < 0) {
		int r = -errno;

		eg_error_set(err, 500, "no_hash_key", "hash_key_file %s can't be read: %s", sink->hash_key_file, strerror(-r));
		return r;
	}
	while (n && (ret->bytes[n - 1] == '\n' || ret->bytes[n - 1] == '\r'))
		n--;
	if (n < 16 || n == sizeof(ret->bytes))
		return eg_error_set(err, 500, "no_hash_key", "hash_key_file %s must have 16 to %d bytes", sink->hash_key_file,
				    EG_HASH_KEY_MAX - 1);
	ret->len = (size_t)n;
	return 0;
}

static char *copy_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return strdup(text ? text : "");
}

/* All but the text. */
static int fill(const json_t *event, const struct eg_spool_pos *pos, struct eg_item *item)
{
	const char *ts = json_string_value(json_object_get(event, "ts"));

	*item = (struct eg_item){
		.pos = *pos,
		.severity = eg_schema_severity(event),
		.id = copy_of(event, "event_id"),
		.type = copy_of(event, "type"),
		.app = copy_of(event, "app"),
		.host = copy_of(event, "host"),
	};
	if (!ts || eg_units_moment(ts, &item->ts_ns))
		item->ts_ns = 0;
	return item->id && item->type && item->app && item->host ? 0 : -ENOMEM;
}

static int put_text(struct eg_item *item, const json_t *json)
{
	item->text = json_dumps(json, JSON_COMPACT);
	item->len = item->text ? strlen(item->text) : 0;
	return item->text ? 0 : -ENOMEM;
}

int eg_render(const struct eg_sink_config *sink, const struct eg_hash_key *key, json_t *event,
	      const struct eg_spool_pos *pos, struct eg_item *ret)
{
	const struct eg_redaction redaction = {sink->drop, sink->hash, key->bytes, key->len};
	json_t *rendered = NULL;
	struct eg_item item;
	int r = eg_redact(&redaction, event), said;

	if (r)
		return r;
	r = fill(event, pos, &item);
	said = r ? r : eg_schema_render(sink->schema, event, &rendered);
	if (said == 0 || said == -EINVAL) {
		r = put_text(&item, said ? event : rendered);
		if (!r && said == 0 && (!item.id[0] || !item.ts_ns))
			said = -EINVAL;
	}
	json_decref(rendered);
	if (r || (said && said != -EINVAL)) {
		eg_item_clear(&item);
		return -ENOMEM;
	}
	*ret = item;
	return said;
}

int eg_render_broken(const char *text, size_t len, const struct eg_spool_pos *pos, struct eg_item *ret)
{
	struct eg_item item = {.pos = *pos, .severity = EG_SEVERITY_WARNING, .type = strdup(""), .app = strdup(""),
			       .host = strdup(""), .text = strndup(text, len)};

	if (asprintf(&item.id, "record-%" PRIu64 "-%" PRIu64, pos->epoch, pos->n) < 0)
		item.id = NULL;
	item.len = item.text ? strlen(item.text) : 0;
	if (!item.id || !item.type || !item.app || !item.host || !item.text) {
		eg_item_clear(&item);
		return -ENOMEM;
	}
	*ret = item;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * proto_loki.c - Grafana Loki: POST /loki/api/v1/push
 *
 * Few labels (app, host, type and the configuration's own), for each set of them is a stream that Loki keeps an index
 * for; all else is in the line. Loki drops an exact duplicate (labels, time and line), so that a batch sent twice is
 * stored once: the order of streams and lines depends on the items alone.
 *
 * The proof is 204; an answer of 200 to 204 without a body does as well, for receivers that say it so. 400 may mean
 * that one entry is too old and all others were stored: the batch is split until that one stands alone, and what is
 * sent again meanwhile is dropped as a duplicate. 260 is how Loki says that it has blocked the sender and stored
 * nothing: PAUSE.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "dialect.h"

#define STATUS_BLOCKED 260

/* Loki's own rule for names; ours are taken. */
static bool is_label(const char *name)
{
	if (strcmp(name, "app") == 0 || strcmp(name, "host") == 0 || strcmp(name, "type") == 0)
		return false;
	if (!isalpha((unsigned char)name[0]) && name[0] != '_')
		return false;
	for (const char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_')
			return false;
	}
	return true;
}

static int check(const struct eg_sink_config *config, struct eg_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(config->labels, name, value) {
		if (!is_label(name))
			return eg_error_set(
				err, 400, "bad_config",
				"\"labels\": \"%.64s\" can't be a label of Loki: letters, digits, _; not app, host, type",
				name);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct eg_item *x = *(const struct eg_item *const *)a, *y = *(const struct eg_item *const *)b;
	int r = strcmp(x->app, y->app);

	if (!r)
		r = strcmp(x->host, y->host);
	if (!r)
		r = strcmp(x->type, y->type);
	return r ? r : (x > y) - (x < y); /* else in the order that they came in */
}

static bool same_stream(const struct eg_item *a, const struct eg_item *b)
{
	return strcmp(a->app, b->app) == 0 && strcmp(a->host, b->host) == 0 && strcmp(a->type, b->type) == 0;
}

static void add_label(struct eg_body *body, const char *name, const char *value, bool *first)
{
	if (!value[0]) /* Loki takes an empty label for none */
		return;
	if (!*first)
		eg_body_text(body, ",");
	*first = false;
	eg_body_string(body, name);
	eg_body_text(body, ":");
	eg_body_string(body, value);
}

static void begin_stream(const struct eg_sink_config *config, const struct eg_item *item, struct eg_body *body)
{
	bool first = true;
	const char *name;
	json_t *value;

	eg_body_text(body, "{\"stream\":{");
	add_label(body, "app", item->app, &first);
	add_label(body, "host", item->host, &first);
	add_label(body, "type", item->type, &first);
	json_object_foreach(config->labels, name, value)
		add_label(body, name, json_string_value(value), &first);
	eg_body_text(body, "},\"values\":[");
}

static void render(const struct eg_sink_config *config, const struct eg_item *items, size_t count, struct eg_body *body)
{
	EG_FREE const struct eg_item **order = calloc(count, sizeof(*order));

	if (!order) {
		body->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		order[i] = &items[i];
	qsort(order, count, sizeof(*order), compare);
	eg_body_text(body, "{\"streams\":[");
	for (size_t i = 0; i < count; i++) {
		bool begins = i == 0 || !same_stream(order[i - 1], order[i]);

		if (begins && i)
			eg_body_text(body, "]},");
		if (begins)
			begin_stream(config, order[i], body);
		eg_body_format(body, "%s[\"%" PRIu64 "\",", begins ? "" : ",", order[i]->ts_ns);
		eg_body_string(body, order[i]->text);
		eg_body_text(body, "]");
	}
	eg_body_text(body, "]}]}");
}

static void header(const struct eg_sink_config *config, const struct eg_item *items, size_t count, char *ret,
		   size_t size)
{
	(void)items, (void)count;
	ret[0] = '\0';
	if (config->tenant && (size_t)snprintf(ret, size, "X-Scope-OrgID: %s", config->tenant) >= size)
		ret[0] = '\0';
}

static void judge(const struct eg_answer *answer, size_t count, struct eg_result *result)
{
	(void)count;
	if (answer->status == STATUS_BLOCKED)
		eg_answer_tell(answer, result, EG_OUTCOME_PAUSE, "has blocked us, and stored nothing");
	else if (!eg_answer_accepted(answer, result))
		return;
	else if (!eg_answer_is_empty(answer))
		eg_answer_odd(answer, result);
	else
		result->outcome = EG_OUTCOME_DELIVERED;
}

const struct eg_dialect eg_dialect_loki = {
	.path = "/loki/api/v1/push",
	.scheme = "Bearer",
	.content_type = "application/json",
	.check = check,
	.render = render,
	.header = header,
	.judge = judge,
};

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	return eg_dialect_open(&eg_dialect_loki, config, stopping, ret, err);
}

const struct eg_protocol eg_protocol_loki = {open_sink, eg_dialect_send, eg_dialect_close};

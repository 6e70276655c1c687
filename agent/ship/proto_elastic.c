// SPDX-License-Identifier: Apache-2.0
/*
 * proto_elastic.c - Elasticsearch and OpenSearch: POST /_bulk
 *
 * Each event is one "create" under its own id, so that one sent again is told apart (409) and never stored twice. The
 * status of the whole says little: 200 comes with items that failed. Proof is a result for each item that was sent,
 * in order; with fewer, or none, nothing is proved and all are sent again. By item:
 *
 *   2xx, 409                   delivered
 *   408, 429, 5xx              this item again
 *   401, 403, 404              PAUSE: rights, a blocked index, or one that may not be made. So is 400 for an index whose
 *                              name is invalid or that is closed: no event is to blame for it
 *   400 and the rest           poison: this event does not fit the mapping
 */
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "dialect.h"

#define NS_PER_S   1000000000ull
#define ID_MAX	   512 /* Elasticsearch's own bound */
#define INDEX_MAX  256
#define PATTERN	   "egret-%Y.%m.%d"
#define REASON_MAX 400

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* ---- Rendering ------------------------------------------------------------------------------------------- */

/* %Y, %m and %d of the event's UTC day; anything else stands for itself. */
static void index_of(const char *pattern, uint64_t ts_ns, char ret[INDEX_MAX + 1])
{
	time_t seconds = (time_t)(ts_ns / NS_PER_S);
	size_t len = 0;
	struct tm day;

	gmtime_r(&seconds, &day);
	for (const char *c = pattern; *c && len < INDEX_MAX - 4; c++) {
		char part[8] = {*c};

		if (c[0] == '%' && c[1] == 'Y')
			strftime(part, sizeof(part), "%Y", &day);
		else if (c[0] == '%' && c[1] == 'm')
			strftime(part, sizeof(part), "%m", &day);
		else if (c[0] == '%' && c[1] == 'd')
			strftime(part, sizeof(part), "%d", &day);
		c += part[1] != '\0';
		len += (size_t)snprintf(ret + len, INDEX_MAX + 1 - len, "%s", part);
	}
	ret[len] = '\0';
}

/* An id that is too long for the receiver goes as its hash. */
static void add_id(struct eg_body *body, const char *id)
{
	char text[2 * SHA256_DIGEST_SIZE + 1];
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	if (strlen(id) <= ID_MAX) {
		eg_body_string(body, id);
		return;
	}
	sha256_init(&ctx);
	sha256_update(&ctx, strlen(id), (const uint8_t *)id);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	eg_body_string(body, text);
}

static void render(const struct eg_sink_config *config, const struct eg_item *items, size_t count, struct eg_body *body)
{
	const char *pattern = config->index ? config->index : PATTERN;
	char index[INDEX_MAX + 1];

	for (size_t i = 0; i < count; i++) {
		index_of(pattern, items[i].ts_ns, index);
		eg_body_text(body, "{\"create\":{\"_index\":");
		eg_body_string(body, index);
		eg_body_text(body, ",\"_id\":");
		add_id(body, items[i].id);
		eg_body_text(body, "}}\n");
		eg_body_add(body, items[i].text, items[i].len);
		eg_body_text(body, "\n");
	}
}

/* ---- Judging ----------------------------------------------------------------------------------------------- */

/* {"create": {"status": ...}}: the inner object, or NULL. */
static json_t *result_of(json_t *item, json_int_t *ret_status)
{
	json_t *inner = json_object_size(item) == 1 ? json_object_iter_value(json_object_iter(item)) : NULL;
	json_t *status = json_object_get(inner, "status");

	if (!json_is_integer(status))
		return NULL;
	*ret_status = json_integer_value(status);
	return inner;
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static enum eg_outcome judge_item(json_int_t status, const json_t *inner)
{
	const char *type = member(json_object_get(inner, "error"), "type");

	if ((status >= 200 && status < 300) || status == 409)
		return EG_OUTCOME_DELIVERED;
	if (status == 408 || status == 429 || status >= 500)
		return EG_OUTCOME_RETRY;
	if (status == 401 || status == 403 || status == 404)
		return EG_OUTCOME_PAUSE;
	if (strcmp(type, "invalid_index_name_exception") == 0 || strcmp(type, "index_closed_exception") == 0)
		return EG_OUTCOME_PAUSE;
	return EG_OUTCOME_SPLIT;
}

/* What the engine has to act on first. */
static int rank(enum eg_outcome outcome)
{
	static const int ranks[EG_OUTCOME_COUNT_] = {
		[EG_OUTCOME_DELIVERED] = 0, [EG_OUTCOME_SPLIT] = 1, [EG_OUTCOME_RETRY] = 2, [EG_OUTCOME_PAUSE] = 3};

	return ranks[outcome];
}

/* "3 of 1000 events (429, es_rejected_execution_exception: ...)". */
static void tell(const struct eg_answer *answer, size_t failed, size_t count, json_int_t status, const json_t *inner,
		 struct eg_result *result)
{
	static const char *const words[EG_OUTCOME_COUNT_] = {
		[EG_OUTCOME_SPLIT] = "can't take some events",
		[EG_OUTCOME_RETRY] = "wants some events again",
		[EG_OUTCOME_PAUSE] = "refuses some events",
	};
	const json_t *error = json_object_get(inner, "error");
	char text[REASON_MAX];

	snprintf(text, sizeof(text), "%zu of %zu, the first with %" JSON_INTEGER_FORMAT " %.80s: %.200s", failed, count,
		 status, member(error, "type"), member(error, "reason"));
	eg_answer_say(answer, result, result->outcome, words[result->outcome], text, strlen(text));
}

static bool judge_items(const struct eg_answer *answer, json_t *items, size_t count, struct eg_result *result)
{
	const json_t *worst = NULL;
	json_int_t worst_status = 0;
	size_t failed = 0;

	result->outcome = EG_OUTCOME_DELIVERED;
	for (size_t i = 0; i < count; i++) {
		json_int_t status;
		json_t *inner = result_of(json_array_get(items, i), &status);

		if (!inner)
			return false;
		result->items[i] = judge_item(status, inner);
		failed += result->items[i] != EG_OUTCOME_DELIVERED;
		if (rank(result->items[i]) > rank(result->outcome)) {
			result->outcome = result->items[i];
			worst = inner;
			worst_status = status;
		}
	}
	result->has_items = true;
	if (failed)
		tell(answer, failed, count, worst_status, worst, result);
	return true;
}

static void judge(const struct eg_answer *answer, size_t count, struct eg_result *result)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = NULL;
	json_t *items;

	if (!eg_answer_accepted(answer, result)) {
		/* Halves have shorter answers, and what was stored is told apart; the same again would go on for ever. */
		if (answer->cut && result->outcome == EG_OUTCOME_RETRY && answer->status < 300 && count > 1)
			result->outcome = EG_OUTCOME_SPLIT;
		return;
	}
	object = eg_answer_object(answer);
	items = json_object_get(object, "items");
	if (!json_is_array(items) || json_array_size(items) != count || !judge_items(answer, items, count, result))
		eg_answer_odd(answer, result);
}

const struct eg_dialect eg_dialect_elastic = {
	.path = "/_bulk",
	/* That makes a tenth of the answer. */
	.query = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason",
	.scheme = "ApiKey",
	.content_type = "application/x-ndjson",
	.answer_per_item = 1024, /* a receiver that can't filter, with a reason for each */
	.render = render,
	.judge = judge,
};

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	return eg_dialect_open(&eg_dialect_elastic, config, stopping, ret, err);
}

const struct eg_protocol eg_protocol_elastic = {open_sink, eg_dialect_send, eg_dialect_close};

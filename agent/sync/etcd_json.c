// SPDX-License-Identifier: Apache-2.0
#include "etcd_json.h"

#include <errno.h>
#include <nettle/base64.h>
#include <string.h>

#include "../lib/cleanup.h"

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* ---- Asking ------------------------------------------------ */

char *eg_etcd_prefix_end(const char *prefix)
{
	char *end = strdup(prefix);
	size_t len = end ? strlen(end) : 0;

	/* Prefixes are text, so the last byte has one after it. */
	if (len)
		end[len - 1] = (char)(end[len - 1] + 1);
	return end;
}

static json_t *encode(const char *bytes, size_t len)
{
	EG_FREE char *text = malloc(BASE64_ENCODE_RAW_LENGTH(len) + 1);

	if (!text)
		return NULL;
	base64_encode_raw(text, len, (const uint8_t *)bytes);
	return json_stringn(text, BASE64_ENCODE_RAW_LENGTH(len));
}

static void set_bytes(json_t *object, const char *member, const char *bytes, size_t len)
{
	json_object_set_new(object, member, encode(bytes, len));
}

static void set_number(json_t *object, const char *member, uint64_t number)
{
	if (number)
		json_object_set_new(object, member, json_sprintf("%llu", (unsigned long long)number));
}

static json_t *key_body(const char *key, const char *end)
{
	json_t *body = json_object();

	set_bytes(body, "key", key, strlen(key));
	if (end)
		set_bytes(body, "range_end", end, strlen(end));
	return body;
}

json_t *eg_etcd_range_body(const char *key, const char *end, uint64_t limit, uint64_t revision)
{
	json_t *body = key_body(key, end);

	set_number(body, "limit", limit);
	set_number(body, "revision", revision);
	return body;
}

json_t *eg_etcd_since_body(const char *key, const char *end, uint64_t since)
{
	json_t *body = key_body(key, end);

	set_number(body, "min_mod_revision", since);
	return body;
}

json_t *eg_etcd_watch_body(const char *key, const char *end, uint64_t from_revision, uint64_t watch_id)
{
	json_t *create = key_body(key, end);

	set_number(create, "start_revision", from_revision);
	set_number(create, "watch_id", watch_id);
	json_object_set_new(create, "fragment", json_true());
	return json_pack("{s:o}", "create_request", create);
}

json_t *eg_etcd_put_body(const char *key, const char *value, size_t len, uint64_t lease)
{
	json_t *body = key_body(key, NULL);

	set_bytes(body, "value", value, len);
	set_number(body, "lease", lease);
	return body;
}

/* ---- Answers ------------------------------------------------ */

uint64_t eg_etcd_number(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);
	const char *text = json_string_value(value);

	if (json_is_integer(value) && json_integer_value(value) > 0)
		return (uint64_t)json_integer_value(value);
	if (!text || !text[0] || strlen(text) > 19 || text[strspn(text, "0123456789")])
		return 0;
	return strtoull(text, NULL, 10);
}

/* A member that is left out is empty. */
static int decode(const json_t *object, const char *member, char **ret, size_t *ret_len)
{
	const json_t *value = json_object_get(object, member);
	size_t text_len = json_string_length(value), len = 0;
	struct base64_decode_ctx ctx;
	EG_FREE char *bytes = NULL;

	if (value && !json_is_string(value))
		return -EBADMSG;
	bytes = malloc(BASE64_DECODE_LENGTH(text_len) + 1);
	if (!bytes)
		return -ENOMEM;
	if (text_len) {
		len = BASE64_DECODE_LENGTH(text_len);
		base64_decode_init(&ctx);
		if (!base64_decode_update(&ctx, &len, (uint8_t *)bytes, text_len, json_string_value(value)) ||
		    !base64_decode_final(&ctx))
			return -EBADMSG;
	}
	bytes[len] = '\0';
	*ret = EG_TAKE_PTR(bytes);
	*ret_len = len;
	return 0;
}

static void kvs_free(struct eg_etcd_kv *kvs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(kvs[i].key);
		free(kvs[i].value);
	}
	free(kvs);
}

/* 0 and *ret_skip for a key that no app can have. */
static int parse_kv(const json_t *object, struct eg_etcd_kv *ret, bool *ret_skip)
{
	size_t key_len = 0;
	int r;

	*ret = (struct eg_etcd_kv){.mod_revision = eg_etcd_number(object, "mod_revision")};
	r = json_is_object(object) ? decode(object, "key", &ret->key, &key_len) : -EBADMSG;
	if (!r)
		r = decode(object, "value", &ret->value, &ret->value_len);
	*ret_skip = !r && strlen(ret->key) != key_len;
	if (!r && !*ret_skip)
		return 0;
	free(EG_TAKE_PTR(ret->key));
	free(EG_TAKE_PTR(ret->value));
	return r;
}

int eg_etcd_range_parse(const json_t *answer, struct eg_etcd_range *ret)
{
	const json_t *list = json_object_get(answer, "kvs"), *one;
	struct eg_etcd_range range = {
		.revision = eg_etcd_number(json_object_get(answer, "header"), "revision"),
		.more = json_is_true(json_object_get(answer, "more")),
	};
	size_t i;
	int r = 0;

	if (!range.revision || (list && !json_is_array(list)))
		return -EBADMSG;
	range.kvs = calloc(json_array_size(list) + 1, sizeof(*range.kvs));
	if (!range.kvs)
		return -ENOMEM;
	json_array_foreach (list, i, one) {
		bool skip = false;

		r = parse_kv(one, &range.kvs[range.count], &skip);
		if (r)
			break;
		range.count += !skip;
	}
	if (r)
		eg_etcd_range_clear(&range);
	else
		*ret = range;
	return r;
}

void eg_etcd_range_clear(struct eg_etcd_range *range)
{
	kvs_free(range->kvs, range->count);
	*range = (struct eg_etcd_range){0};
}

static int parse_events(const json_t *list, struct eg_etcd_watch *watch)
{
	const json_t *one;
	size_t i;

	if (list && !json_is_array(list))
		return -EBADMSG;
	watch->events = calloc(json_array_size(list) + 1, sizeof(*watch->events));
	if (!watch->events)
		return -ENOMEM;
	json_array_foreach (list, i, one) {
		const char *type = json_string_value(json_object_get(one, "type"));
		struct eg_etcd_kv *event = &watch->events[watch->count];
		bool skip = false;
		int r = parse_kv(json_object_get(one, "kv"), event, &skip);

		if (r)
			return r;
		event->gone = type && !strcmp(type, "DELETE");
		watch->count += !skip;
	}
	return 0;
}

static void take_error(const json_t *error, struct eg_etcd_watch *watch)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	watch->canceled = true;
	snprintf(watch->reason, sizeof(watch->reason), "%s", text ? text : "the stream ended with an error");
}

int eg_etcd_watch_parse(const char *line, size_t len, struct eg_etcd_watch *ret)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = json_loadb(line, len, 0, NULL);
	const json_t *result = json_object_get(root, "result"), *error = json_object_get(root, "error");
	struct eg_etcd_watch watch = {0};
	const char *reason;
	int r;

	if (!json_is_object(result) && !error)
		return -EBADMSG;
	if (error) {
		take_error(error, &watch);
		*ret = watch;
		return 0;
	}
	watch.created = json_is_true(json_object_get(result, "created"));
	watch.canceled = json_is_true(json_object_get(result, "canceled"));
	watch.watch_id = eg_etcd_number(result, "watch_id");
	watch.compact_revision = eg_etcd_number(result, "compact_revision");
	watch.revision = eg_etcd_number(json_object_get(result, "header"), "revision");
	reason = json_string_value(json_object_get(result, "cancel_reason"));
	snprintf(watch.reason, sizeof(watch.reason), "%s", reason ? reason : "");
	r = parse_events(json_object_get(result, "events"), &watch);
	if (r)
		eg_etcd_watch_clear(&watch);
	else
		*ret = watch;
	return r;
}

void eg_etcd_watch_clear(struct eg_etcd_watch *watch)
{
	kvs_free(watch->events, watch->count);
	*watch = (struct eg_etcd_watch){0};
}

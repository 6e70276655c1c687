// SPDX-License-Identifier: Apache-2.0
#include "etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"

#define CALL_MS 5000u
#define ANSWER_MAX (64u << 20)
#define PAGE_KEYS 256u
#define WATCH_MAX (128u << 20) /* of a watch; it is asked to send large answers in parts */
#define TOKEN_MAX 4096u
#define PATH_WATCH "/v3/watch"
#define PATH_RANGE "/v3/kv/range"
#define PATH_PUT "/v3/kv/put"
#define PATH_LOGIN "/v3/auth/authenticate"

struct eg_etcd {
	const struct eg_control_config *control;
	const struct eg_credentials *credentials;
	struct eg_fetch *http;	/* of calls */
	struct eg_fetch *stream; /* of a watch, since calls are made while it lasts */
	size_t endpoint;
	char token[TOKEN_MAX]; /* "": none */
};

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* ---- Members ------------------------------------------------ */

static size_t endpoint_count(const struct eg_etcd *etcd)
{
	size_t count = 0;

	while (etcd->control->endpoints[count])
		count++;
	return count;
}

const char *eg_etcd_endpoint(const struct eg_etcd *etcd)
{
	return etcd->control->endpoints[etcd->endpoint];
}

void eg_etcd_next(struct eg_etcd *etcd)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): the config has at least one */
	etcd->endpoint = (etcd->endpoint + 1) % endpoint_count(etcd);
}

int eg_etcd_new(const struct eg_control_config *control, const struct eg_credentials *credentials, struct eg_etcd **ret)
{
	struct eg_etcd *etcd = calloc(1, sizeof(*etcd));

	if (!etcd)
		return -ENOMEM;
	etcd->control = control;
	etcd->credentials = credentials;
	if (eg_fetch_new(credentials, &etcd->http) || eg_fetch_new(credentials, &etcd->stream)) {
		eg_etcd_free(etcd);
		return -ENOMEM;
	}
	*ret = etcd;
	return 0;
}

void eg_etcd_free(struct eg_etcd *etcd)
{
	if (!etcd)
		return;
	eg_fetch_free(etcd->http);
	eg_fetch_free(etcd->stream);
	explicit_bzero(etcd->token, sizeof(etcd->token));
	free(etcd);
}

/* ---- Calls ------------------------------------------------ */

static void drop_answer(struct eg_fetch_answer *answer)
{
	eg_fetch_answer_clear(answer);
}

/* POST to the present member. 0: there is an answer, of whatever status. */
static int post(struct eg_etcd *etcd, const char *path, const char *text, struct eg_fetch_answer *ret,
		struct eg_error *err)
{
	char url[512], auth[TOKEN_MAX + 32], why[400] = "";
	const char *const headers[] = {"Content-Type: application/json", etcd->token[0] ? auth : NULL, NULL};
	const struct eg_fetch_ask ask = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.body = text,
		.body_len = strlen(text),
		.max = ANSWER_MAX,
		.timeout_ms = CALL_MS,
	};
	int r;

	snprintf(url, sizeof(url), "%s%s", eg_etcd_endpoint(etcd), path);
	snprintf(auth, sizeof(auth), "Authorization: %s", etcd->token);
	r = eg_fetch_send(etcd->http, &ask, ret, why, sizeof(why));
	if (r == -EFBIG)
		eg_error_set(err, 502, "too_large", "%s.", why);
	else if (r)
		eg_error_set(err, 503, "unreachable", "%s.", why);
	return r;
}

/* An answer that is no success, as an error. */
static int refused(const struct eg_etcd *etcd, const char *path, const struct eg_fetch_answer *answer,
		   struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = json_loadb(answer->body, answer->len, 0, NULL);
	const char *text = json_string_value(json_object_get(root, "message"));

	if (!text)
		text = json_string_value(json_object_get(root, "error"));
	return eg_error_set(err, answer->status >= 400 && answer->status < 600 ? (int)answer->status : 502,
			    answer->status == 401   ? "unauthorized"
			    : answer->status == 403 ? "forbidden"
			    : answer->status >= 500 ? "unreachable"
						    : "refused",
			    "%s%s answered %ld: %s.", eg_etcd_endpoint(etcd), path, answer->status,
			    text ? text : "no reason given");
}

/* Whether a (new) token may help; the gateway says some of these with 400. */
static bool wants_login(const struct eg_etcd *etcd, const struct eg_fetch_answer *answer)
{
	return etcd->control->username &&
	       (answer->status == 401 || (answer->status == 400 && (strstr(answer->body, "user name is empty") ||
								    strstr(answer->body, "invalid auth token") ||
								    strstr(answer->body, "auth store is old"))));
}

static int login(struct eg_etcd *etcd, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json)
	json_t *root = json_pack("{s:s,s:s}", "name", etcd->control->username, "password",
				 etcd->credentials->password ? etcd->credentials->password : "");
	EG_CLEANUP(drop_answer) struct eg_fetch_answer answer = {0};
	EG_FREE char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	const char *token;
	int r;

	if (!text)
		return eg_error_set(err, 500, "no_memory", "The user's name or password is no text.");
	etcd->token[0] = '\0';
	r = post(etcd, PATH_LOGIN, text, &answer, err);
	explicit_bzero(text, strlen(text));
	if (r)
		return -EINVAL;
	if (answer.status != 200)
		return refused(etcd, PATH_LOGIN, &answer, err);
	json_decref(root);
	root = json_loadb(answer.body, answer.len, 0, NULL);
	token = json_string_value(json_object_get(root, "token"));
	if (!token || !token[0] || strlen(token) >= sizeof(etcd->token) || strpbrk(token, "\r\n"))
		return eg_error_set(err, 502, "refused", "%s gave no token.", eg_etcd_endpoint(etcd));
	strcpy(etcd->token, token);
	return 0;
}

static int call_member(struct eg_etcd *etcd, const char *path, const char *text, json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(drop_answer) struct eg_fetch_answer answer = {0};
	int r = post(etcd, path, text, &answer, err);

	if (!r && wants_login(etcd, &answer)) {
		r = login(etcd, err);
		if (r)
			return r;
		eg_fetch_answer_clear(&answer);
		r = post(etcd, path, text, &answer, err);
	}
	if (r)
		return -EINVAL;
	if (answer.status != 200)
		return refused(etcd, path, &answer, err);
	*ret = json_loadb(answer.body, answer.len, 0, NULL);
	return *ret ? 0
		    : eg_error_set(err, 502, "refused", "%s%s: the answer is no JSON.", eg_etcd_endpoint(etcd), path);
}

int eg_etcd_call(struct eg_etcd *etcd, const char *path, json_t *body, json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *taken = body;
	EG_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int r = text ? 0 : eg_error_set(err, 500, "no_memory", "Out of memory.");

	for (size_t i = 0; text && i < endpoint_count(etcd); i++) {
		eg_error_clear(err);
		r = call_member(etcd, path, text, ret, err);
		if (!r || strcmp(err->code, "unreachable") != 0)
			return r;
		eg_etcd_next(etcd);
	}
	return r;
}

int eg_etcd_put(struct eg_etcd *etcd, const char *key, const char *value, size_t len, uint64_t lease,
		uint64_t *ret_revision, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *answer = NULL;
	int r = eg_etcd_call(etcd, PATH_PUT, eg_etcd_put_body(key, value, len, lease), &answer, err);

	if (!r && ret_revision)
		*ret_revision = eg_etcd_number(json_object_get(answer, "header"), "revision");
	return r;
}

/* ---- Ranges ------------------------------------------------ */

static int range(struct eg_etcd *etcd, json_t *body, struct eg_etcd_range *ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *answer = NULL;
	int r = eg_etcd_call(etcd, PATH_RANGE, body, &answer, err);

	if (r)
		return r;
	return eg_etcd_range_parse(answer, ret)
		       ? eg_error_set(err, 502, "refused", "%s: the range can't be read.", eg_etcd_endpoint(etcd))
		       : 0;
}

int eg_etcd_get(struct eg_etcd *etcd, const char *key, struct eg_etcd_range *ret, struct eg_error *err)
{
	int r = range(etcd, eg_etcd_range_body(key, NULL, 0, 0), ret, err);

	return r ? r : ret->count > 0;
}

static int each_kv(const struct eg_etcd_range *page, eg_etcd_kv_fn fn, void *ctx)
{
	for (size_t i = 0; i < page->count; i++) {
		int r = fn(ctx, &page->kvs[i]);

		if (r)
			return r;
	}
	return 0;
}

int eg_etcd_since(struct eg_etcd *etcd, const char *prefix, uint64_t since, eg_etcd_kv_fn fn, void *ctx,
		  struct eg_error *err)
{
	EG_FREE char *end = eg_etcd_prefix_end(prefix);
	struct eg_etcd_range found = {0};
	int r = end ? range(etcd, eg_etcd_since_body(prefix, end, since), &found, err) : -ENOMEM;

	if (!r)
		r = each_kv(&found, fn, ctx);
	eg_etcd_range_clear(&found);
	return r;
}

/* In pages, which get smaller when one would be too large. */
int eg_etcd_each(struct eg_etcd *etcd, const char *prefix, uint64_t *revision, eg_etcd_kv_fn fn, void *ctx,
		 struct eg_error *err)
{
	EG_FREE char *from = strdup(prefix), *end = eg_etcd_prefix_end(prefix);
	uint64_t limit = PAGE_KEYS;
	bool more = true;

	while (from && end && more) {
		struct eg_etcd_range page = {0};
		int r = range(etcd, eg_etcd_range_body(from, end, limit, *revision), &page, err);

		if (r && limit > 1 && !strcmp(err->code, "too_large")) {
			limit /= 2;
			continue;
		}
		if (r)
			return r;
		if (!*revision)
			*revision = page.revision;
		more = page.more && page.count;
		r = each_kv(&page, fn, ctx);
		if (!r && more) {
			/* the next possible key: this one and a byte more */
			free(from);
			if (asprintf(&from, "%s\x01", page.kvs[page.count - 1].key) < 0)
				from = NULL;
		}
		eg_etcd_range_clear(&page);
		if (r)
			return eg_error_set(err, 500, "no_memory", "Out of memory.");
	}
	return from && end ? 0 : eg_error_set(err, 500, "no_memory", "Out of memory.");
}

/* ---- Watching ------------------------------------------------ */

struct stream {
	const struct eg_etcd_stream *asked;
	struct eg_error *err;
	char *line;
	size_t len;
	size_t room;
};

/* One answer; not 0 ends the stream. */
static int take_line(struct stream *stream, const char *line, size_t len)
{
	struct eg_etcd_watch watch = {0};
	int r;

	if (!len)
		return 0;
	r = eg_etcd_watch_parse(line, len, &watch);
	if (r) {
		eg_error_set(stream->err, 502, "refused", "A line of the watch can't be read: %.120s", line);
		return r;
	}
	r = stream->asked->on_watch(stream->asked->ctx, &watch);
	if (watch.canceled) {
		eg_error_set(stream->err, 502, watch.compact_revision ? "compacted" : "canceled",
			     "The watch was canceled: %s.",
			     watch.compact_revision ? "what it asked for was compacted"
			     : watch.reason[0]	    ? watch.reason
						    : "no reason given");
		r = -ECANCELED;
	}
	eg_etcd_watch_clear(&watch);
	return r;
}

static int keep(struct stream *stream, const char *bytes, size_t len)
{
	if (stream->len + len + 1 > stream->room) {
		size_t room = 2 * (stream->len + len + 1);
		char *line = room > WATCH_MAX ? NULL : realloc(stream->line, room);

		if (!line)
			return eg_error_set(stream->err, 502, "too_large", "A line of the watch is too large.");
		stream->line = line;
		stream->room = room;
	}
	memcpy(stream->line + stream->len, bytes, len);
	stream->len += len;
	stream->line[stream->len] = '\0';
	return 0;
}

static int on_bytes(void *ctx, const char *bytes, size_t len)
{
	struct stream *stream = ctx;
	int r = 0;

	while (!r && len) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;

		r = keep(stream, bytes, part);
		if (!r && end) {
			r = take_line(stream, stream->line, stream->len);
			stream->len = 0;
		}
		part += end != NULL;
		bytes += part;
		len -= part;
	}
	return r;
}

static int on_second(void *ctx)
{
	struct stream *stream = ctx;

	return stream->asked->on_idle(stream->asked->ctx);
}

/* One message for each prefix, in one request. */
static char *watch_text(const struct eg_etcd_stream *asked)
{
	char *text = strdup("");

	for (size_t i = 0; text && asked->prefixes[i]; i++) {
		EG_FREE char *end = eg_etcd_prefix_end(asked->prefixes[i]);
		EG_CLEANUP(eg_cleanup_json)
		json_t *body = end ? eg_etcd_watch_body(asked->prefixes[i], end, asked->from_revision, i + 1) : NULL;
		EG_FREE char *one = body ? json_dumps(body, JSON_COMPACT) : NULL, *before = text;

		if (!one || asprintf(&text, "%s%s\n", before, one) < 0)
			text = NULL;
	}
	return text;
}

int eg_etcd_watch(struct eg_etcd *etcd, const struct eg_etcd_stream *asked, struct eg_error *err)
{
	struct stream stream = {.asked = asked, .err = err};
	EG_CLEANUP(drop_answer) struct eg_fetch_answer answer = {0};
	char url[512], auth[TOKEN_MAX + 32], why[400] = "";
	const char *const headers[] = {"Content-Type: application/json", etcd->token[0] ? auth : NULL, NULL};
	EG_FREE char *text = watch_text(asked);
	const struct eg_fetch_ask ask = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.on_data = on_bytes,
		.on_idle = on_second,
		.ctx = &stream,
	};
	int r;

	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	snprintf(url, sizeof(url), "%s" PATH_WATCH, eg_etcd_endpoint(etcd));
	snprintf(auth, sizeof(auth), "Authorization: %s", etcd->token);
	r = eg_fetch_send(etcd->stream, &ask, &answer, why, sizeof(why));
	if (stream.len && r != -ECANCELED)
		take_line(&stream, stream.line, stream.len);
	free(stream.line);
	if (err->status)
		return -EINVAL;
	if (r == -ECANCELED)
		return eg_error_set(err, 503, "stopped", "The watch was ended.");
	return eg_error_set(err, 503, "unreachable", "%s.", r ? why : "the watch ended");
}

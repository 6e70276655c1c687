// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <string.h>

/* A message may quote what a client sent, and JSON holds nothing but UTF-8. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	EG_FREE char *ascii = NULL;

	if (json)
		return json;
	ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c > '~')
			*c = '?';
	return json_string(ascii);
}

char *eg_api_error_text(const struct eg_error *err)
{
	json_t *error = json_pack("{s:o, s:o}", "code", text_json(err->code), "message", text_json(err->message));
	json_t *whole;
	char *text;

	if (error && err->details && json_object_set(error, "details", err->details) < 0) {
		json_decref(error);
		error = NULL;
	}
	whole = json_pack("{s:o}", "error", error);
	text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
	json_decref(whole);
	return text;
}

void eg_api_reply_clear(struct eg_api_reply *reply)
{
	json_decref(reply->json);
	free(reply->text);
	eg_api_stream_free(reply->stream);
	*reply = (struct eg_api_reply){0};
}

static struct MHD_Response *text_response(char *text)
{
	struct MHD_Response *response;

	if (!text)
		return NULL;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	return response;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
	/* It fails for want of memory only, and the answer without the header is better than none. */
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		return;
}

static struct MHD_Response *success(struct eg_api_reply *reply)
{
	struct MHD_Response *response;
	const char *type;

	if (reply->stream) {
		response = eg_api_stream_response(EG_TAKE_PTR(reply->stream));
		type = "application/x-ndjson";
	} else if (reply->text) {
		response = text_response(EG_TAKE_PTR(reply->text));
		type = "text/plain; version=0.0.4; charset=utf-8";
	} else {
		response = text_response(json_dumps(reply->json, JSON_COMPACT));
		type = "application/json";
	}
	if (response)
		add(response, "Content-Type", type);
	return response;
}

static struct MHD_Response *failure(struct eg_api_request *rq, int r)
{
	struct MHD_Response *response;

	if (rq->err.status < 400 || rq->err.status > 599)
		eg_error_set(&rq->err, 500, "internal", "The agent failed: %s.", strerror(-r));
	response = text_response(eg_api_error_text(&rq->err));
	if (!response)
		return NULL;
	add(response, "Content-Type", "application/json");
	if (rq->err.status == 503)
		add(response, "Retry-After", "1");
	if (rq->err.status == 401)
		add(response, "WWW-Authenticate", "Bearer");
	return response;
}

enum MHD_Result eg_api_reply_queue(struct eg_api_request *rq, int r, struct eg_api_reply *reply)
{
	struct MHD_Response *response;
	char etag[sizeof(reply->etag) + 2];
	enum MHD_Result queued;

	if (r >= 0 && !reply->json && !reply->text && !reply->stream)
		r = -EIO;
	response = r < 0 ? failure(rq, r) : success(reply);
	if (!response)
		return MHD_NO; /* no memory: the connection is closed */
	add(response, "Cache-Control", "no-store");
	add(response, "Connection", "close");
	if (reply->allow[0])
		add(response, "Allow", reply->allow);
	if (r >= 0 && reply->etag[0]) {
		snprintf(etag, sizeof(etag), "\"%s\"", reply->etag);
		add(response, "ETag", etag);
	}
	/* From here the gate may cut it off. */
	eg_api_conn_set(rq->api, rq->conn, EG_API_REPLY, eg_api_now_ns() + rq->api->reply_ns);
	queued = MHD_queue_response(rq->http, r < 0 ? (unsigned)rq->err.status : MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return queued;
}

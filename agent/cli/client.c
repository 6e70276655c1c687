// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#define CONNECT_MS     5000
#define LINE_MAX_BYTES (4u << 20)

struct eg_client {
	char *socket;
	CURL *curl;
};

/* What comes, whole or line by line. */
struct sink {
	CURL *curl;
	char *bytes;
	size_t len;
	size_t room;
	eg_client_line_fn line; /* NULL: whole */
	void *ctx;
	int stopped; /* what line returned */
	int r; /* -errno of our own */
};

EG_DEFINE_CLEANUP(headers, struct curl_slist *, curl_slist_free_all);

int eg_client_new(const char *socket, struct eg_client **ret, struct eg_error *err)
{
	struct sockaddr_un addr;
	struct eg_client *client;

	if (!socket[0] || strlen(socket) >= sizeof(addr.sun_path))
		return eg_error_set(err, 0, "bad_socket", "the path of a socket has 1 to %zu bytes: '%s'",
				    sizeof(addr.sun_path) - 1, socket);
	client = calloc(1, sizeof(*client));
	if (client)
		client->socket = strdup(socket);
	if (!client || !client->socket || !(client->curl = curl_easy_init())) {
		eg_client_free(client);
		eg_error_set(err, 0, "no_memory", "out of memory");
		return -ENOMEM;
	}
	*ret = client;
	return 0;
}

void eg_client_free(struct eg_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	free(client->socket);
	free(client);
}

/* ---- What comes ------------------------------------------------------------------------- */

static int sink_add(struct sink *sink, const char *bytes, size_t len)
{
	size_t most = sink->line ? LINE_MAX_BYTES : EG_CLIENT_BYTES_MAX;

	if (len > most - sink->len)
		return -EFBIG;
	if (sink->len + len + 1 > sink->room) {
		size_t room = (sink->len + len + 1) * 2;
		char *grown = realloc(sink->bytes, room);

		if (!grown)
			return -ENOMEM;
		sink->bytes = grown;
		sink->room = room;
	}
	memcpy(sink->bytes + sink->len, bytes, len);
	sink->len += len;
	sink->bytes[sink->len] = '\0';
	return 0;
}

/* Hands over the lines that are whole; the rest is kept. */
static int sink_lines(struct sink *sink, const char *bytes, size_t len)
{
	while (len) {
		const char *newline = memchr(bytes, '\n', len);
		size_t part = newline ? (size_t)(newline - bytes) : len;

		sink->r = sink_add(sink, bytes, part);
		if (sink->r || !newline)
			return sink->r;
		if (sink->len)
			sink->stopped = sink->line(sink->ctx, sink->bytes, sink->len);
		if (sink->stopped)
			return sink->stopped;
		sink->len = 0;
		bytes += part + 1;
		len -= part + 1;
	}
	return 0;
}

static size_t on_bytes(char *bytes, size_t one, size_t len, void *ctx)
{
	struct sink *sink = ctx;
	long status = 0;
	int r;

	(void)one;
	curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
	if (sink->line && status == 200)
		r = sink_lines(sink, bytes, len);
	else
		r = sink->r = sink_add(sink, bytes, len);
	return r ? 0 : len;
}

/* ---- What went wrong ------------------------------------------------------------------------ */

static int fail(struct eg_error *err, int r, const char *code, const char *message)
{
	eg_error_set(err, 0, code, "%s", message);
	return r;
}

static int transport_error(const struct eg_client *client, CURLcode code, const struct sink *sink,
			   struct eg_error *err)
{
	long os_errno = 0;

	if (sink->r == -ENOMEM || code == CURLE_OUT_OF_MEMORY)
		return fail(err, -ENOMEM, "no_memory", "out of memory");
	if (sink->r)
		return fail(err, -EPROTO, "bad_answer", "the agent's answer is larger than any should be");
	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os_errno);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (os_errno == EACCES || os_errno == EPERM) {
			eg_error_set(err, 0, "no_access", "%s is not yours to open: run as root, or as a member of a group "
				     "that the agent's config names", client->socket);
			return -EACCES;
		}
		eg_error_set(err, 0, "unreachable", "no agent answers on %s: start egretd (systemctl start egretd), or "
			     "`egret kill --direct` to kill without it", client->socket);
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		eg_error_set(err, 0, "no_answer", "the agent on %s takes connections but does not answer: see "
			     "`systemctl status egretd`; `egret kill --direct` kills without it", client->socket);
		return -ETIMEDOUT;
	default:
		eg_error_set(err, 0, "bad_answer", "the connection to the agent on %s broke: %s", client->socket,
			     curl_easy_strerror(code));
		return -EPROTO;
	}
}

static int agent_error(const struct eg_client *client, long status, const char *text, struct eg_error *err)
{
	json_t *answer = json_loads(text ? text : "", JSON_REJECT_DUPLICATES, NULL);
	json_t *error = json_object_get(answer, "error"), *details = json_object_get(error, "details");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (code && message) {
		eg_error_set(err, (int)status, code, "%s", message);
		err->details = json_is_array(details) ? json_incref(details) : NULL;
	} else {
		eg_error_set(err, 0, "bad_answer", "what listens on %s answers like no agent (HTTP status %ld)",
			     client->socket, status);
	}
	json_decref(answer);
	return err->status ? -EREMOTEIO : -EPROTO;
}

/* ---- Requests --------------------------------------------------------------------------------- */

static int add_header(struct curl_slist **headers, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*headers, text);

	if (!longer)
		return -ENOMEM;
	*headers = longer;
	return 0;
}

static int make_headers(const struct eg_client_request *request, struct curl_slist **headers)
{
	char match[256];
	int r = add_header(headers, "Expect:"); /* no round trip before the body */

	if (!r && request->body)
		r = add_header(headers, "Content-Type: application/json");
	if (!r && request->if_match) {
		snprintf(match, sizeof(match), "If-Match: \"%s\"", request->if_match);
		r = add_header(headers, match);
	}
	return r;
}

/* Options are set anew for each request. Those that can fail without memory fail in perform, too. */
static void set_options(struct eg_client *client, const struct eg_client_request *request, const char *url,
			struct curl_slist *headers, struct sink *sink)
{
	CURL *curl = client->curl;
	long wait_s = request->wait_s ? (long)request->wait_s : EG_CLIENT_WAIT_S;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "egret/" EG_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, sink->line ? 0L : wait_s);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	if (request->body || strcmp(request->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* 0: status 2xx. */
static int perform(struct eg_client *client, const struct eg_client_request *request, struct sink *sink,
		   struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_headers) struct curl_slist *headers = NULL;
	EG_FREE char *url = NULL;
	long status = 0;
	CURLcode code;

	if (asprintf(&url, "http://egret%s", request->path) < 0) {
		url = NULL;
		return fail(err, -ENOMEM, "no_memory", "out of memory");
	}
	if (make_headers(request, &headers) < 0)
		return fail(err, -ENOMEM, "no_memory", "out of memory");
	sink->curl = client->curl;
	set_options(client, request, url, headers, sink);
	code = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (sink->stopped)
		return sink->stopped;
	/* A refusal may be followed by a reset, when the agent didn't want the body. */
	if (code != CURLE_OK && (status < 400 || !sink->len))
		return transport_error(client, code, sink, err);
	if (status < 200 || status > 299)
		return agent_error(client, status, sink->bytes, err);
	return 0;
}

int eg_client_call(struct eg_client *client, const struct eg_client_request *request, json_t **ret,
		   struct eg_error *err)
{
	struct sink sink = {0};
	int r = perform(client, request, &sink, err);

	if (!r) {
		*ret = json_loadb(sink.bytes ? sink.bytes : "", sink.len, JSON_REJECT_DUPLICATES, NULL);
		if (!*ret) {
			eg_error_set(err, 0, "bad_answer", "what listens on %s answers with something else than JSON",
				     client->socket);
			r = -EPROTO;
		}
	}
	free(sink.bytes);
	return r;
}

int eg_client_stream(struct eg_client *client, const char *path, eg_client_line_fn line, void *ctx,
		     struct eg_error *err)
{
	struct eg_client_request request = {.method = "GET", .path = path};
	struct sink sink = {.line = line, .ctx = ctx};
	int r = perform(client, &request, &sink, err);

	free(sink.bytes);
	return r;
}

/* ---- Paths -------------------------------------------------------------------------------------- */

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || strchr("-._~:,", c)))
			fputc(c, out);
		else
			fprintf(out, "%%%02X", c);
	}
}

char *eg_client_path(const char *path, ...)
{
	char *text = NULL, separator = '?';
	const char *key;
	size_t size;
	va_list args;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs(path, out);
	va_start(args, path);
	while ((key = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		if (!value)
			continue;
		fprintf(out, "%c%s=", separator, key);
		put_escaped(out, value);
		separator = '&';
	}
	va_end(args);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

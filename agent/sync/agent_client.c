// SPDX-License-Identifier: Apache-2.0
#include "agent_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "../lib/cleanup.h"

#define TIMEOUT_S 60 /* a large policy takes a while to compile */
#define ANSWER_MAX (64u << 20)
#define STEP 16384u

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* The agent's own error, as it was sent. */
static int take_error(const json_t *root, long status, struct eg_error *err)
{
	const json_t *error = json_object_get(root, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	return eg_error_set(err, status >= 400 && status < 600 ? (int)status : 500, code ? code : "internal", "%s",
			    message ? message : "The agent gave no reason.");
}

/* ---- The connection ------------------------------------------------ */

static int pass_end(int door, int end)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(end));
	memcpy(CMSG_DATA(head), &end, sizeof(end));
	return sendmsg(door, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int dial(int door, int *ret)
{
	const struct timeval patience = {.tv_sec = TIMEOUT_S};
	EG_CLOSE int ours = -1, theirs = -1;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	if (setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(ours, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
		return -errno;
	r = pass_end(door, theirs);
	if (!r)
		*ret = EG_TAKE_FD(ours);
	return r;
}

static int send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* To the end of the connection; NUL-terminated. */
static int receive_all(int fd, char **ret, size_t *ret_len)
{
	EG_FREE char *bytes = NULL;
	size_t len = 0, room = 0;
	ssize_t n = 1;

	while (n) {
		if (room - len < STEP) {
			char *more = room >= ANSWER_MAX ? NULL : realloc(bytes, 2 * room + 2 * STEP);

			if (!more)
				return -ENOMEM;
			bytes = more;
			room = 2 * room + 2 * STEP;
		}
		n = recv(fd, bytes + len, room - len - 1, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	bytes[len] = '\0';
	*ret = EG_TAKE_PTR(bytes);
	*ret_len = len;
	return 0;
}

/* One request and its answer: the status, and the body within *ret. */
static int exchange(int door, const char *method, const char *path, const char *body, char **ret, long *ret_status,
		    const char **ret_body)
{
	EG_CLOSE int fd = -1;
	EG_FREE char *bytes = NULL;
	char head[400];
	size_t len = 0;
	const char *end;
	int r = dial(door, &fd), n;

	if (r)
		return r;
	n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: egretd\r\nContent-Length: %zu\r\n\r\n", method, path,
		     body ? strlen(body) : 0);
	r = send_all(fd, head, (size_t)n);
	if (!r && body)
		r = send_all(fd, body, strlen(body));
	if (!r || r == -EPIPE) /* an answer that came early is one too */
		r = receive_all(fd, &bytes, &len);
	if (r)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): r is 0 only with bytes */
	end = strstr(bytes, "\r\n\r\n");
	if (sscanf(bytes, "HTTP/1.1 %3ld", ret_status) != 1 || !end)
		return -EPROTO;
	*ret_body = end + 4;
	*ret = EG_TAKE_PTR(bytes);
	return 0;
}

static int ask(int door, const char *method, const char *path, const char *body, json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = NULL;
	EG_FREE char *bytes = NULL;
	const char *text = NULL;
	long status = 0;
	int r = exchange(door, method, path, body, &bytes, &status, &text);

	if (r)
		return eg_error_set(err, 503, "agent_gone", "The agent did not answer: %s.", strerror(-r));
	root = json_loads(text, 0, NULL);
	if (status / 100 != 2)
		return take_error(root, status, err);
	if (!root)
		return eg_error_set(err, 500, "internal", "The agent's answer is no JSON.");
	if (ret)
		*ret = json_incref(root);
	return 0;
}

/* ---- Requests ------------------------------------------------ */

int eg_agent_client_get(int door, const char *path, json_t **ret, struct eg_error *err)
{
	return ask(door, "GET", path, NULL, ret, err);
}

int eg_agent_client_put(int door, const struct eg_document *document, json_t **ret, struct eg_error *err)
{
	char path[200];

	snprintf(path, sizeof(path), "/v1/control/policies/%s?number=%llu&take_over=%d", document->app,
		 (unsigned long long)document->generation, document->take_over);
	return ask(door, "PUT", path, document->text, ret, err);
}

int eg_agent_client_delete(int door, const char *app, struct eg_error *err)
{
	char path[200];

	snprintf(path, sizeof(path), "/v1/control/policies/%s", app);
	return ask(door, "DELETE", path, NULL, NULL, err);
}

int eg_agent_client_hold(int door, const struct eg_document *document, bool kill, uint64_t generation,
			 struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json)
	json_t *body = json_pack("{s:I,s:s*,s:s*,s:s*}", "generation", (json_int_t)generation, "reason",
				 document->reason, "ticket", document->ticket, "by", document->by);
	EG_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *verb = kill ? "kill" : "restore";
	char path[200];

	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	if (!strcmp(document->app, "*"))
		snprintf(path, sizeof(path), "/v1/control/%s", verb);
	else
		snprintf(path, sizeof(path), "/v1/control/apps/%s/%s", document->app, verb);
	return ask(door, "POST", path, text, NULL, err);
}

int eg_agent_client_report(int door, const json_t *report, struct eg_error *err)
{
	EG_FREE char *text = json_dumps(report, JSON_COMPACT);

	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	return ask(door, "POST", "/v1/control/report", text, NULL, err);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP library (libmicrohttpd) with a thread for each connection: a policy that takes long
 * to compile, or a follower that waits, is nobody else's business. It never listens: the gate
 * hands it sockets whose request has a good head.
 *
 * The library calls us three times and more for a request: once with the head, when everything
 * about it is decided; for each piece of the body, which is kept if it is wanted and thrown
 * away if the answer is an error already; and when the request is whole.
 */
#include "api_impl.h"

#include <string.h>
#include <strings.h>

#include "urgent.h"

/* More than this is not read only to be thrown away before the error is told. */
#define DISCARD_MAX (128ull << 20)
#define POOL_BYTES  (256u << 10) /* of a connection: a head of EG_API_HEAD_MAX, however cut up */

void eg_api_conn_set(struct eg_api *api, struct eg_api_conn *conn, enum eg_api_phase phase, uint64_t deadline_ns)
{
	pthread_mutex_lock(&api->lock);
	conn->phase = phase;
	conn->deadline_ns = deadline_ns;
	pthread_mutex_unlock(&api->lock);
}

static const char *header(const struct eg_api_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->http, MHD_HEADER_KIND, name);
}

static int check_token(struct eg_api_request *rq)
{
	struct eg_api *api = rq->api;
	bool matches;

	if (rq->conn->way != EG_API_BY_TCP)
		return 0;
	pthread_mutex_lock(&api->lock);
	matches = eg_api_token_matches(header(rq, "Authorization"), api->token);
	pthread_mutex_unlock(&api->lock);
	if (!matches)
		return eg_error_set(&rq->err, 401, "unauthorized",
				    "The metrics port wants \"Authorization: Bearer TOKEN\" with the right token.");
	return 0;
}

/* Everything that can be said by the head alone. */
static int begin(struct eg_api_request *rq, const char *method, const char *path, unsigned long long announced)
{
	int r = check_token(rq);

	if (!r)
		r = eg_api_route_find(rq, method, path);
	if (r < 0 || !announced)
		return r;
	if (announced > rq->route->body_max)
		return eg_error_set(&rq->err, 413, "too_large", "The body has %llu bytes; at most %zu are taken here.",
				    announced, rq->route->body_max);
	rq->body = malloc(announced + 1);
	if (!rq->body)
		return eg_error_set(&rq->err, 503, "no_memory", "The agent has no memory for a body of %llu bytes now.",
				    announced);
	rq->body_size = announced;
	return 0;
}

static enum MHD_Result first_call(struct eg_api *api, struct MHD_Connection *http, const char *path, const char *method,
				  void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct eg_api_request *rq = calloc(1, sizeof(*rq));
	unsigned long long announced;
	const char *length;
	int r;

	if (!rq || !info || !info->socket_context) {
		free(rq);
		return MHD_NO;
	}
	*context = rq;
	rq->api = api;
	rq->http = http;
	rq->conn = info->socket_context;
	rq->actor = rq->conn->actor; /* written before the socket came here, and not after */
	length = header(rq, "Content-Length");
	announced = length ? strtoull(length, NULL, 10) : 0;
	r = begin(rq, method, path, announced);
	if (r < 0 || !eg_api_route_kills(rq->route))
		eg_urgent_leave();
	if (r < 0 && announced && (announced > DISCARD_MAX || header(rq, "Expect")))
		return eg_api_reply_queue(rq, -EINVAL, &rq->refusal);
	return MHD_YES;
}

static void take_body(struct eg_api_request *rq, const char *bytes, size_t len)
{
	if (!rq->body_size)
		return;
	if (len > rq->body_size - rq->body_len)
		len = rq->body_size - rq->body_len;
	memcpy(rq->body + rq->body_len, bytes, len);
	rq->body_len += len;
}

/* True if the request is still ours to answer, and not the gate's, whose deadline was over. */
static bool begin_work(struct eg_api_request *rq)
{
	bool ours;

	pthread_mutex_lock(&rq->api->lock);
	ours = rq->conn->phase == EG_API_BODY;
	if (ours) {
		rq->conn->phase = EG_API_WORK;
		rq->conn->deadline_ns = EG_API_NEVER;
	}
	pthread_mutex_unlock(&rq->api->lock);
	return ours;
}

static enum MHD_Result answer(struct eg_api_request *rq)
{
	struct eg_api_reply reply = {0};
	enum MHD_Result queued;
	int r;

	if (!begin_work(rq))
		return MHD_NO;
	if (rq->err.status)
		return eg_api_reply_queue(rq, -EINVAL, &rq->refusal);
	if (rq->body)
		rq->body[rq->body_len] = '\0';
	r = rq->route->handle(rq, &reply);
	queued = eg_api_reply_queue(rq, r, &reply);
	eg_api_reply_clear(&reply);
	return queued;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *http, const char *path, const char *method,
				  const char *version, const char *bytes, size_t *len, void **context)
{
	struct eg_api_request *rq = *context;

	(void)version;
	if (!rq)
		return first_call(arg, http, path, method, context);
	if (!*len)
		return answer(rq);
	take_body(rq, bytes, *len);
	*len = 0;
	return MHD_YES;
}

/* The socket is still open here, also if its client said that no more of the body will come. */
static void on_completed(void *arg, struct MHD_Connection *http, void **context, enum MHD_RequestTerminationCode how)
{
	struct eg_api_request *rq = *context;
	struct eg_api *api = arg;

	(void)http;
	if (!rq)
		return;
	pthread_mutex_lock(&api->lock);
	if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK && rq->conn->phase == EG_API_BODY) {
		eg_error_set(&rq->err, 400, "bad_request", "The request ended before its body was whole.");
		eg_api_refuse_raw(rq->conn->fd, &rq->err);
	}
	pthread_mutex_unlock(&api->lock);
	eg_api_reply_clear(&rq->refusal);
	eg_error_clear(&rq->err);
	free(rq->body);
	free(rq);
	*context = NULL;
}

/* The connection that was given to the library, as taken. The caller holds the lock. */
static struct eg_api_conn *take_conn(struct eg_api *api, int fd)
{
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		if (api->conns[i].phase == EG_API_PASSED && api->conns[i].fd == fd) {
			api->conns[i].phase = EG_API_BODY;
			return &api->conns[i];
		}
	return NULL;
}

/* CLOSED comes before the descriptor is closed, so its number can't be somebody else's yet. */
static void on_connection(void *arg, struct MHD_Connection *http, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct eg_api_conn *conn = *context;
	struct eg_api *api = arg;

	pthread_mutex_lock(&api->lock);
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = info ? take_conn(api, info->connect_fd) : NULL;
	} else if (conn) {
		*conn = (struct eg_api_conn){.fd = -1};
		pthread_cond_broadcast(&api->idle);
	}
	pthread_mutex_unlock(&api->lock);
}

int eg_api_http_start(struct eg_api *api)
{
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_NO_LISTEN_SOCKET |
			       MHD_USE_POLL | MHD_USE_ITC;

	/* The gate's limits are the ones that count: the library would close what is over its own without a word. */
	api->http = MHD_start_daemon(flags, 0, NULL, NULL, on_request, api, MHD_OPTION_NOTIFY_COMPLETED, on_completed, api,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_CONNECTION_LIMIT,
				     2 * EG_API_SLOTS, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_END);
	return api->http ? 0 : errno ? -errno : -ENOMEM;
}

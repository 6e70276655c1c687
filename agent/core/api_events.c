// SPDX-License-Identifier: Apache-2.0
/*
 * GET /v1/events. The library asks for the next bytes from the connection's own thread, so the
 * answer may wait there: for an event, for the client to leave, for the API to stop.
 */
#include "api_impl.h"

#include <poll.h>
#include <string.h>

#include "../lib/labels.h"

#define BLOCK_BYTES (32u << 10)

struct eg_api_stream {
	struct eg_api *api;
	struct eg_api_conn *conn;
	int fd; /* the client's, valid as long as the stream */
	struct eg_events_query *query;
	bool follow;
	struct eg_labels *selector; /* NULL: none */
};

/* Takes one of the places for followers, or gives it back (-1). */
static bool count_follower(struct eg_api *api, int change)
{
	bool fits;

	pthread_mutex_lock(&api->lock);
	fits = change < 0 || api->followers < EG_API_FOLLOW_MAX;
	if (fits)
		api->followers += (unsigned)change;
	pthread_mutex_unlock(&api->lock);
	return fits;
}

void eg_api_stream_free(struct eg_api_stream *stream)
{
	if (!stream)
		return;
	if (stream->follow)
		count_follower(stream->api, -1);
	eg_events_query_close(stream->query);
	eg_labels_free(stream->selector);
	free(stream);
}

EG_DEFINE_CLEANUP(stream, struct eg_api_stream *, eg_api_stream_free);

static int busy(struct eg_api_request *rq)
{
	return eg_error_set(&rq->err, 503, "busy", "Too many callers read events now; try again.");
}

/* labels NULL: there is no selector. */
static int read_selector(struct eg_api_request *rq, const char *labels, struct eg_labels **ret)
{
	char why[200];
	int r = labels ? eg_labels_parse(labels, ret, why, sizeof(why)) : 0;

	if (r == -EINVAL)
		return eg_error_set(&rq->err, 400, "bad_selector", "The label selector can't be used: %s", why);
	return r;
}

static int open_stream(struct eg_api_request *rq, struct eg_events_filter *filter, struct eg_api_stream **ret)
{
	EG_CLEANUP(eg_cleanup_stream) struct eg_api_stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (!stream)
		return -ENOMEM;
	*stream = (struct eg_api_stream){.api = rq->api, .conn = rq->conn, .fd = rq->conn->fd};
	r = read_selector(rq, eg_api_query(rq, "labels"), &stream->selector);
	if (r < 0)
		return r;
	filter->labels = stream->selector;
	if (filter->follow && !count_follower(rq->api, 1))
		return busy(rq);
	stream->follow = filter->follow;
	r = eg_events_query_open(rq->api->events, filter, &stream->query);
	if (r == -EINVAL)
		return eg_error_set(&rq->err, 400, "bad_query",
				    "Query parameter \"type\" must be types of events, such as flow,deny.");
	if (r == -EMFILE)
		return busy(rq);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(stream);
	return 0;
}

int eg_api_get_events(struct eg_api_request *rq, struct eg_api_reply *reply)
{
	struct eg_events_filter filter = {.types = eg_api_query(rq, "type")};

	if (eg_api_query_app(rq, &filter.app) < 0 || eg_api_query_bool(rq, "follow", &filter.follow) < 0 ||
	    eg_api_query_span(rq, "last", &filter.last_ns) < 0)
		return -EINVAL;
	/* Who follows and doesn't ask for the past gets what comes. */
	filter.limit = filter.follow && !filter.last_ns ? 0 : UINT64_MAX;
	if (eg_api_query_number(rq, "limit", &filter.limit) < 0)
		return -EINVAL;
	return open_stream(rq, &filter, &reply->stream);
}

/* Whether the reader may go on; waits for the query if it may. */
static bool go_on(const struct eg_api_stream *stream, bool wait)
{
	/* POLLHUP comes unasked: the client has closed, which to shut down its sending side alone is not. */
	struct pollfd fds[] = {
		{.fd = stream->api->stop_fd, .events = POLLIN},
		{.fd = stream->fd},
		{.fd = wait ? eg_events_query_fd(stream->query) : -1, .events = POLLIN},
	};

	while (poll(fds, 3, wait ? -1 : 0) < 0)
		if (errno != EINTR)
			return false;
	return !fds[0].revents && !fds[1].revents;
}

static ssize_t read_more(void *arg, uint64_t position, char *buf, size_t size)
{
	struct eg_api_stream *stream = arg;
	bool wait = false;
	size_t len = 0;
	int r;

	(void)position;
	eg_api_conn_set(stream->api, stream->conn, EG_API_REPLY, EG_API_NEVER);
	for (;;) {
		if (!go_on(stream, wait))
			return MHD_CONTENT_READER_END_OF_STREAM;
		r = eg_events_query_read(stream->query, buf, size, &len);
		if (r < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (len)
			break;
		if (r == EG_QUERY_END)
			return MHD_CONTENT_READER_END_OF_STREAM;
		wait = r == EG_QUERY_WAIT;
	}
	/* A follower may pause (its pager is open); who reads the past has to read it. */
	if (!stream->follow)
		eg_api_conn_set(stream->api, stream->conn, EG_API_REPLY, eg_api_now_ns() + stream->api->reply_ns);
	return (ssize_t)len;
}

static void on_free(void *arg)
{
	eg_api_stream_free(arg);
}

struct MHD_Response *eg_api_stream_response(struct eg_api_stream *stream)
{
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_more, stream, on_free);

	if (!response)
		eg_api_stream_free(stream);
	return response;
}

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
#define LINE_BYTES  (128u << 10) /* more than an event can have */

/* Lines whose labels a selector chooses. */
struct sieve {
	struct eg_labels *selector; /* NULL: there is none, and nothing is held here */
	char *lines; /* read, and not looked at yet: the last one may be cut */
	size_t len;
	size_t passed; /* bytes at their front that were chosen, and not sent yet */
};

struct eg_api_stream {
	struct eg_api *api;
	struct eg_api_conn *conn;
	int fd; /* the client's, valid as long as the stream */
	struct eg_events_query *query;
	bool follow;
	struct sieve sieve;
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
	eg_labels_free(stream->sieve.selector);
	free(stream->sieve.lines);
	free(stream);
}

EG_DEFINE_CLEANUP(stream, struct eg_api_stream *, eg_api_stream_free);

static int busy(struct eg_api_request *rq)
{
	return eg_error_set(&rq->err, 503, "busy", "Too many callers read events now; try again.");
}

/* labels NULL: all lines pass. */
static int open_sieve(struct eg_api_request *rq, const char *labels, struct sieve *ret)
{
	char why[200];
	int r = labels ? eg_labels_parse(labels, &ret->selector, why, sizeof(why)) : 0;

	if (r == -EINVAL)
		return eg_error_set(&rq->err, 400, "bad_selector", "The label selector can't be used: %s", why);
	if (!r && labels)
		ret->lines = malloc(LINE_BYTES);
	return r < 0 || (labels && !ret->lines) ? -ENOMEM : 0;
}

static int open_stream(struct eg_api_request *rq, const struct eg_events_filter *filter, struct eg_api_stream **ret)
{
	EG_CLEANUP(eg_cleanup_stream) struct eg_api_stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (!stream)
		return -ENOMEM;
	*stream = (struct eg_api_stream){.api = rq->api, .conn = rq->conn, .fd = rq->conn->fd};
	r = open_sieve(rq, eg_api_query(rq, "labels"), &stream->sieve);
	if (r < 0)
		return r;
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

/* Whether the event of a line has such labels. */
static bool chosen(const struct eg_labels *selector, const char *line, size_t len)
{
	json_t *event = json_loadb(line, len, 0, NULL);
	bool is = event && eg_labels_match(selector, json_object_get(event, "labels"));

	json_decref(event);
	return is;
}

/* Closes the gaps that lines leave which are not chosen; what is cut at the end stays behind them. */
static void sift(struct sieve *sieve)
{
	char *from = sieve->lines, *to = sieve->lines, *all = sieve->lines + sieve->len, *end;

	while ((end = memchr(from, '\n', (size_t)(all - from)))) {
		size_t len = (size_t)(++end - from);

		if (chosen(sieve->selector, from, len)) {
			memmove(to, from, len);
			to += len;
		}
		from = end;
	}
	sieve->passed = (size_t)(to - sieve->lines);
	memmove(to, from, (size_t)(all - from));
	sieve->len = sieve->passed + (size_t)(all - from);
}

/* As eg_events_query_read, of what is chosen. */
static int read_sifted(struct eg_api_stream *stream, char *buf, size_t size, size_t *ret_len)
{
	struct sieve *sieve = &stream->sieve;
	size_t len = 0;
	int r = EG_QUERY_MORE;

	if (!sieve->selector)
		return eg_events_query_read(stream->query, buf, size, ret_len);
	if (!sieve->passed) {
		if (sieve->len == LINE_BYTES)
			return -EBADMSG;
		r = eg_events_query_read(stream->query, sieve->lines + sieve->len, LINE_BYTES - sieve->len, &len);
		if (r < 0)
			return r;
		sieve->len += len;
		sift(sieve);
	}
	*ret_len = sieve->passed < size ? sieve->passed : size;
	memcpy(buf, sieve->lines, *ret_len);
	sieve->passed -= *ret_len;
	sieve->len -= *ret_len;
	memmove(sieve->lines, sieve->lines + *ret_len, sieve->len);
	return sieve->passed ? EG_QUERY_MORE : r;
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
		r = read_sifted(stream, buf, size, &len);
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

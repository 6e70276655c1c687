// SPDX-License-Identifier: Apache-2.0
#include "syslog_link.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "syslog_link_impl.h"

#define MS_NS	  1000000ull
#define S_NS	  (1000 * MS_NS)
#define SLICE_NS  (200 * MS_NS) /* how soon a wait sees that it has to stop */
#define UDP_AGE_NS (60 * S_NS) /* a name is looked up again that often */
#define CONNECT_NS (10 * S_NS)
#define STOP_NS	   (500 * MS_NS)

EG_DEFINE_CLEANUP(link, struct eg_syslog_link *, eg_syslog_link_free);

uint64_t eg_syslog_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * S_NS + (uint64_t)now.tv_nsec;
}

bool eg_syslog_fail(struct eg_result *result, enum eg_outcome outcome, const char *format, ...)
{
	va_list args;

	result->outcome = outcome;
	va_start(args, format);
	vsnprintf(result->error, sizeof(result->error), format, args);
	va_end(args);
	return false;
}

int eg_syslog_wait(const struct eg_syslog_link *link, short events, uint64_t deadline_ns)
{
	struct pollfd p = {.fd = link->fd, .events = events};

	for (;;) {
		uint64_t now = eg_syslog_now_ns();
		uint64_t wait = deadline_ns > now ? deadline_ns - now : 0;
		int n;

		if (atomic_load(link->stopping))
			return -ECANCELED;
		n = poll(&p, 1, (int)((wait < SLICE_NS ? wait + MS_NS - 1 : SLICE_NS) / MS_NS));
		if (n > 0)
			return p.revents;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (wait == 0)
			return 0;
	}
}

/* ---- Making and closing --------------------------------------------------------------- */

static const struct {
	const char *scheme;
	enum eg_syslog_transport transport;
	const char *port;
} schemes[] = {
	{"udp", EG_SYSLOG_UDP, "514"}, /* RFC 5426 */
	{"tcp", EG_SYSLOG_TCP, "514"}, /* no number is given in RFC 6587; receivers listen here */
	{"tls", EG_SYSLOG_TLS, "6514"}, /* RFC 5425 */
};

static int bad_url(struct eg_error *err, const struct eg_sink_config *config)
{
	return eg_error_set(err, 400, "bad_config",
			    "sink %s: url \"%s\" is not unix:/PATH, udp://HOST[:PORT], tcp://HOST[:PORT] "
			    "or tls://HOST[:PORT]", config->name, config->url ? config->url : "");
}

static int parse_unix(struct eg_syslog_link *link, const char *path, struct eg_error *err)
{
	while (path[0] == '/' && path[1] == '/')
		path++;
	if (path[0] != '/')
		return bad_url(err, link->config);
	link->transport = EG_SYSLOG_UNIX;
	link->path = strdup(path);
	if (!link->path)
		return -ENOMEM;
	snprintf(link->place, sizeof(link->place), "%s", path);
	return 0;
}

/* host: as libcurl gives it, with brackets around an IPv6 address. */
static int take_host(struct eg_syslog_link *link, const char *scheme, const char *host, const char *port)
{
	size_t i = 0, len = strlen(host);

	while (i < sizeof(schemes) / sizeof(*schemes) && strcmp(scheme, schemes[i].scheme) != 0)
		i++;
	if (i == sizeof(schemes) / sizeof(*schemes) || len == 0 || len > 255)
		return -EINVAL;
	link->transport = schemes[i].transport;
	snprintf(link->port, sizeof(link->port), "%s", port ? port : schemes[i].port);
	snprintf(link->place, sizeof(link->place), "%s:%s", host, link->port);
	link->host = host[0] == '[' ? strndup(host + 1, len - 2) : strdup(host);
	return link->host ? 0 : -ENOMEM;
}

static int parse_url(struct eg_syslog_link *link, struct eg_error *err)
{
	const char *url = link->config->url ? link->config->url : "";
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *parts;
	int r = -EINVAL;

	if (strncmp(url, "unix:", 5) == 0)
		return parse_unix(link, url + 5, err);
	parts = curl_url();
	if (!parts)
		return -ENOMEM;
	if (!curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) &&
	    !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) && !curl_url_get(parts, CURLUPART_HOST, &host, 0)) {
		curl_url_get(parts, CURLUPART_PORT, &port, 0);
		r = take_host(link, scheme, host, port);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return r == -EINVAL ? bad_url(err, link->config) : r;
}

int eg_syslog_link_new(const struct eg_sink_config *config, const atomic_bool *stopping, struct eg_syslog_link **ret,
		       struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_link) struct eg_syslog_link *link = NULL;
	int r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	link = calloc(1, sizeof(*link));
	if (!link) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	link->config = config;
	link->stopping = stopping;
	link->fd = -1;
	r = parse_url(link, err);
	if (r < 0)
		return r;
	r = link->transport == EG_SYSLOG_TLS ? eg_tls_files_check(config, err) : 0;
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(link);
	return 0;
}

static void close_link(struct eg_syslog_link *link)
{
	if (link->easy) {
		curl_multi_remove_handle(link->multi, link->easy);
		curl_easy_cleanup(link->easy);
	} else if (link->fd >= 0) {
		close(link->fd);
	}
	if (link->multi)
		curl_multi_cleanup(link->multi);
	link->easy = NULL;
	link->multi = NULL;
	link->fd = -1;
}

void eg_syslog_link_free(struct eg_syslog_link *link)
{
	if (!link)
		return;
	close_link(link);
	eg_syslog_socket_forget(link);
	free(link->path);
	free(link->host);
	free(link);
	curl_global_cleanup();
}

bool eg_syslog_link_is_datagram(const struct eg_syslog_link *link)
{
	return link->datagram;
}

/* ---- Open and whole? ------------------------------------------------------------------ */

/* True: nothing says that the receiver is gone. */
static bool is_whole(struct eg_syslog_link *link, struct eg_result *result)
{
	struct pollfd p = {.fd = link->fd, .events = POLLIN | POLLRDHUP};
	int error = 0;
	socklen_t len = sizeof(error);
	bool any;

	if (poll(&p, 1, 0) <= 0)
		return true;
	if (!link->datagram)
		return eg_syslog_stream_drain(link, &any, result);
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error)
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: %s", link->place, strerror(error));
	return true;
}

/*
 * With TLS 1.3 the receiver's word on our certificate comes a round trip after the handshake. A session ticket
 * means that it went well; a receiver that sends none is given a second to object.
 */
static bool hear_out(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	uint64_t until = eg_syslog_now_ns() + S_NS;
	bool came = false;

	while (!came) {
		int r = eg_syslog_wait(link, POLLIN | POLLRDHUP, until < deadline_ns ? until : deadline_ns);

		if (r == 0)
			return true;
		if (r < 0)
			return eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: told to stop", link->place);
		if (!eg_syslog_stream_drain(link, &came, result))
			return false;
	}
	return true;
}

/* A datagram socket does not hear that its receiver went and another came. */
static bool is_stale(const struct eg_syslog_link *link, uint64_t now)
{
	if (link->transport == EG_SYSLOG_UNIX)
		return link->datagram;
	return link->transport == EG_SYSLOG_UDP && now - link->opened_ns > UDP_AGE_NS;
}

static bool open_link(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	uint64_t until = eg_syslog_now_ns() + CONNECT_NS;

	if (until > deadline_ns)
		until = deadline_ns;
	if (link->transport == EG_SYSLOG_UNIX || link->transport == EG_SYSLOG_UDP)
		return eg_syslog_socket_open(link, until, result);
	return eg_syslog_stream_open(link, until, result) &&
	       (link->transport != EG_SYSLOG_TLS || hear_out(link, deadline_ns, result));
}

bool eg_syslog_link_ready(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	struct eg_result closed = {0};
	uint64_t now = eg_syslog_now_ns();

	/* What was wrong with the old link will be said again of the new one, if it still is. */
	if (link->fd >= 0 && (eg_tls_files_differ(link->config, &link->files) || is_stale(link, now) || !is_whole(link, &closed)))
		close_link(link);
	if (link->fd >= 0)
		return true;
	link->opened_ns = now;
	eg_tls_files_take(link->config, &link->files);
	if (open_link(link, deadline_ns, result))
		return true;
	close_link(link);
	return false;
}

/* ---- Sending -------------------------------------------------------------------------- */

/* A datagram, or as much of a stream as goes: bytes, or 0 with *result filled. */
static size_t write_some(struct eg_syslog_link *link, const char *bytes, size_t len, uint64_t deadline_ns,
			 struct eg_result *result)
{
	for (;;) {
		ssize_t n = link->easy ? eg_syslog_stream_write(link, bytes, len) :
					 send(link->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (!link->easy && n < 0)
			n = -errno;
		if (n > 0)
			return (size_t)n;
		if (n == -ENOBUFS) {
			/* The device's queue is full; poll doesn't know. */
			nanosleep(&(struct timespec){.tv_nsec = 5 * MS_NS}, NULL);
		} else if (n != -EAGAIN && n != -EINTR) {
			eg_syslog_fail(result, EG_OUTCOME_RETRY, "%s: the connection broke: %s", link->place,
				       n == -EIO ? link->said : strerror((int)-n));
			return 0;
		}
		r = eg_syslog_wait(link, POLLOUT, deadline_ns);
		if (r > 0 && eg_syslog_now_ns() < deadline_ns)
			continue;
		eg_syslog_fail(result, EG_OUTCOME_RETRY,
			       r < 0 ? "%s: told to stop" : "%s: takes no more: nothing could be sent in time",
			       link->place);
		return 0;
	}
}

/* Until all is out of our hands and in theirs. Told to stop, it waits a little yet: a batch in doubt goes twice. */
static bool await_ack(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	uint64_t step = MS_NS;
	int queued = 0;

	while (ioctl(link->fd, SIOCOUTQ, &queued) == 0 && queued > 0) {
		uint64_t now = eg_syslog_now_ns();

		if (atomic_load(link->stopping) && deadline_ns > now + STOP_NS)
			deadline_ns = now + STOP_NS;
		if (now >= deadline_ns)
			return eg_syslog_fail(result, EG_OUTCOME_RETRY,
					      "%s: no acknowledgement of %d bytes in time: "
					      "the receiver hangs, or the network", link->place, queued);
		if (!is_whole(link, result))
			return false;
		nanosleep(&(struct timespec){.tv_nsec = (long)step}, NULL);
		step = step * 2 < 20 * MS_NS ? step * 2 : 20 * MS_NS;
	}
	return is_whole(link, result);
}

size_t eg_syslog_link_send(struct eg_syslog_link *link, const char *bytes, const size_t *ends, size_t count,
			   uint64_t deadline_ns, struct eg_result *result)
{
	size_t total = ends[count - 1], at = 0, sent = 0;
	bool waited;

	while (at < total) {
		size_t end = link->datagram ? ends[sent] : total;
		size_t n = write_some(link, bytes + at, end - at, deadline_ns, result);

		if (n == 0)
			break;
		at += n;
		sent += link->datagram;
	}
	if (at == total && await_ack(link, deadline_ns, result))
		return count;
	close_link(link);
	/* Datagrams that a slow receiver took are its own; of a stream, or of one that went, nothing is sure. */
	waited = eg_syslog_now_ns() >= deadline_ns || atomic_load(link->stopping);
	return link->datagram && at < total && waited ? sent : 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "lookup_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/addr.h"

#define PREFIX 2 /* by TCP a message has its length in front */

static int connect_to(int fd, const struct eg_addr *resolver)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	bool v4 = eg_addr_v4mapped(resolver);

	memcpy(&in.sin_addr, &resolver->b[12], 4);
	memcpy(&in6.sin6_addr, resolver->b, 16);
	if (!connect(fd, v4 ? (const void *)&in : &in6, v4 ? sizeof(in) : sizeof(in6)))
		return 0;
	return errno == EINPROGRESS ? 0 : -errno;
}

/* Of a stream, as much as the kernel takes; while it is not connected yet, nothing. */
static int send_rest(struct eg_lookup_socket *s)
{
	ssize_t n = send(s->fd, s->query + s->sent, s->query_len - s->sent, MSG_NOSIGNAL);

	if (n < 0)
		return s->stream && (errno == EAGAIN || errno == ENOTCONN || errno == EINTR) ? 0 : -errno;
	s->sent += (size_t)n;
	return s->stream || s->sent == s->query_len ? 0 : -EIO;
}

int eg_lookup_dial(struct eg_lookup_socket *s, const struct eg_addr *resolver, bool stream, const uint8_t *query,
		   size_t len)
{
	size_t prefix = stream ? PREFIX : 0;
	int r;

	if (len > EG_DNS_QUERY_MAX)
		return -EMSGSIZE;
	s->stream = stream;
	s->sent = s->got = 0;
	s->query[0] = (uint8_t)(len >> 8);
	s->query[1] = (uint8_t)len;
	memcpy(s->query + prefix, query, len);
	s->query_len = prefix + len;
	s->fd = socket(eg_addr_v4mapped(resolver) ? AF_INET : AF_INET6,
		       (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = s->fd < 0 ? -errno : connect_to(s->fd, resolver);
	return r ? r : send_rest(s);
}

short eg_lookup_awaits(const struct eg_lookup_socket *s)
{
	return s->sent < s->query_len ? POLLOUT : POLLIN;
}

static ssize_t hear_datagram(struct eg_lookup_socket *s, const uint8_t **ret)
{
	ssize_t n = recv(s->fd, s->answer, EG_LOOKUP_MESSAGE_MAX, 0);

	*ret = s->answer;
	return n < 0 ? -errno : n;
}

static ssize_t hear_stream(struct eg_lookup_socket *s, const uint8_t **ret)
{
	size_t whole = s->got < PREFIX ? PREFIX : PREFIX + ((size_t)s->answer[0] << 8 | s->answer[1]);
	ssize_t n = recv(s->fd, s->answer + s->got, whole - s->got, 0);

	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	s->got += (size_t)n;
	if (s->got < whole || whole == PREFIX)
		return -EAGAIN; /* the length alone: what it tells of may be there already, and poll says so */
	*ret = s->answer + PREFIX;
	return (ssize_t)(whole - PREFIX);
}

ssize_t eg_lookup_hear(struct eg_lookup_socket *s, const uint8_t **ret)
{
	ssize_t n;
	int r;

	if (s->sent < s->query_len) {
		r = send_rest(s);
		return r ? r : -EAGAIN;
	}
	n = s->stream ? hear_stream(s, ret) : hear_datagram(s, ret);
	return n == -EINTR ? -EAGAIN : n;
}

void eg_lookup_hang_up(struct eg_lookup_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

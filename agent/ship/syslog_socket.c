// SPDX-License-Identifier: Apache-2.0
/* syslog_socket.c - links that need no libcurl: Unix sockets and UDP */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "syslog_link_impl.h"

#define SLICE_NS 200000000l

/* ---- Unix ----------------------------------------------------------------------------- */

static int connect_unix(struct eg_syslog_link *link, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	EG_CLOSE int fd = -1;

	if (strlen(link->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, link->path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	link->fd = EG_TAKE_FD(fd);
	link->datagram = type == SOCK_DGRAM;
	return 0;
}

/* As syslog(3) does: a datagram socket, and if it is of the other kind, a stream. */
static bool open_unix(struct eg_syslog_link *link, struct eg_result *result)
{
	int r = connect_unix(link, SOCK_DGRAM);

	if (r == -EPROTOTYPE)
		r = connect_unix(link, SOCK_STREAM);
	return r == 0 || eg_syslog_fail(result, EG_OUTCOME_RETRY, "can't connect to %s: %s", link->place, strerror(-r));
}

/* ---- UDP ------------------------------------------------------------------------------ */

static const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};

#ifdef __SANITIZE_THREAD__
/* The C library's own threads, which make an address look-up, crash in a build with TSan. */
static int look_up(const struct eg_syslog_link *link, uint64_t deadline_ns, struct addrinfo **ret)
{
	(void)deadline_ns;
	return getaddrinfo(link->host, link->port, &hints, ret);
}
#else
static int begin_lookup(struct eg_syslog_link *link)
{
	struct gaicb *list[1];
	int r;

	link->lookup = calloc(1, sizeof(*link->lookup));
	if (!link->lookup)
		return EAI_MEMORY;
	link->lookup->ar_name = link->host;
	link->lookup->ar_service = link->port;
	link->lookup->ar_request = &hints;
	list[0] = link->lookup;
	r = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (r)
		free(EG_TAKE_PTR(link->lookup));
	return r;
}

/*
 * An address look-up that can be left alone: getaddrinfo(3) may take half a minute. One that did not end in time
 * goes on, and the next try asks what became of it. EAI_INPROGRESS, or as getaddrinfo.
 */
static int look_up(struct eg_syslog_link *link, uint64_t deadline_ns, struct addrinfo **ret)
{
	static const struct addrinfo numeric = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
	const struct gaicb *list[1];
	int r;

	if (getaddrinfo(link->host, link->port, &numeric, ret) == 0)
		return 0;
	r = link->lookup ? 0 : begin_lookup(link);
	if (r)
		return r;
	list[0] = link->lookup;
	while ((r = gai_error(link->lookup)) == EAI_INPROGRESS) {
		if (atomic_load(link->stopping) || eg_syslog_now_ns() >= deadline_ns)
			return r;
		gai_suspend(list, 1, &(struct timespec){.tv_nsec = SLICE_NS});
	}
	*ret = link->lookup->ar_result;
	free(EG_TAKE_PTR(link->lookup));
	return r;
}
#endif

void eg_syslog_socket_forget(struct eg_syslog_link *link)
{
	if (!link->lookup)
		return;
	if (gai_error(link->lookup) == EAI_INPROGRESS && gai_cancel(link->lookup) != EAI_CANCELED) {
		/* Its thread goes on using these until it ends; the process is about to. */
		link->lookup = NULL;
		link->host = NULL;
		return;
	}
	if (gai_error(link->lookup) == 0)
		freeaddrinfo(link->lookup->ar_result);
	free(EG_TAKE_PTR(link->lookup));
}

static bool open_udp(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	struct addrinfo *found = NULL;
	int r = look_up(link, deadline_ns, &found), error = EADDRNOTAVAIL;

	if (r)
		return eg_syslog_fail(result, EG_OUTCOME_RETRY, "can't find the address of %s: %s", link->host,
				      r == EAI_INPROGRESS ? "no answer in time" : gai_strerror(r));
	for (struct addrinfo *a = found; a && link->fd < 0; a = a->ai_next) {
		EG_CLOSE int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			link->fd = EG_TAKE_FD(fd);
		else
			error = errno;
	}
	freeaddrinfo(found);
	link->datagram = true;
	return link->fd >= 0 ||
	       eg_syslog_fail(result, EG_OUTCOME_RETRY, "can't reach %s: %s", link->place, strerror(error));
}

bool eg_syslog_socket_open(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result)
{
	return link->transport == EG_SYSLOG_UNIX ? open_unix(link, result) : open_udp(link, deadline_ns, result);
}

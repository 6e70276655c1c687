/* SPDX-License-Identifier: Apache-2.0 */
/* syslog_link_impl.h - what syslog_link.c, syslog_socket.c and syslog_stream.c share */
#ifndef EG_SHIP_SYSLOG_LINK_IMPL_H
#define EG_SHIP_SYSLOG_LINK_IMPL_H

#include <curl/curl.h>
#include <netdb.h>
#include <sys/types.h>

#include "syslog_link.h"
#include "tls_files.h"

enum eg_syslog_transport { EG_SYSLOG_UNIX, EG_SYSLOG_UDP, EG_SYSLOG_TCP, EG_SYSLOG_TLS };

struct eg_syslog_link {
	const struct eg_sink_config *config;
	const atomic_bool *stopping;
	enum eg_syslog_transport transport;
	char *path; /* unix */
	char *host; /* else; without brackets */
	char port[8];
	char place[300]; /* for people: host:port, or path */

	int fd; /* -1: closed. Ours, or (with easy) libcurl's */
	bool datagram;
	uint64_t opened_ns;
	struct gaicb *lookup; /* udp: under way */
	CURLM *multi; /* tcp, tls, while open */
	CURL *easy;
	char said[CURL_ERROR_SIZE]; /* libcurl's words */
	struct eg_tls_files files; /* as they were when it was opened */
};

uint64_t eg_syslog_now_ns(void);

/* Fills *result and returns false. */
bool eg_syslog_fail(struct eg_result *result, enum eg_outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* poll(2) on the link's socket: what came of events, 0 when deadline_ns passed, -ECANCELED when stopping, -errno. */
int eg_syslog_wait(const struct eg_syslog_link *link, short events, uint64_t deadline_ns);

/* Open the closed link; false: *result says why, and the link may be half open. */
bool eg_syslog_socket_open(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result);
bool eg_syslog_stream_open(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result);

/* Frees what the look-up of a name left behind. */
void eg_syslog_socket_forget(struct eg_syslog_link *link);

/* Reads and drops what the receiver says, which is nothing as a rule. False: it closed the link, *result says how. */
bool eg_syslog_stream_drain(struct eg_syslog_link *link, bool *ret_came, struct eg_result *result);

/* As send(2) and recv(2), -errno; -EIO: link->said has the words. */
ssize_t eg_syslog_stream_write(struct eg_syslog_link *link, const char *bytes, size_t len);

#endif

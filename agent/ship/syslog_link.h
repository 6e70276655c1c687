/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog_link.h - the way to a syslog receiver: Unix socket, UDP, TCP or TLS
 *
 * Theory of operation. A link is closed or open. Before each batch eg_syslog_link_ready opens it, and opens it
 * anew when the receiver has closed it, or when a certificate file has changed. TCP and TLS are libcurl's
 * (CONNECT_ONLY, then curl_easy_send): name look-up, proxy and certificates behave as for the HTTP sinks.
 *
 * Syslog has no acknowledgement. What can be known is looked at: a batch counts as sent when the receiver's kernel
 * has acknowledged every byte (SIOCOUTQ is 0; with a Unix socket: when the receiver has read it) and the
 * connection is still whole after that. What a receiver had in its socket buffer when it died is lost; a batch in
 * doubt is sent again. With TLS 1.3 a receiver judges our certificate after the handshake has ended for us; so a
 * new link listens for a moment before it is called open.
 *
 * The process has to ignore SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
 */
#ifndef EG_SHIP_SYSLOG_LINK_H
#define EG_SHIP_SYSLOG_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

struct eg_syslog_link;

/* config and stopping are borrowed. Nothing is connected yet. -EINVAL with *err filled, -ENOMEM. */
int eg_syslog_link_new(const struct eg_sink_config *config, const atomic_bool *stopping, struct eg_syslog_link **ret,
		       struct eg_error *err);
void eg_syslog_link_free(struct eg_syslog_link *link);

/* A link to a whole receiver, before deadline_ns (CLOCK_MONOTONIC). False: *result says why. */
bool eg_syslog_link_ready(struct eg_syslog_link *link, uint64_t deadline_ns, struct eg_result *result);

/* One message a datagram; else a stream, in which each message is framed. Of an open link. */
bool eg_syslog_link_is_datagram(const struct eg_syslog_link *link);

/*
 * Messages one behind the other in bytes, number i ending at ends[i]. Returns how many surely went: count, or less,
 * and then *result says why and the link is closed.
 */
size_t eg_syslog_link_send(struct eg_syslog_link *link, const char *bytes, const size_t *ends, size_t count,
			   uint64_t deadline_ns, struct eg_result *result);

#endif

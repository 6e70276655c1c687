/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup_socket.h - one query on its way to one resolver, by UDP or by TCP (RFC 7766)
 *
 * Of the look-up helper. Never blocks, allocates nothing.
 */
#ifndef EG_CORE_LOOKUP_SOCKET_H
#define EG_CORE_LOOKUP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <egret/abi.h>

#include "../lib/dns_message.h"

#define EG_LOOKUP_MESSAGE_MAX 65535

struct eg_lookup_socket {
	int fd; /* -1: none */
	bool stream;
	uint8_t query[2 + EG_DNS_QUERY_MAX]; /* what is to be sent, its length in front for TCP */
	size_t query_len;
	size_t sent;
	uint8_t answer[2 + EG_LOOKUP_MESSAGE_MAX];
	size_t got;
};

/* Sends the query, or begins to: 0 or -errno. Connected, so that the kernel passes nothing of anybody else's. */
int eg_lookup_dial(struct eg_lookup_socket *s, const struct eg_addr *resolver, bool stream, const uint8_t *query,
		   size_t len);

/* What poll(2) is to wait for. */
short eg_lookup_awaits(const struct eg_lookup_socket *s);

/*
 * Goes on, once poll(2) said so. The length of a whole message, which *ret then points at until the next call;
 * -EAGAIN: not yet; another -errno: nothing more comes.
 */
ssize_t eg_lookup_hear(struct eg_lookup_socket *s, const uint8_t **ret);

void eg_lookup_hang_up(struct eg_lookup_socket *s);

#endif

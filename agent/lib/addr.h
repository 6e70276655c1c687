/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - IP addresses and prefixes in the one normal form: IPv4 as ::ffff:a.b.c.d
 */
#ifndef EG_LIB_ADDR_H
#define EG_LIB_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#define EG_ADDR_TEXT 64 /* room for an address or prefix as text, NUL included */

struct eg_cidr {
	struct eg_addr addr; /* bits beyond `bits` are zero */
	uint8_t bits; /* 0 .. 128; an IPv4 /n has 96 + n */
};

bool eg_addr_v4mapped(const struct eg_addr *addr);
bool eg_addr_loopback(const struct eg_addr *addr); /* 127.0.0.0/8 or ::1 */

/* "10.0.0.1", "fd00::1", "::ffff:10.0.0.1" (which is 10.0.0.1). -EINVAL. */
int eg_addr_from_text(const char *text, struct eg_addr *ret);
/* IPv4 dotted, IPv6 as in RFC 5952. Returns ret. */
const char *eg_addr_to_text(const struct eg_addr *addr, char ret[EG_ADDR_TEXT]);

/*
 * "10.20.0.0/16", "fd00::/8", or an address, which is a prefix of its whole length.
 * -EINVAL: not an address; -ERANGE: prefix length; -EDOM: host bits are set, then *ret is
 * the prefix with them cleared, for the message.
 */
int eg_cidr_from_text(const char *text, struct eg_cidr *ret);
/* Without the length where it is an address. Returns ret. */
const char *eg_cidr_to_text(const struct eg_cidr *cidr, char ret[EG_ADDR_TEXT]);
/* Whether outer holds all of inner. An IPv6 prefix never holds IPv4 (::/0 is IPv6 only). */
bool eg_cidr_covers(const struct eg_cidr *outer, const struct eg_cidr *inner);
/* Sorts by address, shorter prefix first. */
int eg_cidr_compare(const struct eg_cidr *a, const struct eg_cidr *b);

/* "10.0.0.1", "10.0.0.1:443", "[fd00::1]:443", "fd00::1". *ret_port is 0 without one. -EINVAL. */
int eg_addr_port_from_text(const char *text, struct eg_addr *ret, uint16_t *ret_port);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_out.h - the pieces JSON lines are made of, written straight into a buffer
 *
 * Each function writes at p and returns the byte after what it wrote. None checks for room:
 * the caller has reserved it, by the EG_OUT_* maxima. Nothing is NUL-terminated.
 */
#ifndef EG_CORE_EVENT_OUT_H
#define EG_CORE_EVENT_OUT_H

#include <stdint.h>
#include <string.h>

#include <egret/abi.h>

#define EG_OUT_U64_MAX    20
#define EG_OUT_TS_MAX     30 /* 2026-01-31T00:00:00.000000000Z: always all of it */
#define EG_OUT_ESCAPE_MAX 6 /* bytes out for each byte in */

/* Remembers the second that was last written as text; zero-initialised. */
struct eg_out_clock {
	uint64_t second;
	char text[24];
};

static inline char *eg_out_bytes(char *p, const void *from, size_t len)
{
	memcpy(p, from, len);
	return p + len;
}

/* A string literal, without its NUL. */
#define eg_out_lit(p, literal) eg_out_bytes((p), "" literal "", sizeof(literal) - 1)

char *eg_out_u64(char *p, uint64_t value);

/* RFC 3339, UTC, nanoseconds. */
char *eg_out_ts(char *p, struct eg_out_clock *clock, uint64_t utc_ns);

/* IPv4-mapped as dotted quad, IPv6 as in RFC 5952. */
char *eg_out_addr(char *p, const struct eg_addr *addr);

/* The inside of a JSON string from any bytes: escaped; what is not UTF-8 becomes U+FFFD. */
char *eg_out_escaped(char *p, const char *from, size_t len);

#endif

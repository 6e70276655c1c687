/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h - sizes, rates, spans and moments as people write them
 *
 * All return 0; -EINVAL: not that form; -EDOM: the number is fine, the unit is unknown (or
 * missing); -ERANGE: too large or zero. Numbers are decimal integers without sign.
 */
#ifndef EG_LIB_UNITS_H
#define EG_LIB_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "50MiB", "10 GB", "1024B", "1024": KiB MiB GiB TiB binary, kB MB GB TB decimal. 1 .. 2^47 bytes. */
int eg_units_bytes(const char *text, uint64_t *ret_bytes);
/* "10Mbit/s", "500kbit/s", "1Gbit/s": decimal. 8 bit/s .. 100 Gbit/s, in bits a second. */
int eg_units_bitrate(const char *text, uint64_t *ret_bits);
/* "500ms", "30s", "15m", "1h", "7d", "1h30m". In ns, 1 ms .. 10 years. */
int eg_units_span(const char *text, uint64_t *ret_ns);
/* "100/min", "5/s", "1000/h", "20/10s": *ret_count in *ret_per_ns. 1 .. 10^9. */
int eg_units_count_rate(const char *text, uint64_t *ret_count, uint64_t *ret_per_ns);
/* "100MiB/min": as above with bytes. */
int eg_units_bytes_rate(const char *text, uint64_t *ret_bytes, uint64_t *ret_per_ns);
/* RFC 3339 with an offset ("Z", "+02:00"), to ns; 1970 .. 2554. */
int eg_units_moment(const char *text, uint64_t *ret_utc_ns);

/* For people: "1.5 MiB", "12 B"; "1h 30m", "250 ms"; "2027-01-31T00:00:00Z" with ns if not 0. Return ret. */
const char *eg_units_bytes_text(uint64_t bytes, char *ret, size_t size);
const char *eg_units_span_text(uint64_t ns, char *ret, size_t size);
const char *eg_units_moment_text(uint64_t utc_ns, char *ret, size_t size);

#endif

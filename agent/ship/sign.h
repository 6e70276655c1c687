/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - proof to a webhook that a request is ours, whole, and of now
 *
 * X-Egret-Signature: t=UNIX,v1=HEX, where HEX is HMAC-SHA-256 over "UNIX.BODY" under the key, and BODY is what went
 * over the wire (packed, with "compression"). The receiver compares it in constant time, and refuses a t too old.
 */
#ifndef EG_SHIP_SIGN_H
#define EG_SHIP_SIGN_H

#include <stddef.h>
#include <stdint.h>

#define EG_SIGN_HEADER_MAX 128

void eg_sign_header(const char *key, int64_t unix_s, const void *body, size_t len, char ret[EG_SIGN_HEADER_MAX]);

#endif

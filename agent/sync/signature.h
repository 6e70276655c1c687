/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.h - Ed25519 over texts: "egret-signed-v1\n" and then the text's very bytes
 *
 * What is signed is a text inside of the document that carries it, so nothing depends on how a JSON is
 * written down. The words before it keep a key's other signatures from being taken for ours.
 */
#ifndef EG_SYNC_SIGNATURE_H
#define EG_SYNC_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define EG_SIGNATURE_DOMAIN "egret-signed-v1\n"
#define EG_SIGNATURE_TEXT 89 /* of base64, with NUL */

struct eg_public_key {
	uint8_t bytes[32];
};

/* PEM, as of `openssl pkey -pubout`. -EINVAL: no Ed25519 key. */
int eg_public_key_parse(const char *pem, struct eg_public_key *ret);
/* PEM, as of `openssl genpkey -algorithm ed25519`; the seed of 32 bytes. */
int eg_private_key_parse(const char *pem, uint8_t ret[32]);

/* Whether any of the keys made this signature (base64). */
int eg_signature_check(const struct eg_public_key *keys, size_t count, const char *text, size_t len,
		       const char *signature);
int eg_signature_make(const uint8_t seed[32], const char *text, size_t len, char ret[EG_SIGNATURE_TEXT]);

#endif

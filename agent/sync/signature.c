// SPDX-License-Identifier: Apache-2.0
#include "signature.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/eddsa.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"

/* ---- Keys: RFC 8410, in which everything but the key itself is fixed ---------------------------------------------- */

static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const uint8_t pkcs8[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
				0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

static int pem_parse(const char *pem, const char *label, const uint8_t *head, size_t head_len, uint8_t ret[32])
{
	char begin[64], end[64];
	struct base64_decode_ctx ctx;
	uint8_t der[128];
	size_t der_len = sizeof(der), text_len;
	const char *text, *stop;

	snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
	snprintf(end, sizeof(end), "-----END %s-----", label);
	text = strstr(pem, begin);
	if (!text)
		return -EINVAL;
	text += strlen(begin);
	stop = strstr(text, end);
	text_len = stop ? (size_t)(stop - text) : 0;
	if (!text_len || BASE64_DECODE_LENGTH(text_len) > sizeof(der))
		return -EINVAL;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &der_len, der, text_len, text) || !base64_decode_final(&ctx) ||
	    der_len != head_len + 32 || memcmp(der, head, head_len) != 0)
		return -EINVAL;
	memcpy(ret, der + head_len, 32);
	explicit_bzero(der, sizeof(der));
	return 0;
}

int eg_public_key_parse(const char *pem, struct eg_public_key *ret)
{
	return pem_parse(pem, "PUBLIC KEY", spki, sizeof(spki), ret->bytes);
}

int eg_private_key_parse(const char *pem, uint8_t ret[32])
{
	return pem_parse(pem, "PRIVATE KEY", pkcs8, sizeof(pkcs8), ret);
}

/* ---- Signatures ------------------------------------------------ */

static uint8_t *message_of(const char *text, size_t len, size_t *ret_len)
{
	const size_t domain = strlen(EG_SIGNATURE_DOMAIN);
	uint8_t *message = malloc(domain + len + 1);

	if (!message)
		return NULL;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes to be verified, no string */
	memcpy(message, EG_SIGNATURE_DOMAIN, domain);
	memcpy(message + domain, text, len);
	*ret_len = domain + len;
	return message;
}

int eg_signature_check(const struct eg_public_key *keys, size_t count, const char *text, size_t len,
		       const char *signature)
{
	uint8_t bytes[BASE64_DECODE_LENGTH(EG_SIGNATURE_TEXT)];
	size_t bytes_len = sizeof(bytes), message_len = 0;
	struct base64_decode_ctx ctx;
	EG_FREE uint8_t *message = NULL;

	if (strlen(signature) != EG_SIGNATURE_TEXT - 1)
		return -EBADMSG;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &bytes_len, bytes, EG_SIGNATURE_TEXT - 1, signature) ||
	    !base64_decode_final(&ctx) || bytes_len != ED25519_SIGNATURE_SIZE)
		return -EBADMSG;
	message = message_of(text, len, &message_len);
	if (!message)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (ed25519_sha512_verify(keys[i].bytes, message_len, message, bytes))
			return 0;
	}
	return -EBADMSG;
}

int eg_signature_make(const uint8_t seed[32], const char *text, size_t len, char ret[EG_SIGNATURE_TEXT])
{
	uint8_t public_key[ED25519_KEY_SIZE], bytes[ED25519_SIGNATURE_SIZE];
	size_t message_len = 0;
	EG_FREE uint8_t *message = message_of(text, len, &message_len);

	if (!message)
		return -ENOMEM;
	ed25519_sha512_public_key(public_key, seed);
	ed25519_sha512_sign(public_key, seed, message_len, message, bytes);
	base64_encode_raw(ret, sizeof(bytes), bytes);
	ret[EG_SIGNATURE_TEXT - 1] = '\0';
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "sign.h"

#include <inttypes.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>

void eg_sign_header(const char *key, int64_t unix_s, const void *body, size_t len, char ret[EG_SIGN_HEADER_MAX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx ctx;
	char moment[32];
	int at;

	snprintf(moment, sizeof(moment), "%" PRId64 ".", unix_s);
	hmac_sha256_set_key(&ctx, strlen(key), (const uint8_t *)key);
	hmac_sha256_update(&ctx, strlen(moment), (const uint8_t *)moment);
	hmac_sha256_update(&ctx, len, body);
	hmac_sha256_digest(&ctx, sizeof(digest), digest);
	explicit_bzero(&ctx, sizeof(ctx));
	at = snprintf(ret, EG_SIGN_HEADER_MAX, "X-Egret-Signature: t=%" PRId64 ",v1=", unix_s);
	for (size_t i = 0; i < sizeof(digest); i++)
		at += snprintf(ret + at, EG_SIGN_HEADER_MAX - (size_t)at, "%02x", digest[i]);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * proto_webhook.c - any receiver of NDJSON: POST to "url" as it is
 *
 * One event a line, each line with its newline. The content type can be chosen, since some receivers refuse
 * application/x-ndjson and take the same bytes as application/json. The proof is a status of 200 to 204, whatever
 * the body says; but not if the body is a page for browsers, which is a portal or a login in the receiver's place.
 *
 * Idempotency-Key is the same for the same batch, and for no other: the event's id if it is one, else a hash (SHA-256,
 * 32 hex digits) of all ids. A receiver that remembers it stores a batch once; every line also has its event's id.
 */
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "dialect.h"

#define NAME	  "Idempotency-Key: "
#define KEY_BYTES 16
#define ID_MAX	  128

static void render(const struct eg_sink_config *config, const struct eg_item *items, size_t count, struct eg_body *body)
{
	(void)config;
	for (size_t i = 0; i < count; i++) {
		eg_body_add(body, items[i].text, items[i].len);
		eg_body_text(body, "\n");
	}
}

static bool fits_header(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++) {
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	}
	return len && len <= ID_MAX;
}

static void header(const struct eg_sink_config *config, const struct eg_item *items, size_t count, char *ret,
		   size_t size)
{
	uint8_t digest[KEY_BYTES];
	struct sha256_ctx ctx;
	int len;

	(void)config;
	if (count == 1 && fits_header(items[0].id)) {
		snprintf(ret, size, NAME "%s", items[0].id);
		return;
	}
	sha256_init(&ctx);
	for (size_t i = 0; i < count; i++) /* each with its NUL, as the border */
		sha256_update(&ctx, strlen(items[i].id) + 1, (const uint8_t *)items[i].id);
	sha256_digest(&ctx, sizeof(digest), digest);
	len = snprintf(ret, size, NAME);
	for (size_t i = 0; i < sizeof(digest); i++)
		len += snprintf(ret + len, size - (size_t)len, "%02x", digest[i]);
}

static void judge(const struct eg_answer *answer, size_t count, struct eg_result *result)
{
	(void)count;
	if (!eg_answer_accepted(answer, result))
		return;
	if (eg_answer_is_page(answer))
		eg_answer_odd(answer, result);
	else
		result->outcome = EG_OUTCOME_DELIVERED;
}

const struct eg_dialect eg_dialect_webhook = {
	.scheme = "Bearer",
	.render = render,
	.header = header,
	.judge = judge,
};

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	return eg_dialect_open(&eg_dialect_webhook, config, stopping, ret, err);
}

const struct eg_protocol eg_protocol_webhook = {open_sink, eg_dialect_send, eg_dialect_close};

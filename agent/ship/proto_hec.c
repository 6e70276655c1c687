// SPDX-License-Identifier: Apache-2.0
/*
 * proto_hec.c - Splunk's HTTP event collector: POST /services/collector/event
 *
 * Without "ack", proof is {"code":0}: the events were parsed. With it, proof is the indexer's word. A channel (a random
 * UUID of this run) goes with each batch, the answer gives it a number, and that is asked for at /services/collector/ack
 * until it is true. Splunk does not tell duplicates apart. So a batch whose acknowledgement did not come in time is not
 * sent again at once: RETRY is answered, and when the same bytes come again, the question is asked again first. Only
 * after five minutes is the batch taken for lost, as when the collector was started anew, and sent once more.
 *
 * A token without acknowledgement says so only once it has taken a batch. From then on it is asked first whether it
 * acknowledges at all, so that a wrong setting costs one duplicate and not one each time.
 */
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../lib/cleanup.h"
#include "hec.h"
#include "speaker.h"

#define NS_PER_MS    1000000ull
#define LOST_NS	     (300 * 1000 * NS_PER_MS)
#define ASK_FIRST_NS (100 * NS_PER_MS) /* then twice that, and so on, up to ... */
#define ASK_MOST_NS  (2000 * NS_PER_MS)

struct hec {
	struct eg_speaker speaker; /* first: eg_dialect_... see only this */
	char channel[64]; /* the header's line */
	char *ack_url;
	bool doubted; /* the token took a batch without a number */

	/* The batch that waits for its acknowledgement. */
	bool waits;
	int64_t ack_id;
	uint64_t since_ns;
	uint8_t digest[SHA256_DIGEST_SIZE];
};

/* ---- Channel ------------------------------------------------------------------------------------------------ */

/* A UUID of version 4 (RFC 9562). */
static int make_channel(char *ret, size_t size, struct eg_error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return eg_error_set(err, 500, "no_random", "no random bytes for a channel: %s", strerror(errno));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(ret, size,
		 "X-Splunk-Request-Channel: %02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

/* ---- Acknowledgement --------------------------------------------------------------------------------------- */

/* Asks once. */
static enum eg_hec_ack ask(struct hec *hec, int64_t id, uint64_t deadline_ns, struct eg_result *result)
{
	char body[48];
	struct eg_answer answer;
	struct eg_http_request request = {
		.url = hec->ack_url,
		.content_type = "application/json",
		.header = hec->channel,
		.body = body,
		.len = (size_t)snprintf(body, sizeof(body), "{\"acks\":[%" PRId64 "]}", id),
		.answer_max = EG_HTTP_ANSWER_MAX,
		.deadline_ns = deadline_ns,
	};

	if (!eg_http_post(hec->speaker.http, &request, &answer, result))
		return EG_HEC_ACK_FAILED;
	return eg_hec_judge_ack(&answer, id, result);
}

/* Neither yes nor no: the batch stays, and is asked for again at the next try. */
static void tell_waiting(const struct hec *hec, struct eg_result *result)
{
	result->outcome = EG_OUTCOME_RETRY;
	snprintf(result->error, sizeof(result->error),
		 "%.80s took the batch, but has not acknowledged it as indexed yet (number %" PRId64 ")",
		 hec->speaker.config->url, hec->ack_id);
}

static void await(struct hec *hec, uint64_t deadline_ns, struct eg_result *result)
{
	enum eg_hec_ack ack;

	for (uint64_t pause = ASK_FIRST_NS;; pause = pause * 2 < ASK_MOST_NS ? pause * 2 : ASK_MOST_NS) {
		long status = result->status;

		*result = (struct eg_result){.items = result->items, .status = status};
		ack = ask(hec, hec->ack_id, deadline_ns, result);
		if (ack == EG_HEC_ACK_FAILED)
			return;
		if (ack == EG_HEC_ACK_YES)
			break;
		if (!eg_http_sleep(hec->speaker.http, pause, deadline_ns)) {
			tell_waiting(hec, result);
			return;
		}
	}
	hec->waits = false;
	result->outcome = EG_OUTCOME_DELIVERED;
	result->error[0] = '\0';
}

static void digest_of(const struct eg_body *body, uint8_t ret[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, body->len, (const uint8_t *)body->data);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

/* Is this the batch that waits, and not for too long yet? */
static bool is_waiting(const struct hec *hec, const uint8_t digest[SHA256_DIGEST_SIZE])
{
	return hec->waits && memcmp(hec->digest, digest, SHA256_DIGEST_SIZE) == 0 &&
	       eg_http_now_ns() - hec->since_ns < LOST_NS;
}

/* After a batch without a number: does the token acknowledge now? False: *result says why not. */
static bool acknowledges(struct hec *hec, uint64_t deadline_ns, struct eg_result *result)
{
	if (hec->doubted && ask(hec, 0, deadline_ns, result) == EG_HEC_ACK_FAILED)
		return false;
	hec->doubted = false;
	return true;
}

/* ---- protocol.h ------------------------------------------------------------------------------------------------ */

static void send_acked(struct hec *hec, size_t count, uint64_t deadline_ns, struct eg_result *result)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct eg_answer answer;

	digest_of(&hec->speaker.body, digest);
	if (is_waiting(hec, digest)) {
		await(hec, deadline_ns, result);
		return;
	}
	hec->waits = false;
	if (!acknowledges(hec, deadline_ns, result) ||
	    !eg_speaker_post(&hec->speaker, hec->channel, count, deadline_ns, &answer, result))
		return;
	eg_dialect_hec.judge(&answer, count, result);
	if (result->outcome != EG_OUTCOME_DELIVERED)
		return;
	hec->ack_id = eg_hec_ack_id(&answer, result);
	hec->doubted = hec->ack_id < 0;
	if (hec->doubted)
		return;
	hec->waits = true;
	hec->since_ns = eg_http_now_ns();
	memcpy(hec->digest, digest, sizeof(digest));
	await(hec, deadline_ns, result);
}

static void send_items(void *sink, const struct eg_item *items, size_t count, struct eg_result *result)
{
	struct hec *hec = sink;
	uint64_t deadline = eg_http_now_ns() + hec->speaker.config->timeout_ns;

	if (!hec->speaker.config->ack) {
		eg_dialect_send(&hec->speaker, items, count, result);
		return;
	}
	if (eg_speaker_render(&hec->speaker, items, count, result))
		send_acked(hec, count, deadline, result);
	eg_speaker_rest(&hec->speaker);
}

static void close_sink(void *sink)
{
	struct hec *hec = sink;

	if (!hec)
		return;
	eg_speaker_close(&hec->speaker);
	free(hec->ack_url);
	free(hec);
}

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	struct hec *hec = calloc(1, sizeof(*hec));
	int r = -ENOMEM;

	if (hec)
		hec->ack_url = eg_dialect_url(&eg_dialect_hec, config->url, "/services/collector/ack");
	if (!hec || !hec->ack_url)
		eg_error_set(err, 500, "no_memory", "no memory is left for a sink");
	else
		r = make_channel(hec->channel, sizeof(hec->channel), err);
	if (!r)
		r = eg_speaker_open(&hec->speaker, &eg_dialect_hec, config, stopping, err);
	if (r)
		close_sink(hec);
	else
		*ret = hec;
	return r;
}

const struct eg_protocol eg_protocol_hec = {open_sink, send_items, close_sink};

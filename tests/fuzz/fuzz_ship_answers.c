// SPDX-License-Identifier: Apache-2.0
/*
 * Any answer of an HTTP receiver: a verdict that is one of those there are, words that are one printable line, each
 * item judged if any is, "delivered" only with a status that can mean it, and the secret never repeated.
 *
 * The first line is PROTOCOL STATUS COUNT; the rest is the body, also read as the value of a header.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/ship/dialect.h"
#include "../../agent/ship/hec.h"

#define COUNT_MAX 16
#define SECRET	  "s3cret"

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

static const struct eg_dialect *const dialects[] = {&eg_dialect_hec, &eg_dialect_elastic, &eg_dialect_otlp,
						    &eg_dialect_loki, &eg_dialect_webhook};

static void check_words(const struct eg_result *result)
{
	CHECK(result->outcome < EG_OUTCOME_COUNT_);
	CHECK(memchr(result->error, '\0', sizeof(result->error)));
	CHECK(!strstr(result->error, SECRET));
	for (const char *c = result->error; *c; c++)
		CHECK(*c >= ' ' && *c <= '~');
}

static void check_result(const struct eg_answer *answer, const struct eg_result *result, size_t count)
{
	bool delivered = result->outcome == EG_OUTCOME_DELIVERED;

	check_words(result);
	CHECK(delivered == !result->error[0]);
	CHECK(!delivered || (answer->status >= 200 && answer->status <= 204 && !answer->cut));
	CHECK(!result->has_items || (answer->status >= 200 && answer->status <= 204));
	for (size_t i = 0; result->has_items && i < count; i++) {
		CHECK(result->items[i] < EG_OUTCOME_COUNT_);
		CHECK(!delivered || result->items[i] == EG_OUTCOME_DELIVERED);
	}
}

static void check_acknowledgement(const struct eg_answer *answer)
{
	enum eg_outcome item;
	struct eg_result result = {.items = &item};
	enum eg_hec_ack ack = eg_hec_judge_ack(answer, 7, &result);

	CHECK(ack != EG_HEC_ACK_YES || answer->status == 200);
	if (ack == EG_HEC_ACK_FAILED) {
		CHECK(result.outcome == EG_OUTCOME_RETRY || result.outcome == EG_OUTCOME_PAUSE);
		check_words(&result);
	}
	result = (struct eg_result){.items = &item};
	if (eg_hec_ack_id(answer, &result) < 0)
		check_words(&result);
}

static void check_all(const struct eg_answer *answer, const struct eg_dialect *dialect, size_t count)
{
	enum eg_outcome *items = malloc(count * sizeof(*items)); /* the sanitizer sees what is written past its end */
	struct eg_result result = {.items = items};

	CHECK(items);
	memset(items, 0x7f, count * sizeof(*items)); /* what is not judged is seen, too */
	dialect->judge(answer, count, &result);
	check_result(answer, &result, count);
	free(items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *body;
	unsigned protocol, status, count;
	struct eg_answer answer;
	int used = 0;

	CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (sscanf(text, "%1u %3u %2u%n", &protocol, &status, &count, &used) == 3 && text[used] == '\n') {
		body = text + used + 1;
		answer = (struct eg_answer){
			.peer = "siem:1",
			.status = (long)status,
			.body = body,
			.len = size - (size_t)used - 1,
			.cut = protocol > 4,
			.location = "https://elsewhere/" SECRET,
			.retry_after_ns = eg_answer_retry_after(body, body, 1),
			.secrets = {SECRET},
		};
		CHECK(answer.retry_after_ns <= EG_ANSWER_RETRY_MAX_NS);
		check_all(&answer, dialects[protocol % 5], 1 + count % COUNT_MAX);
		check_acknowledgement(&answer);
	}
	free(text);
	return 0;
}

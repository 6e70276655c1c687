// SPDX-License-Identifier: Apache-2.0
/* What each answer proves, and what is said of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "../../agent/ship/dialect.h"
#include "../../agent/ship/failure.h"
#include "../../agent/ship/hec.h"

#define S 1000000000ull

static enum eg_outcome items[8];

static struct eg_answer answer(long status, const char *body)
{
	return (struct eg_answer){
		.peer = "siem:8088", .status = status, .body = body, .len = strlen(body), .location = ""};
}

static struct eg_result judge(const struct eg_dialect *dialect, const struct eg_answer *given, size_t count)
{
	struct eg_result result = {.items = items};

	dialect->judge(given, count, &result);
	assert_int_equal(result.status, given->status);
	assert_int_equal(result.error[0] == '\0', result.outcome == EG_OUTCOME_DELIVERED);
	return result;
}

static enum eg_outcome outcome(const struct eg_dialect *dialect, long status, const char *body)
{
	struct eg_answer given = answer(status, body);

	return judge(dialect, &given, 2).outcome;
}

static const struct eg_dialect *const dialects[] = {&eg_dialect_hec, &eg_dialect_elastic, &eg_dialect_otlp,
						    &eg_dialect_loki, &eg_dialect_webhook};
#define DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

/* ---- Status -------------------------------------------------------------------------------------------------- */

/* Every status there can be: delivered only where it is a success, poison only where events can be the cause. */
static void every_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALECTS; i++) {
		for (long status = 100; status < 1000; status++) {
			struct eg_answer given = answer(status, "{\"code\":0}");
			struct eg_result result = judge(dialects[i], &given, 1);

			if (result.outcome == EG_OUTCOME_DELIVERED)
				assert_in_range(status, 200, 204);
			if (result.outcome == EG_OUTCOME_SPLIT)
				assert_true(status == 400 || status == 413 || status == 422);
			if (status >= 500 || status == 408 || status == 425 || status == 429)
				assert_int_equal(result.outcome, EG_OUTCOME_RETRY);
			if ((status >= 300 && status < 400) || status == 401 || status == 403 || status == 404)
				assert_int_equal(result.outcome, EG_OUTCOME_PAUSE);
		}
	}
}

static void says_what_came_back(void **state)
{
	struct eg_answer given = answer(503, " Server is\r\n\tbusy \x1b[31m\xc3\xa9 ");
	struct eg_result result;

	(void)state;
	given.retry_after_ns = 7 * S;
	result = judge(&eg_dialect_hec, &given, 1);
	assert_string_equal(result.error, "siem:8088 is too busy, or down (503): Server is busy [31m??");
	assert_int_equal(result.retry_after_ns, 7 * S);
	given = answer(302, "");
	given.location = "https://login.example/";
	assert_string_equal(
		judge(&eg_dialect_loki, &given, 1).error,
		"siem:8088 sends us elsewhere, which is never followed; see \"url\" (302): https://login.example/");
	given = answer(200, "\xef\xbb\xbf \n<HTML><body>Sign in");
	assert_string_equal(judge(&eg_dialect_webhook, &given, 1).error,
			    "siem:8088 gives an answer that is not one of such a receiver (200): a page for browsers");
}

static void repeats_no_secret(void **state)
{
	char body[600] = "";
	struct eg_answer given = answer(401, body);

	(void)state;
	given.secrets[0] = "s3cret-token";
	given.secrets[1] = "czNjcmV0";
	snprintf(body, sizeof(body), "bad s3cret-token, s3cret-tokens3cret-token, czNjcmV0");
	given.len = strlen(body);
	assert_string_equal(judge(&eg_dialect_otlp, &given, 1).error,
			    "siem:8088 refuses our credentials (401): bad ***, ******, ***");
	for (size_t before = 220; before < 260; before++) { /* over the end of what is shown */
		snprintf(body, sizeof(body), "%*s%s", (int)before, "", "s3cret-token");
		memset(body, '.', before);
		given.len = strlen(body);
		assert_null(strstr(judge(&eg_dialect_otlp, &given, 1).error, "s3"));
	}
}

static void too_long_an_answer(void **state)
{
	struct eg_answer given = answer(200, "{\"code\":0}");

	(void)state;
	given.cut = true;
	for (size_t i = 0; i < DIALECTS; i++)
		assert_int_equal(judge(dialects[i], &given, 1).outcome, EG_OUTCOME_RETRY);
	assert_int_equal(judge(&eg_dialect_elastic, &given, 2).outcome, EG_OUTCOME_SPLIT); /* halves are told apart */
	assert_int_equal(judge(&eg_dialect_hec, &given, 2).outcome, EG_OUTCOME_RETRY);
	given.status = 401; /* a page that long still refuses us */
	assert_int_equal(judge(&eg_dialect_otlp, &given, 1).outcome, EG_OUTCOME_PAUSE);
}

static void retry_after(void **state)
{
	const char *date = "Wed, 21 Oct 2026 07:28:00 GMT";
	const int64_t now = 1792567680; /* the same */

	(void)state;
	assert_int_equal(eg_answer_retry_after("", "", now), 0);
	assert_int_equal(eg_answer_retry_after("0", "", now), 0);
	assert_int_equal(eg_answer_retry_after("120", "", now), 120 * S);
	assert_int_equal(eg_answer_retry_after("3601", "", now), 3600 * S);
	assert_int_equal(eg_answer_retry_after("99999999999999999999999", "", now), 3600 * S);
	assert_int_equal(eg_answer_retry_after("-5", "", now), 0);
	assert_int_equal(eg_answer_retry_after("soon", "", now), 0);
	assert_int_equal(eg_answer_retry_after("Wed, 21 Oct 2026 07:29:00 GMT", "", now), 60 * S);
	assert_int_equal(eg_answer_retry_after("Wednesday, 21-Oct-26 07:29:00 GMT", "", now), 60 * S);
	assert_int_equal(eg_answer_retry_after("Wed Oct 21 07:29:00 2026", "", now), 60 * S);
	assert_int_equal(eg_answer_retry_after("Wed, 21 Oct 2026 07:27:00 GMT", "", now), 0);
	/* Our clock is a day ahead, or back: the receiver's own counts. */
	assert_int_equal(eg_answer_retry_after("Wed, 21 Oct 2026 07:29:00 GMT", date, now + 86400), 60 * S);
	assert_int_equal(eg_answer_retry_after("Wed, 21 Oct 2026 07:29:00 GMT", date, now - 86400), 60 * S);
	assert_int_equal(eg_answer_retry_after("Wed, 21 Oct 2026 07:29:00 GMT", "rubbish", now), 60 * S);
}

/* ---- HEC -------------------------------------------------------------------------------------------------------- */

static void hec(void **state)
{
	const struct eg_dialect *d = &eg_dialect_hec;

	(void)state;
	assert_int_equal(outcome(d, 200, "{\"text\":\"Success\",\"code\":0}"), EG_OUTCOME_DELIVERED);
	assert_int_equal(outcome(d, 200, "{\"text\":\"Success\",\"code\":0,\"ackId\":7}"), EG_OUTCOME_DELIVERED);
	assert_int_equal(outcome(d, 200, ""), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(d, 200, "{}"), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(d, 200, "{\"code\":\"0\"}"), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(d, 200, "[{\"code\":0}]"), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(d, 204, ""), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(d, 400, "{\"text\":\"Invalid data format\",\"code\":6}"), EG_OUTCOME_SPLIT);
	assert_int_equal(outcome(d, 400, "{\"text\":\"No data\",\"code\":5}"), EG_OUTCOME_SPLIT);
	assert_int_equal(outcome(d, 400, "{\"text\":\"Incorrect index\",\"code\":7}"), EG_OUTCOME_PAUSE);
	assert_int_equal(outcome(d, 400, "{\"text\":\"ACK is disabled\",\"code\":14}"), EG_OUTCOME_PAUSE);
	assert_int_equal(outcome(d, 403, "{\"text\":\"Invalid token\",\"code\":4}"), EG_OUTCOME_PAUSE);
	assert_int_equal(outcome(d, 503, "{\"text\":\"Server is busy\",\"code\":9}"), EG_OUTCOME_RETRY);
}

static enum eg_hec_ack ask(long status, const char *body, int64_t id, enum eg_outcome *ret)
{
	struct eg_answer given = answer(status, body);
	struct eg_result result = {.items = items};
	enum eg_hec_ack ack = eg_hec_judge_ack(&given, id, &result);

	*ret = result.outcome;
	return ack;
}

static void hec_acknowledges(void **state)
{
	struct eg_result result = {.items = items};
	struct eg_answer given = answer(200, "{\"code\":0,\"ackId\":7}");
	enum eg_outcome then;

	(void)state;
	assert_int_equal(eg_hec_ack_id(&given, &result), 7);
	given = answer(200, "{\"code\":0}");
	assert_int_equal(eg_hec_ack_id(&given, &result), -1);
	assert_int_equal(result.outcome, EG_OUTCOME_PAUSE);
	assert_int_equal(ask(200, "{\"acks\":{\"7\":true}}", 7, &then), EG_HEC_ACK_YES);
	assert_int_equal(ask(200, "{\"acks\":{\"7\":false}}", 7, &then), EG_HEC_ACK_NOT_YET);
	assert_int_equal(ask(200, "{\"acks\":{\"8\":true}}", 7, &then), EG_HEC_ACK_NOT_YET);
	assert_int_equal(ask(200, "{\"acks\":{\"7\":1}}", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(then, EG_OUTCOME_RETRY);
	assert_int_equal(ask(200, "{\"acks\":[true]}", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(ask(204, "", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(then, EG_OUTCOME_RETRY);
	assert_int_equal(ask(400, "{\"code\":6}", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(then, EG_OUTCOME_RETRY); /* no poison: it is the question that was bad */
	assert_int_equal(ask(400, "{\"code\":14}", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(then, EG_OUTCOME_PAUSE);
	assert_int_equal(ask(503, "", 7, &then), EG_HEC_ACK_FAILED);
	assert_int_equal(then, EG_OUTCOME_RETRY);
}

/* ---- _bulk -------------------------------------------------------------------------------------------------------- */

#define BULK(...)    "{\"errors\":true,\"items\":[" __VA_ARGS__ "]}"
#define ITEM(status) "{\"create\":{\"status\":" #status "}}"
#define FAILED(status, type)                                                                                           \
	"{\"create\":{\"status\":" #status ",\"error\":{\"type\":\"" type "\",\"reason\":\"why\"}}}"

static void bulk_by_item(void **state)
{
	static const enum eg_outcome expected[] = {EG_OUTCOME_DELIVERED, EG_OUTCOME_DELIVERED, EG_OUTCOME_RETRY,
						   EG_OUTCOME_RETRY,	 EG_OUTCOME_SPLIT,     EG_OUTCOME_PAUSE,
						   EG_OUTCOME_PAUSE};
	struct eg_answer given = answer(
		200,
		BULK(ITEM(201) "," ITEM(409) "," ITEM(429) "," ITEM(503) "," FAILED(400, "document_parsing_exception") "," FAILED(
			400, "index_closed_exception") "," FAILED(403, "cluster_block_exception")));
	struct eg_result result = judge(&eg_dialect_elastic, &given, 7);

	(void)state;
	assert_true(result.has_items);
	assert_memory_equal(items, expected, sizeof(expected));
	assert_int_equal(result.outcome, EG_OUTCOME_PAUSE);
	assert_string_equal(
		result.error,
		"siem:8088 refuses some events (200): 5 of 7, the first with 400 index_closed_exception: why");
	given = answer(200, BULK(ITEM(200) "," FAILED(400, "x")));
	assert_int_equal(judge(&eg_dialect_elastic, &given, 2).outcome, EG_OUTCOME_SPLIT);
	given = answer(200, BULK(FAILED(400, "x") "," ITEM(429)));
	assert_int_equal(judge(&eg_dialect_elastic, &given, 2).outcome, EG_OUTCOME_RETRY);
}

static void bulk_needs_all(void **state)
{
	static const char *const odd[] = {
		"",
		"{}",
		"null",
		"[]",
		BULK(),
		BULK(ITEM(201)),
		BULK(ITEM(201) "," ITEM(201) "," ITEM(201)),
		BULK("{},{}"),
		BULK(ITEM(201) ",{\"create\":{}}"),
		BULK(ITEM(201) ",{\"create\":{\"status\":\"201\"}}"),
		BULK(ITEM(201) ",7"),
		BULK(ITEM(201) ",{\"create\":{\"status\":201},\"x\":{\"status\":201}}"),
		BULK(ITEM(201) "," ITEM(201)) "x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct eg_answer given = answer(200, odd[i]);
		struct eg_result result = judge(&eg_dialect_elastic, &given, 2);

		assert_int_equal(result.outcome, EG_OUTCOME_RETRY);
		assert_false(result.has_items);
	}
	assert_int_equal(outcome(&eg_dialect_elastic, 200, BULK(ITEM(201) "," ITEM(409))), EG_OUTCOME_DELIVERED);
}

/* ---- OTLP, Loki, webhook ------------------------------------------------------------------------------------------ */

static void otlp(void **state)
{
	static const char *const good[] = {
		"",
		" \n",
		"{}",
		"{\"partialSuccess\":{}}",
		"{\"partialSuccess\":null}",
		"{\"partialSuccess\":{\"rejectedLogRecords\":\"0\",\"errorMessage\":\"warning\"}}"};
	static const char *const odd[] = {"ok",
					  "[]",
					  "<html>",
					  "{\"partialSuccess\":7}",
					  "{\"partialSuccess\":{\"rejectedLogRecords\":\"x\"}}",
					  "{\"partialSuccess\":{\"rejectedLogRecords\":\"-1\"}}",
					  "{\"partialSuccess\":{\"rejectedLogRecords\":[]}}"};
	struct eg_answer given = answer(200, "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\"}}");
	struct eg_result result = judge(&eg_dialect_otlp, &given, 2);

	(void)state;
	assert_true(result.has_items);
	assert_int_equal(items[0], EG_OUTCOME_SPLIT);
	assert_int_equal(items[1], EG_OUTCOME_SPLIT);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(outcome(&eg_dialect_otlp, 200, good[i]), EG_OUTCOME_DELIVERED);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_int_equal(outcome(&eg_dialect_otlp, 200, odd[i]), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(&eg_dialect_otlp, 204, ""), EG_OUTCOME_DELIVERED);
}

static void loki_and_webhook(void **state)
{
	(void)state;
	assert_int_equal(outcome(&eg_dialect_loki, 204, ""), EG_OUTCOME_DELIVERED);
	assert_int_equal(outcome(&eg_dialect_loki, 200, "ok"), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(&eg_dialect_loki, 260, ""), EG_OUTCOME_PAUSE);
	assert_int_equal(outcome(&eg_dialect_loki, 400, "entry too far behind"), EG_OUTCOME_SPLIT);
	assert_int_equal(outcome(&eg_dialect_webhook, 202, "whatever"), EG_OUTCOME_DELIVERED);
	assert_int_equal(outcome(&eg_dialect_webhook, 200, "<!DOCTYPE html>"), EG_OUTCOME_RETRY);
	assert_int_equal(outcome(&eg_dialect_webhook, 207, ""), EG_OUTCOME_PAUSE);
}

/* ---- No answer ------------------------------------------------------------------------------------------------------ */

static void check_failure(struct eg_failure failure, enum eg_outcome expected, const char *words)
{
	struct eg_result result = {0};

	failure.peer = "siem:8088";
	failure.timeout_ns = 30 * S;
	failure.detail = failure.detail ? failure.detail : "";
	eg_failure_tell(&failure, &result);
	assert_int_equal(result.outcome, expected);
	assert_string_equal(result.error, words);
}

#define CHECK(expected, words, ...) check_failure((struct eg_failure){__VA_ARGS__}, EG_OUTCOME_##expected, words)

static void failures(void **state)
{
	(void)state;
	CHECK(RETRY, "connection refused by siem:8088", .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED);
	CHECK(RETRY, "connection refused by proxy:3128", .code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED,
	      .proxy = "proxy:3128");
	CHECK(RETRY, "no connection to siem:8088: No route to host", .code = CURLE_COULDNT_CONNECT,
	      .os_errno = EHOSTUNREACH);
	CHECK(RETRY, "no address is known for the name of siem:8088", .code = CURLE_COULDNT_RESOLVE_HOST);
	CHECK(RETRY, "no answer within 30s from siem:8088", .code = CURLE_OPERATION_TIMEDOUT, .connected = true);
	CHECK(RETRY, "no connection within 30s to siem:8088", .code = CURLE_OPERATION_TIMEDOUT);
	CHECK(RETRY, "stopped while waiting for siem:8088", .code = CURLE_ABORTED_BY_CALLBACK, .stopped = true);
	CHECK(PAUSE, "certificate of siem:8088 has expired: x", .code = CURLE_PEER_FAILED_VERIFICATION, .verify = 10,
	      .detail = "x");
	CHECK(PAUSE, "certificate of siem:8088 is for another host: ?", .code = CURLE_PEER_FAILED_VERIFICATION,
	      .detail = "\x1b");
	CHECK(RETRY, "siem:8088 broke off while TLS began", .code = CURLE_SSL_CONNECT_ERROR, .os_errno = ECONNRESET);
	CHECK(PAUSE, "no TLS with siem:8088: wrong version number", .code = CURLE_SSL_CONNECT_ERROR,
	      .detail = "wrong version number");
	CHECK(PAUSE,
	      "siem:8088 refuses our certificate, or wants one; see \"tls.cert\": tlsv13 alert certificate required",
	      .code = CURLE_RECV_ERROR, .connected = true, .detail = "tlsv13 alert certificate required");
	CHECK(RETRY, "siem:8088 broke off before its answer was whole: Recv failure", .code = CURLE_RECV_ERROR,
	      .detail = "Recv failure");
	CHECK(PAUSE, "the proxy proxy:3128 does not let us through to siem:8088 (407)", .code = CURLE_RECV_ERROR,
	      .proxy = "proxy:3128", .connect_status = 407);
	CHECK(RETRY, "the proxy proxy:3128 has no way to siem:8088 (502)", .code = CURLE_RECV_ERROR,
	      .proxy = "proxy:3128", .connect_status = 502);
}

/* A connection that ends under TLS may have been refused; one that says why, or had no TLS, was not. */
static void lost_refusals(void **state)
{
	struct eg_failure failure = {.code = CURLE_SEND_ERROR, .tls = true, .detail = "Broken pipe"};

	(void)state;
	assert_true(eg_failure_may_be_refusal(&failure));
	failure.detail = "tlsv1 alert unknown ca";
	assert_false(eg_failure_may_be_refusal(&failure));
	failure.detail = "";
	failure.tls = false;
	assert_false(eg_failure_may_be_refusal(&failure));
	failure = (struct eg_failure){.code = CURLE_OPERATION_TIMEDOUT, .tls = true, .detail = ""};
	assert_false(eg_failure_may_be_refusal(&failure));
}

/* Whatever libcurl says, no event is dropped for it. */
static void no_failure_drops(void **state)
{
	(void)state;
	for (int code = 1; code < CURL_LAST; code++) {
		struct eg_failure failure = {.code = (CURLcode)code, .peer = "p", .detail = ""};
		struct eg_result result = {0};

		eg_failure_tell(&failure, &result);
		assert_true(result.outcome == EG_OUTCOME_RETRY || result.outcome == EG_OUTCOME_PAUSE);
		assert_true(result.error[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status),	     cmocka_unit_test(says_what_came_back),
		cmocka_unit_test(repeats_no_secret), cmocka_unit_test(too_long_an_answer),
		cmocka_unit_test(retry_after),	     cmocka_unit_test(hec),
		cmocka_unit_test(hec_acknowledges),  cmocka_unit_test(bulk_by_item),
		cmocka_unit_test(bulk_needs_all),    cmocka_unit_test(otlp),
		cmocka_unit_test(loki_and_webhook),  cmocka_unit_test(failures),
		cmocka_unit_test(lost_refusals),     cmocka_unit_test(no_failure_drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

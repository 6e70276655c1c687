// SPDX-License-Identifier: Apache-2.0
/*
 * Malformed and oversize requests: each is refused in JSON, with the status that says why.
 */
#include "api_tests.h"

static void test_heads(void **state)
{
	static const struct {
		const char *bytes;
		enum eg_api_head want;
		int status;
	} cases[] = {
		{"", EG_API_HEAD_MORE, 0},
		{"GET", EG_API_HEAD_MORE, 0},
		{"GET / HTTP/1.1\r", EG_API_HEAD_MORE, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\n", EG_API_HEAD_MORE, 0},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest\n\1", EG_API_HEAD_WHOLE, 0},
		{"GET / HTTP/1.0\r\n\r\n", EG_API_HEAD_WHOLE, 0},
		{"GET /?a=%41&b HTTP/1.1\r\nhost:\r\nX-Y:\t\xc3\xa9\r\nContent-Length:  12\r\n\r\n", EG_API_HEAD_WHOLE, 0},
		{"GET / HTTP/1.1\r\n\r\n", EG_API_HEAD_BAD, 400},
		{"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\nHost: x\n\n", EG_API_HEAD_BAD, 400},
		{"GET /\r", EG_API_HEAD_MORE, 0},
		{"GET /\rx", EG_API_HEAD_BAD, 400},
		{"GET /\r\n", EG_API_HEAD_BAD, 400},
		{"GET  / HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1 \r\n", EG_API_HEAD_BAD, 400},
		{"G(T / HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GETGETGETGETGETGE / HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET * HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET http://x/ HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /# HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /% HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /%4 HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /%4g HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /%00 HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /\xff HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET /\177 HTTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / FTP/1.1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/2.0\r\n", EG_API_HEAD_BAD, 505},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", EG_API_HEAD_BAD, 400},
		{"\x16\x03\x01", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost x\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost : x\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\n: x\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: +1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1 2\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1 \r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: \r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1234567890123456789\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", EG_API_HEAD_BAD, 411},
		{"GET / HTTP/1.1\r\nA: b\1\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 00\r\n\r\n{}", EG_API_HEAD_BAD, 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=\"\r\n", EG_API_HEAD_BAD, 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_error err = {0};
		size_t len = strlen(cases[i].bytes);

		if (eg_api_head_check(cases[i].bytes, len, false, &err) != cases[i].want || err.status != cases[i].status)
			fail_msg("case %zu: %d %s", i, err.status, err.message);
		if (cases[i].want == EG_API_HEAD_MORE)
			assert_int_equal(eg_api_head_check(cases[i].bytes, len, true, &err), EG_API_HEAD_BAD);
	}
	/* And over the socket: refused at once, in JSON, without waiting for more. */
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (cases[i].want == EG_API_HEAD_BAD) {
			struct answer a;

			say(cases[i].bytes, strlen(cases[i].bytes), false, &a);
			check_error(&a, cases[i].status, answer_text(&a, "code"));
			answer_free(&a);
		}
	assert_true(answers());
}

static void test_head_sizes(void **state)
{
	static char head[40000];
	struct answer a;
	size_t n;

	(void)state;
	start();
	for (int excess = 0; excess < 2; excess++) {
		n = (size_t)sprintf(head, "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: ");
		memset(head + n, 'x', sizeof(head) - n);
		memcpy(head + EG_API_HEAD_MAX - 4 + excess, "\r\n\r\n", 4);
		say(head, EG_API_HEAD_MAX + (size_t)excess, false, &a);
		if (excess)
			check_error(&a, 431, "header_too_large");
		else
			assert_int_equal(a.status, 200);
		answer_free(&a);
	}
	memset(head + EG_API_HEAD_MAX - 4, 'x', 5);
	say(head, sizeof(head), false, &a); /* it never ends */
	check_error(&a, 431, "header_too_large");
	answer_free(&a);
	n = (size_t)sprintf(head, "GET /v1/status HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 100; i++)
		n += (size_t)sprintf(head + n, "a:\r\n");
	sprintf(head + n, "\r\n");
	expect_raw(head, false, 431, "header_too_large");
	/* As many headers and parameters as the gate lets through are never too many for the library. */
	n = (size_t)sprintf(head, "GET /v1/apps?labels=x");
	for (int i = 0; i < 32; i++)
		n += (size_t)sprintf(head + n, "&%d", i);
	n += (size_t)sprintf(head + n, " HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 99; i++)
		n += (size_t)sprintf(head + n, "a%0140d:\r\n", i);
	sprintf(head + n, "\r\n");
	expect_raw(head, false, 400, "bad_query");
}

static void test_body_sizes(void **state)
{
	const size_t policy = 16u << 20;
	char *body = malloc(policy + 1);
	struct answer a;

	(void)state;
	start();
	memset(body, ' ', policy + 1);
	memcpy(body, "{}", 2);
	client_ask(path, "POST", "/v1/apps/hr/kill", "", body, EG_API_BODY_MAX, &a);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	client_ask(path, "POST", "/v1/apps/hr/kill", "", body, EG_API_BODY_MAX + 1, &a);
	check_error(&a, 413, "too_large");
	answer_free(&a);
	client_ask(path, "PUT", "/v1/policies/hr", "", body, policy, &a);
	assert_int_equal(a.status, 200);
	assert_int_equal(answer_number(&a, "len"), policy);
	answer_free(&a);
	client_ask(path, "PUT", "/v1/policies/hr", "", body, policy + 1, &a);
	check_error(&a, 413, "too_large");
	answer_free(&a);
	/* Who asks first, or announces too much to be read away, is told before the body. */
	expect_raw("PUT /v1/policies/hr HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 16777217\r\n\r\n", false,
		   413, "too_large");
	expect_raw("PUT /v1/policies/hr HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", false, 413, "too_large");
	assert_int_equal(atomic_load(&agent.calls), 2);
	free(body);
}

static void test_continue(void **state)
{
	char bytes[64] = "";
	struct answer a;
	int fd;

	(void)state;
	start();
	fd = client_connect(path);
	client_say(fd, "PUT /v1/policies/hr HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(recv(fd, bytes, 25, MSG_WAITALL), 25);
	assert_string_equal(bytes, "HTTP/1.1 100 Continue\r\n\r\n");
	client_say(fd, "ab");
	client_read(fd, &a);
	assert_int_equal(answer_number(&a, "sum"), 3105);
	answer_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_heads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
	};

	return cmocka_run_group_tests_name("api heads", tests, NULL, NULL);
}

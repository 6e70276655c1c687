// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_client.c - the HTTP client: what it asks, and what becomes of every kind of answer
 */
#include <errno.h>
#include <sys/stat.h>

#include "test_cli_fixture.h"

static int call(const char *socket, const struct eg_client_request *request, json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_client) struct eg_client *client = NULL;

	assert_int_equal(eg_client_new(socket, &client, err), 0);
	return eg_client_call(client, request, ret, err);
}

/* One request, one answer: its -errno, status and code. */
static void assert_answer(const char *answer, int r, int status, const char *code)
{
	struct eg_client_request request = {.method = "GET", .path = "/v1/status", .wait_s = 5};
	struct eg_error err = {0};
	json_t *json = NULL;
	struct fake fake;

	fake_start(&fake, &answer, 1);
	assert_int_equal(call(fake.path, &request, &json, &err), r);
	fake_stop(&fake);
	assert_int_equal(err.status, status);
	assert_string_equal(err.code, code);
	if (r)
		assert_null(json);
	json_decref(json);
	eg_error_clear(&err);
}

static void test_answers(void **state)
{
	(void)state;
	assert_answer(reply("200 OK", "{\"a\": 1}"), 0, 0, "");
	assert_answer(reply("403 Forbidden", "{\"error\":{\"code\":\"forbidden\",\"message\":\"No.\"}}"), -EREMOTEIO, 403,
		      "forbidden");
	assert_answer(reply("503 Busy", "{\"error\":{\"code\":\"busy\",\"message\":\"Later.\"}}"), -EREMOTEIO, 503, "busy");
	assert_answer(reply("404 Not Found", "<html>"), -EPROTO, 0, "bad_answer");
	assert_answer(reply("404 Not Found", "{\"error\":\"x\"}"), -EPROTO, 0, "bad_answer");
	assert_answer(reply("200 OK", "not JSON"), -EPROTO, 0, "bad_answer");
	assert_answer(reply("200 OK", "{\"a\":1,\"a\":2}"), -EPROTO, 0, "bad_answer");
	assert_answer(reply("200 OK", ""), -EPROTO, 0, "bad_answer");
	assert_answer(reply("302 Found", "{}"), -EPROTO, 0, "bad_answer");
	assert_answer(NULL, -EPROTO, 0, "bad_answer"); /* closed */
	assert_answer("SSH-2.0-x\r\nConnection: close\r\n\r\n", -EPROTO, 0, "bad_answer");
	assert_answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"a\": 1}", -EPROTO, 0,
		      "bad_answer"); /* cut off */
}

static void test_details_are_kept(void **state)
{
	const char *answer = reply("400 Bad Request", "{\"error\":{\"code\":\"bad_policy\",\"message\":\"1 error.\","
				   "\"details\":[{\"message\":\"m\"}]}}");
	struct eg_client_request request = {.method = "PUT", .path = "/v1/policies/x", .body = "{}", .len = 2};
	struct eg_error err = {0};
	json_t *json = NULL;
	struct fake fake;

	(void)state;
	fake_start(&fake, &answer, 1);
	assert_int_equal(call(fake.path, &request, &json, &err), -EREMOTEIO);
	fake_stop(&fake);
	assert_int_equal(json_array_size(err.details), 1);
	eg_error_clear(&err);
}

static void test_what_is_asked(void **state)
{
	const char *const answers[] = {reply("200 OK", "{}"), reply("200 OK", "{}"), reply("200 OK", "{}")};
	struct eg_client_request put = {.method = "PUT", .path = "/v1/policies/x?take_over=1", .body = "{\"version\":1}",
					.len = 13, .if_match = "3-abc"};
	struct eg_client_request get = {.method = "GET", .path = "/v1/status"};
	struct eg_client_request delete = {.method = "DELETE", .path = "/v1/policies/x"};
	EG_CLEANUP(eg_cleanup_client) struct eg_client *client = NULL;
	EG_JSON json_t *a = NULL, *b = NULL, *c = NULL;
	struct eg_error err = {0};
	struct fake fake;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* is none of our business */
	fake_start(&fake, answers, 3);
	assert_int_equal(eg_client_new(fake.path, &client, &err), 0);
	assert_int_equal(eg_client_call(client, &put, &a, &err), 0);
	assert_int_equal(eg_client_call(client, &get, &b, &err), 0);
	assert_int_equal(eg_client_call(client, &delete, &c, &err), 0);
	unsetenv("http_proxy");
	assert_int_equal(fake.request_count, 3);
	assert_has(fake.requests[0], "PUT /v1/policies/x?take_over=1 HTTP/1.1\r\n");
	assert_has(fake.requests[0], "If-Match: \"3-abc\"\r\n");
	assert_has(fake.requests[0], "Content-Type: application/json\r\n");
	assert_has(fake.requests[0], "\r\n\r\n{\"version\":1}");
	assert_lacks(fake.requests[0], "Expect:");
	/* Nothing of the first request is left in the second. */
	assert_has(fake.requests[1], "GET /v1/status HTTP/1.1\r\n");
	assert_lacks(fake.requests[1], "If-Match");
	assert_lacks(fake.requests[1], "Content-");
	assert_has(fake.requests[2], "DELETE /v1/policies/x HTTP/1.1\r\n");
	fake_stop(&fake);
}

/* ---- Nobody there --------------------------------------------------------------------------- */

static void test_unreachable(void **state)
{
	struct eg_client_request request = {.method = "GET", .path = "/v1/status"};
	struct eg_error err = {0};
	struct fake fake;
	json_t *json = NULL;
	const char *none = NULL;

	(void)state;
	assert_int_equal(call("/tmp/egret-test-cli-nobody", &request, &json, &err), -ECONNREFUSED);
	assert_has(err.message, "no agent answers on /tmp/egret-test-cli-nobody: start egretd (systemctl start egretd), or "
				"`egret kill --direct` to kill without it");
	eg_error_clear(&err);
	/* A socket that nobody listens on any more. */
	fake_start(&fake, &none, 0);
	shutdown(fake.fd, SHUT_RDWR);
	assert_int_equal(call(fake.path, &request, &json, &err), -ECONNREFUSED);
	fake_stop(&fake);
	eg_error_clear(&err);
}

static void test_no_access(void **state)
{
	struct eg_client_request request = {.method = "GET", .path = "/v1/status"};
	struct eg_error err = {0};
	const char *none = NULL;
	struct fake fake;
	json_t *json = NULL;
	int r;

	(void)state;
	fake_start(&fake, &none, 0);
	assert_int_equal(chmod(fake.path, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	r = call(fake.path, &request, &json, &err);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	fake_stop(&fake);
	assert_int_equal(r, -EACCES);
	assert_string_equal(err.code, "no_access");
	eg_error_clear(&err);
}

/* An agent that takes the request and says nothing. */
static void test_no_answer(void **state)
{
	struct eg_client_request request = {.method = "GET", .path = "/v1/status", .wait_s = 1};
	const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
	struct eg_error err = {0};
	struct fake fake;
	json_t *json = NULL;

	(void)state;
	fake_start(&fake, &answer, 1);
	assert_int_equal(call(fake.path, &request, &json, &err), -ETIMEDOUT);
	fake_stop(&fake);
	assert_string_equal(err.code, "no_answer");
	eg_error_clear(&err);
}

static void test_bad_socket(void **state)
{
	struct eg_client *client = NULL;
	struct eg_error err = {0};
	char longer[200];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(eg_client_new(longer, &client, &err), -EINVAL);
	assert_int_equal(eg_client_new("", &client, &err), -EINVAL);
	assert_null(client);
	eg_error_clear(&err);
}

/* ---- Streams ---------------------------------------------------------------------------------- */

struct lines {
	char text[4096];
	unsigned count;
	unsigned stop_after;
};

static int on_line(void *ctx, const char *line, size_t len)
{
	struct lines *lines = ctx;

	snprintf(lines->text + strlen(lines->text), sizeof(lines->text) - strlen(lines->text), "[%.*s]", (int)len, line);
	return ++lines->count == lines->stop_after ? -ECANCELED : 0;
}

static int stream(const char *answer, struct lines *lines, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_client) struct eg_client *client = NULL;
	struct fake fake;
	int r;

	fake_start(&fake, &answer, 1);
	assert_int_equal(eg_client_new(fake.path, &client, err), 0);
	r = eg_client_stream(client, "/v1/events", on_line, lines, err);
	fake_stop(&fake);
	return r;
}

static void test_stream(void **state)
{
	struct lines all = {.text = ""}, some = {.stop_after = 2}, refused = {.text = ""};
	struct eg_error err = {0};

	(void)state;
	/* Chunks end where they like, lines too. */
	assert_int_equal(stream("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
				"3\r\n{\"a\r\n6\r\n\":1}\n{\r\n5\r\n}\n\n[]\r\n3\r\n\n{}\r\n0\r\n\r\n",
				&all, &err), 0);
	assert_string_equal(all.text, "[{\"a\":1}][{}][[]]"); /* what has no end is no line */
	assert_int_equal(stream(reply("200 OK", "1\n2\n3\n4\n"), &some, &err), -ECANCELED);
	assert_string_equal(some.text, "[1][2]");
	assert_int_equal(stream(reply("400 Bad", "{\"error\":{\"code\":\"bad_query\",\"message\":\"No.\"}}\n"), &refused,
				&err), -EREMOTEIO);
	assert_int_equal(refused.count, 0);
	assert_string_equal(err.code, "bad_query");
	eg_error_clear(&err);
}

/* ---- Paths -------------------------------------------------------------------------------------- */

static void assert_path(char *path, const char *expected)
{
	assert_string_equal(path, expected);
	free(path);
}

static void test_path(void **state)
{
	(void)state;
	assert_path(eg_client_path("/v1/apps", "labels", NULL, NULL), "/v1/apps");
	assert_path(eg_client_path("/x", "a", "1", "b", NULL, "c", "2", NULL), "/x?a=1&c=2");
	assert_path(eg_client_path("/x", "l", "team=hr,env in (a,b)&x#%", NULL),
		    "/x?l=team%3Dhr,env%20in%20%28a,b%29%26x%23%25");
	assert_path(eg_client_path("/x", "d", "[fd00::1]:443", NULL), "/x?d=%5Bfd00::1%5D:443");
	assert_path(eg_client_path("/x", "u", "\xc3\xbc\n", NULL), "/x?u=%C3%BC%0A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	    cmocka_unit_test(test_details_are_kept),
		cmocka_unit_test(test_what_is_asked), cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_no_access),   cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_bad_socket),  cmocka_unit_test(test_stream),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

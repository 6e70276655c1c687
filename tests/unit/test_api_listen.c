// SPDX-License-Identifier: Apache-2.0
/*
 * Where the API listens: a socket's file that is stale, alive, not ours or in the way; the
 * metrics port and its token.
 */
#include "api_tests.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- Sockets ----------------------------------------------------------------------- */

static void test_socket_file(void **state)
{
	struct stat st;

	(void)state;
	umask(0077);
	start();
	umask(0022);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660); /* the mask of its access list: the groups */
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	path[strlen(path)] = '/';
	eg_api_stop(api);
	api = NULL;
	assert_int_equal(stat(path, &st), -1);
	/* Nothing of ours is left. */
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
	path[strlen(path)] = '/';
}

static void test_socket_stale(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	config.socket = other;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", other);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 0), 0);
	start_fails("socket_in_use"); /* it is alive */
	start_fails("socket_in_use"); /* also with its queue full, by the first look */
	close(fd);
	start(); /* and now dead */
	memcpy(path, other, sizeof(path));
	assert_true(answers());
}

static void test_socket_live(void **state)
{
	struct eg_api *first;
	struct stat st;

	(void)state;
	start();
	first = api;
	api = NULL;
	start_fails("socket_in_use");
	api = first;
	assert_true(answers());
	/* Who has lost the name to somebody else leaves theirs alone. */
	assert_int_equal(rename(path, other), 0);
	start();
	eg_api_stop(first);
	assert_int_equal(stat(path, &st), 0);
	assert_true(answers());
}

static void test_socket_bad(void **state)
{
	char longer[200];
	int fd = open(other, O_CREAT | O_WRONLY, 0644);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	config.socket = other;
	start_fails("bad_socket"); /* a file is in the way, and stays */
	assert_int_equal(stat(other, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	config.socket = "/proc/egret/none/sock";
	start_fails("bad_socket");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	config.socket = longer;
	start_fails("bad_socket");
	config.socket = "";
	start_fails("bad_socket");
}

/* ---- The metrics port -------------------------------------------------------------- */

#define TOKEN "0123456789abcdef-_."

static void write_token(const char *text)
{
	FILE *f = fopen(other, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void ask_tcp(const char *target, const char *headers, struct answer *ret)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char head[512];

	addr.sin_port = htons((uint16_t)atoi(strrchr(config.metrics_listen, ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, headers);
	client_say(fd, head);
	client_read(fd, ret);
}

/* A port that nobody has just now. */
static const char *free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);
	static char text[32];

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(addr.sin_port));
	return text;
}

static void test_metrics(void **state)
{
	static const struct {
		const char *target, *headers;
		int status;
		const char *code;
	} cases[] = {
		{"/metrics", "", 401, "unauthorized"},
		{"/metrics", "Authorization: Basic " TOKEN "\r\n", 401, "unauthorized"},
		{"/metrics", "Authorization: Bearer \r\n", 401, "unauthorized"},
		{"/metrics", "Authorization: Bearer " TOKEN "x\r\n", 401, "unauthorized"},
		{"/metrics", "Authorization: Bearer 0123456789abcdef-_\r\n", 401, "unauthorized"},
		{"/metrics", "Authorization: Bearer 0123456789abcdeF-_.\r\n", 401, "unauthorized"},
		{"/v1/status", "", 401, "unauthorized"},
		{"/v1/status", "Authorization: Bearer " TOKEN "\r\n", 404, "not_found"},
		{"/metrics?x=1", "Authorization: Bearer " TOKEN "\r\n", 400, "bad_query"},
	};
	struct eg_error err = {0};
	struct answer a;

	(void)state;
	write_token(TOKEN "\n");
	config.metrics_listen = free_port();
	config.metrics_token_file = other;
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask_tcp(cases[i].target, cases[i].headers, &a);
		check_error(&a, cases[i].status, cases[i].code);
		if (a.status == 401)
			assert_string_equal(answer_header(&a, "WWW-Authenticate"), "Bearer");
		answer_free(&a);
	}
	ask_tcp("/metrics", "Authorization: Bearer " TOKEN "\r\n", &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_header(&a, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(a.body, "egret_enforcement_ok 1\n");
	answer_free(&a);
	/* A new token after a reload; a bad one leaves the old in force. */
	write_token("short");
	assert_true(eg_api_reload(api, &config, &err) < 0);
	assert_string_equal(err.code, "bad_metrics");
	eg_error_clear(&err);
	write_token("another-token-of-length\n");
	assert_int_equal(eg_api_reload(api, &config, &err), 0);
	ask_tcp("/metrics", "Authorization: bearer another-token-of-length\r\n", &a);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	/* The same on the Unix socket needs no token. */
	client_ask(path, "GET", "/metrics", "", NULL, 0, &a);
	assert_string_equal(a.body, "egret_enforcement_ok 1\n");
	answer_free(&a);
}

static void test_metrics_bad(void **state)
{
	static const char *const tokens[] = {"", "\n", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n0123456789abcdef"};

	(void)state;
	config.metrics_listen = "127.0.0.1:9464";
	start_fails("bad_metrics"); /* no token, no port */
	config.metrics_token_file = other;
	start_fails("bad_metrics"); /* no such file */
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		write_token(tokens[i]);
		start_fails("bad_metrics");
	}
	write_token(TOKEN);
	config.metrics_listen = "0.0.0.0:9464";
	start_fails("bad_metrics");
	config.metrics_listen = "127.0.0.1";
	start_fails("bad_metrics");
	config.metrics_listen = "nonsense";
	start_fails("bad_metrics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_socket_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_live, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metrics_bad, setup, teardown),
	};

	return cmocka_run_group_tests_name("api listen", tests, NULL, NULL);
}

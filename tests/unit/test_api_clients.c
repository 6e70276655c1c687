// SPDX-License-Identifier: Apache-2.0
/*
 * The API and clients of every kind: slow, half-closed, gone, many, and followers of the event
 * stream. Whatever they do, the next kill is answered at once. As root.
 */
#include "api_tests.h"

#include <grp.h>
#include <sys/wait.h>

/* ---- Slow, half-closed, gone ------------------------------------------------------------------------- */

static void test_slow(void **state)
{
	static const char *const begins[] = {
		"",
		"GET /v1/status HTTP/1.1\r\n",
		"POST /v1/apps/hr/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
		"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
	};

	(void)state;
	config.request_ms = 300;
	start();
	for (size_t i = 0; i < 2 * sizeof(begins) / sizeof(begins[0]); i++) {
		uint64_t began = now_ms();
		struct pollfd p = {.events = POLLIN};
		struct answer a;

		p.fd = client_connect(path);
		client_say(p.fd, begins[i / 2]);
		/* The odd ones are never idle: a byte every 20 ms. */
		if (i % 2)
			while (now_ms() - began < WAIT_MS && !poll(&p, 1, 20))
				client_say(p.fd, "x");
		client_read(p.fd, &a);
		check_error(&a, 408, "timeout");
		assert_in_range(now_ms() - began, 290, 5000);
		answer_free(&a);
	}
	assert_int_equal(atomic_load(&agent.calls), 0);
	assert_true(answers());
}

static void test_half_closed(void **state)
{
	struct answer a;

	(void)state;
	start();
	/* All was said: answered, also a request with a body. */
	say("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 36, true, &a);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	say("PUT /v1/policies/hr HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 63, true, &a);
	assert_int_equal(answer_number(&a, "sum"), 3105);
	answer_free(&a);
	/* Not all: told so, and nothing is done. */
	expect_raw("GET /v1/status HTTP/1.1\r\nHost: x\r\n", true, 400, "bad_request");
	expect_raw("POST /v1/apps/hr/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", true, 400, "bad_request");
	expect_raw("POST /v1/apps/hr/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", true, 400, "bad_request");
	/* Nothing: nothing. */
	say("", 0, true, &a);
	assert_int_equal(a.status, 0);
	answer_free(&a);
	assert_int_equal(atomic_load(&agent.calls), 2);
}

/* A connection carries one request; what follows is not read as another, nor as part of the first. */
static void test_pipelined(void **state)
{
	const char two[] = "POST /v1/apps/a/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
			   "POST /v1/apps/b/kill HTTP/1.1\r\nHost: x\r\n\r\n";
	struct answer a;

	(void)state;
	start();
	say(two, strlen(two), false, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_text(&a, "app"), "a");
	assert_string_equal(answer_header(&a, "Connection"), "close");
	assert_false(a.cut);
	answer_free(&a);
	assert_int_equal(atomic_load(&agent.calls), 1);
}

/* Connections in use, as the API itself counts them. */
static unsigned in_use(void)
{
	unsigned n = 0;

	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		n += api->conns[i].phase != EG_API_FREE;
	pthread_mutex_unlock(&api->lock);
	return n;
}

/* Who goes away in the middle of anything leaves nothing behind. */
static void test_gone(void **state)
{
	static const char *const begins[] = {
		"", "GET /v1", "POST /v1/apps/hr/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
		"GET /v1/apps HTTP/1.1\r\nHost: x\r\n\r\n", "\1", "GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	};

	(void)state;
	agent.apps_bytes = 4u << 20;
	start();
	for (int i = 0; i < 200; i++) {
		int fd = client_connect(path);

		client_say(fd, begins[i % 6]);
		close(fd);
	}
	WAIT_FOR(answers()); /* the last of them may still be in the queue */
	WAIT_FOR(in_use() == 0);
}

/* An answer that nobody takes is cut off after a while. */
static void test_unread(void **state)
{
	struct answer a;
	int fd;

	(void)state;
	agent.apps_bytes = 4u << 20;
	config.reply_ms = 200;
	start();
	fd = client_connect(path);
	client_say(fd, "GET /v1/apps HTTP/1.1\r\nHost: x\r\n\r\n");
	WAIT_FOR(atomic_load(&agent.calls) == 1);
	WAIT_FOR(in_use() == 0);
	client_read(fd, &a);
	assert_int_equal(a.status, 200);
	assert_true(a.cut);
	answer_free(&a);
	/* Who takes it gets it whole. */
	client_ask(path, "GET", "/v1/apps", "", NULL, 0, &a);
	assert_false(a.cut);
	assert_true(a.len > 4u << 20);
	answer_free(&a);
}

/* ---- Many ---------------------------------------------------------------------------------------------- */

/* Opens as many connections as it is let, each with text on it, as that user; returns its pid. */
static pid_t crowd(uid_t uid, gid_t gid, unsigned count, const char *text)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(1);
		for (unsigned i = 0; i < count; i++)
			client_say(client_connect(path), text);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void disperse(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static unsigned count_uid(uid_t uid)
{
	unsigned n = 0;

	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		n += api->conns[i].phase != EG_API_FREE && api->conns[i].phase != EG_API_LINGER &&
		     api->conns[i].actor.uid == uid;
	pthread_mutex_unlock(&api->lock);
	return n;
}

/* However many others come and say nothing, half a request, or all of it slowly: root is answered at once. */
static void test_crowds(void **state)
{
	const gid_t viewer = getgrnam(VIEWER)->gr_gid;
	pid_t pids[8];
	uint64_t began;

	(void)state;
	start();
	pids[0] = crowd(NOBODY, NOBODY, 300, "GET /v1/status HTTP/1.1\r\n"); /* without a role */
	assert_int_equal(count_uid(NOBODY), 0);
	pids[1] = crowd(NOBODY, viewer, 100, "");
	WAIT_FOR(count_uid(NOBODY) == EG_API_CONNS_UID);
	for (uid_t i = 2; i < 8; i++)
		pids[i] = crowd(50000 + i, viewer, 20, "POST /v1/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
	began = now_ms();
	for (int i = 0; i < 20; i++)
		assert_true(answers());
	assert_true(now_ms() - began < 2000);
	for (int i = 0; i < 8; i++)
		disperse(pids[i]);
	WAIT_FOR(in_use() == 0);
}

/* Root's own limit: the 65th is told to come again, and can once one has gone. */
static void test_full(void **state)
{
	int fds[EG_API_CONNS_MAX];
	struct answer a;

	(void)state;
	start();
	for (size_t i = 0; i < EG_API_CONNS_MAX; i++)
		fds[i] = client_connect(path);
	WAIT_FOR(count_uid(0) == EG_API_CONNS_MAX);
	client_ask(path, "GET", "/v1/status", "", NULL, 0, &a);
	check_error(&a, 503, "busy");
	assert_string_equal(answer_header(&a, "Retry-After"), "1");
	answer_free(&a);
	close(fds[0]);
	WAIT_FOR(count_uid(0) < EG_API_CONNS_MAX);
	assert_true(answers());
	for (size_t i = 1; i < EG_API_CONNS_MAX; i++)
		close(fds[i]);
}

/* A policy that takes long to compile keeps nobody's kill waiting, nor is its answer lost at a stop. */
static void test_slow_policy(void **state)
{
	const char put[] = "PUT /v1/policies/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
	struct answer a;
	uint64_t began;
	int fds[8];

	(void)state;
	config.request_ms = 200; /* which is not a limit of the work */
	atomic_store(&agent.hold, true);
	start();
	for (int i = 0; i < 8; i++) {
		fds[i] = client_connect(path);
		client_say(fds[i], put);
	}
	WAIT_FOR(atomic_load(&agent.held) == 8);
	began = now_ms();
	do
		assert_true(answers());
	while (now_ms() - began < 300);
	atomic_store(&agent.hold, false);
	eg_api_stop(api);
	api = NULL;
	for (int i = 0; i < 8; i++) {
		client_read(fds[i], &a);
		assert_int_equal(answer_number(&a, "sum"), 3105);
		answer_free(&a);
	}
}

/* ---- Events ---------------------------------------------------------------------------------------------- */

static int follow(const char *target)
{
	int fd = client_connect(path);
	char text[256];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	client_say(fd, text);
	return fd;
}

static void post(const char *type, const char *app)
{
	assert_int_equal(eg_events_post(config.events, type, app, json_object()), 0);
}

static unsigned queries(void)
{
	struct eg_events_stats stats;

	eg_events_stats(config.events, &stats);
	return stats.queries;
}

/* Reads until text was seen. */
static void read_until(int fd, const char *text)
{
	static char seen[1u << 16];
	size_t len = 0;
	ssize_t n;

	seen[0] = '\0';
	while (!strstr(seen, text)) {
		n = recv(fd, seen + len, sizeof(seen) - 1 - len, 0);
		if (n <= 0)
			fail_msg("no \"%s\" in: %s", text, seen);
		len += (size_t)n;
		seen[len] = '\0';
	}
}

static void test_history(void **state)
{
	struct answer a;

	(void)state;
	start();
	post("kill", "hr");
	post("restore", "hr");
	post("kill", "crm");
	assert_int_equal(eg_events_sync(config.events, WAIT_MS), 0);
	client_ask(path, "GET", "/v1/events?app=hr&type=kill&last=1h", "", NULL, 0, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_header(&a, "Content-Type"), "application/x-ndjson");
	assert_non_null(strstr(a.body, "\"kill\""));
	assert_null(strstr(a.body, "restore"));
	assert_null(strstr(a.body, "crm"));
	assert_string_equal(a.body + a.len - 5, "0\r\n\r\n"); /* its end can be told from a cut */
	answer_free(&a);
	client_ask(path, "GET", "/v1/events?limit=1", "", NULL, 0, &a);
	assert_non_null(strstr(a.body, "crm"));
	assert_null(strstr(a.body, "restore"));
	answer_free(&a);
	assert_int_equal(queries(), 0);
}

static void test_followers(void **state)
{
	int fds[EG_API_FOLLOW_MAX];
	uint64_t began;
	struct answer a;

	(void)state;
	config.request_ms = config.reply_ms = 1500; /* which are no limits of a follower */
	start();
	post("kill", "before");
	assert_int_equal(eg_events_sync(config.events, WAIT_MS), 0);
	for (size_t i = 0; i < EG_API_FOLLOW_MAX; i++) {
		fds[i] = follow(i ? "/v1/events?follow=1&type=kill" : "/v1/events?follow=1&last=1h");
		read_until(fds[i], i ? "\r\n\r\n" : "before");
	}
	shutdown(fds[1], SHUT_WR); /* half-closed still follows */
	client_ask(path, "GET", "/v1/events?follow=1", "", NULL, 0, &a);
	check_error(&a, 503, "busy");
	answer_free(&a);
	began = now_ms();
	while (now_ms() - began < 2000)
		assert_true(answers());
	post("kill", "after");
	for (size_t i = 0; i < EG_API_FOLLOW_MAX; i++)
		read_until(fds[i], "after");
	/* Who leaves is noticed without an event, and makes place. */
	for (size_t i = 16; i < EG_API_FOLLOW_MAX; i++)
		close(fds[i]);
	WAIT_FOR(queries() == 16);
	fds[16] = follow("/v1/events?follow=1");
	read_until(fds[16], "\r\n\r\n");
	/* A stop ends the streams in order, and soon. */
	began = now_ms();
	eg_api_stop(api);
	api = NULL;
	assert_true(now_ms() - began < 2000);
	for (size_t i = 0; i < 17; i++) {
		read_until(fds[i], "0\r\n\r\n");
		close(fds[i]);
	}
	assert_int_equal(queries(), 0);
}

/* Followers that don't read, with more to send than their sockets hold, hold up nobody, nor a stop. */
static void test_follower_stalled(void **state)
{
	uint64_t began;
	int fds[8];

	(void)state;
	config.reply_ms = 200;
	start();
	for (int i = 0; i < 8; i++) {
		fds[i] = follow("/v1/events?follow=1");
		read_until(fds[i], "\r\n\r\n");
	}
	for (int i = 0; i < 100; i++) {
		char padding[8192];

		memset(padding, 'x', sizeof(padding) - 1);
		padding[sizeof(padding) - 1] = '\0';
		assert_int_equal(eg_events_post(config.events, "alert", "hr", json_pack("{s:s}", "padding", padding)), 0);
	}
	assert_int_equal(eg_events_sync(config.events, WAIT_MS), 0);
	assert_true(answers());
	assert_int_equal(queries(), 8);
	began = now_ms();
	eg_api_stop(api);
	api = NULL;
	assert_true(now_ms() - began < 5000);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	assert_int_equal(queries(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipelined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history, setup, teardown),
		cmocka_unit_test_setup_teardown(test_followers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follower_stalled, setup, teardown),
	};

	return cmocka_run_group_tests_name("api clients", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the API share on top of api_fixture.h: start, stop and what they assert. */
#ifndef EG_TESTS_API_TESTS_H
#define EG_TESTS_API_TESTS_H

#include "api_fixture.h"

#include <setjmp.h>

#include <cmocka.h>

#include "../../agent/core/api_impl.h"

#define NOBODY  65534u
#define WAIT_MS 20000u

/* Groups of every Debian, for the roles. */
#define ADMIN     "daemon"
#define RESPONDER "bin"
#define VIEWER    "sys"

static char dir[64], path[96], other[96], log_dir[96];
static struct eg_agent agent;
static struct eg_api_config config;
static struct eg_api *api;

static inline int setup(void **state)
{
	(void)state;
	eg_log_set_level(EG_LOG_ERR - 1);
	snprintf(dir, sizeof(dir), "/tmp/egret-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/run/api.sock", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(log_dir, sizeof(log_dir), "%s/log", dir);
	memset(&agent, 0, sizeof(agent));
	config = (struct eg_api_config){
		.socket = path,
		.groups = {ADMIN, RESPONDER, VIEWER},
		.agent = &agent,
		.events = fake_events(log_dir),
		.ops = &fake_ops,
	};
	assert_non_null(config.events);
	return 0;
}

static inline int teardown(void **state)
{
	char command[128];

	(void)state;
	atomic_store(&agent.hold, false);
	eg_api_stop(api);
	api = NULL;
	eg_events_stop(config.events);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static inline void start(void)
{
	struct eg_error err = {0};

	if (eg_api_start(&config, &api, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void start_fails(const char *code)
{
	struct eg_error err = {0};

	assert_true(eg_api_start(&config, &api, &err) < 0);
	assert_string_equal(err.code, code);
	assert_true(strlen(err.message) > 20);
	assert_null(api);
	eg_error_clear(&err);
}

static inline uint64_t now_ms(void)
{
	return eg_api_now_ns() / 1000000u;
}

#define WAIT_FOR(condition)                                       \
	do {                                                      \
		uint64_t end_ = now_ms() + WAIT_MS;               \
		while (!(condition) && now_ms() < end_)           \
			usleep(1000);                             \
		if (!(condition))                                 \
			fail_msg("did not come: %s", #condition); \
	} while (0)

/* Every refusal is JSON with its code and a sentence, and says that nobody may keep it. */
static inline void check_error(const struct answer *a, int status, const char *code)
{
	if (a->status != status || strcmp(answer_text(a, "code"), code))
		fail_msg("wanted %d %s, got %d: %s", status, code, a->status, a->body ? a->body : "nothing");
	assert_true(strlen(answer_text(a, "message")) > 10);
	assert_string_equal(answer_header(a, "Content-Type"), "application/json");
	assert_string_equal(answer_header(a, "Cache-Control"), "no-store");
	assert_false(a->cut);
	assert_false(a->reset);
	assert_true(*answer_header(a, "Content-Length"));
}

/* Sends bytes, maybe closes that direction, and reads the answer. */
static inline void say(const char *bytes, size_t len, bool close_write, struct answer *ret)
{
	int fd = client_connect(path);

	assert_true(fd >= 0);
	client_send(fd, bytes, len);
	if (close_write)
		shutdown(fd, SHUT_WR);
	client_read(fd, ret);
}

static inline void expect_raw(const char *text, bool close_write, int status, const char *code)
{
	struct answer a;

	say(text, strlen(text), close_write, &a);
	check_error(&a, status, code);
	answer_free(&a);
}

static inline bool answers(void)
{
	struct answer a;
	bool ok;

	client_ask(path, "POST", "/v1/apps/hr/kill", "", NULL, 0, &a);
	ok = a.status == 200;
	answer_free(&a);
	return ok;
}

#endif

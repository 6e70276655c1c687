// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes at the socket. The check of heads must not depend on how they were cut into
 * pieces; and whatever comes, also past that check, the client gets one answer: of the API's
 * routes or an error in JSON, and never one of the HTTP library's own pages.
 */
#include "../unit/api_fixture.h"

#include "../../agent/core/api_impl.h"

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

static char dir[] = "/tmp/egret-fuzz-XXXXXX", path[64];
static struct eg_agent agent;
static struct eg_api *api;
static struct eg_events *events;

static void stop(void)
{
	char command[64];

	eg_api_stop(api);
	eg_events_stop(events);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK(!system(command));
}

static void start(void)
{
	struct eg_api_config config = {.socket = path, .agent = &agent, .ops = &fake_ops};
	struct eg_error err = {0};
	char log_dir[64];

	eg_log_set_level(EG_LOG_ERR - 1);
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	snprintf(log_dir, sizeof(log_dir), "%s/log", dir);
	events = fake_events(log_dir);
	CHECK(events);
	config.events = events;
	CHECK(!eg_api_start(&config, &api, &err));
	atexit(stop);
}

static enum eg_api_head check(const char *bytes, size_t len, bool ended)
{
	struct eg_error err = {0};
	enum eg_api_head head = eg_api_head_check(bytes, len, ended, &err);

	CHECK((head == EG_API_HEAD_BAD) == (err.status >= 400 && err.status <= 505));
	eg_error_clear(&err);
	return head;
}

/* A piece of what is whole is never bad, and more of what is bad is never good. */
static enum eg_api_head check_pieces(const char *bytes, size_t len)
{
	enum eg_api_head whole = check(bytes, len, false);
	size_t cut = len ? (unsigned char)bytes[len / 2] * len / 256 : 0;
	enum eg_api_head piece = check(bytes, cut, false);

	CHECK(whole != EG_API_HEAD_WHOLE || piece != EG_API_HEAD_BAD);
	CHECK(whole != EG_API_HEAD_MORE || piece == EG_API_HEAD_MORE);
	CHECK(piece != EG_API_HEAD_WHOLE || whole == EG_API_HEAD_WHOLE);
	CHECK(whole != EG_API_HEAD_MORE || check(bytes, len, true) == EG_API_HEAD_BAD);
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum eg_api_head head = check_pieces((const char *)data, size);
	struct answer a;
	int fd;

	/* Those that the gate refuses are many and alike. */
	if (head != EG_API_HEAD_WHOLE && size % 16)
		return 0;
	if (!api)
		start();
	fd = client_connect(path);
	CHECK(fd >= 0);
	client_send(fd, data, size);
	shutdown(fd, SHUT_WR);
	/* Nobody waits for events to come. */
	if (memmem(data, size, "follow", 6)) {
		close(fd);
		return 0;
	}
	client_read(fd, &a);
	CHECK(!size || a.status >= 200);
	CHECK(a.status < 400 || !strcmp(answer_header(&a, "Content-Type"), "application/json"));
	CHECK(a.status < 400 || (size > 4 && !memcmp(data, "HEAD", 4)) || *answer_text(&a, "code"));
	answer_free(&a);
	return 0;
}

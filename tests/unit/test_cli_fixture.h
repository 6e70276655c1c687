/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli_fixture.h - commands of `egret` run against an agent made of canned answers
 *
 * The agent is a thread on a Unix socket in a directory of its own. It answers the requests in
 * order, whatever they are, and keeps them; a test looks afterwards at what was asked, printed
 * and returned. What a command prints goes into memory.
 */
#ifndef EG_TEST_CLI_FIXTURE_H
#define EG_TEST_CLI_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/cli/cli.h"
#include "../../agent/cli/commands.h"

#define FAKE_MAX 8

struct fake {
	char dir[64];
	char path[96];
	int fd;
	int kept; /* the last connection: it stays open until the end */
	pthread_t thread;
	const char *replies[FAKE_MAX]; /* whole HTTP answers; NULL: the connection is closed without one */
	size_t reply_count;
	char *requests[FAKE_MAX]; /* head and body */
	size_t request_count;
};

/* Reads one request: its head, and the body that Content-Length announces. */
static inline char *fake_read(int fd)
{
	char *text = calloc(1, 1 << 16), *end, *length;
	size_t len = 0, want = 0;
	ssize_t n;

	while (len < (1 << 16) - 1 && (n = read(fd, text + len, (1 << 16) - 1 - len)) > 0) {
		len += (size_t)n;
		end = strstr(text, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(text, "\r\ncontent-length:");
		want = (size_t)(end - text) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0);
		if (len >= want)
			return text;
	}
	free(text);
	return NULL;
}

static inline void *fake_run(void *ctx)
{
	struct fake *fake = ctx;
	int fd = -1;

	while (fake->request_count < fake->reply_count) {
		const char *reply;
		char *request;

		if (fd < 0 && (fd = accept4(fake->fd, NULL, NULL, SOCK_CLOEXEC)) < 0)
			return NULL; /* the test is over */
		request = fake_read(fd);
		if (!request) {
			close(fd);
			fd = -1;
			continue;
		}
		reply = fake->replies[fake->request_count];
		fake->requests[fake->request_count++] = request;
		if (reply && send(fd, reply, strlen(reply), MSG_NOSIGNAL) < 0)
			reply = NULL;
		if (!reply || strstr(reply, "Connection: close")) {
			close(fd);
			fd = -1;
		}
	}
	fake->kept = fd;
	return NULL;
}

static inline void fake_start(struct fake *fake, const char *const *replies, size_t count)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	*fake = (struct fake){.kept = -1};
	strcpy(fake->dir, "/tmp/egret-test-cli.XXXXXX");
	assert_non_null(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof(fake->path), "%s/sock", fake->dir);
	memcpy(fake->replies, replies, count * sizeof(*replies));
	fake->reply_count = count;
	memcpy(addr.sun_path, fake->path, strlen(fake->path) + 1);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fake->fd >= 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fake->fd, 8), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

static inline void fake_stop(struct fake *fake)
{
	shutdown(fake->fd, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	if (fake->kept >= 0)
		close(fake->kept);
	close(fake->fd);
	unlink(fake->path);
	rmdir(fake->dir);
	for (size_t i = 0; i < fake->request_count; i++)
		free(fake->requests[i]);
}

/* An answer with its length. status: "200 OK". Freed by nobody: tests are short. */
static inline const char *reply(const char *status, const char *body)
{
	static char texts[FAKE_MAX][1 << 15];
	static size_t next;
	char *text = texts[next++ % FAKE_MAX];

	snprintf(text, sizeof(texts[0]), "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 status, strlen(body), body);
	return text;
}

/* What a command did. */
struct outcome {
	int status;
	char *out;
	char *err;
	struct fake fake;
};

static inline void outcome_clear(struct outcome *o)
{
	fake_stop(&o->fake);
	free(o->out);
	free(o->err);
}
#define OUTCOME EG_CLEANUP(outcome_clear) struct outcome

/* Runs "egret ARGUMENTS" (split at blanks) with these answers. */
static inline void run_cli(struct outcome *o, const char *arguments, const char *const *replies, size_t count)
{
	struct eg_args args;
	struct eg_cli cli = {.args = &args, .commands = eg_commands, .globals = eg_globals};
	struct eg_error err = {0};
	char *words = strdup(arguments), *argv[32] = {"egret"}, *save = NULL, message[320];
	size_t out_size, err_size;
	int argc = 1;

	memset(o, 0, sizeof(*o));
	fake_start(&o->fake, replies, count);
	for (char *w = strtok_r(words, " ", &save); w && argc < 31; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	cli.out = open_memstream(&o->out, &out_size);
	cli.err = open_memstream(&o->err, &err_size);
	if (eg_args_parse(eg_commands, eg_globals, argc, argv, &args, message, sizeof(message)))
		fail_msg("%s: %s", arguments, message);
	cli.socket = o->fake.path;
	if (eg_args_given(&args, "output"))
		cli.format = strcmp(eg_args_value(&args, "output"), "json") ? EG_FORMAT_NDJSON : EG_FORMAT_JSON;
	assert_int_equal(eg_client_new(o->fake.path, &cli.client, &err), 0);
	o->status = args.command->run(&cli);
	eg_client_free(cli.client);
	eg_args_clear(&args);
	fclose(cli.out);
	fclose(cli.err);
	free(words);
}

#define RUN(o, arguments, ...)                                                                  \
	run_cli((o), (arguments), (const char *const[]){__VA_ARGS__},                            \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* Each of the texts occurs. */
static inline void assert_has(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("\"%s\" lacks \"%s\"", text ? text : "(null)", part);
}

static inline void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" has \"%s\"", text, part);
}

#endif

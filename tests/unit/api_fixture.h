/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests and fuzzer of the API share: an agent that answers with what it was asked, the
 * API on a socket in a directory that goes away, and a client that sends any bytes. Nothing
 * here asserts: what fails comes back as -1 or NULL.
 */
#ifndef EG_TESTS_API_FIXTURE_H
#define EG_TESTS_API_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../agent/core/api.h"
#include "../../agent/lib/log.h"

#define CLIENT_MS 20000 /* no answer by then: something hangs */

/* ---- An agent that answers with what it was asked ------------------------------------------ */

struct eg_agent {
	atomic_uint calls;
	atomic_bool hold; /* policy_put of "slow" waits until it is false */
	atomic_uint held;
	size_t apps_bytes; /* of padding in the answer of apps */
};

static inline int fake_fail(const char *app, struct eg_error *err)
{
	if (!app || strncmp(app, "fail-", 5))
		return 0;
	if (!strcmp(app, "fail-bare"))
		return -EIO; /* a function that forgot to say why */
	eg_error_set(err, atoi(app + 5), "fake_code", "It failed: \xff.");
	err->details = json_pack("[{s:s, s:i}]", "message", "here", "line", 7);
	return -EINVAL;
}

static inline int fake_answer(struct eg_agent *agent, const char *app, const struct eg_actor *actor, json_t *json,
			      json_t **ret, struct eg_error *err)
{
	int r = fake_fail(app, err);

	atomic_fetch_add(&agent->calls, 1);
	if (actor)
		json_object_update_new(json, json_pack("{s:i, s:I, s:b, s:s}", "role", (int)actor->role, "uid",
						       (json_int_t)actor->uid, "pid", actor->pid > 0, "via", actor->via));
	if (r < 0)
		json_decref(json);
	else
		*ret = json;
	return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

static inline int fake_status(struct eg_agent *a, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, NULL, NULL, json_pack("{s:s}", "op", "status"), ret, err);
}

static inline int fake_apps(struct eg_agent *a, const char *labels, json_t **ret, struct eg_error *err)
{
	json_t *json = json_pack("{s:s, s:s?}", "op", "apps", "labels", labels);

	if (a->apps_bytes) {
		char *padding = malloc(a->apps_bytes);

		memset(padding, 'x', a->apps_bytes);
		json_object_set_new(json, "padding", json_stringn(padding, a->apps_bytes));
		free(padding);
	}
	return fake_answer(a, NULL, NULL, json, ret, err);
}

static inline int fake_app(struct eg_agent *a, const char *app, bool with_grants, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s, s:b}", "op", "app", "app", app, "grants", with_grants),
			   ret, err);
}

static inline int fake_policy_get(struct eg_agent *a, const char *app, json_t **ret, struct eg_error *err)
{
	if (!strcmp(app, "absent"))
		return eg_error_set(err, 404, "no_policy", "There is none.");
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s}", "op", "policy_get", "policy_rev", "7-abc"), ret, err);
}

static inline int fake_policy_put(struct eg_agent *a, const char *app, const struct eg_policy_put *put,
				  const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	unsigned sum = 0;

	for (size_t i = 0; i < put->len; i++)
		sum = sum * 31 + (unsigned char)put->text[i];
	atomic_fetch_add(&a->held, 1);
	while (!strcmp(app, "slow") && atomic_load(&a->hold))
		usleep(1000);
	return fake_answer(a, app, actor,
			   json_pack("{s:s, s:s, s:I, s:I, s:s?, s:b}", "op", "policy_put", "app", app, "len",
				     (json_int_t)put->len, "sum", (json_int_t)sum, "if_match", put->if_match, "take_over",
				     put->take_over),
			   ret, err);
}

static inline int fake_policy_delete(struct eg_agent *a, const char *app, const char *if_match, bool take_over,
				     const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor,
			   json_pack("{s:s, s:s, s:s*, s:b}", "op", "policy_delete", "app", app, "if_match", if_match,
				     "take_over", take_over),
			   ret, err);
}

static inline int fake_policy_check(struct eg_agent *a, const char *text, size_t len, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, NULL, NULL, json_pack("{s:s, s:I, s:b}", "op", "policy_check", "len", (json_int_t)len, "nul",
						    memchr(text, 0, len) != NULL), ret, err);
}

static inline int fake_policy_plan(struct eg_agent *a, const struct eg_plan_request *plan, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, NULL, NULL, json_pack("{s:s, s:I, s:I, s:I}", "op", "policy_plan", "len", (json_int_t)plan->len,
						    "last", (json_int_t)plan->last_ns, "limit", (json_int_t)plan->limit), ret, err);
}

static inline int fake_policy_history(struct eg_agent *a, const char *app, const char *rev, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s, s:s?}", "op", "policy_history", "app", app, "rev", rev), ret, err);
}

static inline int fake_policy_rollback(struct eg_agent *a, const char *app, const struct eg_policy_back *back,
				       const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor,
			   json_pack("{s:s, s:s, s:s?, s:I, s:s?, s:b}", "op", "policy_back", "app", app, "rev", back->rev, "for",
				     (json_int_t)back->for_ns, "if_match", back->if_match, "take_over", back->take_over),
			   ret, err);
}

static inline int fake_kill(struct eg_agent *a, const struct eg_kill_request *k, const struct eg_actor *actor, json_t **ret,
			    struct eg_error *err)
{
	return fake_answer(a, k->which.app, actor,
			   json_pack("{s:s, s:s?, s:s?, s:b, s:s?, s:s?, s:b, s:I}", "op", "kill", "app", k->which.app,
				     "labels", k->which.labels, "all", k->which.all, "reason", k->reason, "ticket",
				     k->ticket, "dry_run", k->dry_run, "expect", (json_int_t)k->expect),
			   ret, err);
}

static inline int fake_restore(struct eg_agent *a, const char *app, const char *reason, const struct eg_actor *actor,
			       json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor, json_pack("{s:s, s:s?, s:s?}", "op", "restore", "app", app, "reason", reason),
			   ret, err);
}

static inline int fake_relax(struct eg_agent *a, const char *app, uint64_t for_ns, const char *reason,
			     const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor, json_pack("{s:s, s:s, s:I, s:s}", "op", "relax", "app", app, "for_ns",
						    (json_int_t)for_ns, "reason", reason), ret, err);
}

static inline int fake_override(struct eg_agent *a, const struct eg_override *wanted, const struct eg_actor *actor,
				json_t **ret, struct eg_error *err)
{
	return fake_answer(a, wanted->app, actor, json_pack("{s:s, s:s, s:I, s:s}", "op", "override", "app", wanted->app,
							    "for_ns", (json_int_t)wanted->for_ns, "reason", wanted->reason),
			   ret, err);
}

static inline int fake_snapshot(struct eg_agent *a, const char *app, const char *reason, const struct eg_actor *actor,
				json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor, json_pack("{s:s, s:s, s:s?}", "op", "snapshot", "app", app, "reason", reason), ret,
			   err);
}

static inline int fake_tag(struct eg_agent *a, const char *cgroup, const char *app, pid_t init, const struct eg_actor *actor,
			   json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, actor, json_pack("{s:s, s:s, s:s, s:i}", "op", "tag", "cgroup", cgroup, "app", app,
						    "init", (int)init), ret, err);
}

static inline int fake_explain(struct eg_agent *a, const char *app, const char *dest, const char *proto, const char *dir,
			       json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "explain", "app", app, "dest", dest,
						   "proto", proto, "direction", dir), ret, err);
}

static inline int fake_denied(struct eg_agent *a, const char *app, uint64_t since_ns, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s?, s:I}", "op", "denied", "app", app, "since_ns",
						   (json_int_t)since_ns), ret, err);
}

static inline int fake_sinks(struct eg_agent *a, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, NULL, NULL, json_pack("{s:s}", "op", "sinks"), ret, err);
}

static inline int fake_sink_test(struct eg_agent *a, const char *sink, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, sink, NULL, json_pack("{s:s, s:s}", "op", "sink_test", "sink", sink), ret, err);
}

static inline int fake_usage(struct eg_agent *a, const char *app, const char *labels, json_t **ret, struct eg_error *err)
{
	return fake_answer(a, app, NULL, json_pack("{s:s, s:s?, s:s?}", "op", "usage", "app", app, "labels", labels), ret, err);
}

static inline int fake_metrics(struct eg_agent *a, char **ret, struct eg_error *err)
{
	(void)err;
	atomic_fetch_add(&a->calls, 1);
	*ret = strdup("egret_enforcement_ok 1\n");
	return *ret ? 0 : -ENOMEM;
}

static inline int fake_control_view(struct eg_agent *a, bool with_policies, const struct eg_actor *actor, json_t **ret,
				    struct eg_error *err)
{
	return fake_answer(a, NULL, actor,
			   json_pack("{s:s, s:i, s:b}", "op", "control_view", "source", (int)actor->source, "policies",
				     with_policies),
			   ret, err);
}

static inline int fake_control_hold(struct eg_agent *a, const struct eg_control_hold *hold, const struct eg_actor *actor,
				    json_t **ret, struct eg_error *err)
{
	return fake_answer(a, hold->app, actor,
			   json_pack("{s:s, s:s, s:b, s:I}", "op", "control_hold", "app", hold->app, "killed", hold->killed,
				     "generation", (json_int_t)hold->generation),
			   ret, err);
}

static inline int fake_control_report(struct eg_agent *a, const json_t *report, const struct eg_actor *actor, json_t **ret,
				      struct eg_error *err)
{
	return fake_answer(a, NULL, actor, json_pack("{s:s, s:O}", "op", "control_report", "report", (json_t *)report), ret, err);
}

static const struct eg_api_ops fake_ops = {
	fake_status,  fake_apps, fake_app, fake_policy_get, fake_policy_put, fake_policy_delete, fake_policy_check,
	fake_policy_plan, fake_policy_history, fake_policy_rollback, fake_policy_rollback, fake_kill,
	fake_restore, fake_override, fake_relax, fake_snapshot, fake_tag, fake_explain, fake_denied, fake_control_view, fake_control_hold,
	fake_control_report, fake_usage, fake_sinks, fake_sink_test,
	fake_metrics,
};

/* ---- Its event log ----------------------------------------------------------------------------- */

static inline int64_t fake_utc_offset(void *ctx)
{
	struct timespec utc, boot;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &utc);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (utc.tv_sec - boot.tv_sec) * 1000000000ll + utc.tv_nsec - boot.tv_nsec;
}

static inline uint32_t fake_slots(void *ctx)
{
	(void)ctx;
	return 0;
}

static inline bool fake_resolve(void *ctx, const struct eg_event *e, struct eg_event_meta *ret)
{
	(void)ctx;
	(void)e;
	(void)ret;
	return false;
}

static inline struct eg_events *fake_events(const char *log_dir)
{
	struct eg_events_config config = {
		.events_fd = -1,
		.flow_events_fd = -1,
		.losses_fd = -1,
		.host = "h",
		.log_dir = log_dir,
		.utc_offset_ns = fake_utc_offset,
		.slots_used = fake_slots,
		.resolve = fake_resolve,
	};
	struct eg_events *ev = NULL;

	return eg_events_start(&config, &ev) < 0 ? NULL : ev;
}

/* ---- A client that sends any bytes ---------------------------------------------------------------- */

static inline int client_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = CLIENT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* All of it, or what could be sent before the other side had enough. */
static inline void client_send(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n;

	while (len && (n = send(fd, at, len, MSG_NOSIGNAL)) > 0) {
		at += n;
		len -= (size_t)n;
	}
}

static inline void client_say(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

struct answer {
	int status; /* 0: none came */
	bool cut; /* it ended before its Content-Length */
	bool reset; /* the connection ended with an error, as if the API had not read it to its end */
	char head[4096];
	char *body;
	size_t len;
	json_t *json; /* NULL: none */
};

static inline void answer_free(struct answer *a)
{
	free(a->body);
	json_decref(a->json);
	*a = (struct answer){0};
}

/* Value of a header of the answer, or "". */
static inline const char *answer_header(const struct answer *a, const char *name)
{
	static __thread char value[256];
	const char *line = a->head;
	size_t n = strlen(name);

	value[0] = '\0';
	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (!strncasecmp(line, name, n) && line[n] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
			break;
		}
	}
	return value;
}

/* Member of the answer's error, or of the answer itself. */
static inline const char *answer_text(const struct answer *a, const char *key)
{
	json_t *error = json_object_get(a->json, "error");
	const char *text = json_string_value(json_object_get(error ? error : a->json, key));

	return text ? text : "";
}

static inline json_int_t answer_number(const struct answer *a, const char *key)
{
	return json_integer_value(json_object_get(a->json, key));
}

/* Reads to the end of the connection, and closes it. */
static inline void client_read(int fd, struct answer *ret)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t size = 1u << 16, len = 0;
	char *bytes = malloc(size + 1), *at, *body;
	ssize_t n;

	*ret = (struct answer){0};
	while ((n = recv(fd, bytes + len, size - len, 0)) > 0) {
		len += (size_t)n;
		if (len == size)
			bytes = realloc(bytes, (size *= 2) + 1);
	}
	ret->reset = n < 0;
	close(fd);
	bytes[len] = '\0';
	at = bytes;
	if (!strncmp(at, go_on, strlen(go_on)))
		at += strlen(go_on);
	body = strstr(at, "\r\n\r\n");
	if (body && sscanf(at, "HTTP/1.1 %d ", &ret->status) == 1) {
		snprintf(ret->head, sizeof(ret->head), "%.*s", (int)(body + 2 - at), at);
		ret->len = len - (size_t)(body + 4 - bytes);
		ret->body = malloc(ret->len + 1);
		memcpy(ret->body, body + 4, ret->len + 1);
		ret->json = json_loadb(ret->body, ret->len, 0, NULL);
		ret->cut = answer_header(ret, "Content-Length")[0] &&
			   strtoul(answer_header(ret, "Content-Length"), NULL, 10) != ret->len;
	}
	free(bytes);
}

/* One request: headers are lines that end in CR LF; body may be NULL. */
static inline void client_ask(const char *path, const char *method, const char *target, const char *headers,
			      const char *body, size_t len, struct answer *ret)
{
	int fd = client_connect(path);
	char head[2048];

	*ret = (struct answer){0};
	if (fd < 0)
		return;
	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", method, target, headers, len);
	client_say(fd, head);
	client_send(fd, body, len);
	client_read(fd, ret);
}

#endif

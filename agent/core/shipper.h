/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipper.h - egretd's side of egret-ship: a child that delivers events, and is not trusted
 *
 * Theory of operation. While sinks are configured a thread keeps egret-ship running as an unprivileged user,
 * starts it again with a growing pause when it ends, and again when the configuration was read anew. The
 * child says every second how its sinks are; that is checked in every member before any of it is
 * believed, and a child that says anything else is ended. Nothing of the agent ever waits for the child: the
 * thread does, and one who asked for a test.
 */
#ifndef EG_CORE_SHIPPER_H
#define EG_CORE_SHIPPER_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/error.h"
#include "../lib/sink_config.h"
#include "child.h"

struct eg_agent;
struct eg_shipper;

int eg_shipper_start(struct eg_agent *agent, struct eg_shipper **ret);
/* Nobody waits for a test any more, from now on. To be called before the API is stopped. NULL is fine. */
void eg_shipper_end_tests(struct eg_shipper *shipper);
/* Ends the child, and waits for that. NULL is fine. */
void eg_shipper_stop(struct eg_shipper *shipper);
/* The configuration is another one now: the child is started again with it. Never waits. NULL is fine. */
void eg_shipper_reload(struct eg_shipper *shipper);

/* GET /v1/sinks: {"running": bool, "pid", "restarts", "problem", "sinks": [...], "routes": [...]} */
json_t *eg_shipper_json(struct eg_shipper *shipper);
/* POST /v1/sinks/NAME/test: waits for what came back. */
int eg_shipper_test(struct eg_shipper *shipper, const char *name, json_t **ret, struct eg_error *err);
void eg_shipper_metrics(struct eg_shipper *shipper, FILE *out);
/* Adds a sentence for each thing that somebody should look at. */
void eg_shipper_alarms(struct eg_shipper *shipper, json_t *list);

/* ---- shipper_told.c: what the child says, believed only when it is whole ------------------------- */

enum eg_told_number {
	EG_TOLD_PRODUCED,
	EG_TOLD_DELIVERED,
	EG_TOLD_FILTERED,
	EG_TOLD_SPOOLED,
	EG_TOLD_DEAD_LETTERED,
	EG_TOLD_EVICTED,
	EG_TOLD_LOST,
	EG_TOLD_HELD,
	EG_TOLD_LAG_EVENTS,
	EG_TOLD_LAG_BYTES,
	EG_TOLD_LAG_MS,
	EG_TOLD_ETA_MS,
	EG_TOLD_REQUESTS,
	EG_TOLD_RETRIES,
	EG_TOLD_DAMAGED_BYTES,
	EG_TOLD_NUMBERS_
};

extern const char *const eg_told_names[EG_TOLD_NUMBERS_];

/* Of one sink, as told last. */
struct eg_told_sink {
	char name[EG_SINK_NAME_LEN];
	char type[16];
	char state[16]; /* "starting", "ok", "retrying", "paused", "failing"; "": nothing was told yet */
	char backlog[16]; /* "none", "measuring", "shrinking" (EG_TOLD_ETA_MS says until when), "not_shrinking"; "" */
	uint64_t numbers[EG_TOLD_NUMBERS_];
	char last_success[32]; /* RFC 3339; "": never */
	char last_error_at[32];
	char last_error[512];
	char note[160];
};

enum eg_told_route_number {
	EG_TOLD_ROUTE_DONE,
	EG_TOLD_ROUTE_DELIVERED,
	EG_TOLD_ROUTE_FILTERED,
	EG_TOLD_ROUTE_REFUSED,
	EG_TOLD_ROUTE_WAITING,
	EG_TOLD_ROUTE_REQUESTS,
	EG_TOLD_ROUTE_RETRIES,
	EG_TOLD_ROUTE_NUMBERS_
};

extern const char *const eg_told_route_names[EG_TOLD_ROUTE_NUMBERS_];

/* Of one route, as told last; since the child began. */
struct eg_told_route {
	char name[EG_SINK_NAME_LEN];
	char type[16];
	char state[16]; /* as of a sink */
	uint64_t numbers[EG_TOLD_ROUTE_NUMBERS_];
	char last_success[32];
	char last_error_at[32];
	char last_error[512];
};

struct eg_told_test {
	uint64_t id;
	json_t *answer; /* the object, owned */
};

/* All that is told of. Zero-initialise. */
struct eg_told {
	struct eg_told_sink *sinks;
	size_t count;
	struct eg_told_route *routes;
	size_t route_count;
};

/* Those of the configuration, with nothing told yet. -ENOMEM: *told is as it was. */
int eg_told_begin(struct eg_told *told, const json_t *sinks, const json_t *routes);
void eg_told_free(struct eg_told *told);

enum eg_told_what { EG_TOLD_SINKS, EG_TOLD_TEST, EG_TOLD_ROUTES };
/*
 * One message. EG_TOLD_SINKS, EG_TOLD_ROUTES: these are filled, all of them, and only those; EG_TOLD_TEST: *ret_test is
 * the answer of a test; -EPROTO: it is nothing that a sane child says, and nothing was changed; -ENOMEM.
 */
int eg_told_read(const char *text, size_t len, struct eg_told *told, struct eg_told_test *ret_test);

/* ---- shipper_child.c: starting and ending it ---------------------------------------------------------- */

/* -EINVAL with *err: there is none of that name, or it is root's. */
int eg_ship_user(const char *name, struct eg_child_user *ret, struct eg_error *err);

struct eg_ship_child {
	int control_fd; /* -1: none runs */
	struct eg_child process;
};

/* 0, or -errno with *err: what somebody has to do about it. */
int eg_ship_child_start(struct eg_ship_child *child, const struct eg_agent *agent, struct eg_error *err);
/* Ends it, and says how it ended. None is fine. */
void eg_ship_child_stop(struct eg_ship_child *child, char *ret_how, size_t size);

#endif

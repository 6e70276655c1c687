// SPDX-License-Identifier: Apache-2.0
/*
 * state_etcd.c - a thread that keeps a lease alive and writes this host's state under it
 *
 * When the host or its agent dies, the lease ends and the key goes: who lists the states sees who is
 * there. A lease that etcd knows no more is taken anew, and the state written again.
 */
#include "state_etcd.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "etcd.h"

#define NS_PER_S 1000000000ull
#define RETRY_S 2

struct eg_state_etcd {
	const struct eg_control_config *control;
	struct eg_etcd *etcd;
	const char *key;
	uint64_t lease; /* 0: none */
	bool failed;	/* and said so */
	pthread_t thread;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	json_t *value;
	bool fresh; /* value is not written yet */
	bool stopping;
};

static int grant(struct eg_state_etcd *state, struct eg_error *err)
{
	json_t *answer = NULL, *body = json_pack("{s:I}", "TTL", (json_int_t)(state->control->lease_ns / NS_PER_S));
	int r = eg_etcd_call(state->etcd, "/v3/lease/grant", body, &answer, err);

	if (!r)
		state->lease = eg_etcd_number(answer, "ID");
	json_decref(answer);
	return r;
}

/* 0: it lives. The answer is a stream of one line. */
static int keep_alive(struct eg_state_etcd *state, struct eg_error *err)
{
	json_t *answer = NULL, *body = json_object();
	int r;

	json_object_set_new(body, "ID", json_sprintf("%llu", (unsigned long long)state->lease));
	r = eg_etcd_call(state->etcd, "/v3/lease/keepalive", body, &answer, err);
	if (!r && !eg_etcd_number(json_object_get(answer, "result"), "TTL"))
		r = eg_error_set(err, 404, "lease_gone", "The lease is gone.");
	json_decref(answer);
	return r;
}

static int write_value(struct eg_state_etcd *state, json_t *value, struct eg_error *err)
{
	EG_FREE char *text = json_dumps(value, JSON_COMPACT);

	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	return eg_etcd_put(state->etcd, state->key, text, strlen(text), state->lease, NULL, err);
}

/* Everything that is due. 0, or what failed in *err. */
static int work(struct eg_state_etcd *state, json_t *value, bool fresh, struct eg_error *err)
{
	bool again = !state->lease;
	int r = 0;

	if (state->lease && keep_alive(state, err)) {
		if (strcmp(err->code, "lease_gone") != 0 && strcmp(err->code, "refused") != 0)
			return -EIO;
		eg_error_clear(err);
		again = true;
	}
	if (again)
		r = grant(state, err);
	if (!r && value && (fresh || again))
		r = write_value(state, value, err);
	if (r)
		state->lease = 0;
	return r;
}

static void wait_for(struct eg_state_etcd *state, unsigned seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	while (!state->fresh && !state->stopping &&
	       !pthread_cond_clockwait(&state->changed, &state->lock, CLOCK_MONOTONIC, &until))
		;
}

static void tell(struct eg_state_etcd *state, int r, const struct eg_error *err)
{
	if (r && !state->failed)
		eg_log_warning("this host's state can't be written to etcd: %s", err->message);
	if (!r && state->failed)
		eg_log_notice("this host's state is written to etcd again");
	state->failed = r;
}

static void *run(void *arg)
{
	struct eg_state_etcd *state = arg;
	unsigned every = (unsigned)(state->control->lease_ns / NS_PER_S / 3);

	pthread_mutex_lock(&state->lock);
	while (!state->stopping) {
		json_t *value = state->value ? json_incref(state->value) : NULL;
		struct eg_error err = {0};
		bool fresh = state->fresh;
		int r = 0;

		state->fresh = false;
		pthread_mutex_unlock(&state->lock);
		if (value)
			r = work(state, value, fresh, &err);
		tell(state, r, &err);
		eg_error_clear(&err);
		json_decref(value);
		pthread_mutex_lock(&state->lock);
		if (r) {
			struct timespec pause = {.tv_sec = RETRY_S};

			pthread_mutex_unlock(&state->lock);
			nanosleep(&pause, NULL);
			pthread_mutex_lock(&state->lock);
			state->fresh = true;
		} else {
			wait_for(state, every ? every : 1);
		}
	}
	pthread_mutex_unlock(&state->lock);
	return NULL;
}

int eg_state_etcd_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			const char *key, struct eg_state_etcd **ret)
{
	struct eg_state_etcd *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return -ENOMEM;
	state->control = control;
	state->key = key;
	pthread_mutex_init(&state->lock, NULL);
	pthread_cond_init(&state->changed, NULL);
	r = eg_etcd_new(control, credentials, &state->etcd);
	if (!r)
		r = -pthread_create(&state->thread, NULL, run, state);
	if (r) {
		eg_etcd_free(state->etcd);
		free(state);
		return r;
	}
	*ret = state;
	return 0;
}

/* The reference counts of jansson are atomic, and the object is not changed after this. */
void eg_state_etcd_set(struct eg_state_etcd *state, json_t *value)
{
	pthread_mutex_lock(&state->lock);
	json_decref(state->value);
	state->value = value;
	state->fresh = true;
	pthread_cond_signal(&state->changed);
	pthread_mutex_unlock(&state->lock);
}

void eg_state_etcd_stop(struct eg_state_etcd *state)
{
	if (!state)
		return;
	pthread_mutex_lock(&state->lock);
	state->stopping = true;
	pthread_cond_signal(&state->changed);
	pthread_mutex_unlock(&state->lock);
	pthread_join(state->thread, NULL);
	eg_etcd_free(state->etcd);
	json_decref(state->value);
	pthread_mutex_destroy(&state->lock);
	pthread_cond_destroy(&state->changed);
	free(state);
}

// SPDX-License-Identifier: Apache-2.0
#include "state.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/log.h"

#define RETRY_MIN_S 2

struct eg_state {
	const struct eg_state_ops *ops;
	void *ctx;
	unsigned every_s;
	unsigned retry_s; /* the next pause after a failure */
	bool failed;	  /* and said so */
	pthread_t thread;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	json_t *value;
	bool fresh; /* value is not written yet */
	bool stopping;
};

/* For so long, or until there is something to do; after a failure a newer value has to wait, too. */
static void wait_for(struct eg_state *state, unsigned seconds, bool fresh_too)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	while (!state->stopping && !(fresh_too && state->fresh) &&
	       !pthread_cond_clockwait(&state->changed, &state->lock, CLOCK_MONOTONIC, &until))
		;
}

static void tell(struct eg_state *state, int r, const struct eg_error *err)
{
	if (r && !state->failed)
		eg_log_warning("this host's state can't be written to %s: %s", state->ops->where, err->message);
	if (!r && state->failed)
		eg_log_notice("this host's state is written to %s again", state->ops->where);
	state->failed = r;
}

/* r: of the last write. */
static unsigned pause_after(struct eg_state *state, int r)
{
	unsigned pause = state->retry_s < state->every_s ? state->retry_s : state->every_s;

	state->retry_s = r ? 2 * pause : RETRY_MIN_S;
	return r ? pause : state->every_s;
}

static int write_value(struct eg_state *state, json_t *value, bool fresh)
{
	struct eg_error err = {0};
	int r = state->ops->write(state->ctx, value, fresh, &err);

	tell(state, r, &err);
	eg_error_clear(&err);
	return r;
}

static void *run(void *arg)
{
	struct eg_state *state = arg;

	pthread_mutex_lock(&state->lock);
	while (!state->stopping) {
		json_t *value = state->value ? json_incref(state->value) : NULL;
		bool fresh = state->fresh;
		int r = 0;

		state->fresh = false;
		pthread_mutex_unlock(&state->lock);
		if (value)
			r = write_value(state, value, fresh);
		pthread_mutex_lock(&state->lock);
		json_decref(value);
		if (r)
			state->fresh = true;
		wait_for(state, pause_after(state, r), !r);
	}
	pthread_mutex_unlock(&state->lock);
	return NULL;
}

static void state_free(struct eg_state *state)
{
	state->ops->free(state->ctx);
	json_decref(state->value);
	pthread_mutex_destroy(&state->lock);
	pthread_cond_destroy(&state->changed);
	free(state);
}

int eg_state_start(const struct eg_state_ops *ops, void *ctx, unsigned every_s, struct eg_state **ret)
{
	struct eg_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state) {
		ops->free(ctx);
		return -ENOMEM;
	}
	*state = (struct eg_state){.ops = ops, .ctx = ctx, .every_s = every_s ? every_s : 1, .retry_s = RETRY_MIN_S};
	pthread_mutex_init(&state->lock, NULL);
	pthread_cond_init(&state->changed, NULL);
	r = -pthread_create(&state->thread, NULL, run, state);
	if (r) {
		state_free(state);
		return r;
	}
	*ret = state;
	return 0;
}

/* The object is not changed after this; its references are counted under the lock. */
void eg_state_set(struct eg_state *state, json_t *value)
{
	if (!state) {
		json_decref(value);
		return;
	}
	pthread_mutex_lock(&state->lock);
	json_decref(state->value);
	state->value = value;
	state->fresh = true;
	pthread_cond_signal(&state->changed);
	pthread_mutex_unlock(&state->lock);
}

void eg_state_stop(struct eg_state *state)
{
	if (!state)
		return;
	pthread_mutex_lock(&state->lock);
	state->stopping = true;
	pthread_cond_signal(&state->changed);
	pthread_mutex_unlock(&state->lock);
	pthread_join(state->thread, NULL);
	state_free(state);
}

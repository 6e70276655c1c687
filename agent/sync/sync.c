// SPDX-License-Identifier: Apache-2.0
#include "sync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "agent_client.h"
#include "reconcile.h"
#include "report.h"

#define REFRESH_MS 30000
#define DELETE_AFTER_MS 2000
#define BETWEEN_MS 100
#define BETWEEN_TIMES 10 /* what a look took: a source under load is asked less */

uint64_t eg_sync_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static const char *source_name(const struct eg_sync *sync)
{
	return eg_control_source_name(sync->control->source);
}

/* ---- Errors ------------------------------------------------ */

static const char *hash_of(const struct eg_document *document)
{
	return document && document->hash[0] ? document->hash : "";
}

static void set_error(struct eg_sync *sync, const char *app, const struct eg_document *document,
		      const struct eg_error *err)
{
	json_object_set_new(
		sync->errors, app,
		json_pack("{s:s,s:s,s:s}", "code", err->code, "message", err->message, "hash", hash_of(document)));
}

/* Whether this very document was refused by the agent before. */
static bool was_refused(const struct eg_sync *sync, const char *app, const struct eg_document *document)
{
	const char *hash = json_string_value(json_object_get(json_object_get(sync->errors, app), "hash"));

	return hash && hash[0] && strcmp(hash, hash_of(document)) == 0;
}

/* What the agent refused is accepted now; an error of the app's kill stays. */
static void clear_refusal(struct eg_sync *sync, const char *app)
{
	const char *hash = json_string_value(json_object_get(json_object_get(sync->errors, app), "hash"));

	if (hash && hash[0])
		json_object_del(sync->errors, app);
}

/* ---- Doing ------------------------------------------------ */

static int gone(const struct eg_error *err)
{
	return strcmp(err->code, "agent_gone") == 0 ? -EPIPE : 0;
}

static int do_hold(struct eg_sync *sync, const char *app, const struct eg_steps *steps)
{
	bool kill = steps->hold == EG_HOLD_KILL;
	struct eg_error err = {0};
	json_t *holds = json_object_get(sync->have, "holds");
	int r;

	if (eg_agent_client_hold(sync->door_fd, steps->hold_document, kill, steps->hold_generation, &err) == 0) {
		json_object_set_new(
			holds, app,
			json_pack("{s:b,s:I}", "killed", kill, "generation", (json_int_t)steps->hold_generation));
		eg_log_notice("%s %s, as the control plane says (generation %llu)", kill ? "killed" : "restored", app,
			      (unsigned long long)steps->hold_generation);
		return 0;
	}
	set_error(sync, app, NULL, &err);
	sync->refresh_ms = 0;
	r = gone(&err);
	eg_error_clear(&err);
	return r;
}

/* Policies may take a minute to be put, all of them: a kill must not wait for that. */
static int look_between(struct eg_sync *sync)
{
	uint64_t began = eg_sync_now_ms(), took;
	int r;

	if (!sync->between || sync->in_between || began < sync->between_ms)
		return 0;
	sync->in_between = true;
	r = sync->between(sync->between_ctx);
	sync->in_between = false;
	took = eg_sync_now_ms() - began;
	sync->between_ms = began + took + (BETWEEN_TIMES * took > BETWEEN_MS ? BETWEEN_TIMES * took : BETWEEN_MS);
	return r;
}

/*
 * What comes after a silence is all there is, and nobody has to look at once. What comes without a pause was
 * waiting for us to be done with what was before it, and so may be a kill behind it.
 */
void eg_sync_begin(struct eg_sync *sync)
{
	uint64_t now = eg_sync_now_ms();

	if (now >= sync->worked_ms + BETWEEN_MS)
		sync->between_ms = now + BETWEEN_MS;
}

void eg_sync_end(struct eg_sync *sync)
{
	sync->worked_ms = eg_sync_now_ms();
}

static void write_last(struct eg_sync *sync)
{
	int r = eg_last_good_write(sync->state_fd, &sync->last);

	if (r)
		eg_log_err("last-good.json can't be written (%s): after a restart older documents may be accepted",
			   strerror(-r));
}

static int do_put(struct eg_sync *sync, const char *app, const struct eg_document *document)
{
	json_t *answer = NULL, *policies = json_object_get(sync->have, "policies");
	struct eg_error err = {0};
	int r;

	if (was_refused(sync, app, document))
		return 0;
	r = look_between(sync);
	if (r)
		return r;
	if (eg_agent_client_put(sync->door_fd, document, &answer, &err) == 0) {
		json_object_set_new(policies, app,
				    json_pack("{s:s,s:O?,s:s,s:I}", "source", source_name(sync), "rev",
					      json_object_get(answer, "policy_rev"), "hash", document->hash, "number",
					      (json_int_t)document->generation));
		json_decref(answer);
		clear_refusal(sync, app);
		if (document->numbered)
			eg_last_good_raise(&sync->last, app, document->generation, document->hash);
		return 0;
	}
	set_error(sync, app, document, &err);
	r = gone(&err);
	eg_error_clear(&err);
	return r;
}

static int do_delete(struct eg_sync *sync, const char *app, const struct eg_document *document)
{
	struct eg_error err = {0};
	int r;

	/* first, since nothing else remembers it: what was before must not come back after a crash in between */
	if (document && document->numbered) {
		eg_last_good_raise(&sync->last, app, document->generation, "");
		write_last(sync);
	}
	if (eg_agent_client_delete(sync->door_fd, app, &err) == 0) {
		json_object_del(json_object_get(sync->have, "policies"), app);
		json_object_del(sync->errors, app);
		eg_log_notice("deleted the policy of %s, as the control plane %s", app,
			      document ? "says" : "has it no more");
		return 0;
	}
	set_error(sync, app, document, &err);
	sync->refresh_ms = 0;
	r = gone(&err);
	eg_error_clear(&err);
	return r;
}

static void steps_of(struct eg_sync *sync, const char *app, struct eg_steps *ret)
{
	const struct eg_reconcile reconcile = {
		.source = source_name(sync),
		.have = sync->have,
		.floors = sync->last.floors,
	};

	eg_reconcile_app(&reconcile, app, eg_desired_find(&sync->desired, app), ret);
}

static int do_policy(struct eg_sync *sync, const char *app)
{
	struct eg_steps steps;

	steps_of(sync, app, &steps);
	if (steps.error.status)
		set_error(sync, app, NULL, &steps.error);
	else if (steps.policy != EG_POLICY_PUT || !was_refused(sync, app, steps.policy_document))
		json_object_del(sync->errors, app);
	switch (steps.policy) {
	case EG_POLICY_PUT:
		return do_put(sync, app, steps.policy_document);
	case EG_POLICY_DELETE:
		return do_delete(sync, app, steps.policy_document);
	case EG_POLICY_MISSING:
		sync->look_for_missing = true;
		return 0;
	case EG_POLICY_KEEP:
		break;
	}
	return 0;
}

static int do_holds(struct eg_sync *sync, const char *app, enum eg_hold_step which)
{
	struct eg_steps steps;

	steps_of(sync, app, &steps);
	return steps.hold == which ? do_hold(sync, app, &steps) : 0;
}

static int do_app(struct eg_sync *sync, const char *app)
{
	int r = do_holds(sync, app, EG_HOLD_KILL);

	if (!r)
		r = do_holds(sync, app, EG_HOLD_RESTORE);
	return r ? r : do_policy(sync, app);
}

static int do_all(struct eg_sync *sync)
{
	int r = 0;

	for (size_t i = 0; !r && i < sync->desired.count; i++)
		r = do_holds(sync, sync->desired.apps[i]->app, EG_HOLD_KILL);
	for (size_t i = 0; !r && i < sync->desired.count; i++)
		r = do_holds(sync, sync->desired.apps[i]->app, EG_HOLD_RESTORE);
	for (size_t i = 0; !r && i < sync->desired.count; i++)
		r = do_policy(sync, sync->desired.apps[i]->app);
	sync->look_for_missing = true;
	write_last(sync);
	return r;
}

/* ---- What is missing ------------------------------------------------ */

/* Those of our policies that no document has any more, with the time since when. */
static json_t *find_missing(struct eg_sync *sync, size_t *ret_ours)
{
	json_t *missing = json_object(), *policies = json_object_get(sync->have, "policies"), *policy;
	const char *app;

	*ret_ours = 0;
	json_object_foreach (policies, app, policy) {
		const json_t *since = json_object_get(sync->missing, app);
		struct eg_steps steps;

		if (strcmp(json_string_value(json_object_get(policy, "source")), source_name(sync)) != 0)
			continue;
		++*ret_ours;
		steps_of(sync, app, &steps);
		if (steps.policy == EG_POLICY_MISSING)
			json_object_set_new(missing, app,
					    since ? json_incref((json_t *)since)
						  : json_integer((json_int_t)eg_sync_now_ms()));
	}
	return missing;
}

static bool any_due(const json_t *missing)
{
	json_int_t now = (json_int_t)eg_sync_now_ms();
	const char *app;
	json_t *since;

	json_object_foreach ((json_t *)missing, app, since) {
		if (now - json_integer_value(since) >= DELETE_AFTER_MS)
			return true;
	}
	return false;
}

static void set_paused(struct eg_sync *sync, size_t missing, size_t ours)
{
	bool paused = missing > 0;

	if (paused)
		snprintf(sync->paused, sizeof(sync->paused),
			 "%zu of %zu policies are gone from the control plane at once: nothing is deleted until they "
			 "are back, or "
			 "\"deleted\" is written in their place",
			 missing, ours);
	else
		sync->paused[0] = '\0';
	if (paused != sync->last.paused) {
		sync->last.paused = paused;
		sync->last.changed = true;
		write_last(sync);
	}
}

static int delete_missing(struct eg_sync *sync)
{
	size_t ours, count;
	const char *app;
	json_t *since;
	void *next;
	int r = 0;

	if (!sync->look_for_missing || !sync->complete || !sync->have)
		return 0;
	since = find_missing(sync, &ours);
	json_decref(sync->missing);
	sync->missing = since;
	count = json_object_size(sync->missing);
	sync->look_for_missing = count > 0;
	if (!count || (!sync->last.paused && !any_due(sync->missing))) {
		set_paused(sync, 0, ours);
		return 0;
	}
	if (sync->last.paused || eg_reconcile_pauses(count, ours)) {
		set_paused(sync, count, ours);
		return 0;
	}
	json_object_foreach_safe (sync->missing, next, app, since) {
		if (!r && (json_int_t)eg_sync_now_ms() - json_integer_value(since) >= DELETE_AFTER_MS)
			r = do_delete(sync, app, NULL);
	}
	return r;
}

/* ---- For the sources ------------------------------------------------ */

static int ask_agent(struct eg_sync *sync)
{
	struct eg_error err = {0};
	json_t *have = NULL;
	int r = eg_agent_client_get(sync->door_fd, "/v1/control", &have, &err);

	if (r) {
		eg_log_err("the agent can't be asked what it has: %s", err.message);
		r = gone(&err);
		eg_error_clear(&err);
		return r;
	}
	json_decref(sync->have);
	sync->have = have;
	sync->refresh_ms = eg_sync_now_ms() + REFRESH_MS;
	return 0;
}

int eg_sync_replace(struct eg_sync *sync, struct eg_desired *desired, uint64_t revision)
{
	int r = ask_agent(sync);

	eg_desired_clear(&sync->desired);
	sync->desired = *desired;
	*desired = (struct eg_desired){0};
	sync->complete = true;
	sync->revision = revision;
	sync->between_ms = eg_sync_now_ms() + BETWEEN_MS;
	json_object_clear(sync->errors);
	if (!r && sync->have)
		r = do_all(sync);
	return r ? r : eg_report_send(sync, true);
}

int eg_sync_document(struct eg_sync *sync, struct eg_document *document, uint64_t revision)
{
	char app[EG_APP_NAME_LEN];
	int r;

	snprintf(app, sizeof(app), "%s", document->app);
	sync->revision = revision;
	json_object_del(sync->errors, app); /* of another document */
	if (eg_desired_set(&sync->desired, document))
		return -ENOMEM;
	r = sync->have ? do_app(sync, app) : 0;
	write_last(sync);
	sync->look_for_missing = true;
	return r;
}

int eg_sync_kill(struct eg_sync *sync, struct eg_document *document)
{
	char app[EG_APP_NAME_LEN];
	int r;

	snprintf(app, sizeof(app), "%s", document->app);
	if (eg_desired_set(&sync->desired, document))
		return -ENOMEM;
	r = do_holds(sync, app, EG_HOLD_KILL);
	return r ? r : do_holds(sync, app, EG_HOLD_RESTORE);
}

int eg_sync_gone(struct eg_sync *sync, enum eg_document_kind kind, bool of_host, const char *app, uint64_t revision)
{
	sync->revision = revision;
	json_object_del(sync->errors, app);
	eg_desired_remove(&sync->desired, kind, of_host, app);
	sync->look_for_missing = true;
	return sync->have ? do_app(sync, app) : 0;
}

int eg_sync_connection(struct eg_sync *sync, bool connected, const char *endpoint, const char *message)
{
	sync->connected = connected;
	snprintf(sync->endpoint, sizeof(sync->endpoint), "%s", endpoint);
	snprintf(sync->message, sizeof(sync->message), "%s", message);
	return eg_report_send(sync, false);
}

int eg_sync_idle(struct eg_sync *sync)
{
	struct pollfd door = {.fd = sync->door_fd};
	int r = 0;

	/* egretd is gone, or has given the door to another one of us */
	if (poll(&door, 1, 0) > 0 && door.revents & (POLLHUP | POLLERR))
		return -EPIPE;
	if (sync->complete && eg_sync_now_ms() >= sync->refresh_ms) {
		r = ask_agent(sync);
		json_object_clear(sync->errors); /* what was refused may be taken now */
		sync->between_ms = eg_sync_now_ms() + BETWEEN_MS;
		if (!r && sync->have)
			r = do_all(sync);
	}
	if (!r)
		r = delete_missing(sync);
	if (!r)
		r = eg_report_send(sync, false);
	if (!r)
		eg_report_state(sync, false);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * fleet_hosts.c - what the hosts say: read from etcd, or from where they send it; and waited for
 */
#include <string.h>
#include <time.h>

#include "../lib/units.h"
#include "fleet.h"

#define WAIT_NS 10000000000ull
#define POLL_MS 200
#define STATES_MAX (64u << 20)
#define STATES_MS 15000

/* ---- By etcd ------------------------------------------------ */

struct states {
	json_t *states;
	size_t skip; /* bytes of the prefix */
};

static int add_state(void *ctx, const struct eg_etcd_kv *kv)
{
	struct states *states = ctx;
	json_t *state = json_loadb(kv->value, kv->value_len, 0, NULL);

	if (json_is_object(state))
		json_object_set(states->states, kv->key + states->skip, state);
	json_decref(state);
	return 0;
}

static int states_by_etcd(struct eg_fleet *fleet, json_t **ret)
{
	EG_FREE char *prefix = NULL;
	struct states states = {.states = json_object()};
	struct eg_error err = {0};
	uint64_t revision = 0;

	if (asprintf(&prefix, "%sstate/", fleet->control->prefix) < 0 || !states.states) {
		prefix = NULL;
		return eg_cli_no_memory(fleet->cli);
	}
	states.skip = strlen(prefix);
	if (eg_etcd_each(fleet->etcd, prefix, &revision, add_state, &states, &err)) {
		json_decref(states.states);
		return eg_fleet_fail(fleet, &err);
	}
	*ret = states.states;
	return EG_EXIT_OK;
}

/* ---- By HTTPS ------------------------------------------------ */

/* {"hosts": {HOST: STATE}} of an answer. */
static int take_states(const char *url, const struct eg_fetch_answer *answer, json_t **ret, struct eg_error *err)
{
	EG_JSON json_t *root = json_loadb(answer->body, answer->len, 0, NULL);
	json_t *hosts = json_object_get(root, "hosts"), *state;
	const char *host;

	if (answer->status != 200)
		return eg_error_set(err, answer->status == 401 || answer->status == 403 ? (int)answer->status : 502, "refused",
				    "%s answered %ld.", url, answer->status);
	if (!json_is_object(hosts))
		return eg_error_set(err, 502, "bad_answer", "%s has no object \"hosts\" in its answer.", url);
	json_object_foreach (hosts, host, state) {
		if (!json_is_object(state))
			return eg_error_set(err, 502, "bad_answer", "%s has something else than a state for %s.", url, host);
	}
	*ret = json_incref(hosts);
	return 0;
}

static int states_by_http(struct eg_fleet *fleet, json_t **ret)
{
	EG_FREE char *token = NULL;
	const char *headers[] = {NULL, NULL};
	const struct eg_fetch_ask ask = {
		.method = "GET",
		.url = fleet->control->state_url,
		.headers = headers,
		.max = STATES_MAX,
		.timeout_ms = STATES_MS,
		.gzip = true,
	};
	struct eg_fetch_answer answer = {0};
	struct eg_error err = {0};
	char why[400] = "";
	int r;

	if (fleet->credentials.token && asprintf(&token, "Authorization: Bearer %s", fleet->credentials.token) < 0) {
		token = NULL;
		return eg_cli_no_memory(fleet->cli);
	}
	headers[0] = token;
	if (eg_fetch_send(fleet->http, &ask, &answer, why, sizeof(why)))
		r = eg_error_set(&err, 503, "unreachable", "%s.", why);
	else
		r = take_states(ask.url, &answer, ret, &err);
	eg_fetch_answer_clear(&answer);
	return r ? eg_fleet_fail(fleet, &err) : EG_EXIT_OK;
}

/* ---- Either ------------------------------------------------ */

int eg_fleet_states(struct eg_fleet *fleet, json_t **ret)
{
	return fleet->http ? states_by_http(fleet, ret) : states_by_etcd(fleet, ret);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* NULL: nothing is wrong. */
static const char *judge_one(const json_t *state, uint64_t revision, const char *app, eg_fleet_judge judge)
{
	return eg_json_u64(state, "revision") < revision ? "has not seen it yet" : judge(state, app);
}

/* By host: what is wrong with it. */
static json_t *judge_all(const struct eg_fleet *fleet, const json_t *states, uint64_t revision, const char *app,
			 eg_fleet_judge judge)
{
	const char *only = eg_cli_option(fleet->cli, "host"), *host;
	json_t *wrong = json_object(), *state;

	if (only && !json_object_get(states, only))
		json_object_set_new(wrong, only, json_string("is not there; it follows when it is back"));
	json_object_foreach ((json_t *)states, host, state) {
		const char *why = !only || strcmp(host, only) == 0 ? judge_one(state, revision, app, judge) : NULL;

		if (why)
			json_object_set_new(wrong, host, json_string(why));
	}
	return wrong;
}

int eg_fleet_wait(struct eg_fleet *fleet, uint64_t revision, const char *app, eg_fleet_judge judge, json_t **ret_wrong,
		  size_t *ret_hosts)
{
	const char *given = eg_cli_option(fleet->cli, "wait");
	const struct timespec nap = {.tv_nsec = POLL_MS * 1000000};
	uint64_t wait_ns = WAIT_NS, end;
	int r;

	if (given && strcmp(given, "0") == 0)
		wait_ns = 0;
	else if (given)
		eg_units_span(given, &wait_ns);
	end = now_ns() + wait_ns;
	for (;;) {
		EG_JSON json_t *states = NULL, *wrong = NULL;

		r = eg_fleet_states(fleet, &states);
		if (r)
			return r;
		wrong = judge_all(fleet, states, revision, app, judge);
		if (!json_object_size(wrong) || now_ns() >= end) {
			*ret_hosts = json_object_size(states);
			r = json_object_size(wrong) ? EG_EXIT_NO : EG_EXIT_OK;
			*ret_wrong = EG_TAKE_PTR(wrong);
			return r;
		}
		nanosleep(&nap, NULL);
	}
}

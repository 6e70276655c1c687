// SPDX-License-Identifier: Apache-2.0
/*
 * state_etcd.c - this host's state as a key of etcd, under a lease that is kept alive
 *
 * When the host or its agent dies, the lease ends and the key goes: who lists the states sees who is
 * there. A lease that etcd knows no more is taken anew, and the state written again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "etcd.h"
#include "state.h"

#define NS_PER_S 1000000000ull

struct keeper {
	const struct eg_control_config *control;
	struct eg_etcd *etcd;
	const char *key;
	uint64_t lease; /* 0: none */
};

static int grant(struct keeper *keeper, struct eg_error *err)
{
	json_t *answer = NULL, *body = json_pack("{s:I}", "TTL", (json_int_t)(keeper->control->lease_ns / NS_PER_S));
	int r = eg_etcd_call(keeper->etcd, "/v3/lease/grant", body, &answer, err);

	if (!r)
		keeper->lease = eg_etcd_number(answer, "ID");
	json_decref(answer);
	return r;
}

/* 0: it lives. The answer is a stream of one line. */
static int keep_alive(struct keeper *keeper, struct eg_error *err)
{
	json_t *answer = NULL, *body = json_object();
	int r;

	json_object_set_new(body, "ID", json_sprintf("%llu", (unsigned long long)keeper->lease));
	r = eg_etcd_call(keeper->etcd, "/v3/lease/keepalive", body, &answer, err);
	if (!r && !eg_etcd_number(json_object_get(answer, "result"), "TTL"))
		r = eg_error_set(err, 404, "lease_gone", "The lease is gone.");
	json_decref(answer);
	return r;
}

static int put(struct keeper *keeper, const json_t *value, struct eg_error *err)
{
	EG_FREE char *text = json_dumps(value, JSON_COMPACT);

	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	return eg_etcd_put(keeper->etcd, keeper->key, text, strlen(text), keeper->lease, NULL, err);
}

static int write_key(void *ctx, const json_t *value, bool fresh, struct eg_error *err)
{
	struct keeper *keeper = ctx;
	bool again = !keeper->lease;
	int r = 0;

	if (keeper->lease && keep_alive(keeper, err)) {
		if (strcmp(err->code, "lease_gone") != 0 && strcmp(err->code, "refused") != 0)
			return -EIO;
		eg_error_clear(err);
		again = true;
	}
	if (again)
		r = grant(keeper, err);
	if (!r && (fresh || again))
		r = put(keeper, value, err);
	if (r)
		keeper->lease = 0;
	return r;
}

static void keeper_free(void *ctx)
{
	struct keeper *keeper = ctx;

	eg_etcd_free(keeper->etcd);
	free(keeper);
}

int eg_state_etcd_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			const char *key, struct eg_state **ret)
{
	static const struct eg_state_ops ops = {.where = "etcd", .write = write_key, .free = keeper_free};
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->control = control;
	keeper->key = key;
	r = eg_etcd_new(control, credentials, &keeper->etcd);
	if (r) {
		keeper_free(keeper);
		return r;
	}
	return eg_state_start(&ops, keeper, (unsigned)(control->lease_ns / NS_PER_S / 3), ret);
}

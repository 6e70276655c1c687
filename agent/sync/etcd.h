/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd.h - a client of etcd's JSON gateway: members in turn, a token when it asks for one
 *
 * A client belongs to one thread. A call that a member doesn't answer goes to the next one; a token that
 * is refused is fetched anew, once.
 */
#ifndef EG_SYNC_ETCD_H
#define EG_SYNC_ETCD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/control_config.h"
#include "etcd_json.h"
#include "fetch.h"

struct eg_etcd;

/* control and credentials are borrowed. -ENOMEM. */
int eg_etcd_new(const struct eg_control_config *control, const struct eg_credentials *credentials,
		struct eg_etcd **ret);
void eg_etcd_free(struct eg_etcd *etcd);

/* The member that is spoken with. */
const char *eg_etcd_endpoint(const struct eg_etcd *etcd);
/* From now on with the next one. */
void eg_etcd_next(struct eg_etcd *etcd);

/*
 * POST to path ("/v3/kv/range"); takes body. 0, or -EINVAL with *err: "unreachable" (no member answered),
 * "unauthorized" (401), "forbidden" (403), "refused" (any other), "too_large" (an answer).
 */
int eg_etcd_call(struct eg_etcd *etcd, const char *path, json_t *body, json_t **ret, struct eg_error *err);

/* *ret_revision, which may be NULL: of the store, with this in it. */
int eg_etcd_put(struct eg_etcd *etcd, const char *key, const char *value, size_t len, uint64_t lease,
		uint64_t *ret_revision, struct eg_error *err);
/*
 * Every key that begins with prefix, as at one revision (*revision 0: as now, and set), each given to fn.
 */
typedef int (*eg_etcd_kv_fn)(void *ctx, const struct eg_etcd_kv *kv);
int eg_etcd_each(struct eg_etcd *etcd, const char *prefix, uint64_t *revision, eg_etcd_kv_fn fn, void *ctx,
		 struct eg_error *err);
/* Those of them that were written at this revision or after it, as now. */
int eg_etcd_since(struct eg_etcd *etcd, const char *prefix, uint64_t since, eg_etcd_kv_fn fn, void *ctx,
		  struct eg_error *err);
/* One key: 1 and *ret (to be freed as a range), 0: not there. */
int eg_etcd_get(struct eg_etcd *etcd, const char *key, struct eg_etcd_range *ret, struct eg_error *err);

/*
 * A stream of watches on the prefixes (ends with NULL) from this revision on. on_watch gets each answer
 * and on_idle is called each second; not 0 from either ends it. Returns when it has ended, always with *err.
 */
struct eg_etcd_stream {
	const char *const *prefixes;
	uint64_t from_revision;
	int (*on_watch)(void *ctx, const struct eg_etcd_watch *watch);
	int (*on_idle)(void *ctx);
	void *ctx;
};
int eg_etcd_watch(struct eg_etcd *etcd, const struct eg_etcd_stream *asked, struct eg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - all documents in one: {"version": 1, "revision": N, "policies": {APP: ...}, "kills": {APP: ...}}
 *
 * Pure. A bundle that can't be read, is not signed as it must be, or is older than the last one is refused
 * as a whole. Documents in it are as those of etcd (egret-sync(8)); what they have no generation for, the
 * bundle's revision is. If the bundle is signed, its documents need not be.
 */
#ifndef EG_SYNC_BUNDLE_H
#define EG_SYNC_BUNDLE_H

#include "desired.h"

struct eg_bundle {
	uint64_t revision;
	bool trusted; /* by a signature, or because none is asked for: the revision is to be remembered */
	struct eg_desired desired;
};

/* 0, or -EINVAL with *err, -ENOMEM. last: the highest revision that was taken before. */
int eg_bundle_parse(const struct eg_document_rules *rules, const char *text, size_t len, uint64_t last,
		    struct eg_bundle *ret, struct eg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where what is wanted comes from
 */
#ifndef EG_SYNC_SOURCE_H
#define EG_SYNC_SOURCE_H

#include "sync.h"

/*
 * Follows the source and tells sync (sync.h), for as long as the agent is there: returns only with
 * -EPIPE (it is gone), or -errno.
 */
int eg_source_etcd_run(struct eg_sync *sync);
int eg_source_https_run(struct eg_sync *sync);

/* Between tries: from half of the pause to all of it, while sync is told that time passes. */
int eg_source_pause(struct eg_sync *sync, unsigned *pause_ms);
#define EG_SOURCE_PAUSE_MIN_MS 250u
#define EG_SOURCE_PAUSE_MAX_MS 30000u

#endif

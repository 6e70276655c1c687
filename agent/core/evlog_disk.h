/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evlog_disk.h - what evlog finds in its directory at start. Used by evlog.c and tests only
 *
 * Nothing here trusts the directory: names, sizes and contents may be anything.
 */
#ifndef EG_CORE_EVLOG_DISK_H
#define EG_CORE_EVLOG_DISK_H

#include "evlog.h"

struct eg_evlog_segment {
	struct eg_evlog_key key;
	uint64_t bytes;
};

#define EG_EVLOG_NAME_LEN 64

void eg_evlog_name(const struct eg_evlog_key *key, char ret[EG_EVLOG_NAME_LEN]);

int eg_evlog_key_compare(const struct eg_evlog_key *a, const struct eg_evlog_key *b);

/* Opens dir, making it and its parents if missing, and locks it: fd, or -errno (-EBUSY: another writer). */
int eg_evlog_open_dir(const char *dir);

/* All segments, sorted; *ret is malloc'd, NULL if there is none. Other files are passed over. */
int eg_evlog_scan(int dirfd, struct eg_evlog_segment **ret, size_t *ret_count);

/* Cuts off what follows the last newline: *ret_bytes are left, *ret_torn went. */
int eg_evlog_mend(int dirfd, const struct eg_evlog_key *key, uint64_t *ret_bytes, uint64_t *ret_torn);

int eg_evlog_count_lines(int dirfd, const struct eg_evlog_key *key, uint64_t *ret);

/* The epoch that file `epoch` holds, if it was written during this boot; else -ESTALE or -errno. */
int eg_evlog_epoch_load(int dirfd, uint64_t *ret);

/* Replaces file `epoch`, durably. */
int eg_evlog_epoch_store(int dirfd, uint64_t epoch);

#endif

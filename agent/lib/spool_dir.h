/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_dir.h - the spool's directory: which segments there are
 *
 * Nothing here trusts the directory: names, sizes and kinds of files may be anything. What is not a regular
 * file with the name of a segment is passed over.
 */
#ifndef EG_LIB_SPOOL_DIR_H
#define EG_LIB_SPOOL_DIR_H

#include "spool.h"

#define EG_SPOOL_NAME_LEN 64
#define EG_SPOOL_SUFFIX   ".spool"
#define EG_SPOOL_LEGACY   ".ndjson" /* lines without frames, written before there were any */

/* A segment is named by the place of its first record. */
struct eg_spool_segment {
	struct eg_spool_pos first;
	uint64_t bytes;
};

void eg_spool_segment_name(const struct eg_spool_pos *first, char ret[EG_SPOOL_NAME_LEN]);

/* All segments with that suffix, sorted; *ret is malloc'd, NULL if there is none. */
int eg_spool_dir_scan(int dirfd, const char *suffix, struct eg_spool_segment **ret, size_t *ret_count);

/* The last segment at or before `pos`, and the first one after it. */
struct eg_spool_around {
	bool has_before, has_after;
	struct eg_spool_pos before, after;
};

/* Of those with frames; keeps no list. */
int eg_spool_dir_around(int dirfd, const struct eg_spool_pos *pos, struct eg_spool_around *ret);

#define EG_SPOOL_EPOCH_FILE "epoch"

/* What file `epoch` holds: the epoch, and the boot in which it began. -ENOENT, -EBADMSG, -errno. */
int eg_spool_dir_epoch(int dirfd, uint64_t *ret, char ret_boot[37]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_files.h - the directory that keeps snapshots, bounded by number and by size
 *
 * APP-TIME.json, where TIME is the moment in UTC, to the nanosecond and of one length, so that names order files by age.
 * One that is being written is .APP-TIME.json.new. Nothing else in the directory is looked at. Room is made before a new
 * one gets its name and after it is on disk whole: with a full disk nothing older goes for one that can't be kept.
 */
#ifndef EG_CORE_SNAPSHOT_FILES_H
#define EG_CORE_SNAPSHOT_FILES_H

#include <jansson.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define EG_SNAPSHOT_FILES    200 /* kept, at most */
#define EG_SNAPSHOT_NAME_LEN 128
#define EG_SNAPSHOT_YOUNG_NS (86400 * 1000000000ull) /* one that goes sooner may not have been looked at */

/* How much there may be, how much there is, and what went for that. */
struct eg_snapshot_room {
	uint64_t quota_bytes;
	uint64_t now_utc_ns;
	size_t files;
	uint64_t bytes;
	size_t gone;
	uint64_t gone_bytes;
	size_t gone_young;
	char gone_newest[NAME_MAX + 1]; /* "": none went */
};

void eg_snapshot_name(const char *app, uint64_t utc_ns, char ret[EG_SNAPSHOT_NAME_LEN]);
/*
 * Whole or not at all, as a reader sees it, and with those older ones deleted for which there is no room any more.
 * -EFBIG: it alone is more than may be there, and nothing else was deleted for it; -EDQUOT: others can't be deleted; -errno.
 * room: quota_bytes and now_utc_ns are given; the rest is set, also with an error.
 */
int eg_snapshot_write(int dir_fd, const char *name, const json_t *snapshot, struct eg_snapshot_room *room);
/* Deletes what was left half-written, and counts what there is. To be called while nobody writes. */
void eg_snapshot_mend(int dir_fd, struct eg_snapshot_room *room);

#endif

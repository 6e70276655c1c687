// SPDX-License-Identifier: Apache-2.0
/*
 * evlog_mend.c - what a segment holds that may not have been on the disk when the host stopped
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "evlog_impl.h"

/* Counts the records of an open segment: *ret_end is the offset after the last, *ret_damaged bytes before it are none. */
static int examine(int fd, struct eg_evlog_segment *segment, uint64_t *ret_end, uint64_t *ret_damaged)
{
	struct eg_spool_frame frame;
	struct eg_spool_walk w;
	int r = eg_spool_walk_init(&w);

	if (r < 0)
		return r;
	eg_spool_walk_begin(&w, fd, segment->first.epoch, 0);
	w.final = true;
	segment->end = segment->first.n;
	while ((r = eg_spool_walk_next(&w, &frame)) == 1) {
		segment->records[frame.class]++;
		if (frame.n >= segment->end)
			segment->end = frame.n + 1;
	}
	segment->counted = r == 0;
	*ret_end = w.end;
	*ret_damaged = w.damaged;
	eg_spool_walk_destroy(&w);
	return r;
}

/* Leaves the bad bytes out of the segment, which becomes another file. */
static int leave_out(struct eg_evlog *log, int dirfd, struct eg_evlog_segment *segment)
{
	struct eg_evlog_kept kept;
	char name[EG_SPOOL_NAME_LEN];
	int r = eg_evlog_copy(log, dirfd, segment, 0, &kept);

	if (r < 0)
		return r;
	eg_evlog_name(segment, name);
	if (renameat(dirfd, EG_EVLOG_COPY, dirfd, name) < 0)
		return -errno;
	segment->bytes = kept.bytes;
	log->damage.bytes += kept.damaged;
	log->damage.kept_bytes += kept.aside;
	log->damage.events += kept.missing;
	log->stats.damaged_bytes += kept.damaged;
	return 0;
}

int eg_evlog_mend(struct eg_evlog *log, int dirfd, struct eg_evlog_segment *segment, bool *ret_clean)
{
	char name[EG_SPOOL_NAME_LEN];
	uint64_t end, damaged;
	EG_CLOSE int fd = -1;
	struct stat st;
	int r;

	eg_evlog_name(segment, name);
	fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = examine(fd, segment, &end, &damaged);
	if (r < 0)
		return r;
	*ret_clean = damaged == 0 && end == (uint64_t)st.st_size;
	if (end < (uint64_t)st.st_size) {
		if (ftruncate(fd, (off_t)end) < 0)
			return -errno;
		log->damage.torn_bytes += (uint64_t)st.st_size - end;
		log->stats.torn_bytes += (uint64_t)st.st_size - end;
		segment->bytes = end;
	}
	return damaged ? leave_out(log, dirfd, segment) : 0;
}

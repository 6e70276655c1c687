/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_rotate.h - what becomes of a file sink's file when it is full: renamed, compressed, in the end deleted
 *
 * Nothing here is needed for an event to be delivered: what fails is tried again later, and no event is lost by it but
 * by the age or the size that the configuration sets. Never deleted are files whose names are not ours.
 */
#ifndef EG_SHIP_FILE_ROTATE_H
#define EG_SHIP_FILE_ROTATE_H

#include "../lib/sink_config.h"
#include "file_names.h"

struct eg_file_rotate;

/*
 * dirfd, names and config are borrowed. Looks at what is there, and ends what a crash interrupted: unfinished
 * compressions are deleted, a file in both forms is settled. -errno.
 */
int eg_file_rotate_new(const struct eg_file_names *names, int dirfd, const struct eg_sink_config *config,
		       struct eg_file_rotate **ret);
void eg_file_rotate_free(struct eg_file_rotate *rotate);

/* Gives the live file its dated name, for good. The name never existed before. -errno: nothing happened. */
int eg_file_rotate_away(struct eg_file_rotate *rotate, uint64_t utc_ns);

/* Compresses what waits for it, for at most slice_ns, and deletes what is too old or too much. */
void eg_file_rotate_work(struct eg_file_rotate *rotate, uint64_t utc_ns, uint64_t slice_ns);

/* The newest rotated file that is not compressed: an fd to read, or -ENOENT, -errno. */
int eg_file_rotate_open_newest(const struct eg_file_rotate *rotate);

#endif

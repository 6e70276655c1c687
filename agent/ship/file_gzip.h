/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_gzip.h - a rotated file is compressed, a little at a time
 *
 * The sink's thread does it between batches, so that no batch waits for a whole file. The result grows under a
 * name that ends in .tmp; whole and on disk it gets its own name, and only then the plain file goes. After a crash
 * in between both are there, and eg_file_gzip_settle keeps the right one.
 */
#ifndef EG_SHIP_FILE_GZIP_H
#define EG_SHIP_FILE_GZIP_H

#include "file_names.h"

struct eg_file_gzip;

/* Begins with file `old` in dirfd (borrowed, as names). -errno. */
int eg_file_gzip_begin(const struct eg_file_names *names, int dirfd, const struct eg_file_old *old,
		       struct eg_file_gzip **ret);

/* Goes on until until_ns (CLOCK_MONOTONIC), at least a step. 1: done, the plain file is gone; 0: more to do; -errno. */
int eg_file_gzip_step(struct eg_file_gzip *gzip, uint64_t until_ns);

/* Frees; what is not done is deleted. NULL is fine. */
void eg_file_gzip_free(struct eg_file_gzip *gzip);

/* Of a file that is there in both forms: deletes the plain one if the other is whole, else that. -errno. */
int eg_file_gzip_settle(const struct eg_file_names *names, int dirfd, const struct eg_file_old *old);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_seek.h - finding a number in a segment without reading all of it, and what lies behind it
 */
#ifndef EG_LIB_SPOOL_SEEK_H
#define EG_LIB_SPOOL_SEEK_H

#include "spool_walk.h"

/*
 * *ret: where to begin to walk, so that no record numbered n or more is passed by, and little before it is
 * met. w is used for it, and has to be begun again.
 */
int eg_spool_seek(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t n, uint64_t *ret);

/* Number of the last good record; 0: there is none. As before with w. */
int eg_spool_last(struct eg_spool_walk *w, int fd, uint64_t epoch, uint64_t *ret);

/* As eg_spool_reader_lag. */
int eg_spool_lag(int dirfd, const struct eg_spool_pos *from, uint64_t *ret_events, uint64_t *ret_bytes);

#endif

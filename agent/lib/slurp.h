/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slurp.h - a whole text from a file or into one, whatever interrupts
 */
#ifndef EG_LIB_SLURP_H
#define EG_LIB_SLURP_H

#include <stddef.h>
#include <sys/types.h>

/* Reads until the end or until size bytes are there: how many are, or -errno. */
ssize_t eg_read_up_to(int fd, void *ret, size_t size);

/* Writes all of it; what is there after a failure is a part of it. 0 or -errno. */
int eg_write_all(int fd, const void *data, size_t len);

/*
 * The regular file that fd is open at, from its beginning, as text of *ret_len bytes with a NUL behind it that
 * is not counted; free() it. -EINVAL: no regular file; -EFBIG: larger than max bytes; -ENOMEM; -errno.
 */
int eg_slurp(int fd, size_t max, char **ret, size_t *ret_len);

#endif

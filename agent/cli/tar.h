/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - small archives: ustar (POSIX.1-1988) in gzip, regular files only
 *
 * Written so that tar(1) lists and unpacks them; read strictly, since an archive may have been
 * anywhere before it comes back.
 */
#ifndef EG_CLI_TAR_H
#define EG_CLI_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#define EG_TAR_NAME	 256
#define EG_TAR_BYTES_MAX (64u << 20) /* of one file */

struct eg_tar_file {
	char name[EG_TAR_NAME]; /* as it stands there: whoever unpacks has to look at it */
	char *data; /* ends in a NUL that isn't counted; the reader's caller frees it */
	size_t len;
	uint64_t mtime_s;
};

/* -ENAMETOOLONG, -EFBIG, or -EIO: gzerror() says what. */
int eg_tar_put(gzFile out, const struct eg_tar_file *file);
int eg_tar_end(gzFile out);

/* 1: the next file; 0: the end, and nothing was missing. -EBADMSG: no such archive, or cut off; -EFBIG; -ENOMEM. */
int eg_tar_next(gzFile in, struct eg_tar_file *ret);

#endif

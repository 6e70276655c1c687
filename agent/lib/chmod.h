/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EG_LIB_CHMOD_H
#define EG_LIB_CHMOD_H

#include <sys/types.h>

/*
 * fchmod(2) for a process with CAP_CHOWN but not CAP_FOWNER: a file of another user, as after a backup was put
 * back, is the process's own for that moment. 0 or -errno.
 */
int eg_chmod(int fd, mode_t mode);

#endif

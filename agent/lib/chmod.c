// SPDX-License-Identifier: Apache-2.0
#include "chmod.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int eg_chmod(int fd, mode_t mode)
{
	struct stat st;
	int r;

	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EPERM || fstat(fd, &st) || fchown(fd, geteuid(), (gid_t)-1))
		return -errno;
	r = fchmod(fd, mode) ? -errno : 0;
	return fchown(fd, st.st_uid, (gid_t)-1) && !r ? -errno : r;
}

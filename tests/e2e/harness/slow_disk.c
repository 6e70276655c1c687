// SPDX-License-Identifier: Apache-2.0
/*
 * To be preloaded: fsync(2) and fdatasync(2) wait as long as the file that SLOW_DISK names is there, where the path
 * has the word SLOW_DISK_FILES in it (without one: segments of events).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);

static void wait_for_disk(int fd)
{
	const char *gate = getenv("SLOW_DISK"), *files = getenv("SLOW_DISK_FILES");
	char link[64], path[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	while (gate && strstr(path, files ? files : ".spool") && access(gate, F_OK) == 0)
		usleep(10000);
}

int fdatasync(int fd)
{
	wait_for_disk(fd);
	return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd)
{
	wait_for_disk(fd);
	return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

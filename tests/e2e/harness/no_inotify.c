// SPDX-License-Identifier: Apache-2.0
/*
 * To be preloaded: while the file exists that NO_INOTIFY names, no inotify instance is to be had, as after somebody of
 * the same user took all of them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int inotify_init1(int flags);

int inotify_init1(int flags)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "inotify_init1");
	const char *path = getenv("NO_INOTIFY");

	if (!path)
		abort(); /* a test that watches would show nothing */
	if (access(path, F_OK) == 0) {
		errno = EMFILE;
		return -1;
	}
	return real(flags);
}

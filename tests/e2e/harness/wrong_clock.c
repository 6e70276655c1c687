// SPDX-License-Identifier: Apache-2.0
/*
 * To be preloaded: the clock on the wall is as many seconds ahead as the file says that WRONG_CLOCK names (8 bytes,
 * mapped, so that a jailed program needs no call for it).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *ret);
time_t time(time_t *ret);

static int (*real)(clockid_t, struct timespec *);
static const volatile int64_t *ahead;

/* Or before that, by another library's constructor. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("WRONG_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (map == MAP_FAILED)
		abort(); /* a test that runs by the right clock would show nothing */
	ahead = map;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r;

	if (!ahead)
		begin();
	r = real(clock, ret);
	if (r == 0 && clock == CLOCK_REALTIME)
		ret->tv_sec += *ahead;
	return r;
}

time_t time(time_t *ret)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

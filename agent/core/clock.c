// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * EG_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t eg_clock_boot_ns(void)
{
	return read_ns(CLOCK_BOOTTIME);
}

uint64_t eg_clock_utc_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

uint64_t eg_clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t eg_clock_utc_offset_ns(void)
{
	int64_t best = 0;
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = read_ns(CLOCK_BOOTTIME);
		uint64_t utc = read_ns(CLOCK_REALTIME);
		uint64_t after = read_ns(CLOCK_BOOTTIME);

		if (after - before < best_width) {
			best_width = after - before;
			best = (int64_t)(utc - (before + (after - before) / 2));
		}
	}
	return best;
}

int eg_clock_watch(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	eg_clock_watch_again(fd);
	return fd;
}

void eg_clock_watch_again(int fd)
{
	/* far away: it fires only because the clock was set */
	struct itimerspec far = {.it_value.tv_sec = (time_t)(INT64_MAX / 2000000000)};
	uint64_t ticks;

	while (read(fd, &ticks, sizeof(ticks)) > 0)
		;
	timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

int eg_clock_ms_left(uint64_t start_ns, uint64_t now_ns, int ms)
{
	uint64_t spent_ms = now_ns > start_ns ? (now_ns - start_ns) / 1000000 : 0;

	return spent_ms >= (uint64_t)ms ? 0 : ms - (int)spent_ms;
}

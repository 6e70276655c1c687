/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the two clocks of eg_host_ctl: boot time, and its distance from UTC
 */
#ifndef EG_CORE_CLOCK_H
#define EG_CORE_CLOCK_H

#include <stdint.h>

#define EG_NS_PER_S 1000000000ull

uint64_t eg_clock_boot_ns(void); /* CLOCK_BOOTTIME */
uint64_t eg_clock_utc_ns(void); /* CLOCK_REALTIME */
uint64_t eg_clock_mono_ns(void); /* CLOCK_MONOTONIC */

/* utc - boot, read so that the two belong together to within a few µs. */
int64_t eg_clock_utc_offset_ns(void);

/*
 * A timerfd that becomes readable when CLOCK_REALTIME is set (settimeofday, NTP step,
 * resume). fd or -errno.
 */
int eg_clock_watch(void);
/* To be called when the fd is readable: arms it again. */
void eg_clock_watch_again(int fd);

/* What is left of a wait of so many ms that began at start_ns; 0 if nothing is. */
int eg_clock_ms_left(uint64_t start_ns, uint64_t now_ns, int ms);

#endif

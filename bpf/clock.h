/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * clock.h - what time it is, cheaply
 *
 * Theory of operation. Expiry and windows need boot time (it goes on in suspend) and UTC.
 * Reading CLOCK_BOOTTIME costs as much as all the rest of the packet path, the coarse
 * monotonic clock next to nothing. So a packet reads the coarse clock and adds a delta
 * that some packet refreshes every quarter of a second; after a suspend the first packets
 * within that quarter may still be judged by the time before it. What starts something
 * (a flow, an event) reads the exact clock. The coarse clock is late by at most a tick.
 */
#ifndef EG_BPF_CLOCK_H
#define EG_BPF_CLOCK_H

#include "maps.h"

#define EG_CLOCK_RESYNC_NS (250ull * 1000 * 1000)

struct eg_clock {
	__u64 boot_ns;
	__u64 utc_ns;
};

static __always_inline void eg_clock_coarse(const struct eg_host_ctl *host, struct eg_clock *ret)
{
	__u64 coarse = bpf_ktime_get_coarse_ns();
	struct eg_host_state *state;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&host_state, &zero);
	if (state) {
		if (coarse - state->synced_ns > EG_CLOCK_RESYNC_NS) {
			state->boot_delta_ns = bpf_ktime_get_boot_ns() - coarse;
			state->synced_ns = coarse;
		}
		coarse += state->boot_delta_ns;
	}
	ret->boot_ns = coarse;
	ret->utc_ns = coarse + (__u64)host->utc_offset_ns;
}

static __always_inline void eg_clock_exact(const struct eg_host_ctl *host, struct eg_clock *ret)
{
	ret->boot_ns = bpf_ktime_get_boot_ns();
	ret->utc_ns = ret->boot_ns + (__u64)host->utc_offset_ns;
}

#endif

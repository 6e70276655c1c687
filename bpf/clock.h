/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * clock.h - what time it is, cheaply
 *
 * Theory of operation. Expiry and windows need boot time (it goes on in suspend) and UTC.
 * Reading a clock of the kernel's costs as much as a third of the packet path, also the coarse
 * one; the number of the timer tick is one load. So the first packet of a tick reads the boot
 * clock for all that come in the same tick: what they see is late by at most a tick, as the
 * coarse clock would be. What starts something (a flow, an event) reads the exact clock.
 *
 * Two CPUs may store at once. The time is stored before its tick and read after it, so a reader
 * that finds its own tick finds a time of that tick, or one that another CPU read just before.
 */
#ifndef EG_BPF_CLOCK_H
#define EG_BPF_CLOCK_H

#include "maps.h"

struct eg_clock {
	__u64 boot_ns;
	__u64 utc_ns;
};

static __always_inline void eg_clock_coarse(const struct eg_host_ctl *host, struct eg_clock *ret)
{
	__u64 tick = bpf_jiffies64();
	struct eg_host_state *state;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&host_state, &zero);
	if (state && *(volatile __u64 *)&state->tick == tick) {
		ret->boot_ns = *(volatile __u64 *)&state->boot_ns;
	} else {
		ret->boot_ns = bpf_ktime_get_boot_ns();
		if (state) {
			*(volatile __u64 *)&state->boot_ns = ret->boot_ns;
			*(volatile __u64 *)&state->tick = tick;
		}
	}
	ret->utc_ns = ret->boot_ns + (__u64)host->utc_offset_ns;
}

static __always_inline void eg_clock_exact(const struct eg_host_ctl *host, struct eg_clock *ret)
{
	ret->boot_ns = bpf_ktime_get_boot_ns();
	ret->utc_ns = ret->boot_ns + (__u64)host->utc_offset_ns;
}

#endif

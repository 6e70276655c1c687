// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * reap.bpf.c - ends the UDP peers that no timer ends (see peer.h)
 *
 * Never attached: while there are such peers the agent runs it, every few seconds, as it runs eg_explain.
 */
#include <linux/if_ether.h>

#include "peer.h"

SEC("tc")
int eg_reap(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct eg_reaping *reaping = data + sizeof(struct ethhdr);
	struct eg_host_ctl *host = eg_host();
	struct eg_untimed_on on;

	if ((void *)(reaping + 1) > end || !host)
		return 2;
	on.now_ns = bpf_ktime_get_boot_ns();
	on.idle_ns = host->udp_idle_ns;
	bpf_loop(reaping->look, eg_untimed_look, &on, 0);
	return 0;
}

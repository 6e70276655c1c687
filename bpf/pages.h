/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pages.h - whether a packet's data is as it will be when it arrives
 *
 * Theory of operation. sendfile(), splice(), MSG_ZEROCOPY and io_uring's send_zc put pages into a
 * packet that stay the app's: it may write to them after the packet was judged, while it waits in a
 * queue or before TCP sends it again. Of a datagram the kernel copies what it copies to where the
 * headers are, so whatever lies elsewhere may be such a page. TCP never has data there: the marks on
 * the packet (SKBFL_*) tell the two apart, which a program can read since Linux 6.2; before, `egret
 * doctor` says so. They are lost where TCP joins packets to send them again, but each was seen by
 * itself before that.
 */
#ifndef EG_BPF_PAGES_H
#define EG_BPF_PAGES_H

#include "maps.h"
#include "scratch.h"

#include <bpf/bpf_core_read.h>

#define EG_SKBFL_APPS_OWN 3 /* SKBFL_ZEROCOPY_ENABLE, SKBFL_SHARED_FRAG */

struct sk_buff {
	unsigned char *head;
	unsigned int end;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	__u8 flags;
} __attribute__((preserve_access_index));

/* Set before loading, where the kernel has both functions; elsewhere the calls are dead code. */
const volatile bool eg_sees_pages = false;

/*
 * A call of the kernel's function that the agent puts in the place of this number. libbpf would do so for
 * an extern, but looks for one that isn't there in the BTF of all modules, and egretd makes no such call.
 */
#define EG_CALL(number, first, second)                                                                                 \
	({                                                                                                             \
		void *eg_r_;                                                                                           \
		asm volatile("r1 = %[a]; r2 = %[b]; call " EG_STR(number) "; %[r] = r0"                                \
			     : [r] "=r"(eg_r_)                                                                         \
			     : [a] "r"(first), [b] "r"((__u64)(second))                                                \
			     : "r0", "r1", "r2", "r3", "r4", "r5");                                                    \
		eg_r_;                                                                                                 \
	})

/* Inline in the program itself: the agent can't get at functions of a program's. */
static __always_inline bool eg_pages_are_shared(struct __sk_buff *skb)
{
	struct skb_shared_info *shared;
	struct sk_buff *packet;

	if (!eg_sees_pages)
		return false;
	packet = EG_CALL(EG_CALL_CAST_TO_KERN_CTX, skb, 0);
	shared = EG_CALL(EG_CALL_RDONLY_CAST, packet->head + packet->end,
			 bpf_core_type_id_kernel(struct skb_shared_info));
	return (shared->flags & EG_SKBFL_APPS_OWN) != 0;
}

/* All of the packet lies where its headers are. */
static __always_inline bool eg_pages_are_none(const struct __sk_buff *skb)
{
	return (__u64)skb->data_end - (__u64)skb->data >= skb->len;
}

#endif

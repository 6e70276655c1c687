/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parsers_abi.h - what parsers.bpf.c and the test that loads it share
 *
 * The scratch belongs to the kernel side alone, so the object says itself where its fields are.
 */
#ifndef EG_TESTS_BPF_PARSERS_ABI_H
#define EG_TESTS_BPF_PARSERS_ABI_H

#include <linux/types.h>

struct px_layout { /* offsets into the value of map `px_table` */
	__u32 result; /* what the parser returned */
	__u32 msg_len;
	__u32 msg;
	__u32 msg_max;
	__u32 text_len;
	__u32 text;
	__u32 name_hash;
	__u32 key_prefixlen;
	__u32 key_text;
	__u32 id;
	__u32 qtype;
	__u32 rcode;
	__u32 bare;
	__u32 addr_count;
	__u32 addr_max;
	__u32 addr;
	__u32 ttl_s;
};

#endif

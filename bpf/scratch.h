/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * scratch.h - room to work in, for what is too large for the stack
 *
 * Theory of operation. Each CPU has EG_SCRATCHES pieces. A program can be interrupted by
 * another on the same CPU (a task's egress by the softirq's ingress, a task by a task), so a
 * piece is claimed by an atomic exchange and given back at the end. None free: the packet is
 * refused, and whoever sent it sends it again.
 */
#ifndef EG_BPF_SCRATCH_H
#define EG_BPF_SCRATCH_H

#include "maps.h"
#include "rules.h"

#define EG_SCRATCHES 8
#define EG_MSG_MAX   8192 /* bytes of a DNS message or of a connection's first data that are looked at */
#define EG_MSG_MASK  (EG_MSG_MAX - 1)
#define EG_MSG_PAD   2048 /* so that a piece of so much may be loaded at any place */
#define EG_TEXT_MASK 0xff

/* A message. Reads past `len` find what was there before: check the length first. */
struct eg_msg {
	__u32 len; /* 0 .. EG_MSG_MAX */
	__u8 b[EG_MSG_MAX + EG_MSG_PAD];
};

#define EG_ANSWER_ADDRS 64 /* addresses in one answer; one with more is refused */

/*
 * Where a parser is. Here and not on the stack: the verifier of 6.1 looks at a bpf_loop callback
 * once, with what the caller's stack holds before the first round, and removes as dead what
 * only a later round reaches. It never takes what a map holds for known.
 */
struct eg_walk {
	__u32 at;
	__u32 end; /* of the message as it says itself, which may lie behind msg.len */
	__u32 result;
	__u32 name_at;
	__u32 name_len; /* 0: not seen */
	__u32 label; /* bytes of it so far */
	__u32 letters; /* in it: bytes that are no digits */
	__u32 left; /* bytes left of a DNS label, records left of a section */
	__u32 size; /* of the addresses in a hint */
	__u32 ttl_s;
};

/* Looking for grants of an address (grant.h). */
struct eg_grant_look {
	__u64 now_ns; /* boot */
	__u32 uid;
	__u32 service;
	__u32 stale; /* a grant would allow it, but for its end */
	__u32 granted; /* 1: the address has a good grant of a name that is allowed, for another service */
};

/* Making one. */
struct eg_grant_place {
	__u64 now_ns;
	__u64 soonest_ns; /* end of the grant that has to make room for the name at this address */
	__u32 slot;
	__u32 max;
	__u32 place;
	__u32 way;
	__u32 known; /* 1: the name has a grant of the address */
	__u32 spare; /* 1: good grants of other names are passed over */
};

/* What an answer's addresses became (learn.h). */
struct eg_harvest {
	__u32 uid;
	__u32 pad; /* zero */
	__u32 private_ok; /* 1: the name has rules with a `private` list */
	__u32 granted; /* that were not before */
	__u32 private; /* not public, and on no list */
	__u32 shortage;
};

/* Answers on a TCP connection, which come in pieces (learn.h). */
struct eg_pieces {
	__u32 next_seq; /* of the next byte */
	__u32 known; /* 1: next_seq is valid */
	__u32 have; /* bytes of the message, in msg */
	__u32 head; /* bytes of its length, in len */
	__u8 len[4];
	__u32 at; /* offset in the packet */
	__u32 result; /* enum eg_reason */
	__u32 told; /* 1: whoever read the message told of its result */
};

/* Its size is part of the ABI: one is the value of the pinned map dns_streams. */
struct eg_scratch {
	__u32 busy;
	__u32 index; /* which one */
	__u32 text_len; /* of `text` and `key.text` */
	__u64 name_hash; /* of `text` */
	struct eg_name_key key; /* the name backwards, as the tables hold it */
	__u8 text[EG_TEXT_MASK + 1 + 4]; /* the name forwards */
	struct eg_grant_key grant_key;
	struct eg_grant grant;
	struct eg_walk walk;
	struct eg_walk hint; /* within a record */
	struct eg_grant_look look;
	struct eg_grant_place place;
	struct eg_found found;
	struct eg_found covers;
	struct eg_found best;
	struct eg_rule_key rule_key;
	struct eg_harvest harvest;
	struct eg_pieces piece;
	struct eg_asked_one question;
	__u32 bare; /* 1: the answer has no question section */
	__u32 asked_at; /* 1 + index of the question, 0: never asked */
	__u32 addr_count;
	__u32 ttl_s[EG_ANSWER_ADDRS];
	struct eg_addr addr[EG_ANSWER_ADDRS];
	struct eg_msg msg;
};

/* Writer and reader: kernel, who claimed it. Never full: see above. Not pinned: it holds nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EG_SCRATCHES);
	__type(key, __u32);
	__type(value, struct eg_scratch);
} scratch __weak SEC(".maps");

/* For the callbacks of bpf_loop, which take a pointer to the stack only. */
struct eg_on_scratch {
	struct eg_scratch *s;
};

static __always_inline struct eg_scratch *eg_scratch_claim(void)
{
	for (__u32 i = 0; i < EG_SCRATCHES; i++) {
		__u32 index = i;
		struct eg_scratch *s = bpf_map_lookup_elem(&scratch, &index);

		if (s && !__sync_lock_test_and_set(&s->busy, 1)) {
			s->index = i;
			return s;
		}
	}
	return NULL;
}

/* A claimed one, for a function that needs a key in it: on 6.1 that has to be seen to lie in a map. */
static __always_inline struct eg_scratch *eg_scratch_at(__u32 index)
{
	return bpf_map_lookup_elem(&scratch, &index);
}

static __always_inline void eg_scratch_release(struct eg_scratch *s)
{
	__sync_lock_test_and_set(&s->busy, 0);
}

/* Kept below its bound where clang has proved that it is, and drops the mask, so that the verifier can't see it. */
#ifdef __bpf__
#define EG_MASKED(index, mask)                                                                                         \
	({                                                                                                             \
		__u32 eg_i_ = (index);                                                                                 \
		asm volatile("%0 &= " EG_STR(mask) : "+r"(eg_i_));                                                     \
		eg_i_;                                                                                                 \
	})
#else /* a test's build for its own machine */
#define EG_MASKED(index, mask) ((__u32)(index) & (mask))
#endif
#define EG_STR(x)  EG_STR_(x)
#define EG_STR_(x) #x

static __always_inline __u8 eg_msg_u8(const struct eg_msg *msg, __u32 at)
{
	return msg->b[EG_MASKED(at, 8191)];
}

static __always_inline __u16 eg_msg_u16(const struct eg_msg *msg, __u32 at)
{
	return (__u16)((__u16)eg_msg_u8(msg, at) << 8 | eg_msg_u8(msg, at + 1));
}

static __always_inline __u32 eg_msg_u32(const struct eg_msg *msg, __u32 at)
{
	return (__u32)eg_msg_u16(msg, at) << 16 | eg_msg_u16(msg, at + 2);
}

/* False: len is not 1 .. EG_MSG_MAX, or the packet is shorter. */
static __always_inline bool eg_msg_load(struct __sk_buff *skb, __u32 offset, __u32 len, struct eg_msg *msg)
{
	if (!len || len > EG_MSG_MAX)
		return false;
	msg->len = len;
	/* 6.1 does not see by a comparison with 0 that there is at least one byte */
	return !bpf_skb_load_bytes(skb, offset, msg->b, EG_MASKED(len - 1, 8191) + 1);
}

_Static_assert(EG_MSG_MASK == 8191 && EG_MSG_PAD == 2048, "the masks");
_Static_assert(sizeof(struct eg_scratch) == 12704, "the value of dns_streams");

#endif

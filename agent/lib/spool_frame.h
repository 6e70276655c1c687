/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_frame.h - one record of the spool as bytes
 *
 * Little-endian:
 *
 *   0  magic   ff 45 47 31; ff is in no UTF-8 text, so no event's text can be taken for a frame
 *   4  u32     length of the text, 1 .. EG_SPOOL_TEXT_MAX
 *   8  u64     number, below 2^63
 *  16  u8      class (enum eg_spool_class)
 *  17  3 bytes zero
 *  20  u32     CRC-32 of the epoch (u64), bytes 0 .. 19 and the text
 *  24  text
 *
 * The epoch is the segment's, by its name: it is in the CRC, so that old blocks of another epoch that a
 * crash left in a file are no records.
 *
 * CRC-32 is zlib's: 160 ns for an event of 720 bytes where CRC-32C by SSE4.2 took 67 ns, out of 1.7 us
 * for the whole way to the disk; and everybody has it.
 */
#ifndef EG_LIB_SPOOL_FRAME_H
#define EG_LIB_SPOOL_FRAME_H

#include <sys/types.h>

#include "spool.h"

#define EG_SPOOL_HEAD_LEN  24u
#define EG_SPOOL_FRAME_MAX (128u << 10)
#define EG_SPOOL_TEXT_MAX  (EG_SPOOL_FRAME_MAX - EG_SPOOL_HEAD_LEN)
#define EG_SPOOL_N_MAX     (UINT64_MAX >> 1) /* also of epochs */

struct eg_spool_frame {
	uint64_t n;
	enum eg_spool_class class;
	const char *text; /* where it was decoded */
	uint32_t len; /* of the text */
};

static inline size_t eg_spool_frame_size(const struct eg_spool_frame *frame)
{
	return EG_SPOOL_HEAD_LEN + frame->len;
}

/* Writes the header of frame->text at head, EG_SPOOL_HEAD_LEN bytes; the text may be anywhere. */
void eg_spool_frame_encode(char *head, uint64_t epoch, const struct eg_spool_frame *frame);

/* 1: *ret is the frame that begins at `from`; 0: more bytes are needed; -EBADMSG: no frame begins here. */
int eg_spool_frame_decode(const char *from, size_t len, uint64_t epoch, struct eg_spool_frame *ret);

/* Offset of the first byte at which a frame may begin; len: none. */
size_t eg_spool_frame_find(const char *from, size_t len);

#endif

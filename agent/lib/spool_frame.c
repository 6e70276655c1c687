// SPDX-License-Identifier: Apache-2.0
#include "spool_frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

#define MAGIC_LEN 4u
#define CRC_AT    20u

static const char magic[MAGIC_LEN] = {'\xff', 'E', 'G', '1'};

static void put32(char *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put64(char *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

static uint32_t checksum(uint64_t epoch, const char *head, const char *text, uint32_t len)
{
	unsigned char first[8 + CRC_AT];

	put64((char *)first, epoch);
	memcpy(first + 8, head, CRC_AT);
	return (uint32_t)crc32(crc32(0, first, sizeof(first)), (const unsigned char *)text, len);
}

void eg_spool_frame_encode(char *head, uint64_t epoch, const struct eg_spool_frame *frame)
{
	memcpy(head, magic, MAGIC_LEN);
	put32(head + 4, frame->len);
	put64(head + 8, frame->n);
	put32(head + 16, frame->class); /* and the zeros after it */
	put32(head + CRC_AT, checksum(epoch, head, frame->text, frame->len));
}

int eg_spool_frame_decode(const char *from, size_t len, uint64_t epoch, struct eg_spool_frame *ret)
{
	struct eg_spool_frame frame;
	uint32_t class;

	if (memcmp(from, magic, len < MAGIC_LEN ? len : MAGIC_LEN) != 0)
		return -EBADMSG;
	if (len < EG_SPOOL_HEAD_LEN)
		return 0;
	class = get32(from + 16);
	frame = (struct eg_spool_frame){
		.n = get64(from + 8),
		.class = (enum eg_spool_class)class,
		.text = from + EG_SPOOL_HEAD_LEN,
		.len = get32(from + 4),
	};
	if (class >= EG_SPOOL_CLASS_COUNT_ || !frame.len || frame.len > EG_SPOOL_TEXT_MAX || frame.n > EG_SPOOL_N_MAX)
		return -EBADMSG;
	if (len - EG_SPOOL_HEAD_LEN < frame.len)
		return 0;
	if (get32(from + CRC_AT) != checksum(epoch, from, frame.text, frame.len))
		return -EBADMSG;
	*ret = frame;
	return 1;
}

size_t eg_spool_frame_find(const char *from, size_t len)
{
	const char *first;
	size_t at = 0;

	/* cppcheck-suppress invalidFunctionArg ; at is less than len */
	while (at < len && (first = memchr(from + at, magic[0], len - at))) {
		at = (size_t)(first - from);
		if (memcmp(first, magic, len - at < MAGIC_LEN ? len - at : MAGIC_LEN) == 0)
			return at;
		at++;
	}
	return len;
}

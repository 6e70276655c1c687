// SPDX-License-Identifier: Apache-2.0
#include "ring_look.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD_MAX 8192u /* more than any of ours: what the kernel may be writing beyond its published place */

struct eg_ring_look {
	size_t page;
	uint64_t size; /* of the data, a power of two */
	const uint64_t *consumer;
	const uint64_t *producer;
	const char *data; /* mapped twice, one behind the other: no record wraps */
	uint64_t at;
	uint64_t late;
};

void eg_ring_look_free(struct eg_ring_look *look)
{
	if (!look)
		return;
	if (look->consumer)
		munmap((void *)look->consumer, look->page);
	if (look->producer)
		munmap((void *)look->producer, look->page + 2 * look->size);
	free(look);
}

static const void *map(int fd, size_t offset, size_t len)
{
	const void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	return at == MAP_FAILED ? NULL : at;
}

int eg_ring_look_new(int ring_fd, struct eg_ring_look **ret)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	struct eg_ring_look *look;

	if (bpf_obj_get_info_by_fd(ring_fd, &info, &len))
		return -errno;
	look = calloc(1, sizeof(*look));
	if (!look)
		return -ENOMEM;
	look->page = (size_t)sysconf(_SC_PAGESIZE);
	look->size = info.max_entries;
	look->consumer = map(ring_fd, 0, look->page);
	look->producer = look->consumer ? map(ring_fd, look->page, look->page + 2 * look->size) : NULL;
	if (!look->producer) {
		int r = -errno;

		eg_ring_look_free(look);
		return r;
	}
	look->data = (const char *)look->producer + look->page;
	look->at = __atomic_load_n(look->producer, __ATOMIC_ACQUIRE);
	*ret = look;
	return 0;
}

/* What stands at look->at may have been overwritten. */
static bool is_late(const struct eg_ring_look *look)
{
	return __atomic_load_n(look->producer, __ATOMIC_ACQUIRE) - look->at + RECORD_MAX > look->size;
}

/* While the consumer stands still nothing is overwritten, however full the ring is. */
static bool is_safe(const struct eg_ring_look *look)
{
	return __atomic_load_n(look->consumer, __ATOMIC_ACQUIRE) <= look->at;
}

static void begin_again(struct eg_ring_look *look)
{
	look->at = __atomic_load_n(look->consumer, __ATOMIC_ACQUIRE);
	look->late++;
}

void eg_ring_look_each(struct eg_ring_look *look, void *record, size_t size, void (*each)(void *ctx, const void *record),
		       void *ctx)
{
	const uint64_t end = __atomic_load_n(look->producer, __ATOMIC_ACQUIRE);

	while (look->at < end) {
		const char *head = look->data + (look->at & (look->size - 1));
		uint32_t word = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);
		uint32_t len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		memset(record, 0, size);
		if (len <= RECORD_MAX)
			memcpy(record, head + BPF_RINGBUF_HDR_SZ, len < size ? len : size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!is_safe(look) && is_late(look)) {
			begin_again(look);
			continue;
		}
		if (word & BPF_RINGBUF_BUSY_BIT)
			return; /* it is being written: with the next look */
		if (!(word & BPF_RINGBUF_DISCARD_BIT))
			each(ctx, record);
		look->at += (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	}
}

uint64_t eg_ring_look_late(const struct eg_ring_look *look)
{
	return look->late;
}

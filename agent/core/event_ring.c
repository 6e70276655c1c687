// SPDX-License-Identifier: Apache-2.0
#include "event_ring.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/cleanup.h"

struct eg_event_ring {
	size_t page;
	uint64_t size; /* of the data, a power of two */
	uint64_t *consumer;
	const uint64_t *producer;
	const char *data; /* mapped twice, one behind the other: no record wraps */
	uint64_t at;
};

EG_DEFINE_CLEANUP(ring, struct eg_event_ring *, eg_event_ring_free);

void eg_event_ring_free(struct eg_event_ring *ring)
{
	if (!ring)
		return;
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page + 2 * ring->size);
	free(ring);
}

static void *map(int fd, int prot, size_t offset, size_t len)
{
	void *at = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);

	return at == MAP_FAILED ? NULL : at;
}

int eg_event_ring_new(int fd, struct eg_event_ring **ret)
{
	EG_CLEANUP(eg_cleanup_ring) struct eg_event_ring *ring = NULL;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.type != BPF_MAP_TYPE_RINGBUF)
		return -EINVAL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = info.max_entries;
	ring->consumer = map(fd, PROT_READ | PROT_WRITE, 0, ring->page);
	if (!ring->consumer)
		return -errno;
	ring->producer = map(fd, PROT_READ, ring->page, ring->page + 2 * ring->size);
	if (!ring->producer)
		return -errno;
	ring->data = (const char *)ring->producer + ring->page;
	ring->at = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	*ret = EG_TAKE_PTR(ring);
	return 0;
}

void eg_event_ring_read(struct eg_event_ring *ring, eg_event_ring_fn *fn, void *ctx)
{
	bool more = true;

	while (more && ring->at < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE)) {
		const char *head = ring->data + (ring->at & (ring->size - 1));
		uint32_t word = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);
		uint32_t len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (word & BPF_RINGBUF_BUSY_BIT)
			return; /* it is being written */
		ring->at += (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (!(word & BPF_RINGBUF_DISCARD_BIT))
			more = fn(ctx, head + BPF_RINGBUF_HDR_SZ, len, ring->at);
	}
}

uint64_t eg_event_ring_at(const struct eg_event_ring *ring)
{
	return ring->at;
}

static uint64_t held(const struct eg_event_ring *ring)
{
	return ring->at - __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

bool eg_event_ring_holds(const struct eg_event_ring *ring)
{
	return held(ring) > 0;
}

bool eg_event_ring_holds_much(const struct eg_event_ring *ring)
{
	return held(ring) > ring->size / 2;
}

void eg_event_ring_release(struct eg_event_ring *ring, uint64_t to)
{
	uint64_t now = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);

	while (now < to && !__atomic_compare_exchange_n(ring->consumer, &now, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

void eg_event_ring_pass(struct eg_event_ring *ring, uint64_t to)
{
	ring->at = to;
	eg_event_ring_release(ring, to);
}

bool eg_event_ring_spans(const struct eg_event_ring *ring, uint64_t place)
{
	return place > __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE) &&
	       place <= __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

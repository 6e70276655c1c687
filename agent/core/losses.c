// SPDX-License-Identifier: Apache-2.0
#include "losses.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../lib/cleanup.h"

#define CHUNK_SLOTS 256u
#define FILE_NAME   "losses"
#define LOSS_WORDS  (sizeof(struct eg_loss) / sizeof(__u64))

_Static_assert(sizeof(struct eg_loss) % sizeof(__u64) == 0, "a loss is an array of sums");

/* The file: this, then a struct eg_losses for each slot. In the host's byte order: it never travels. */
struct header {
	char magic[8];
	char boot[40];
	uint64_t map_id;
	uint64_t slots;
};

struct eg_loss_ledger {
	struct eg_losses_config config;
	struct eg_losses *told; /* by slot */
	unsigned char *dirty; /* by slot: told is newer than the file */
	bool any_dirty;
	int fd; /* of the file; -1: none */
	bool restored;
	pthread_mutex_t lock; /* of what follows */
	bool any_dropped;
	struct eg_loss *dropped; /* by slot: not told yet */
};

EG_DEFINE_CLEANUP(ledger, struct eg_loss_ledger *, eg_losses_free);

static int read_map(void *ctx, uint32_t first, uint32_t count, struct eg_losses *ret)
{
	int fd = *(int *)ctx;
	uint32_t keys[CHUNK_SLOTS], before = first - 1, last;

	if (count > CHUNK_SLOTS)
		return -EINVAL;
	/* A batch goes on after a key. Reaching the end of the map is said as ENOENT. */
	if (bpf_map_lookup_batch(fd, first ? &before : NULL, &last, keys, ret, &count, NULL) < 0 &&
	    errno != ENOENT)
		return -errno;
	return 0;
}

int eg_losses_config_map(int map_fd, struct eg_losses_config *ret)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len) < 0)
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(struct eg_losses))
		return -EINVAL;
	ret->slots = info.max_entries;
	ret->map_id = info.id;
	ret->read = read_map;
	return 0;
}

int eg_losses_new(const struct eg_losses_config *config, struct eg_loss_ledger **ret)
{
	EG_CLEANUP(eg_cleanup_ledger) struct eg_loss_ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->fd = -1;
	l->config = *config;
	/* Large and mostly untouched: pages of slots that never lose anything cost nothing. */
	l->told = calloc(config->slots, sizeof(*l->told));
	l->dropped = calloc(config->slots, sizeof(*l->dropped));
	l->dirty = calloc(config->slots, 1);
	if (!l->told || !l->dropped || !l->dirty)
		return -ENOMEM;
	*ret = EG_TAKE_PTR(l);
	return 0;
}

void eg_losses_free(struct eg_loss_ledger *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l->told);
	free(l->dropped);
	free(l->dirty);
	free(l);
}

void eg_losses_drop(struct eg_loss_ledger *l, const struct eg_event *e)
{
	struct eg_loss *loss = &l->dropped[e->app < l->config.slots ? e->app : EG_APP_UNKNOWN];

	pthread_mutex_lock(&l->lock);
	l->any_dropped = true;
	loss->events++;
	switch (e->type) {
	case EG_EVENT_DNS:
		if (e->reason == EG_REASON_NONE)
			break;
		/* fallthrough */
	case EG_EVENT_DENY:
		loss->deny_events++;
		if (!e->audited)
			loss->denied_bytes += e->seen.bytes_out + e->seen.bytes_in;
		break;
	case EG_EVENT_FLOW_END:
		loss->flow_ends++;
		/* fallthrough */
	case EG_EVENT_FLOW_START:
	case EG_EVENT_FLOW_UPDATE:
		/* Flows come through their ring, which drops none here: their bytes need no sum. */
		loss->flow_events++;
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&l->lock);
}

static int header_fill(const struct eg_loss_ledger *l, struct header *ret)
{
	EG_FCLOSE FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	*ret = (struct header){.magic = "egloss1", .map_id = l->config.map_id, .slots = l->config.slots};
	if (!f)
		return -errno;
	return fscanf(f, "%39s", ret->boot) == 1 ? 0 : -EIO;
}

static int write_record(struct eg_loss_ledger *l, uint32_t slot)
{
	off_t at = (off_t)(sizeof(struct header) + slot * sizeof(*l->told));
	ssize_t n = pwrite(l->fd, &l->told[slot], sizeof(l->told[slot]), at);

	if (n < 0)
		return -errno;
	return n == sizeof(l->told[slot]) ? 0 : -ENOSPC;
}

/* Slots that the file says nothing about, or only in part, stay zero. */
static int load_records(struct eg_loss_ledger *l)
{
	EG_FREE struct eg_losses *chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
	static const struct eg_losses none;

	if (!chunk)
		return -ENOMEM;
	for (uint32_t first = 0; first < l->config.slots; first += CHUNK_SLOTS) {
		off_t at = (off_t)(sizeof(struct header) + first * sizeof(*chunk));
		ssize_t n = pread(l->fd, chunk, CHUNK_SLOTS * sizeof(*chunk), at);

		if (n < 0)
			return -errno;
		for (uint32_t i = 0; i < (size_t)n / sizeof(*chunk) && first + i < l->config.slots; i++)
			if (memcmp(&chunk[i], &none, sizeof(none)) != 0)
				l->told[first + i] = chunk[i];
		if ((size_t)n < CHUNK_SLOTS * sizeof(*chunk))
			break;
	}
	return 0;
}

/* The file is new, or of other maps: it begins with what is known here. */
static int begin_file(struct eg_loss_ledger *l, const struct header *header)
{
	static const struct eg_losses none;
	int r = 0;

	if (ftruncate(l->fd, 0) < 0)
		return -errno;
	for (uint32_t slot = 0; l->restored && slot < l->config.slots && r == 0; slot++)
		if (memcmp(&l->told[slot], &none, sizeof(none)) != 0)
			r = write_record(l, slot);
	if (r < 0)
		return r;
	if (pwrite(l->fd, header, sizeof(*header), 0) != sizeof(*header))
		return -EIO;
	return 0;
}

int eg_losses_restore(struct eg_loss_ledger *l, const char *dir)
{
	struct header want, have = {0};
	EG_FREE char *path = NULL;
	ssize_t n;
	int r;

	r = header_fill(l, &want);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s/" FILE_NAME, dir) < 0)
		return -ENOMEM;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return -errno;
	n = pread(l->fd, &have, sizeof(have), 0);
	if (n == sizeof(have) && memcmp(&have, &want, sizeof(have)) == 0)
		r = l->restored ? 0 : load_records(l);
	else
		r = begin_file(l, &want);
	if (r < 0) {
		close(l->fd);
		l->fd = -1;
		return r;
	}
	l->restored = true;
	return 0;
}

/* What is new in now; false: nothing. A counter that went back was begun anew. */
static bool subtract(const struct eg_loss *now, const struct eg_loss *told, struct eg_loss *ret)
{
	static const struct eg_loss none;
	const __u64 *a = (const __u64 *)now, *b = (const __u64 *)told;
	__u64 *out = (__u64 *)ret, any = 0;

	for (size_t i = 0; i < LOSS_WORDS; i++)
		if (a[i] < b[i])
			b = (const __u64 *)&none;
	for (size_t i = 0; i < LOSS_WORDS; i++) {
		out[i] = a[i] - b[i];
		any |= out[i];
	}
	return any != 0;
}

static bool tell_slot(struct eg_loss_ledger *l, uint32_t slot, const struct eg_losses *now, eg_losses_tell *tell, void *ctx)
{
	for (int cause = 0; cause < EG_LOSS_COUNT_; cause++) {
		struct eg_loss sum;

		if (!subtract(&now->by[cause], &l->told[slot].by[cause], &sum))
			continue;
		if (!tell(ctx, slot, (enum eg_losses_cause)cause, &sum))
			return false;
		l->told[slot].by[cause] = now->by[cause];
		l->dirty[slot] = 1;
		l->any_dirty = true;
	}
	return true;
}

static void tell_dropped(struct eg_loss_ledger *l, eg_losses_tell *tell, void *ctx)
{
	bool any;

	pthread_mutex_lock(&l->lock);
	any = l->any_dropped;
	l->any_dropped = false;
	pthread_mutex_unlock(&l->lock);
	for (uint32_t slot = 0; any && slot < l->config.slots; slot++) {
		struct eg_loss sum;

		pthread_mutex_lock(&l->lock);
		sum = l->dropped[slot];
		if (sum.events)
			l->dropped[slot] = (struct eg_loss){0};
		pthread_mutex_unlock(&l->lock);
		if (!sum.events || tell(ctx, slot, EG_LOSSES_QUEUE_FULL, &sum))
			continue;
		pthread_mutex_lock(&l->lock);
		l->any_dropped = true;
		for (size_t i = 0; i < LOSS_WORDS; i++)
			((__u64 *)&l->dropped[slot])[i] += ((const __u64 *)&sum)[i];
		pthread_mutex_unlock(&l->lock);
		return;
	}
}

int eg_losses_collect(struct eg_loss_ledger *l, uint32_t used, eg_losses_tell *tell, void *ctx)
{
	EG_FREE struct eg_losses *chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
	int r;

	if (!chunk)
		return -ENOMEM;
	tell_dropped(l, tell, ctx);
	if (!l->config.read)
		return 0;
	if (used > l->config.slots)
		used = l->config.slots;
	for (uint32_t first = 0; first < used; first += CHUNK_SLOTS) {
		uint32_t count = used - first < CHUNK_SLOTS ? used - first : CHUNK_SLOTS;

		r = l->config.read(l->config.ctx, first, count, chunk);
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < count; i++)
			if (!tell_slot(l, first + i, &chunk[i], tell, ctx))
				return 0;
	}
	return 0;
}

int eg_losses_commit(struct eg_loss_ledger *l)
{
	int r;

	if (!l->any_dirty)
		return 0;
	if (l->fd < 0)
		return -EBADF;
	for (uint32_t slot = 0; slot < l->config.slots; slot++) {
		if (!l->dirty[slot])
			continue;
		r = write_record(l, slot);
		if (r < 0)
			return r;
		l->dirty[slot] = 0;
	}
	l->any_dirty = false;
	return 0;
}

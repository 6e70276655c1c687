// SPDX-License-Identifier: Apache-2.0
/*
 * direct.c - the pinned maps, as `egret kill --direct` uses them
 *
 * Theory of operation. The agent pins its maps below BPFFS/maps; the programs read an app's kill
 * word from map `apps`, by slot, on each packet, and take it as in force while the generation in
 * its upper half is the slot's. `app_names` says which slot and generation a name has. So a kill
 * is: look up, store with that generation, look up again. If the slot went to another app in
 * between, the store did nothing to it (its generation is another), and we begin anew with what
 * the name says now. An agent that runs meanwhile adds its layers to the same word by
 * compare-and-swap, as we do.
 */
#include "direct.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../lib/cleanup.h"

#define TRIES 16

struct shared {
	void *at;
	size_t size;
};

static void shared_clear(struct shared *shared)
{
	if (shared->at)
		munmap(shared->at, shared->size);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int fail(struct eg_error *err, int r, const char *bpffs, const char *what)
{
	eg_error_set(err, 0, "direct", "%s/maps/%s: %s", bpffs, what,
		     r == -ENOENT ? "is not pinned: nothing is enforced here (is --bpffs right?)"
		     : r == -EPROTO ? "is of another version of Egret"
				    : strerror(-r));
	return r;
}

/* fd of a pinned map that looks as it should; -EPROTO if it doesn't. */
static int open_map(const char *bpffs, const char *name, uint32_t key_size, uint32_t value_size, uint32_t *ret_max)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	EG_FREE char *path = NULL;
	EG_CLOSE int fd = -1;

	if (asprintf(&path, "%s/maps/%s", bpffs, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.key_size != key_size || info.value_size != value_size)
		return -EPROTO;
	if (ret_max)
		*ret_max = info.max_entries;
	return EG_TAKE_FD(fd);
}

/* All of an array that can be mapped. */
static int map_array(const char *bpffs, const char *name, uint32_t value_size, struct shared *ret, uint32_t *ret_max)
{
	uint32_t max = 0;
	EG_CLOSE int fd = open_map(bpffs, name, sizeof(uint32_t), value_size, &max);
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(NULL, (size_t)max * value_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*ret = (struct shared){at, (size_t)max * value_size};
	*ret_max = max;
	return 0;
}

/* Also the proof that these are maps of an Egret whose words mean what we think. */
static int map_host(const char *bpffs, struct shared *ret, struct eg_error *err)
{
	uint32_t max = 0;
	int r = map_array(bpffs, "host_ctl", sizeof(struct eg_host_ctl), ret, &max);

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): r is 0 only when it was mapped */
	if (!r && ((const struct eg_host_ctl *)ret->at)->abi_major != EG_ABI_MAJOR)
		r = -EPROTO;
	return r ? fail(err, r, bpffs, "host_ctl") : 0;
}

uint64_t eg_direct_raise(uint64_t *word, uint32_t gen, uint32_t layers)
{
	uint64_t was = __atomic_load_n(word, __ATOMIC_RELAXED), now;

	do {
		now = EG_KILL_WORD(gen, (was >> 32 == gen ? (uint32_t)was : 0) | layers);
	} while (!__atomic_compare_exchange_n(word, &was, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return was;
}

static int look_up(int names, const char *app, struct eg_app_ref *ret)
{
	struct eg_app_name name = {{0}};

	memcpy(name.name, app, strlen(app)); /* a name that was checked: at most 63 bytes */
	return bpf_map_lookup_elem(names, &name, ret) ? -errno : 0;
}

static int kill_slot(int names, const char *app, struct eg_app *apps, uint32_t max, uint64_t start_us,
		     struct eg_direct *ret)
{
	for (int i = 0; i < TRIES; i++) {
		struct eg_app_ref ref, again;
		uint64_t was;
		int r = look_up(names, app, &ref);

		if (r == -ENOENT)
			return 0; /* the journal's hold waits for it */
		if (r)
			return r;
		if (ref.app == EG_APP_UNKNOWN || ref.app >= max)
			return -EPROTO;
		was = eg_direct_raise((uint64_t *)&apps[ref.app].ctl.kill, ref.gen, EG_HOLD_LOCAL);
		*ret = (struct eg_direct){.seen = true, .slot = ref.app, .gen = ref.gen};
		ret->already = was >> 32 == ref.gen && (was & EG_HOLD_LOCAL);
		ret->stored_us = now_us() - start_us;
		r = look_up(names, app, &again);
		if (!r && again.app == ref.app && again.gen == ref.gen &&
		    __atomic_load_n(&apps[ref.app].ctl.gen, __ATOMIC_SEQ_CST) == ref.gen)
			return 0;
		if (r && r != -ENOENT)
			return r;
		*ret = (struct eg_direct){0};
	}
	return -EAGAIN;
}

int eg_direct_kill(const char *bpffs, const char *app, struct eg_direct *ret, struct eg_error *err)
{
	EG_CLEANUP(shared_clear) struct shared host = {0}, apps = {0};
	EG_CLOSE int names = -1;
	uint64_t start_us = now_us();
	struct eg_direct done = {0};
	uint32_t max = 0;
	int r = map_host(bpffs, &host, err);

	if (r)
		return r;
	names = open_map(bpffs, "app_names", sizeof(struct eg_app_name), sizeof(struct eg_app_ref), NULL);
	if (names < 0)
		return fail(err, names, bpffs, "app_names");
	r = map_array(bpffs, "apps", sizeof(struct eg_app), &apps, &max);
	if (r)
		return fail(err, r, bpffs, "apps");
	r = kill_slot(names, app, apps.at, max, start_us, &done);
	if (r)
		return fail(err, r, bpffs, "apps");
	*ret = done;
	return 0;
}

int eg_direct_kill_all(const char *bpffs, struct eg_direct *ret, struct eg_error *err)
{
	EG_CLEANUP(shared_clear) struct shared host = {0};
	uint64_t start_us = now_us(), was;
	int r = map_host(bpffs, &host, err);

	if (r)
		return r;
	was = __atomic_fetch_or(&((struct eg_host_ctl *)host.at)->kill_all, EG_HOLD_LOCAL, __ATOMIC_SEQ_CST);
	*ret = (struct eg_direct){.seen = true, .already = was & EG_HOLD_LOCAL, .stored_us = now_us() - start_us};
	return 0;
}

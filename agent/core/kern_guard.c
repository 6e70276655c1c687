// SPDX-License-Identifier: Apache-2.0
#include "kern_guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"

/* Ours among the filters of an interface. First in order, since a filter may end the walk. */
#define FILTER_HANDLE   0xe62e7u
#define FILTER_PRIORITY 1u

struct side {
	enum bpf_tc_attach_point point;
	const char *program;
};

/* What leaves first: an app half guarded is one that nothing escapes from. */
static const struct side sides[] = {
	{BPF_TC_INGRESS, "eg_guard_out"},
	{BPF_TC_EGRESS, "eg_guard_in"},
};
#define SIDES (sizeof(sides) / sizeof(sides[0]))

static struct bpf_tc_hook hook_of(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook), .ifindex = (int)ifindex, .attach_point = point};
}

static struct bpf_tc_opts our_filter(void)
{
	return (struct bpf_tc_opts){
		.sz = sizeof(struct bpf_tc_opts), .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
	};
}

/* Id of the program at our place; 0: none. */
static uint32_t program_at(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	struct bpf_tc_hook hook = hook_of(ifindex, point);
	struct bpf_tc_opts filter = our_filter();

	return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static int attach_side(struct eg_kern *kern, uint32_t ifindex, const struct side *side)
{
	struct bpf_tc_hook hook = hook_of(ifindex, side->point);
	struct bpf_tc_opts filter = our_filter();

	filter.prog_fd = eg_kern_program_fd(kern, side->program);
	if (filter.prog_fd < 0)
		return -ENOENT;
	filter.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &filter);
}

int eg_kern_guard_attach(struct eg_kern *kern, uint32_t ifindex, const struct eg_guard *guard)
{
	struct bpf_tc_hook hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	bool anew = !program_at(ifindex, BPF_TC_INGRESS) && !program_at(ifindex, BPF_TC_EGRESS);
	int r = 0;

	/* the entry first: a program that finds none drops everything */
	if (bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_GUARDS), &ifindex, guard, BPF_ANY))
		return -errno;
	bpf_tc_hook_create(&hook); /* it may be there; if it can't be made, the next step says so */
	for (size_t i = 0; !r && i < SIDES; i++)
		r = attach_side(kern, ifindex, &sides[i]);
	if (r && anew) /* older programs stay in force */
		eg_kern_guard_detach(kern, ifindex);
	return r;
}

bool eg_kern_guard_attached(struct eg_kern *kern, uint32_t ifindex)
{
	for (size_t i = 0; i < SIDES; i++) {
		uint32_t id = program_id(eg_kern_program_fd(kern, sides[i].program));

		if (!id || program_at(ifindex, sides[i].point) != id)
			return false;
	}
	return true;
}

/* Whether the program uses the map: then it is a guard of this set of maps, whichever agent loaded it. */
static bool uses_map(uint32_t id, int map_fd)
{
	__u32 ids[64], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (uint64_t)(uintptr_t)ids};
	struct bpf_map_info map = {0};
	__u32 map_len = sizeof(map);
	EG_CLOSE int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || bpf_obj_get_info_by_fd(map_fd, &map, &map_len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++) {
		/* cppcheck-suppress uninitvar ; the kernel wrote them */
		if (ids[i] == map.id)
			return true;
	}
	return false;
}

/* The filters go before the entry, for the same reason. An interface that is gone took them along. */
static int detach(int map_fd, uint32_t ifindex)
{
	int r = 0;

	for (size_t i = 0; i < SIDES; i++) {
		uint32_t id = program_at(ifindex, sides[i].point);
		struct bpf_tc_hook hook = hook_of(ifindex, sides[i].point);
		struct bpf_tc_opts filter = our_filter();
		int failed = id && uses_map(id, map_fd) ? bpf_tc_detach(&hook, &filter) : 0;

		if (failed && program_at(ifindex, sides[i].point) == id)
			r = failed;
	}
	if (!r)
		bpf_map_delete_elem(map_fd, &ifindex);
	return r;
}

int eg_kern_guard_detach(struct eg_kern *kern, uint32_t ifindex)
{
	return detach(eg_kern_map_fd(kern, EG_MAP_GUARDS), ifindex);
}

static size_t list(int map_fd, uint32_t *ret_ifindexes, size_t max)
{
	size_t count = 0;

	while (count < max && !bpf_map_get_next_key(map_fd, count ? &ret_ifindexes[count - 1] : NULL, &ret_ifindexes[count]))
		count++;
	return count;
}

size_t eg_kern_guard_list(struct eg_kern *kern, uint32_t *ret_ifindexes, struct eg_guard *ret_guards, size_t max)
{
	int fd = eg_kern_map_fd(kern, EG_MAP_GUARDS);
	size_t count = list(fd, ret_ifindexes, max);

	for (size_t i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(fd, &ret_ifindexes[i], &ret_guards[i]))
			ret_guards[i] = (struct eg_guard){0};
	}
	return count;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int eg_kern_guard_detach_pinned(const char *bpffs)
{
	uint32_t ifindexes[256];
	char path[400];
	EG_CLOSE int fd = -1;
	int r = 0;

	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, eg_kern_map_name(EG_MAP_GUARDS));
	fd = bpf_obj_get(path);
	libbpf_set_print(quiet);
	while (!r && fd >= 0) {
		size_t count = list(fd, ifindexes, 256);

		for (size_t i = 0; i < count && !r; i++)
			r = detach(fd, ifindexes[i]);
		if (!count)
			break;
	}
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "kern_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "kern_pins.h"

#define MAPS_MAX 64 /* of one program */

struct program {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type hook; /* of a managed root */
};

/*
 * First those that are attached to the roots: the packet hooks are the authority, so they come
 * first, and in a change of programs last. The last two are not there without BPF LSM.
 */
static const struct program known[] = {
	{"eg_egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
	{"eg_ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS},
	{"eg_sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
	{"eg_sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE},
	{"eg_sock_release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE},
	{"eg_bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND},
	{"eg_bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND},
	{"eg_connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
	{"eg_connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
	{"eg_sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG},
	{"eg_sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG},
	{"eg_setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
	{"eg_lsm_create", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP},
	{"eg_lsm_option", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP},
	{.name = "eg_guard_out", .type = BPF_PROG_TYPE_SCHED_CLS},
	{.name = "eg_guard_in", .type = BPF_PROG_TYPE_SCHED_CLS},
	{.name = "eg_explain", .type = BPF_PROG_TYPE_SCHED_CLS},
	{.name = "eg_learn", .type = BPF_PROG_TYPE_SCHED_CLS},
	{.name = "eg_reap", .type = BPF_PROG_TYPE_SCHED_CLS},
};
#define ATTACHED 14
_Static_assert(sizeof(known) / sizeof(known[0]) == EG_PROGRAMS, "each program has its fd");

static bool is_wanted(const struct eg_programs *programs, size_t which)
{
	return known[which].type != BPF_PROG_TYPE_LSM || !programs->families;
}

void eg_programs_init(struct eg_programs *programs)
{
	programs->families = -EOPNOTSUPP;
	for (size_t i = 0; i < EG_PROGRAMS; i++)
		programs->fd[i] = -1;
}

void eg_programs_close(struct eg_programs *programs)
{
	for (size_t i = 0; i < EG_PROGRAMS; i++) {
		if (programs->fd[i] >= 0)
			close(programs->fd[i]);
		programs->fd[i] = -1;
	}
}

int eg_programs_fd(const struct eg_programs *programs, const char *name)
{
	for (size_t i = 0; i < EG_PROGRAMS; i++) {
		if (strcmp(known[i].name, name) == 0 && programs->fd[i] >= 0)
			return programs->fd[i];
	}
	return -ENOENT;
}

/* ---- Adopted ------------------------------------------------------------------------- */

void eg_programs_build(const struct eg_programs *programs, const void *objects, size_t size, char ret[EG_BUILD_LEN])
{
	const char *library = libbpf_version_string();
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	_Static_assert(EG_BUILD_LEN == BASE16_ENCODE_LENGTH(SHA256_DIGEST_SIZE) + 1, "a digest fits");
	sha256_init(&hash);
	sha256_update(&hash, size, objects);
	sha256_update(&hash, 1, (const uint8_t *)(programs->families ? "-" : "+"));
	sha256_update(&hash, 1, (const uint8_t *)(programs->sees_pages ? "+" : "-"));
	sha256_update(&hash, strlen(library), (const uint8_t *)library);
	sha256_digest(&hash, sizeof(digest), digest);
	base16_encode_update(ret, sizeof(digest), digest);
	ret[EG_BUILD_LEN - 1] = '\0';
}

/* A map that isn't pinned is the programs' own, unless it has a pinned one's name: then that was replaced. */
static bool is_own(uint32_t id, const struct eg_programs_map *maps, size_t count)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	EG_CLOSE int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(maps[i].name, info.name, sizeof(info.name)) == 0)
			return false;
	}
	return true;
}

static bool is_pinned(uint32_t id, const struct eg_programs_map *maps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (maps[i].id == id)
			return true;
	}
	return false;
}

static bool as_expected(int fd, const struct program *program, const struct eg_programs_map *maps, size_t count)
{
	__u32 ids[MAPS_MAX], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)ids};

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != program->type || info.nr_map_ids > MAPS_MAX ||
	    strncmp(info.name, program->name, sizeof(info.name)) != 0)
		return false;
	for (__u32 i = 0; i < info.nr_map_ids; i++) {
		if (!is_pinned(ids[i], maps, count) && !is_own(ids[i], maps, count))
			return false;
	}
	return true;
}

int eg_programs_adopt(struct eg_programs *programs, const char *bpffs, const char *build,
		      const struct eg_programs_map *maps, size_t count)
{
	char path[512];

	for (size_t i = 0; i < EG_PROGRAMS; i++) {
		if (!is_wanted(programs, i))
			continue;
		snprintf(path, sizeof(path), "%s/programs/%s/%s", bpffs, build, known[i].name);
		programs->fd[i] = bpf_obj_get(path);
		if (programs->fd[i] < 0 || !as_expected(programs->fd[i], &known[i], maps, count)) {
			eg_programs_close(programs);
			return -ENOENT;
		}
	}
	return 0;
}

/* ---- Loaded and pinned --------------------------------------------------------------- */

int eg_programs_take(struct eg_programs *programs, const struct bpf_object *object)
{
	struct bpf_program *each;
	size_t there = 0;

	bpf_object__for_each_program(each, object)
		there++;
	if (there != EG_PROGRAMS)
		return -ENOENT;
	for (size_t i = 0; i < EG_PROGRAMS; i++) {
		each = bpf_object__find_program_by_name(object, known[i].name);
		if (!each)
			return -ENOENT;
		if (!is_wanted(programs, i))
			continue;
		programs->fd[i] = fcntl(bpf_program__fd(each), F_DUPFD_CLOEXEC, 0);
		if (programs->fd[i] < 0)
			return -errno;
	}
	return 0;
}

/* Every build's, and what a start that was cut short has left. */
static int remove_builds(const char *programs_dir)
{
	EG_CLOSEDIR DIR *dir = opendir(programs_dir);
	struct dirent *entry;
	char path[768];
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", programs_dir, entry->d_name);
		r = eg_kern_remove_dir(path);
	}
	return r;
}

static int pin_all(const struct eg_programs *programs, const char *directory)
{
	char path[512];

	for (size_t i = 0; i < EG_PROGRAMS; i++) {
		if (!is_wanted(programs, i))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, known[i].name);
		if (bpf_obj_pin(programs->fd[i], path))
			return -errno;
	}
	return 0;
}

int eg_programs_pin(const struct eg_programs *programs, const char *bpffs, const char *build)
{
	char directory[320], draft[400], whole[400];
	int r;

	snprintf(directory, sizeof(directory), "%s/programs", bpffs);
	snprintf(draft, sizeof(draft), "%s/draft", directory);
	snprintf(whole, sizeof(whole), "%s/%s", directory, build);
	if (mkdir(directory, 0700) && errno != EEXIST)
		return -errno;
	r = remove_builds(directory);
	if (r)
		return r;
	if (mkdir(draft, 0700))
		return -errno;
	r = pin_all(programs, draft);
	if (!r && rename(draft, whole))
		r = -errno;
	return r;
}

int eg_programs_unpin(const char *bpffs)
{
	char directory[320];
	int r;

	snprintf(directory, sizeof(directory), "%s/programs", bpffs);
	r = remove_builds(directory);
	if (!r && rmdir(directory) && errno != ENOENT)
		r = -errno;
	return r;
}

/* ---- Attached ------------------------------------------------------------------------ */

static int attach_one(const struct program *program, int fd, const char *bpffs, int cgroup_fd, uint64_t cgroup_id)
{
	EG_CLOSE int link = -1;
	char path[400];
	int r;

	eg_kern_link_path(path, sizeof(path), bpffs, cgroup_id, program->name);
	r = eg_kern_link_update(path, cgroup_id, fd);
	if (r != -ENOENT)
		return r;
	link = bpf_link_create(fd, cgroup_fd, program->hook, NULL);
	if (link < 0)
		return link;
	unlink(path);
	return bpf_obj_pin(link, path) ? -errno : 0; /* the pin holds it from here on */
}

/* An agent before this one attached it; this one is not to. */
static void detach_one(const struct program *program, const char *bpffs, uint64_t cgroup_id)
{
	char path[400];

	eg_kern_link_path(path, sizeof(path), bpffs, cgroup_id, program->name);
	unlink(path);
}

int eg_programs_attach(const struct eg_programs *programs, const char *bpffs, const char *cgroup_path,
		       uint64_t cgroup_id, struct eg_error *err)
{
	bool fresh = !eg_programs_attached(programs, bpffs, cgroup_id);
	char path[400];
	EG_CLOSE int fd = open(cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return eg_error_set(err, 500, "no_root", "the managed root %s can't be opened: %s", cgroup_path,
				    strerror(errno));
	snprintf(path, sizeof(path), "%s/links/%llu", bpffs, (unsigned long long)cgroup_id);
	if (mkdir(path, 0700) && errno != EEXIST)
		return eg_error_set(err, 500, "no_bpffs", "%s can't be made: %s", path, strerror(errno));
	for (size_t i = 0; i < ATTACHED; i++) {
		size_t which = fresh ? i : ATTACHED - 1 - i;
		int r = 0;

		if (is_wanted(programs, which))
			r = attach_one(&known[which], programs->fd[which], bpffs, fd, cgroup_id);
		else if (programs->families == -ECANCELED)
			detach_one(&known[which], bpffs, cgroup_id);
		if (r)
			return eg_error_set(err, 500, "attach", "program %s could not be attached to %s: %s",
					    known[which].name, cgroup_path, strerror(-r));
	}
	return 0;
}

bool eg_programs_attached(const struct eg_programs *programs, const char *bpffs, uint64_t cgroup_id)
{
	char path[400];

	for (size_t i = 0; i < ATTACHED; i++) {
		eg_kern_link_path(path, sizeof(path), bpffs, cgroup_id, known[i].name);
		if (is_wanted(programs, i) && !eg_kern_link_alive(path, cgroup_id))
			return false;
	}
	return true;
}

// SPDX-License-Identifier: Apache-2.0
#include "kern_pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "kern.h"
#include "kern_guard.h"
#include "kern_programs.h"

#define BPF_FS_MAGIC_NUMBER 0xcafe4a11

int eg_kern_prepare(const char *bpffs, struct eg_error *err)
{
	struct statfs fs;
	char path[320];

	if (mkdir(bpffs, 0700) && errno != EEXIST)
		return eg_error_set(err, 500, "no_bpffs",
				    "%s can't be made (%s); mount the BPF filesystem: mount -t bpf bpf /sys/fs/bpf",
				    bpffs, strerror(errno));
	if (statfs(bpffs, &fs) || (unsigned long)fs.f_type != BPF_FS_MAGIC_NUMBER) {
		rmdir(bpffs);
		return eg_error_set(err, 500, "no_bpffs",
				    "%s is not in a BPF filesystem; mount one: mount -t bpf bpf /sys/fs/bpf", bpffs);
	}
	chmod(bpffs, 0700);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", bpffs, i ? "links" : "maps");
		if (mkdir(path, 0700) && errno != EEXIST)
			return eg_error_set(err, 500, "no_bpffs", "%s can't be made: %s", path, strerror(errno));
	}
	return 0;
}

int eg_kern_refuse_pins(const char *bpffs, struct eg_error *err)
{
	return eg_error_set(err, 500, "stale_pins",
			    "%s holds maps of another version of egretd; "
			    "run `egretd --detach-all` (enforcement ends until egretd is started again)",
			    bpffs);
}

int eg_kern_check_abi(const char *bpffs, bool *ret_adopted, struct eg_error *err)
{
	struct eg_host_ctl host;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info), zero = 0;
	char path[320];
	EG_CLOSE int fd = -1;

	*ret_adopted = false;
	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, eg_kern_map_name(EG_MAP_HOST_CTL));
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0) /* it may well be in force: nobody may take it for a leftover */
		return eg_error_set(err, 500, "stale_pins", "%s can't be opened: %s", path, strerror(-fd));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.value_size != sizeof(host) ||
	    bpf_map_lookup_elem(fd, &zero, &host) || (host.abi_major && host.abi_major != EG_ABI_MAJOR))
		return eg_kern_refuse_pins(bpffs, err);
	*ret_adopted = host.abi_major; /* 0: the start that made them was cut short */
	return 0;
}

void eg_kern_link_path(char *ret, size_t size, const char *bpffs, uint64_t cgroup_id, const char *program)
{
	snprintf(ret, size, "%s/links/%llu/%s", bpffs, (unsigned long long)cgroup_id, program);
}

int eg_kern_pinned_max(const struct bpf_map *map, const char *path, uint32_t *ret)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	EG_CLOSE int fd = bpf_obj_get(path);

	*ret = 0;
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != bpf_map__type(map) ||
	    info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map))
		return -ESTALE;
	*ret = info.max_entries;
	return 0;
}

/* fd of the pinned link if it is attached to this cgroup, else a negative errno. */
static int open_live(const char *path, uint64_t cgroup_id, uint32_t *ret_program_id)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	EG_CLOSE int fd = bpf_obj_get(path);

	if (fd < 0)
		return -ENOENT;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id != cgroup_id)
		return -ENOENT;
	*ret_program_id = info.prog_id;
	return EG_TAKE_FD(fd);
}

bool eg_kern_link_alive(const char *path, uint64_t cgroup_id)
{
	uint32_t program_id;
	EG_CLOSE int fd = open_live(path, cgroup_id, &program_id);

	return fd >= 0;
}

int eg_kern_link_update(const char *path, uint64_t cgroup_id, int program_fd)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	uint32_t program_id = 0;
	EG_CLOSE int fd = open_live(path, cgroup_id, &program_id);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(program_fd, &info, &len))
		return -errno;
	if (info.id == program_id) /* updating would be no change, but a wait for other CPUs */
		return 0;
	return bpf_link_update(fd, program_fd, NULL) ? -errno : 0;
}

int eg_kern_remove_dir(const char *path)
{
	EG_CLOSEDIR DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0))
			return -errno;
	}
	return rmdir(path) ? -errno : 0;
}

/* Without host_ctl the others are taken for leftovers, so a removal that is cut short is one all the same. */
static int remove_maps(const char *bpffs)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, eg_kern_map_name(EG_MAP_HOST_CTL));
	if (unlink(path) && errno != ENOENT)
		return -errno;
	snprintf(path, sizeof(path), "%s/maps", bpffs);
	return eg_kern_remove_dir(path);
}

int eg_kern_clear_maps(const char *bpffs)
{
	char path[400];
	int r = remove_maps(bpffs);

	snprintf(path, sizeof(path), "%s/maps", bpffs);
	return !r && mkdir(path, 0700) ? -errno : r;
}

int eg_kern_unpin_root(const char *bpffs, uint64_t cgroup_id)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/links/%llu", bpffs, (unsigned long long)cgroup_id);
	return eg_kern_remove_dir(path);
}

size_t eg_kern_pinned_roots(const char *bpffs, uint64_t *ret_ids, size_t max)
{
	struct dirent *entry;
	size_t count = 0;
	char path[400];

	snprintf(path, sizeof(path), "%s/links", bpffs);
	EG_CLOSEDIR DIR *dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (count < max)
			ret_ids[count] = strtoull(entry->d_name, NULL, 10);
		count++;
	}
	return count;
}

/*
 * Takes the root's programs off before this returns. Without it the kernel would, but only when it comes
 * to it: bpf_link_put() of kernel/bpf/syscall.c leaves it to a work queue.
 */
static int detach_root(const char *bpffs, uint64_t cgroup_id)
{
	struct dirent *entry;
	char path[400];
	int r = 0;

	snprintf(path, sizeof(path), "%s/links/%llu", bpffs, (unsigned long long)cgroup_id);
	EG_CLOSEDIR DIR *dir = opendir(path);
	while (dir && !r && (entry = readdir(dir))) {
		char pin[700];
		EG_CLOSE int fd = -1;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(pin, sizeof(pin), "%s/%s", path, entry->d_name);
		fd = bpf_obj_get(pin);
		if (fd < 0 || bpf_link_detach(fd))
			r = errno == EOPNOTSUPP ? 0 : -errno; /* then it goes with its pin */
	}
	return r ? r : eg_kern_unpin_root(bpffs, cgroup_id);
}

int eg_kern_detach_all(const char *bpffs, struct eg_error *err)
{
	uint64_t ids[256];
	size_t count;
	char path[400];
	int r = eg_kern_guard_detach_pinned(bpffs);

	if (r)
		return eg_error_set(err, 500, "detach", "a guard could not be taken off its interface: %s", strerror(-r));
	do { /* more roots than fit come in the next round */
		count = eg_kern_pinned_roots(bpffs, ids, 256);
		for (size_t i = 0; i < count && i < 256 && !r; i++)
			r = detach_root(bpffs, ids[i]);
	} while (count > 256 && !r);
	snprintf(path, sizeof(path), "%s/links", bpffs);
	if (!r && rmdir(path) && errno != ENOENT)
		r = -errno;
	if (!r)
		r = eg_programs_unpin(bpffs);
	if (!r)
		r = remove_maps(bpffs);
	if (!r && rmdir(bpffs) && errno != ENOENT)
		r = -errno;
	if (r)
		return eg_error_set(err, 500, "detach", "the pins below %s could not all be removed: %s", bpffs,
				    strerror(-r));
	return 0;
}

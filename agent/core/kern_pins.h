/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern_pins.h - the pins below bpffs: maps/NAME, links/CGROUPID/PROGRAM, and programs/BUILD/PROGRAM
 */
#ifndef EG_CORE_KERN_PINS_H
#define EG_CORE_KERN_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/error.h"

struct bpf_map;

/* The pins are of another version. Sets *err and returns its code. */
int eg_kern_refuse_pins(const char *bpffs, struct eg_error *err);

/*
 * Whether maps are pinned that a start has finished (*ret_adopted), and of our ABI: if not, as
 * eg_kern_refuse_pins().
 */
int eg_kern_check_abi(const char *bpffs, bool *ret_adopted, struct eg_error *err);

/* Entries of a map that is pinned there already, 0 if there is none. -ESTALE: its kind or sizes are not this map's. */
int eg_kern_pinned_max(const struct bpf_map *map, const char *path, uint32_t *ret);

void eg_kern_link_path(char *ret, size_t size, const char *bpffs, uint64_t cgroup_id, const char *program);

/* True if the pin is a link that is attached to this cgroup (one that lost its cgroup shows id 0). */
bool eg_kern_link_alive(const char *path, uint64_t cgroup_id);

/* Puts program_fd in place of the link's program, if it is another. -ENOENT: no live link there. */
int eg_kern_link_update(const char *path, uint64_t cgroup_id, int program_fd);

/* Unpins the links of one root, which detaches them. 0 or -errno. */
int eg_kern_unpin_root(const char *bpffs, uint64_t cgroup_id);

/* Unpins every map: what a start or a removal that was cut short has left. 0 or -errno. */
int eg_kern_clear_maps(const char *bpffs);

/* Ids of roots with a pin directory, at most max; returns how many there are. */
size_t eg_kern_pinned_roots(const char *bpffs, uint64_t *ret_ids, size_t max);

/* Unlinks every file of a directory, then the directory. 0, also if there is none; -errno. */
int eg_kern_remove_dir(const char *path);

#endif

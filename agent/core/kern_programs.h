/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern_programs.h - the programs: taken from their pins or from a load, pinned, attached
 *
 * Theory of operation. The verifier needs most of a second for them, so a start takes up programs
 * that are pinned already if they are what it would load itself. They lie in programs/BUILD/NAME,
 * BUILD being a digest of the objects. The directory gets this name by one rename when it is
 * whole, so a name that is there means all of them, from one load. What isn't exactly as expected
 * is loaded anew: a program that is missing or another's, and one that uses any map but those
 * pinned now. A reboot empties bpffs, so the kernel that took them is the one that runs.
 */
#ifndef EG_CORE_KERN_PROGRAMS_H
#define EG_CORE_KERN_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/error.h"

struct bpf_object;

#define EG_PROGRAMS  19
#define EG_BUILD_LEN 65 /* of SHA-256 in hex, with NUL */

struct eg_programs {
	int families; /* as eg_kern_families(): the LSM program is there if it is 0 */
	bool sees_pages; /* as eg_kern_sees_pages() */
	int fd[EG_PROGRAMS]; /* -1: none */
};

/* A map that is pinned. */
struct eg_programs_map {
	const char *name;
	uint32_t id;
};

void eg_programs_init(struct eg_programs *programs);
void eg_programs_close(struct eg_programs *programs);

/* Digest of the objects, of which are loaded, and of the library that prepares them for the kernel. */
void eg_programs_build(const struct eg_programs *programs, const void *objects, size_t size, char ret[EG_BUILD_LEN]);

/* Takes up the pinned programs of that build. -ENOENT: not all are there and as they have to be. */
int eg_programs_adopt(struct eg_programs *programs, const char *bpffs, const char *build,
		      const struct eg_programs_map *maps, size_t count);

/* Takes the programs of a loaded object. -ENOENT: it doesn't hold exactly those that we know. */
int eg_programs_take(struct eg_programs *programs, const struct bpf_object *object);

/* Pins them as that build's, in place of any other's. 0 or -errno. */
int eg_programs_pin(const struct eg_programs *programs, const char *bpffs, const char *build);

/* Removes all pins of programs, and their directory. 0 or -errno. */
int eg_programs_unpin(const char *bpffs);

/* fd by name, or -ENOENT. */
int eg_programs_fd(const struct eg_programs *programs, const char *name);

/* As eg_kern_attach() and eg_kern_attached(). */
int eg_programs_attach(const struct eg_programs *programs, const char *bpffs, const char *cgroup_path,
		       uint64_t cgroup_id, struct eg_error *err);
bool eg_programs_attached(const struct eg_programs *programs, const char *bpffs, uint64_t cgroup_id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * last_good.h - what must not be forgotten when this process ends: how far each source has come
 *
 * The policies and the holds themselves are kept by the agent, with their numbers, and are in force
 * without us. Here is what only we know: the last generation of each numbered policy, also of those that
 * are deleted; the last revision of a bundle; whether deletions wait for a person. One JSON file,
 * last-good.json, written whole under another name, fsynced and renamed.
 */
#ifndef EG_SYNC_LAST_GOOD_H
#define EG_SYNC_LAST_GOOD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct eg_last_good {
	json_t *floors; /* by app: {"generation", "hash"}; never NULL */
	uint64_t bundle_revision;
	bool paused;
	bool changed; /* since it was read or written */
};

/* A missing file is an empty one. -EBADMSG: damaged; it was put aside as last-good.json.bad. -ENOMEM, -errno. */
int eg_last_good_read(int dir_fd, struct eg_last_good *ret);
/* If it has changed. 0 or -errno: then it still has. */
int eg_last_good_write(int dir_fd, struct eg_last_good *last);
void eg_last_good_clear(struct eg_last_good *last);
/* A numbered policy was accepted. */
void eg_last_good_raise(struct eg_last_good *last, const char *app, uint64_t generation, const char *hash);

#endif

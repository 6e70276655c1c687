/* SPDX-License-Identifier: Apache-2.0 */
/*
 * polidir_impl.h - what polidir.c and polidir_gone.c share; everything is under apply
 */
#ifndef EG_CORE_POLIDIR_IMPL_H
#define EG_CORE_POLIDIR_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "agent_impl.h"

struct eg_polifile {
	char *name;
	struct stat st; /* as it was read */
	char app[EG_APP_NAME_LEN]; /* whose policy it brought into force; "" none */
	uint64_t gone_ns; /* monotonic time since which it is gone; 0: it is there */
	bool held; /* it went with too many others: only by hand its app is deleted */
	bool seen; /* in this scan */
	bool bad;
	bool retry; /* another file or source has the app: it may let go of it */
	char message[320];
	json_t *diagnostics;
};

struct eg_polidir {
	struct eg_agent *agent;
	char *path;
	int inotify_fd;
	int watch;
	dev_t dev;
	ino_t ino;
	bool scanned; /* at least once, so what is in force was read from files */
	bool missing_said;
	bool orphans_held; /* too many went while no agent ran */
	bool noticed; /* something happened since the last scan */
	bool pending; /* a file is gone or to be tried again */
	uint64_t scanned_ns; /* monotonic */
	struct eg_polifile **files; /* the first `sorted` by name */
	size_t count;
	size_t sorted;
};

extern const struct eg_actor eg_polidir_actor;

void eg_polifile_free(struct eg_polifile *file);
/* Deletes the app's policy if this file brought it into force. */
void eg_polidir_drop_app(struct eg_polidir *dir, const char *app, const char *origin, const char *why);

/* Policies in force that this directory's files brought. */
size_t eg_polidir_in_force(const struct eg_polidir *dir);
/* Apps that adopted maps enforce, but that no source has any more: deleted while no agent ran, or lost. */
size_t eg_polidir_orphans(struct eg_agent *agent);
/* Says that deletions are paused, and why; "" ends that. */
void eg_polidir_pause(struct eg_agent *agent, const char *why);
/* at_once: the directory itself was away, so there is no doubt. why is untouched if nothing is wrong. */
void eg_polidir_delete_gone(struct eg_polidir *dir, bool at_once, char *why, size_t size);
void eg_polidir_drop_orphans(struct eg_polidir *dir, char *why, size_t size);

#endif

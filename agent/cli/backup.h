/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h - what of the state directory is worth keeping, and how it comes back
 *
 * Both work on the files, since the day on which one is needed is the day on which no agent
 * answers. Making one needs no lock: the agent replaces its files whole, and of the journals, which
 * grow, a torn last line is what a crash would leave, too. Restoring needs the agent stopped.
 *
 * A restore must not lift a kill or give back what was used of a cap:
 *  - journals of kills are joined, the backup's lines before those that are there: the agent takes
 *    the newest record of each app and layer, wherever it stands;
 *  - usage that is there stays; the backup's is marked as that of a host that crashed, so that
 *    windows which had begun count as used up;
 *  - policies become those of the backup, their history and snapshots are added; what was replaced
 *    is kept aside.
 */
#ifndef EG_CLI_BACKUP_H
#define EG_CLI_BACKUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "../lib/error.h"

#define EG_BACKUP_HEAD	"egret-backup" /* the archive's first file: "egret-backup 1\n" and what it is of */
#define EG_BACKUP_FIRST "egret-backup 1\n"
#define EG_BACKUP_FILES_MAX 2000000

struct eg_backup_count {
	size_t policies;
	size_t snapshots;
	size_t revisions; /* of policies, in their history */
	bool kills;
	bool usage;
	char aside[PATH_MAX]; /* restoring: where the policies of before are; "": there were none */
};

/* Whether a backup may have a file of that name: nothing else is written, or believed. */
bool eg_backup_may_have(const char *name);

/* FILE is there whole, mode 0600, or not at all. -errno with *err. */
int eg_backup_make(const char *state_dir, const char *file, struct eg_backup_count *ret, struct eg_error *err);
/* Nothing is changed unless all of the archive is right. -errno with *err. */
int eg_backup_restore(const char *state_dir, const char *file, struct eg_backup_count *ret, struct eg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - the cgroup that a command is run in
 */
#ifndef EG_CLI_SCOPE_H
#define EG_CLI_SCOPE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Absolute path of the managed root to use: `wanted` (absolute, or from the cgroup2 mount), which
 * must be one of the roots or lie below one, or the first. roots: status's "enforcement". Caller
 * frees; NULL with a sentence in message.
 */
char *eg_scope_root(const char *mount, const json_t *roots, const char *wanted, char *message, size_t size);

/* Makes ROOT/APP-PID.scope, or with another ending if that is there. 0 with its path, or -errno. */
int eg_scope_make(const char *root, const char *app, pid_t pid, char **ret_cgroup);

/* The calling process enters. 0 or -errno. */
int eg_scope_enter(const char *cgroup);

/* Removes it once what has just ended in it is gone. -EBUSY: somebody is still in it, or below. */
int eg_scope_remove(const char *cgroup);

#endif

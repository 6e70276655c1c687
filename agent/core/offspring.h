/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offspring.h - how egretd makes a process
 *
 * By clone, never by clone3: a list of system calls sees clone's flags but not those of clone3, which lie in
 * memory, and so has to refuse clone3 to be sure that nobody makes a namespace (see syscalls.c).
 */
#ifndef EG_CORE_OFFSPRING_H
#define EG_CORE_OFFSPRING_H

#include <sys/types.h>

/*
 * As fork(), with a pidfd (O_CLOEXEC) for the parent. The child has a copy of this thread alone: locks may be held for
 * good there, so it may call only what is async-signal-safe, and executes or ends. -errno on failure.
 */
pid_t eg_offspring_clone(int *ret_pidfd);

#endif

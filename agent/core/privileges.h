/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.h - what egretd gives up before it does anything
 *
 * egretd starts as root with whatever its starter left to it. It keeps the capabilities of privileges.def,
 * which its children can't have all of, and the system calls of syscalls.c; it gains nothing by executing a
 * program (no_new_privs), leaves no core, and can't be traced by those who lack CAP_SYS_PTRACE: policies, tokens
 * and events are in its memory. Threads and children have what the thread has that begets them, so this
 * comes before the first of either.
 */
#ifndef EG_CORE_PRIVILEGES_H
#define EG_CORE_PRIVILEGES_H

#include "../lib/error.h"
#include "../lib/jail.h"

/*
 * 0, or -errno with a sentence: a capability is missing, and for what, or one could not be given up. Then the
 * process must not go on. Says that root is needed if this is somebody else.
 */
int eg_privileges_drop(struct eg_error *err);

/* ---- syscalls.c --------------------------------------------------------------------------------- */

/* What egretd and its children may ask of the kernel. Children have lists of their own on top. */
struct eg_jail_filter eg_syscalls_filter(void);

/* What is left to a process that only has to be there: to wait, and to end. */
struct eg_jail_filter eg_syscalls_idle_filter(void);

#endif

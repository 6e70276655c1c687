/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasksock.h - the sockets that a process holds, thread by thread
 *
 * Threads may have fd tables of their own (unshare(CLONE_FILES)); each table is read
 * once. Needs ptrace rights over the process.
 */
#ifndef EG_CORE_TASKSOCK_H
#define EG_CORE_TASKSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* 0: go on; else stop and return that. */
typedef int (*eg_tasksock_task_fn)(void *ctx, pid_t tid);
/* tid: a thread whose table has fd; inode: the socket's, as inet_diag tells it. */
typedef int (*eg_tasksock_fn)(void *ctx, pid_t tid, int fd, uint32_t inode);

/* Calls fn for every thread of the process. -ESRCH: no such process. */
int eg_tasksock_each_task(pid_t pid, eg_tasksock_task_fn fn, void *ctx);
/* Calls fn for every socket fd of the process. -ESRCH: no such process. */
int eg_tasksock_each(pid_t pid, eg_tasksock_fn fn, void *ctx);
/* A duplicate, here, of another task's fd. -ENOTSUP: a thread's own table before Linux 6.9. */
int eg_tasksock_get(pid_t pid, pid_t tid, int fd);

#endif

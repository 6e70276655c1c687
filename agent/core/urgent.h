/* SPDX-License-Identifier: Apache-2.0 */
/*
 * urgent.h - what a kill waits for comes before all else
 *
 * Where the apps want every CPU, a thread that wakes up may wait for milliseconds. So a kill's way
 * from the socket to the store of its word runs under SCHED_RR, at its lowest priority (sched(7)):
 * the gate, the HTTP library's own thread, and a connection's thread until its request turns out
 * to be another than a kill, or the word is stored. What comes after that, and all other work, is
 * done as anybody's.
 */
#ifndef EG_CORE_URGENT_H
#define EG_CORE_URGENT_H

#include <pthread.h>

/* For the calling thread, and those that it starts until it leaves. -errno: EPERM without CAP_SYS_NICE. */
int eg_urgent_enter(void);
void eg_urgent_leave(void);

/* A mutex on that way: whoever holds it is as urgent as who waits for it. */
void eg_urgent_mutex_init(pthread_mutex_t *mutex);

#endif

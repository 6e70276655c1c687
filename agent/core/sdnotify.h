/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdnotify.h - the sd_notify(3) protocol, without a dependency
 *
 * Each call sends one datagram to $NOTIFY_SOCKET (a path, or '@' for the abstract name
 * space) and never waits. 0: sent. 1: not under a service manager. -errno: not sent.
 */
#ifndef EG_CORE_SDNOTIFY_H
#define EG_CORE_SDNOTIFY_H

#include <stdint.h>

/* Enforcement is on. status may be NULL. */
int eg_sdnotify_ready(const char *status);
int eg_sdnotify_status(const char *status);
/* A reload begins; eg_sdnotify_ready() ends it. */
int eg_sdnotify_reloading(void);
int eg_sdnotify_stopping(const char *status);
int eg_sdnotify_watchdog(void);
/* How often to call eg_sdnotify_watchdog(): half of $WATCHDOG_USEC if meant for this process, else 0. */
uint64_t eg_sdnotify_watchdog_interval_ns(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EG_SYNC_SYNC_JAIL_H
#define EG_SYNC_SYNC_JAIL_H

#include <stdint.h>

#include "../lib/jail.h"

/* Gives up all that egret-sync does not need. 0 or -errno: then it must not go on. */
int eg_sync_jail(uint32_t uid, uint32_t gid);
struct eg_jail_filter eg_sync_filter(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EG_SYNC_SYNC_JAIL_H
#define EG_SYNC_SYNC_JAIL_H

#include <stdint.h>

/* Gives up all that egret-sync does not need. 0 or -errno: then it must not go on. */
int eg_sync_jail(uint32_t uid, uint32_t gid);

#endif

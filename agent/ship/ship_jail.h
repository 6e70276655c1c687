/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship_jail.h - what egret-ship gives up before it reads an event or a byte of the network
 */
#ifndef EG_SHIP_SHIP_JAIL_H
#define EG_SHIP_SHIP_JAIL_H

#include <stdint.h>

#include "../lib/jail.h"

/* To be called before the first thread. 0 or -errno: then it must not go on. */
int eg_ship_jail(uint32_t uid, uint32_t gid);
struct eg_jail_filter eg_ship_filter(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.h - what egretd and egret-sync agree on, beside lib/child_setup.h
 *
 * The setup is {"control": as in the configuration, "host", "host_labels": {...}, "version"}. The socket is a
 * door: see eg_api_door.
 */
#ifndef EG_SYNC_SETUP_H
#define EG_SYNC_SETUP_H

#include "../lib/child_setup.h"

#define EG_SYNC_NAME	  "egret-sync"
#define EG_SYNC_STATE_DIR "sync" /* in the agent's state directory */

enum { EG_SYNC_DOOR_FD = EG_CHILD_SOCKET_FD, EG_SYNC_STATE_FD = EG_CHILD_DIR_FD };

#endif

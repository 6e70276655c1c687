/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.h - what egretd and egret-sync agree on, and what the child makes of it
 *
 * Standard input is one JSON object: {"control": as in the configuration, "host", "host_labels": {...},
 * "version"}. argv[1] and argv[2] are the numbers of the user and the group to become.
 */
#ifndef EG_SYNC_SETUP_H
#define EG_SYNC_SETUP_H

#define EG_SYNC_NAME "egret-sync"
#define EG_SYNC_DOOR_FD 3  /* SOCK_SEQPACKET; see eg_api_door */
#define EG_SYNC_STATE_FD 4 /* the directory that it may write to */
#define EG_SYNC_BYTES_MAX (1u << 20)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship_setup.h - what egretd hands to its child egret-ship
 *
 * `egret-ship --child` finds these descriptors open. The setup is one JSON object: "sinks" as in the
 * configuration, "host", and whom to become, "uid" and "gid".
 */
#ifndef EG_LIB_SHIP_SETUP_H
#define EG_LIB_SHIP_SETUP_H

#define EG_SHIP_CHILD_FLAG "--child"
#define EG_SHIP_CURSOR_DIR "ship" /* in the state directory */

enum { EG_SHIP_CONTROL_FD = 3, EG_SHIP_SETUP_FD, EG_SHIP_SPOOL_FD, EG_SHIP_CURSOR_FD, EG_SHIP_FDS_END };

#endif

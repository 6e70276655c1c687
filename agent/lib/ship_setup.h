/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship_setup.h - what egretd hands to its child egret-ship, beside child_setup.h
 *
 * The setup is "sinks" and "routes" as in the configuration, and "host".
 */
#ifndef EG_LIB_SHIP_SETUP_H
#define EG_LIB_SHIP_SETUP_H

#include "child_setup.h"

#define EG_SHIP_NAME	   "egret-ship"
#define EG_SHIP_CURSOR_DIR "ship" /* in the state directory */

#define EG_SHIP_MESSAGE_MAX    (128u << 10) /* of the socket pair */
#define EG_SHIP_ALERTS_AT_ONCE 64 /* of one route, handed over and not settled */

enum { EG_SHIP_CONTROL_FD = EG_CHILD_SOCKET_FD, EG_SHIP_SPOOL_FD = EG_CHILD_DIR_FD, EG_SHIP_CURSOR_FD };

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_setup.h - what egretd's children find when they are started (core/child.h starts them)
 *
 * `NAME --child` has these descriptors open: the socket to the agent, the setup, which is one JSON object, and
 * then its directories in the order that its own header gives. In the setup are, beside what the child needs,
 * "uid" and "gid": whom it is to become.
 */
#ifndef EG_LIB_CHILD_SETUP_H
#define EG_LIB_CHILD_SETUP_H

#include <jansson.h>
#include <stdint.h>

#define EG_CHILD_FLAG "--child"

enum { EG_CHILD_SOCKET_FD = 3, EG_CHILD_SETUP_FD, EG_CHILD_DIR_FD };

/* Reads the setup and closes it. NULL: it is not there, or can't be read. */
json_t *eg_child_setup_read(uint32_t *ret_uid, uint32_t *ret_gid);

#endif

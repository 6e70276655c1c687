/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_letter.h - events that a receiver refuses for what they are, kept for people to look at
 *
 * NAME.dead in the cursors' directory, one JSON object a line: {"ts","sink","event_id","error","event"}. It is
 * bounded: at half its size it becomes NAME.dead.old, in the place of the one before.
 */
#ifndef EG_SHIP_DEAD_LETTER_H
#define EG_SHIP_DEAD_LETTER_H

#include <stdint.h>

#include "item.h"

/* Durable when this returns 0. -errno: not written, the event must not be given up. */
int eg_dead_letter_write(int dir_fd, const char *sink, uint64_t max_bytes, const struct eg_item *item, const char *error);

#endif

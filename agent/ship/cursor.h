/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h - how far a sink has come, on disk
 *
 * Two places, because allowed flows wait for their roll-up while everything else goes on: all records
 * before `at` were read; those of them that are allowed flows, from `window` on, are held for a roll-up.
 * Once a window ends, `close` says where, and is stored before anything of it is sent: whoever starts
 * again rolls up the same records, into the same bytes. `rolled` counts its events that are delivered.
 *
 * The file is one line of text with a CRC, replaced by rename after fsync: it is the old or the new one.
 */
#ifndef EG_SHIP_CURSOR_H
#define EG_SHIP_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/spool.h"
#include "tally.h"

struct eg_cursor {
	struct eg_spool_pos at;
	struct eg_spool_pos window; /* with held, else as at */
	uint64_t window_ts_ns; /* with held: "ts" of its first record */
	struct eg_spool_pos close; /* with closing */
	bool closing;
	uint64_t rolled;
	uint64_t held; /* records from window to at that wait for their roll-up */
	struct eg_tally tally;
};

/* dir_fd: where NAME.cursor is. 0; -ENOENT: there is none; -EBADMSG: it is damaged; -errno. */
int eg_cursor_load(int dir_fd, const char *name, struct eg_cursor *ret);
/* Durable when this returns 0; -errno: the old one is still there. */
int eg_cursor_store(int dir_fd, const char *name, const struct eg_cursor *cursor);

/* The line, and back. For tests and fuzzing; a line that was not made by this code is -EBADMSG. */
#define EG_CURSOR_LINE_MAX 512
size_t eg_cursor_print(const struct eg_cursor *cursor, char ret[EG_CURSOR_LINE_MAX]);
int eg_cursor_parse(const char *line, size_t len, struct eg_cursor *ret);

#endif
